/* Keys that were evicted not long ago, as 32-bit fingerprints with the time they came in: a ghost FIFO in a
 * fixed table, eight entries (one cache line) a bucket. Answers wrongly for one key in some hundred million.
 * The store's lock orders all calls. */
#ifndef SK_CACHE_GHOST_H
#define SK_CACHE_GHOST_H

#include "base/base.h"
#include "base/err.h"

struct cache_ghost;

/* Room for about ENTRIES keys, rounded up to a power of two. SK_ERR_NO_MEMORY. */
sk_err cache_ghost_create(uint64_t entries, struct cache_ghost **out_ghost);
void cache_ghost_destroy(struct cache_ghost *ghost);
void cache_ghost_add(struct cache_ghost *ghost, uint64_t key_hash);
/* True, and forgets it, when the key was among the last WINDOW that were added. */
bool cache_ghost_take(struct cache_ghost *ghost, uint64_t key_hash, uint64_t window);
uint64_t cache_ghost_bytes(const struct cache_ghost *ghost);

#endif
