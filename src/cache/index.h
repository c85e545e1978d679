/* The index: from key to entry. Sharded hash sets of Concurrency Kit; readers take no lock and are inside a
 * section; a writer holds the shard's lock, which is taken inside. */
#ifndef SK_CACHE_INDEX_H
#define SK_CACHE_INDEX_H

#include "cache/internal.h"

sk_err cache_index_create(struct cache *cache, uint32_t shards);
/* Drops the index's reference to every entry. */
void cache_index_destroy(struct cache *cache);

/* Inside a section. The whole key is compared. */
struct cache_entry *cache_index_get(struct cache *cache, const struct cache_key *key);
/* Puts ENTRY (with a reference of its own for the index, taken here) under its key; what was there is
 * forgotten. SK_ERR_NO_MEMORY: nothing changed. out_replaced (may be NULL): something was there. */
sk_err cache_index_put(struct cache *cache, struct cache_entry *entry, bool *out_replaced);
/* As put, but only when EXPECTED is what stands there; false otherwise, or when there is no memory. */
bool cache_index_swap(struct cache *cache, struct cache_entry *expected, struct cache_entry *entry);
/* Takes ENTRY out if it is what stands under its key, and forgets it (cache_store_forget). */
bool cache_index_remove(struct cache *cache, struct cache_entry *entry);

/* A walk over all entries, a few at a time and round and round: where it stands. Zeroed at the beginning. */
struct cache_walk {
    uint32_t shard;
    unsigned long place; /* in the shard's table */
    uint64_t table;      /* the number of that; 0: of none yet */
};
/* Inside a section: the next entries of the shard, at most MAX. 0: the shard is done, and the walk stands before the
 * next one (after the last comes the first). What comes in or moves meanwhile may be missed; a shard whose table was
 * made anew is walked from its beginning. */
uint32_t cache_index_walk(struct cache *cache, struct cache_walk *walk, struct cache_entry **out,
                          uint32_t max);
/* The shard (and the stripe) of a key. */
static inline uint32_t cache_shard_of(const struct cache *cache, sk_hash128 hash) {
    return (uint32_t)(hash.high >> cache->shard_shift) & (cache->shard_count - 1);
}

#endif
