/* What the SSD tier holds for a request, for people: read, and nothing is brought into RAM, counted or taken away. */
#ifndef SK_CACHE_TIER_EXPLAIN_H
#define SK_CACHE_TIER_EXPLAIN_H

#include "cache/cache.h"

struct cache_tier_seen {
    struct cache_key key;        /* of the variant, if there are variants */
    struct cache_object *object; /* as it would be in RAM, without its body; NULL: nothing that may be used */
    bool has_variants;
    sk_str vary; /* of them */
    bool purged, soft_purged;
    uint32_t tags;
    uint64_t record_bytes; /* head and body */
};
/* Inside a section of THREAD, on no fiber: it waits for the device. KEY is that of the variant where RAM has the list.
 * All in ARENA. Purges that may have been lost make the object one that is always validated. SK_ERR_NO_MEMORY. */
sk_err cache_tier_see(struct cache_thread *thread, struct sk_arena *arena, const struct cache_key *key,
                      const struct http_request *request, struct cache_tier_seen *out_seen);

#endif
