/* The request fiber: what happens when the cache alone cannot answer. */
#ifndef SK_EDGE_MISS_H
#define SK_EDGE_MISS_H

#include "edge/exchange.h"

/* Starts the fiber that gets EXCHANGE its answer: through a shared fill (STALE, whose reference is taken
 * over, is what to validate, or NULL), or, when PASS, alone. outcome.reason says why already. */
void edge_miss_start(struct edge_exchange *exchange, struct cache_object *stale, bool pass);
/* The same when a partial object (cache/slices.h) answers, whose reference is taken over: outcome says hit, until
 * something turns out to be missing. */
void edge_miss_partial(struct edge_exchange *exchange, struct cache_object *head);
/* A refresh of OBJECT in the background, unless one runs (RFC 5861 section 3). Borrows OBJECT. */
void edge_refresh(struct edge_exchange *exchange, struct cache_object *object);

#endif
