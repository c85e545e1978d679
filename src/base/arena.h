/* A bump arena: many small allocations with one lifetime, freed at once. One owner thread. Chunks come
 * from malloc, double from the first size up to 64 KiB, and a reset keeps the first one, so a steady
 * connection allocates nothing. With a limit, allocation beyond it fails instead of growing: that is how
 * hostile input is bounded. */
#ifndef SK_BASE_ARENA_H
#define SK_BASE_ARENA_H

#include "base/str.h"

struct sk_arena_chunk;
struct sk_pool;

struct sk_arena {
    struct sk_arena_chunk *chunk; /* newest */
    char *next, *end;             /* free part of the newest chunk */
    size_t used;                  /* bytes handed out since the last reset */
    size_t limit;                 /* bytes that may be handed out; 0 means no limit */
    size_t first_size;
    struct sk_pool *pool; /* of first chunks; NULL: they come from malloc */
};

/* No allocation happens here. FIRST_SIZE is the first chunk's size in bytes, LIMIT as in the struct. */
void sk_arena_init(struct sk_arena *arena, size_t first_size, size_t limit);
/* POOL is for first chunks of FIRST_SIZE bytes, of which KEEP unused ones at most are kept. */
void sk_arena_pool_init(struct sk_pool *pool, size_t first_size, size_t keep);
/* The same, with first chunks of POOL, which outlives the arena: for arenas that come and go with each request. */
void sk_arena_init_pooled(struct sk_arena *arena, struct sk_pool *pool, size_t limit);
/* Frees all but the first chunk; every pointer from the arena is dead after it. */
void sk_arena_reset(struct sk_arena *arena);
void sk_arena_free(struct sk_arena *arena);

/* 16-byte aligned, uninitialised; NULL when over the limit or out of memory. */
void *sk_arena_alloc(struct sk_arena *arena, size_t bytes);
/* As alloc, zeroed. */
void *sk_arena_zalloc(struct sk_arena *arena, size_t bytes);
/* A copy of S with a NUL after it (not counted); data is NULL on failure. */
sk_str sk_arena_copy(struct sk_arena *arena, sk_str s);
/* Formats; data is NULL on failure. */
sk_str sk_arena_printf(struct sk_arena *arena, const char *format, ...) SK_PRINTF(2, 3);

#endif
