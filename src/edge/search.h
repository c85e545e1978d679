/* No-Vary-Search on the request path (cache/search.h): which key a request looks under, and what a response's rule makes
 * of the key that it is stored under. */
#ifndef SK_EDGE_SEARCH_H
#define SK_EDGE_SEARCH_H

#include "edge/fetch.h"

/* *key, the one of REQUEST as it came, becomes the one to look under, in ARENA. True: it is another one now. Out of memory
 * it stays: that only costs a hit. */
bool edge_search_key(struct cache_thread *thread, const struct config_rule *rule,
                     const struct http_request *request, struct sk_arena *arena, struct cache_key *key);

/* A list may have come for the path since exchange->key was made of the request as it came: it becomes the one to look
 * under now. */
void edge_search_again(struct edge_exchange *exchange);

/* Before a response is stored: the fill gets the key, and HEAD the tag, of its rule. False: it must not be stored under the
 * key that the request had. */
bool edge_fetch_search(struct edge_fetch *fetch, const struct http_response *response,
                       struct cache_head *head);
/* After a 304 that laid FIELDS over the stored ones: another rule than the one of the key is taken up for its path, so that
 * what is stored is not found by it any more. */
void edge_fetch_search_renewed(struct edge_fetch *fetch, const struct http_fields *fields);

#endif
