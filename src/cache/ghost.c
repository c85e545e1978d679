#include "cache/ghost.h"

#include <stdlib.h>

#define BUCKET_ENTRIES 8

struct ghost_entry {
    uint32_t fingerprint; /* 0: empty */
    uint32_t added;       /* low bits of the clock */
};
struct ghost_bucket {
    _Alignas(64) struct ghost_entry entries[BUCKET_ENTRIES];
};

struct cache_ghost {
    uint64_t bucket_mask;
    uint64_t clock; /* keys added so far */
    struct ghost_bucket *buckets;
};

sk_err cache_ghost_create(uint64_t entries, struct cache_ghost **out_ghost) {
    uint64_t buckets = 1;
    while (buckets * BUCKET_ENTRIES < entries) buckets *= 2;
    struct cache_ghost *ghost = calloc(1, sizeof *ghost);
    if (!ghost) return SK_ERR_NO_MEMORY;
    ghost->bucket_mask = buckets - 1;
    ghost->buckets = aligned_alloc(64, buckets * sizeof *ghost->buckets);
    if (!ghost->buckets) {
        free(ghost);
        return SK_ERR_NO_MEMORY;
    }
    for (uint64_t i = 0; i < buckets; i++) ghost->buckets[i] = (struct ghost_bucket){0};
    *out_ghost = ghost;
    return SK_OK;
}

void cache_ghost_destroy(struct cache_ghost *ghost) {
    free(ghost->buckets);
    free(ghost);
}

static uint32_t fingerprint_of(uint64_t key_hash) {
    uint32_t fingerprint = (uint32_t)(key_hash >> 32);
    return fingerprint ? fingerprint : 1;
}

static struct ghost_bucket *bucket_of(struct cache_ghost *ghost, uint64_t key_hash) {
    return &ghost->buckets[key_hash & ghost->bucket_mask];
}

/* How many keys came in after this one; the clock's low bits suffice, as a bucket that nothing enters for
 * 2^32 additions does not happen. */
static uint32_t age_of(const struct cache_ghost *ghost, const struct ghost_entry *entry) {
    return (uint32_t)ghost->clock - entry->added;
}

static struct ghost_entry *find_entry(struct ghost_bucket *bucket, uint32_t fingerprint) {
    for (size_t i = 0; i < BUCKET_ENTRIES; i++)
        if (bucket->entries[i].fingerprint == fingerprint) return &bucket->entries[i];
    return NULL;
}

/* The entry of the same key, an empty one, or the oldest. */
void cache_ghost_add(struct cache_ghost *ghost, uint64_t key_hash) {
    struct ghost_bucket *bucket = bucket_of(ghost, key_hash);
    struct ghost_entry *entry = find_entry(bucket, fingerprint_of(key_hash));
    if (!entry) entry = find_entry(bucket, 0);
    if (!entry) {
        entry = &bucket->entries[0];
        for (size_t i = 1; i < BUCKET_ENTRIES; i++)
            if (age_of(ghost, &bucket->entries[i]) > age_of(ghost, entry)) entry = &bucket->entries[i];
    }
    *entry = (struct ghost_entry){fingerprint_of(key_hash), (uint32_t)ghost->clock++};
}

bool cache_ghost_take(struct cache_ghost *ghost, uint64_t key_hash, uint64_t window) {
    struct ghost_entry *entry = find_entry(bucket_of(ghost, key_hash), fingerprint_of(key_hash));
    if (!entry) return false;
    bool recent = age_of(ghost, entry) <= window;
    *entry = (struct ghost_entry){0};
    return recent;
}

uint64_t cache_ghost_bytes(const struct cache_ghost *ghost) {
    return sizeof *ghost + (ghost->bucket_mask + 1) * sizeof *ghost->buckets;
}
