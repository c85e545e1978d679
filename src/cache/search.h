/* No-Vary-Search in the index (http/no_vary_search.h): one stored response for all queries that it calls equivalent.
 *
 * Under "site|host|path" there is, as for Vary, a list: the rule that the last response of the path gave, and a number
 * that no other list ever had. The keys of requests for the path are then made of the query's normal form under the rule,
 * with number and rule behind it. So a response is found only by requests that are equivalent under its own rule; another
 * rule has another number, and finds nothing of what was stored before.
 *
 * Lists go to the SSD tier, and come back from it, as other entries do. A list that RAM does not have is looked for there
 * by its key, when a request for its path is a miss: one look at the tier's index, in caches that know of any list. */
#ifndef SK_CACHE_SEARCH_H
#define SK_CACHE_SEARCH_H

#include "cache/fill.h"

/* Whether there ever was a list: most caches have none, and need not look. Any thread. */
bool cache_search_any(const struct cache *cache);
/* The primary key under which to look, in ARENA: EXACT (of cache_key_make) where the path has no list. In or out of a
 * section. SK_ERR_NO_MEMORY. */
sk_err cache_search_key(struct cache_thread *thread, struct sk_arena *arena, const struct cache_key *exact,
                        struct cache_key *out_key);
/* The key of the list of the path that KEY_TEXT is of, in ARENA; and that of EXACT under a list's NUMBER and RULE, which
 * is EXACT itself where that would be too long. SK_ERR_NO_MEMORY. */
sk_err cache_search_list_key(struct sk_arena *arena, sk_str key_text, struct cache_key *out_key);
sk_err cache_search_key_under(struct sk_arena *arena, const struct cache_key *exact, uint64_t number,
                              sk_str rule, struct cache_key *out_key);
bool cache_search_is_list(sk_str key_text);
/* On a fiber: whether the path of KEY, which is one of a request as it came, has a list in RAM, or one on the SSD tier that
 * was brought from there: then KEY is not the key to look under. */
bool cache_search_recall(struct cache_thread *thread, struct sk_arena *arena, const struct cache_key *key);
/* The rule in a key's text; empty when it is of a request as it came. */
sk_str cache_search_rule(sk_str key_text);

/* On the fetch's side, before cache_fill_store: RULE (may be empty) is that of the response. The path's list is made,
 * changed, or with FORGET taken away, and a fill for a request as it came moves to the key under the rule. *out_differs: the
 * fill's key was made under another rule, so the response must not be stored; its followers asked for something else.
 * SK_ERR_NO_MEMORY, SK_ERR_FULL: nothing changed. */
sk_err cache_search_settle(struct cache_fill *fill, sk_str rule, bool forget, bool *out_differs);

/* The tag (cache_head.tags) of what is stored under a rule for the path of this key, in ARENA; data NULL: no memory. */
sk_str cache_search_tag(struct sk_arena *arena, sk_str key_text);
/* After the purge of an URL: what is stored under rules of its path goes too, since the URL may be equivalent to any of it.
 * Any thread. */
sk_err cache_search_purge(struct cache *cache, sk_str key_text, bool soft);

#endif
