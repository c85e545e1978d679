#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/poison.h"
#include "base/pool.h"

#define ALIGNMENT ((size_t)16)
#define MAX_CHUNK ((size_t)64 * 1024)
#define MIN_CHUNK ((size_t)256)

struct sk_arena_chunk {
    struct sk_arena_chunk *older;
    size_t size; /* bytes of data */
    bool first;  /* the one that a reset keeps */
    bool pooled; /* it belongs to the arena's pool */
    alignas(16) char data[];
};

void sk_arena_init(struct sk_arena *arena, size_t first_size, size_t limit) {
    *arena = (struct sk_arena){.limit = limit, .first_size = SK_MAX(first_size, MIN_CHUNK)};
}

void sk_arena_pool_init(struct sk_pool *pool, size_t first_size, size_t keep) {
    sk_pool_init(pool, sizeof(struct sk_arena_chunk) + SK_MAX(first_size, MIN_CHUNK), keep);
}

void sk_arena_init_pooled(struct sk_arena *arena, struct sk_pool *pool, size_t limit) {
    sk_arena_init(arena, pool->object_size - sizeof(struct sk_arena_chunk), limit);
    arena->pool = pool;
}

static void free_chunk(struct sk_arena *arena, struct sk_arena_chunk *chunk) {
    SK_UNPOISON(chunk->data, chunk->size);
    if (chunk->pooled)
        sk_pool_put(arena->pool, chunk);
    else
        free(chunk);
}

/* Makes CHUNK the one that allocations come from. */
static void use_chunk(struct sk_arena *arena, struct sk_arena_chunk *chunk) {
    arena->chunk = chunk;
    arena->next = chunk->data;
    arena->end = chunk->data + chunk->size;
    SK_POISON(chunk->data, chunk->size);
}

void sk_arena_reset(struct sk_arena *arena) {
    struct sk_arena_chunk *kept = NULL, *older;
    for (struct sk_arena_chunk *c = arena->chunk; c; c = older) {
        older = c->older;
        /* A first chunk that one huge request made would sit in every idle connection. */
        if (c->first && c->size <= MAX_CHUNK)
            kept = c;
        else
            free_chunk(arena, c);
    }
    arena->chunk = NULL;
    arena->next = arena->end = NULL;
    arena->used = 0;
    if (!kept) return;
    kept->older = NULL;
    use_chunk(arena, kept);
}

void sk_arena_free(struct sk_arena *arena) {
    struct sk_arena_chunk *older;
    for (struct sk_arena_chunk *c = arena->chunk; c; c = older) {
        older = c->older;
        free_chunk(arena, c);
    }
    struct sk_pool *pool = arena->pool;
    sk_arena_init(arena, arena->first_size, arena->limit);
    arena->pool = pool;
}

/* Of POOL, or (NULL) of malloc. */
static struct sk_arena_chunk *new_chunk(struct sk_pool *pool, size_t size) {
    struct sk_arena_chunk *chunk = pool ? sk_pool_get_unset(pool) : malloc(sizeof *chunk + size);
    if (!chunk) return NULL;
    chunk->size = size;
    chunk->older = NULL;
    chunk->first = false;
    chunk->pooled = pool != NULL;
    return chunk;
}

/* A chunk of its own for a large request, behind the newest, whose free part stays in use. */
static void *alloc_large(struct sk_arena *arena, size_t bytes) {
    struct sk_arena_chunk *chunk = new_chunk(NULL, bytes);
    if (!chunk) return NULL;
    chunk->older = arena->chunk->older;
    arena->chunk->older = chunk;
    arena->used += bytes;
    return chunk->data;
}

/* Replaces the newest chunk by one that holds BYTES and is twice as large as the one before. */
static bool grow(struct sk_arena *arena, size_t bytes) {
    size_t size = arena->chunk ? SK_MIN(arena->chunk->size * 2, MAX_CHUNK) : arena->first_size;
    struct sk_pool *pool = !arena->chunk && bytes <= size ? arena->pool : NULL;
    struct sk_arena_chunk *chunk = new_chunk(pool, SK_MAX(size, bytes));
    if (!chunk) return false;
    chunk->first = arena->chunk == NULL;
    chunk->older = arena->chunk;
    use_chunk(arena, chunk);
    return true;
}

void *sk_arena_alloc(struct sk_arena *arena, size_t bytes) {
    if (SK_UNLIKELY(bytes > SIZE_MAX / 2)) return NULL;
    bytes = (SK_MAX(bytes, (size_t)1) + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (arena->limit && bytes > arena->limit - SK_MIN(arena->used, arena->limit)) return NULL;
    if (SK_UNLIKELY(bytes > (size_t)(arena->end - arena->next))) {
        if (arena->chunk && bytes > MAX_CHUNK / 4) return alloc_large(arena, bytes);
        if (!grow(arena, bytes)) return NULL;
    }
    void *memory = arena->next;
    arena->next += bytes;
    arena->used += bytes;
    SK_UNPOISON(memory, bytes);
    return memory;
}

void *sk_arena_zalloc(struct sk_arena *arena, size_t bytes) {
    void *memory = sk_arena_alloc(arena, bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}

sk_str sk_arena_copy(struct sk_arena *arena, sk_str s) {
    char *copy = sk_arena_alloc(arena, s.len + 1);
    if (!copy) return (sk_str){NULL, 0};
    if (s.len) memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return (sk_str){copy, s.len};
}

sk_str sk_arena_printf(struct sk_arena *arena, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = len < 0 ? NULL : sk_arena_alloc(arena, (size_t)len + 1);
    if (text) vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return (sk_str){text, text ? (size_t)len : 0};
}
