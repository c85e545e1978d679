/* A fetch asks the key's owner before an origin. On the fetch's fiber. */
#ifndef SK_EDGE_FETCH_PEER_H
#define SK_EDGE_FETCH_PEER_H

#include "edge/fetch_private.h"

/* The first node that has an answer which may be used: as origin_exchange_open. SK_ERR_NOT_FOUND: none, or nobody is to be
 * asked, and an origin is; SK_ERR_CANCELLED, SK_ERR_NO_MEMORY. fetch->peer and fetch->word are of the one that answered. */
sk_err edge_fetch_ask_peers(struct edge_fetch *fetch, struct origin_exchange **out_origin,
                            const struct http_response **out_response);
/* The node that sends the body has gone WHY after RECEIVED of TOTAL bytes: *OUT_REST has those after them, to be read and
 * closed by the caller. False: they cannot be had. */
bool edge_fetch_resume(struct edge_fetch *fetch, sk_err why, uint64_t received, uint64_t total,
                       struct origin_exchange **out_rest);
/* While fetch->resuming: asks for what follows fetch->resume_at. SK_ERR_NO_MEMORY. */
sk_err edge_fetch_add_range(struct edge_fetch *fetch, struct http_fields *fields);
/* Adds who has asked, us included, to a request that goes to a node. SK_ERR_NO_MEMORY, SK_ERR_TOO_LARGE. */
sk_err edge_fetch_add_ask(struct edge_fetch *fetch, struct http_fields *fields);
/* What came belongs to another node: it is given to those who wait for it, and kept only if it is hot.
 * ANSWER (that it may be stored) is changed where it is not even to be stored while it comes. */
void edge_fetch_judge_foreign(struct edge_fetch *fetch, const struct http_response *response,
                              struct http_store_answer *answer);
/* Once it is stored for those who come meanwhile. */
void edge_fetch_tell_foreign(struct edge_fetch *fetch);
/* HEAD's tags, as the owner has told them. SK_ERR_TOO_LARGE: it could not tell all. */
sk_err edge_fetch_take_tags(struct edge_fetch *fetch, struct cache_head *head);

#endif
