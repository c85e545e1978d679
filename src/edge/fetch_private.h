/* What the parts of a fetch ask of each other: fetch.c tells the story, fetch_head.c decides what becomes of
 * the response's head, fetch_body.c moves its body. On the fetch's fiber. */
#ifndef SK_EDGE_FETCH_PRIVATE_H
#define SK_EDGE_FETCH_PRIVATE_H

#include "edge/fetch.h"

/* The text of the primary key of what is fetched, whatever part or variant of it. */
sk_str edge_fetch_primary(const struct edge_fetch *fetch);
/* The key's owner, or an origin: as origin_exchange_open. */
sk_err edge_fetch_ask(struct edge_fetch *fetch, struct origin_exchange **out_origin,
                      const struct http_response **out_response);
/* The length that the head announces, or CACHE_LENGTH_UNKNOWN. */
uint64_t edge_fetch_body_length(const struct http_response *response);
/* What a stored response's head is made of; fields in the fetch's arena. STORE: for everybody. */
sk_err edge_fetch_make_head(struct edge_fetch *fetch, const struct http_response *response, bool store,
                            struct http_fields *out_fields, struct cache_head *out_head);
/* How long the next requests of this key go on their own after a response that was not shareable. */
int64_t edge_fetch_remember_ms(enum http_reason reason, uint16_t status);
/* Publishes the head in the fill: stored, or for the leader alone. ASKED_AT is when the request went out.
 * fetch->published tells whether the fill knows it, also after a failure. */
sk_err edge_fetch_publish(struct edge_fetch *fetch, const struct http_response *response, sk_unix_s asked_at);
/* RFC 9111 section 4.3.4. False: the 304 does not speak of what is stored. */
bool edge_fetch_speaks_of(const struct cache_object *stale, const struct http_response *response,
                          sk_unix_s now);
/* A 304: lays its fields over the stale object. The fill must be failed by the caller after an error. */
sk_err edge_fetch_freshen(struct edge_fetch *fetch, const struct http_response *response, sk_unix_s asked_at);
/* What stands for the origin in the groups of its responses. */
sk_str edge_fetch_group_scope(const struct edge_fetch *fetch);
/* In invalidate.c; may park, to tell other nodes. RFC 9111 section 4.4: an unsafe method that worked makes what is stored for this URI, and for those of Location and
 * Content-Location on the same origin, invalid; RFC 9875 section 3: and the groups that the response names. */
void edge_fetch_invalidate(struct edge_fetch *fetch, const struct http_response *response);
/* The response's tags, for HEAD; in the fetch's arena. SK_ERR_TOO_LARGE: more than can be kept, so that it must not be
 * stored, or purges would miss it; SK_ERR_NO_MEMORY. */
sk_err edge_fetch_tags(struct edge_fetch *fetch, const struct http_response *response,
                       struct cache_head *head);
/* RFC 9111 section 4.3.5: a 200 to a HEAD that went to the origin renews the stored answer to GET when it speaks
 * of the same representation, and removes it when not. */
void edge_fetch_head_effects(struct edge_fetch *fetch, const struct http_response *response,
                             sk_unix_s asked_at);
/* True when the stale object may answer because the origin failed (RFC 5861 section 4). */
bool edge_fetch_may_serve_stale(const struct edge_fetch *fetch);
/* Copies the stale object's body into the fill, whose head is published, and finishes or breaks it. */
void edge_fetch_copy_stale(struct edge_fetch *fetch);
/* The announced end is reached: nothing may follow. SK_ERR_END when that is so. */
sk_err edge_fetch_expect_end(struct origin_exchange *origin);
/* Copies the body into the fill and finishes or breaks it. */
void edge_fetch_take_body(struct edge_fetch *fetch, struct origin_exchange *origin,
                          const struct http_response *response);

#endif
