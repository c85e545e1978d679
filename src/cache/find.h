/* Finding, as cache_find and the fills need it. */
#ifndef SK_CACHE_FIND_H
#define SK_CACHE_FIND_H

#include "cache/internal.h"

struct cache_look {
    struct cache_key key;      /* the variant's when there is a list, else the primary one */
    struct cache_entry *list;  /* the variants' list, or NULL */
    struct cache_entry *entry; /* the response, or NULL */
    bool purged;               /* there was one, hit by a hard purge */
    bool soft_purged;          /* entry is hit by a soft one */
};

/* Inside a section. Texts of a variant's key live in the thread's scratch arena, which the caller resets
 * when it is done. */
void cache_look(struct cache_thread *thread, const struct cache_key *primary,
                const struct http_request *request, struct cache_look *out_look);
/* What a finder is told besides. */
static inline struct cache_finding cache_finding_of(const struct cache_look *look) {
    bool vary_miss = look->list && !look->entry && !look->purged;
    return (struct cache_finding){vary_miss, look->purged, look->soft_purged};
}
/* Marks an access; stores only when the counter changes. */
static inline void cache_touch(struct cache_entry *entry) {
    /* relaxed: a lost update is harmless */
    uint8_t accesses = atomic_load_explicit(&entry->object.accesses, memory_order_relaxed);
    if (accesses < CACHE_ACCESSES_MAX)
        atomic_store_explicit(&entry->object.accesses, accesses + 1, memory_order_relaxed);
}

#endif
