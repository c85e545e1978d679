/* Replacing the running edge by a new program (io/upgrade.h): the new process gets duplicates of the listening sockets
 * (and the admin socket), and when it is ready the old one drains. Main thread. What goes along, by name: "quic"
 * (edge/quic_upgrade.h), "admin", "127.0.0.1:8080", then "udp:127.0.0.1:8080" where HTTP/3 is spoken. */
#ifndef SK_EDGE_UPGRADE_H
#define SK_EDGE_UPGRADE_H

#include "edge/process.h"

/* Starts the new process (SIGUSR2). Failures are logged. */
void edge_upgrade_start(struct edge_process *process);
/* Forgets an upgrade that is running. */
void edge_upgrade_free(struct edge_process *process);

/* In the new process, at its start: the sockets that it was given (none when it replaces nobody). *out_quic_fd stays as it is without one.
 * SK_ERR_MALFORMED, SK_ERR_NO_MEMORY. */
sk_err edge_upgrade_inherit(struct edge_listeners *out_listeners, int *out_quic_fd);
/* What edge_upgrade_inherit makes of TEXT. Pure but for the look at the descriptors. */
sk_err edge_upgrade_parse(sk_str text, struct edge_listeners *out_listeners, int *out_ready_fd,
                          int *out_admin_fd, int *out_quic_fd);
/* The inherited admin socket, the caller's from then on; -1: none. */
int edge_upgrade_take_admin(void);
/* Tells the old process that this one serves. */
void edge_upgrade_say_ready(void);

#endif
