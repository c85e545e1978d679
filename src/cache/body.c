#include "cache/body.h"

#include "cache/store.h"

#define BLOCK_SHIFT 16            /* 64 KiB */
#define WINDOW_BLOCK_MIN_SHIFT 14 /* 16 KiB */
#define FIRST_BLOCKS 5            /* of unknown length: 4, 4, 8, 16 and 32 KiB, together one block */
#define FIRST_BLOCK_BYTES 4096
#define SPARES 2
#define LEAF_SLOTS 512
#define ROOT_SLOTS_MAX 8000

struct leaf {
    char *blocks[LEAF_SLOTS];
};

struct cache_body {
    uint32_t magic;
    /* set once at creation */
    uint8_t shift;        /* of a block's bytes */
    bool growing;         /* begins with FIRST_BLOCKS */
    bool leaves;          /* slots lead to leaves of blocks */
    bool sendable;        /* pieces may be lent */
    uint32_t slots;       /* places; of blocks, or of leaves */
    uint32_t chunk_bytes; /* of this struct */
    uint64_t length;      /* or CACHE_LENGTH_UNKNOWN */
    /* any thread, atomic */
    _Atomic uint32_t refs;
    _Atomic bool
        lent; /* its pages went to sockets from the file; relaxed: who frees it comes after all readers */
    /* writer only, until complete */
    uint64_t bytes; /* of all chunks */
    uint64_t first; /* number of the first block that was not dropped */
    uint64_t end;   /* one after the last */
    uint32_t spare_count;
    char *spares
        [SPARES]; /* full-sized blocks that were dropped: a window can always go on with its own memory */
    /* under the store's lock */
    struct cache_entry *holder;
    void *places[]; /* a ring, so that a window goes round */
};

/* ---- where a position lies ---------------------------------------------------------------------------- */

struct place {
    uint64_t number; /* of the block */
    uint64_t start;  /* its first position */
    uint64_t bytes;  /* its size if the body fills it */
};

static struct place place_of(const struct cache_body *body, uint64_t position) {
    uint64_t block = UINT64_C(1) << body->shift;
    if (body->growing && position < block) {
        if (position < FIRST_BLOCK_BYTES) return (struct place){0, 0, FIRST_BLOCK_BYTES};
        uint32_t doubling = 63 - (uint32_t)__builtin_clzll(position / FIRST_BLOCK_BYTES);
        uint64_t start = (uint64_t)FIRST_BLOCK_BYTES << doubling;
        return (struct place){doubling + 1, start, start};
    }
    uint64_t number = position >> body->shift;
    return (struct place){body->growing ? number + FIRST_BLOCKS - 1 : number, number << body->shift, block};
}

/* The last block of an announced length is only as large as it must be. */
static uint64_t room_of(const struct cache_body *body, const struct place *place) {
    if (body->length == CACHE_LENGTH_UNKNOWN) return place->bytes;
    return SK_MIN(place->bytes, body->length - place->start);
}

static uint64_t capacity(const struct cache_body *body) {
    return body->leaves ? (uint64_t)body->slots * LEAF_SLOTS : body->slots;
}

/* The slot of a block; NULL when its leaf is not there. */
static char **slot_of(const struct cache_body *body, uint64_t number) {
    uint64_t slot = number % capacity(body);
    if (!body->leaves) return (char **)&body->places[slot];
    struct leaf *leaf = body->places[slot / LEAF_SLOTS];
    return leaf ? &leaf->blocks[slot % LEAF_SLOTS] : NULL;
}

/* ---- life --------------------------------------------------------------------------------------------- */

static struct cache_body *create(struct cache *cache, uint64_t blocks, uint8_t shift, uint64_t length) {
    bool leaves = blocks > LEAF_SLOTS;
    uint64_t slots = leaves ? (blocks + LEAF_SLOTS - 1) / LEAF_SLOTS : blocks;
    if (slots > ROOT_SLOTS_MAX) return NULL;
    size_t bytes = sizeof(struct cache_body) + slots * sizeof(void *);
    struct cache_body *body = cache_store_alloc(cache, bytes, NULL);
    if (!body) return NULL;
    memset(body, 0, bytes);
    body->magic = CACHE_BODY_MAGIC;
    body->shift = shift;
    body->leaves = leaves;
    body->slots = (uint32_t)slots;
    body->chunk_bytes = (uint32_t)bytes;
    body->length = length;
    body->bytes = cache_chunk_bytes(bytes);
    atomic_init(&body->refs, 1);
    cache_store_own(cache, body, body);
    return body;
}

struct cache_body *cache_body_create(struct cache *cache, uint64_t length, uint64_t most) {
    bool known = length != CACHE_LENGTH_UNKNOWN;
    uint64_t blocks = ((known ? length : most) >> BLOCK_SHIFT) + 1 + (known ? 0 : FIRST_BLOCKS);
    struct cache_body *body = create(cache, blocks, BLOCK_SHIFT, length);
    if (!body) return NULL;
    body->growing = !known;
    body->sendable = true;
    return body;
}

struct cache_body *cache_body_create_window(struct cache *cache, uint64_t length, uint64_t window) {
    uint8_t shift = WINDOW_BLOCK_MIN_SHIFT;
    while (shift < BLOCK_SHIFT && (window >> shift) > 4) shift++;
    return create(cache, (window >> shift) + 2, shift, length);
}

void cache_body_ref(struct cache_body *body) {
    SK_CHECK_MAGIC(body, CACHE_BODY_MAGIC);
    atomic_fetch_add_explicit(&body->refs, 1, memory_order_relaxed); /* the caller's object has one */
}

static bool was_lent(const struct cache_body *body) {
    return atomic_load_explicit(&body->lent, memory_order_relaxed); /* see the struct */
}

/* The store's lock is held. */
static void free_blocks(struct cache *cache, struct cache_body *body) {
    for (uint64_t number = body->first; number < body->end; number++) {
        char **slot = slot_of(body, number);
        if (slot && *slot) cache_slab_free(cache->store.slab, *slot, was_lent(body));
    }
    for (uint32_t i = 0; i < body->spare_count; i++)
        cache_slab_free(cache->store.slab, body->spares[i], false);
    for (uint32_t i = 0; body->leaves && i < body->slots; i++)
        if (body->places[i]) cache_slab_free(cache->store.slab, body->places[i], false);
}

void cache_body_unref(struct cache *cache, struct cache_body *body) {
    SK_CHECK_MAGIC(body, CACHE_BODY_MAGIC);
    /* the store's lock orders those who drop; relaxed does */
    if (atomic_fetch_sub_explicit(&body->refs, 1, memory_order_relaxed) > 1) return;
    free_blocks(cache, body);
    body->magic = 0;
    cache_slab_free(cache->store.slab, body, false);
}

/* ---- writing ------------------------------------------------------------------------------------------ */

static char **make_slot(struct cache *cache, struct cache_body *body, uint64_t number) {
    char **slot = slot_of(body, number);
    if (slot) return slot;
    struct leaf *leaf = cache_store_alloc(cache, sizeof *leaf, body);
    if (!leaf) return NULL;
    memset(leaf, 0, sizeof *leaf);
    body->bytes += cache_chunk_bytes(sizeof *leaf);
    body->places[number % capacity(body) / LEAF_SLOTS] = leaf;
    return slot_of(body, number);
}

/* Never less than a page, as a tail of a few bytes would be. */
static size_t block_chunk_bytes(uint64_t room) { return SK_MAX(room, FIRST_BLOCK_BYTES); }

/* A spare one may be larger than the tail that it is taken for. */
static char *take_block(struct cache *cache, struct cache_body *body, size_t bytes) {
    char *block = body->spare_count ? body->spares[--body->spare_count] : NULL;
    if (!block) block = cache_store_alloc(cache, bytes, body);
    if (block) body->bytes += cache_chunk_bytes(bytes);
    return block;
}

char *cache_body_space(struct cache *cache, struct cache_body *body, uint64_t position, size_t *out_bytes) {
    struct place place = place_of(body, position);
    uint64_t room = room_of(body, &place);
    if (place.number - body->first >= capacity(body)) return NULL;
    char **slot = make_slot(cache, body, place.number);
    if (!slot) return NULL;
    if (place.number == body->end) {
        char *block = take_block(cache, body, block_chunk_bytes(room));
        if (!block) return NULL;
        *slot = block;
        body->end++;
    }
    *out_bytes = place.start + room - position;
    return *slot + (position - place.start);
}

/* First position after a block. */
static uint64_t end_of_block(const struct cache_body *body, uint64_t number) {
    uint64_t block = UINT64_C(1) << body->shift;
    if (!body->growing) return (number + 1) * block;
    if (number < FIRST_BLOCKS) return (uint64_t)FIRST_BLOCK_BYTES << number;
    return (number - FIRST_BLOCKS + 2) * block;
}

static void drop_block(struct cache *cache, struct cache_body *body, char *block, size_t bytes) {
    bool keep = body->spare_count < SPARES && bytes == (size_t)1 << body->shift;
    body->bytes -= cache_chunk_bytes(bytes);
    if (keep && was_lent(body)) cache_store_renew(cache, block);
    if (keep)
        body->spares[body->spare_count++] = block;
    else
        cache_store_free(cache, block, was_lent(body));
}

void cache_body_drop_front(struct cache *cache, struct cache_body *body, uint64_t position) {
    while (body->first < body->end && end_of_block(body, body->first) <= position) {
        char **slot = slot_of(body, body->first);
        struct place place = place_of(body, end_of_block(body, body->first) - 1);
        drop_block(cache, body, *slot, block_chunk_bytes(room_of(body, &place)));
        *slot = NULL;
        body->first++;
    }
}

/* ---- reading ------------------------------------------------------------------------------------------ */

bool cache_body_piece(const struct cache *cache, const struct cache_body *body, uint64_t position,
                      uint64_t end, struct cache_piece *out_piece) {
    struct place place = place_of(body, position);
    char **slot = slot_of(body, place.number);
    if (!slot || !*slot) return false;
    const char *data = *slot + (position - place.start);
    *out_piece = (struct cache_piece){data, SK_MIN(end, place.start + place.bytes) - position, -1, 0};
    return true;
}

void cache_body_lend(const struct cache *cache, struct cache_body *body, uint64_t position,
                     struct cache_piece *piece) {
    struct place place = place_of(body, position);
    const struct cache_slab *slab = cache->store.slab;
    if (!body->sendable || !cache_slab_sendable(slab, block_chunk_bytes(room_of(body, &place)))) return;
    if (!was_lent(body)) atomic_store_explicit(&body->lent, true, memory_order_relaxed); /* see the struct */
    piece->fd = cache_slab_fd(slab);
    piece->fd_offset = cache_slab_offset(cache_slab_base(slab), piece->data);
}

bool cache_body_is_lent(const struct cache_body *body) { return was_lent(body); }

uint64_t cache_body_bytes(const struct cache_body *body) { return body->bytes; }
void cache_body_set_holder(struct cache_body *body, struct cache_entry *entry) { body->holder = entry; }
struct cache_entry *cache_body_holder(const struct cache_body *body) { return body->holder; }
