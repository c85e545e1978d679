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

/* The operator's wish, any thread: no new clients, please. What comes all the same is served. */
void edge_health_drain(bool drain);
bool edge_health_draining(void);

#endif
