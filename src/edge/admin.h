/* The admin socket: a small HTTP/1.1 server on the main loop, a fiber a connection, one request each. On a Unix
 * socket its file mode decides who may ask; on TCP every request needs the token (Authorization: Bearer). */
#ifndef SK_EDGE_ADMIN_H
#define SK_EDGE_ADMIN_H

#include "edge/process.h"

/* METHOD, path, handler, help. */
#define EDGE_ADMIN_TABLE(X)                                                                                  \
    X(GET, "/health", health, "how the edge is, and its origins: JSON")                                      \
    X(GET, "/metrics", metrics, "counters, gauges and histograms: Prometheus text")                          \
    X(GET, "/config", config, "the configuration in force: JSON")                                            \
    X(POST, "/config/reload", reload, "reads the file again and puts it in force if it is right")

struct edge_admin;

/* Listens where the configuration says (or takes over the inherited socket) and sets process->admin. */
sk_err edge_admin_start(struct edge_process *process);
/* Closes; removes a Unix socket's file unless another process has the socket now. */
void edge_admin_stop(struct edge_process *process);
/* Another process answers from now on. */
void edge_admin_hand_over(struct edge_process *process);
int edge_admin_fd(const struct edge_admin *admin);

/* One answer of the admin socket, built by the handlers (edge/admin_answers.c). */
struct edge_admin_answer {
    uint16_t status;
    const char *type;
    struct sk_buf body;
};
#define X(method, path, handler, help)                                                                       \
    sk_err edge_admin_##handler(struct edge_process *process, struct edge_admin_answer *answer);
EDGE_ADMIN_TABLE(X)
#undef X

#endif
