/* Replacing the running router by a new program without losing a query (io/upgrade.h): the new process reads the same
 * sockets, so what waits in them waits for either; when it is ready the old one answers what it has taken, keeps its
 * TCP connections until their clients have no more to ask (for half a minute at most), and ends. Along go the challenges
 * of certificate authorities and the secret of the cookies, in a file of memory. Main thread. */
#ifndef SK_ROUTE_UPGRADE_H
#define SK_ROUTE_UPGRADE_H

#include "route/process.h"

/* Starts the new process (SIGUSR2). Failures are logged. */
void route_upgrade_start(struct route_process *process);

/* In the new process, before anything else: what the old one gave, into process->inherited, ->secrets and ->challenges. SK_ERR_MALFORMED,
 * SK_ERR_NO_MEMORY. */
sk_err route_upgrade_inherit(struct route_process *process);
/* The inherited socket of the admin address, and of an HTTP address of the configuration; the caller's; -1: none. */
int route_upgrade_take_admin(void);
int route_upgrade_take_http(const struct io_addr *addr);
/* Closes what was not taken, and tells the old process, if there is one, that this one serves. */
void route_upgrade_say_ready(struct route_process *process);

#endif
