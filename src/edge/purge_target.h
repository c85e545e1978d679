/* From what somebody asks to purge to purges of the cache: sites are found by host, URLs become the keys that
 * requests for them have. Pure. */
#ifndef SK_EDGE_PURGE_TARGET_H
#define SK_EDGE_PURGE_TARGET_H

#include "cache/key.h"
#include "config/config.h"
#include "fleet/purge_request.h"

/* A tag or a pattern without a site is one purge a site; one request may be so many in all. */
#define EDGE_PURGE_TARGETS_MAX 100000

struct edge_purge_list {
    struct cache_purge *items; /* to be freed */
    uint32_t count, capacity;
};

/* All of REQUEST under CONFIG, texts in ARENA or borrowed from the request and the configuration. Nothing is purged
 * yet: a request with a problem purges nothing. SK_ERR_INVALID with OUT_PROBLEM, SK_ERR_NO_MEMORY. */
sk_err edge_purge_resolve(const struct config *config, const struct fleet_purge_request *request,
                          struct sk_arena *arena, struct edge_purge_list *out_list,
                          struct fleet_purge_problem *out_problem);
void edge_purge_list_free(struct edge_purge_list *list);

/* The key under which a request for the absolute URL is stored, and its site. SK_ERR_NOT_FOUND: no site serves this
 * host; SK_ERR_MALFORMED: no such URL; SK_ERR_TOO_LARGE, SK_ERR_NO_MEMORY. */
sk_err edge_key_of_url(const struct config *config, struct sk_arena *arena, sk_str url,
                       const struct config_site **out_site, struct cache_key *out_key);
/* The same for a URI that SITE serves, under the rule for it. Of a key that fields and cookies are part of, only the
 * URL's own part counts (cache_key_primary): a purge of that hits them all. */
sk_err edge_key_of_uri(const struct config_site *site, struct sk_arena *arena, const struct http_uri *uri,
                       struct cache_key *out_key);

#endif
