/* What the edge answers on its admin socket (fleet/admin_server.h). Main thread. */
#ifndef SK_EDGE_ADMIN_H
#define SK_EDGE_ADMIN_H

#include "edge/process.h"
#include "fleet/admin_server.h"

/* METHOD, path, handler, help. */
#define EDGE_ADMIN_TABLE(X)                                                                                  \
    X(GET, "/health", health, "how the edge is, and its origins: JSON")                                      \
    X(GET, "/metrics", metrics, "counters, gauges and histograms: Prometheus text")                          \
    X(GET, "/config", config, "the configuration in force: JSON")                                            \
    X(POST, "/purge", purge, "makes stored responses invalid: `skerry help purge`")                          \
    X(POST, "/erase", erase,                                                                                 \
      "makes all that the encrypted disk holds of a site unreadable for good: {\"site\": NAME}")             \
    X(GET, "/explain", explain,                                                                              \
      "what would happen to a request, and why: ?url=URL&method=GET&header=A:%20b")                          \
    X(GET, "/rtt", rtt, "load, hit ratio and clients' round trip times by network, for routers: text")       \
    X(POST, "/drain", drain, "tells routers to send no new clients; those that come are served")             \
    X(POST, "/undrain", undrain, "takes that back")                                                          \
    X(POST, "/config/reload", reload, "reads the file again and puts it in force if it is right")

/* Listens where the configuration says (or takes over the inherited socket) and sets process->admin. */
sk_err edge_admin_start(struct edge_process *process);

/* The handlers: ROLE is the struct edge_process. */
#define X(method, path, handler, help)                                                                       \
    sk_err edge_admin_##handler(void *role, struct fleet_admin_request *request,                             \
                                struct fleet_admin_answer *answer);
EDGE_ADMIN_TABLE(X)
#undef X

#endif
