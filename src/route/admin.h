/* The admin socket of the router: a small HTTP/1.1 server on the main loop, a fiber a connection, one request each. On a
 * Unix socket its file mode decides who may ask; on TCP every request needs the token (Authorization: Bearer). */
#ifndef SK_ROUTE_ADMIN_H
#define SK_ROUTE_ADMIN_H

#include "route/process.h"

/* METHOD, path, handler, help. */
#define ROUTE_ADMIN_TABLE(X)                                                                                 \
    X(GET, "/health", health, "whether it answers, and from what: JSON")                                     \
    X(GET, "/metrics", metrics, "counters: Prometheus text")                                                 \
    X(POST, "/config/reload", reload, "reads the file and the zones again")

struct route_admin;

/* Listens where the configuration says; *out_admin is NULL when it says nothing. SK_ERR_EXISTS, SK_ERR_DENIED,
 * SK_ERR_NO_MEMORY. */
sk_err route_admin_start(struct route_process *process, struct route_admin **out_admin);
/* Closes, and removes a Unix socket's file. After the loop has ended. */
void route_admin_stop(struct route_admin *admin);

#endif
