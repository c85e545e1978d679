/* The memory that cached bytes live in: one shared mapping of a memfd, cut into slabs, each given to a size
 * class (four classes a doubling, 512 bytes to 64 KiB) until it is empty again. A mapping with a file behind
 * it, so that blocks can go out with sendfile.
 *
 * Pages that sendfile took may lie in a socket's queue long after the chunk is freed. Such chunks are
 * punched out of the file before they are used again: the queue keeps the old pages, we write to new ones.
 *
 * Knows chunks and their owners (opaque pointers), never objects. No lock of its own: cache/store.h holds
 * the store's lock around every call. */
#ifndef SK_CACHE_SLAB_H
#define SK_CACHE_SLAB_H

#include "base/base.h"
#include "base/err.h"

#define CACHE_CHUNK_MIN_BYTES 512
#define CACHE_CHUNK_MAX_BYTES 65536
#define CACHE_CHUNK_CLASSES 29

struct cache_slab;

/* A mapping of REGION_BYTES, rounded down to whole slabs; nothing of it is resident yet. SK_ERR_NO_MEMORY,
 * SK_ERR_INVALID (less than 16 slabs of 256 KiB). */
sk_err cache_slab_create(uint64_t region_bytes, struct cache_slab **out_slab);
/* Whatever is still allocated dies with it. */
void cache_slab_destroy(struct cache_slab *slab);

/* Resident slabs and their descriptors never exceed LIMIT_BYTES by cache_slab_alloc; lowering the limit under
 * what is resident needs cache_slab_trim and frees. */
void cache_slab_set_limit(struct cache_slab *slab, uint64_t limit_bytes);
/* Bytes of the slabs that may be resident, with all descriptors. */
uint64_t cache_slab_resident_bytes(const struct cache_slab *slab);
/* Of those, in chunks that are handed out. */
uint64_t cache_slab_live_bytes(const struct cache_slab *slab);
uint64_t cache_slab_limit_bytes(const struct cache_slab *slab);
size_t cache_slab_bytes(const struct cache_slab *slab); /* of one slab */
/* Gives empty slabs back to the system until the limit is kept or none is left. */
void cache_slab_trim(struct cache_slab *slab);

/* Gives back at most COUNT empty slabs; how many it did. */
uint32_t cache_slab_give_back(struct cache_slab *slab, uint32_t count);

/* The size of the chunk that holds BYTES (1 to CACHE_CHUNK_MAX_BYTES). */
size_t cache_chunk_bytes(size_t bytes);
/* 64-byte aligned, uninitialised; NULL when the class has no free chunk and no slab can be had. OWNER (NULL:
 * not known yet) is what cache_slab_next_owner tells. */
void *cache_slab_alloc(struct cache_slab *slab, size_t bytes, void *owner);
/* SENT: its pages may still be in some socket's queue. */
void cache_slab_free(struct cache_slab *slab, void *data, bool sent);
/* New pages (zeroed) for a sendable chunk in use. */
void cache_slab_renew(struct cache_slab *slab, void *data);
void cache_slab_set_owner(struct cache_slab *slab, void *data, void *owner);
/* Whether a chunk that holds BYTES starts and ends at page borders, so that it may be sent from the file. */
bool cache_slab_sendable(const struct cache_slab *slab, size_t bytes);
int cache_slab_fd(const struct cache_slab *slab);
static inline uint64_t cache_slab_offset(const char *base, const void *data) {
    return (uint64_t)((const char *)data - base);
}
const char *cache_slab_base(const struct cache_slab *slab);

/* Picks, among the emptiest of a sample of slabs in use, the one whose owners COST the least to move
 * (UINT64_MAX: may not be moved; a chunk without an owner neither), and lets nothing new into it; once its
 * owners have freed their chunks, any class can have it. False when there is none. */
bool cache_slab_drain(struct cache_slab *slab, uint64_t (*cost)(void *arg, void *owner), void *arg,
                      uint32_t *out_index);
/* Owners of the chunks in use of one slab; *cursor starts at 0; NULL at the end. */
void *cache_slab_next_owner(const struct cache_slab *slab, uint32_t index, uint32_t *cursor);

#endif
