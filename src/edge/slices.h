/* Requests that a partial object answers (cache/slices.h): from a slice that is there, straight away; else by an
 * assembly (edge/assemble.c) that has fetched what is missing. */
#ifndef SK_EDGE_SLICES_H
#define SK_EDGE_SLICES_H

#include "edge/exchange.h"
#include "http/content_range.h"

/* What to ask an origin for on behalf of EXCHANGE: a part, when a part is wanted and nothing or a partial object
 * (STALE) is stored, so that the rest need not come. */
struct http_range_wish edge_slices_wish(const struct edge_exchange *exchange,
                                        const struct cache_object *stale);
/* Origins' parts for this key cannot be combined, as was seen a moment ago: the request goes alone. */
bool edge_slices_declined(const struct edge_exchange *exchange, const struct http_range_wish *wish);

/* Inside a section, HEAD being borrowed: answers when no byte of the body is needed, or all are in one slice that
 * is there. False: nothing was done. */
bool edge_slices_answer_now(struct edge_exchange *exchange, struct cache_object *head);

enum edge_slices_end {
    EDGE_SLICES_ANSWERED, /* also: the client is gone */
    EDGE_SLICES_CHANGED,  /* nothing was sent: the representation is another one now, ask anew */
    EDGE_SLICES_FAILED,   /* nothing was sent: out_failure says why */
};
/* On the request's fiber. Takes over the reference to HEAD; parks until the answer's first bytes are there. When
 * outcome.hit is set and something is missing, the outcome becomes a partial miss. */
enum edge_slices_end edge_slices_serve(struct edge_exchange *exchange, struct cache_object *head,
                                       struct cache_failure *out_failure);

#endif
