/* The edge's own word about itself, for routers and load balancers: EDGE_HEALTH_PATH on every listener and under every
 * host answers 200 while it takes clients, and 503 with the reason when it does not. */
#ifndef SK_EDGE_HEALTH_H
#define SK_EDGE_HEALTH_H

#include "edge/exchange.h"
#include "http/message.h"

#define EDGE_HEALTH_PATH "/.well-known/skerry/health"

static inline bool edge_asks_health(const struct http_request *request) {
    return request->path.len == sizeof EDGE_HEALTH_PATH - 1 &&
           memcmp(request->path.data, EDGE_HEALTH_PATH, sizeof EDGE_HEALTH_PATH - 1) == 0;
}
/* Answers EXCHANGE. Worker's thread. */
void edge_answer_health(struct edge_exchange *exchange);

/* Why it takes no clients though it runs: name, what health says. What comes all the same is served. */
#define EDGE_WITHDRAWN_TABLE(X)                                                                              \
    X(BY_OPERATOR, "draining: the operator's wish")                                                          \
    X(BY_CONTROL, "draining: control's wish")                                                                \
    X(BY_ITSELF, "sick: see its log")
enum edge_withdrawn {
#define X(name, text) EDGE_WITHDRAWN_##name,
    EDGE_WITHDRAWN_TABLE(X)
#undef X
        EDGE_WITHDRAWN_COUNT_
};
/* Any thread. */
void edge_withdraw(enum edge_withdrawn why, bool withdrawn);
bool edge_is_withdrawn(enum edge_withdrawn why);
/* The first reason's text; NULL: it takes clients. */
const char *edge_withdrawn_why(void);

#endif
