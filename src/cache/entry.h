/* Making entries: a response's object or a list of variants, laid out in one chunk. */
#ifndef SK_CACHE_ENTRY_H
#define SK_CACHE_ENTRY_H

#include "cache/internal.h"

/* Bytes of an entry for KEY and HEAD (with its own tags) without a body. */
size_t cache_entry_bytes(const struct cache_key *key, const struct cache_head *head);
/* An entry with one reference, the caller's, in no index yet; room for INLINE_BYTES of body (0: the caller
 * sets its body). Everything is copied. TAGS_OF (may be NULL) is the entry that this one replaces: it gives the
 * tags of every source that HEAD does not speak of. NULL when there is no room. */
struct cache_entry *cache_entry_create(struct cache *cache, const struct cache_key *key,
                                       const struct cache_head *head, size_t inline_bytes,
                                       const struct cache_entry *tags_of);
/* A list of variants with these names, complete. */
struct cache_entry *cache_entry_create_list(struct cache *cache, const struct cache_key *key, sk_str names,
                                            uint64_t number);
/* The caller has a reference or is inside a section. */
static inline void cache_entry_ref(struct cache_entry *entry) {
    /* relaxed: the pointer came by an ordered way, and the count only keeps */
    atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
}

#endif
