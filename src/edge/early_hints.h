/* Early Hints (RFC 8297): what a stale response tells its next client while the origin is asked. */
#ifndef SK_EDGE_EARLY_HINTS_H
#define SK_EDGE_EARLY_HINTS_H

#include "edge/exchange.h"

/* A 103 with the hints of STALE, if it has any and this client is to be told. On the request's fiber, before the
 * origin is asked. Without memory nothing is told. */
void edge_send_early_hints(struct edge_exchange *exchange, const struct cache_object *stale);

#endif
