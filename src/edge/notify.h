/* Telling a service manager how we are (the sd_notify protocol): a datagram to the socket named by
 * NOTIFY_SOCKET; nothing without it. */
#ifndef SK_EDGE_NOTIFY_H
#define SK_EDGE_NOTIFY_H

void edge_notify(const char *state);
/* READY=1 and which process is the main one now: after an upgrade it is another than before. */
void edge_notify_ready(void);

#endif
