#include "cache/index.h"

#include <stdlib.h>

#include "cache/store.h"

/* The sets hold values: a pointer to the entry's key with 16 bits of its hash above, so that a look into a
 * crowded place touches no entry but the right one. */
#define POINTER_BITS 48
#define POINTER_MASK ((UINT64_C(1) << POINTER_BITS) - 1)
#define SHARD_MIN_ENTRIES 32

static const void *pack(const struct cache_key *key) {
    uintptr_t address = (uintptr_t)key;
    SK_ASSERT((address & ~POINTER_MASK) == 0);
    return (const void *)(address | (uintptr_t)(key->hash.high << POINTER_BITS));
}

static const struct cache_key *unpack(const void *value) {
    return (const struct cache_key *)((uintptr_t)value & POINTER_MASK);
}

static struct cache_entry *entry_of(const void *value) {
    const struct cache_key *key = unpack(value);
    return SK_CONTAINER_OF(key, struct cache_entry, object.key);
}

static unsigned long hash_value(const void *value, unsigned long seed) {
    (void)seed;
    return unpack(value)->hash.low;
}

/* STORED comes from the set, WANTED from the caller. */
static bool compare_values(const void *stored, const void *wanted) {
    if (((uintptr_t)stored ^ (uintptr_t)wanted) >> POINTER_BITS) return false;
    const struct cache_key *a = unpack(stored), *b = unpack(wanted);
    const char *entry = (const char *)a - offsetof(struct cache_entry, object.key);
    /* All that a hit will read comes at once: the rest of the object, the key's text, the head's beginning. */
    __builtin_prefetch(entry + 64);
    __builtin_prefetch(entry + sizeof(struct cache_entry));
    __builtin_prefetch(entry + sizeof(struct cache_entry) + 64);
    __builtin_prefetch(entry + sizeof(struct cache_entry) + 128);
    CACHE_ORDER_ACQUIRE(entry);
    return sk_hash128_eq(a->hash, b->hash) && sk_str_eq(a->text, b->text);
}

/* ---- memory of the sets: counted, and freed when no reader can be in it -------------------------------- */

struct table_memory {
    struct cache *cache;
    size_t bytes;
    uint64_t number; /* no other table of the cache had it, whatever its address */
    ck_epoch_entry_t epoch_entry;
    _Alignas(16) char data[];
};

/* The hooks have no argument of ours; whoever calls into a set says whose it is. */
static thread_local struct cache *hook_cache;

static void *hook_alloc(size_t bytes) {
    struct table_memory *memory = cache_counted_alloc(hook_cache, sizeof *memory + bytes);
    if (!memory) return NULL;
    memory->cache = hook_cache;
    memory->bytes = sizeof *memory + bytes;
    /* relaxed: only unique, never 0 */
    memory->number = 1 + atomic_fetch_add_explicit(&hook_cache->numbers, 1, memory_order_relaxed);
    return memory->data;
}

static void table_free(struct table_memory *memory) {
    cache_counted_free(memory->cache, memory, memory->bytes);
}

static void table_reclaim(ck_epoch_entry_t *epoch_entry) {
    CACHE_ORDER_ACQUIRE(&SK_CONTAINER_OF(epoch_entry, struct table_memory, epoch_entry)->cache->epoch);
    table_free(SK_CONTAINER_OF(epoch_entry, struct table_memory, epoch_entry));
}

static void hook_free(void *data, size_t bytes, bool defer) {
    (void)bytes;
    struct table_memory *memory = SK_CONTAINER_OF(data, struct table_memory, data);
    if (defer)
        cache_store_later(memory->cache, &memory->epoch_entry, table_reclaim);
    else
        table_free(memory);
}

static struct ck_malloc hooks = {.malloc = hook_alloc, .free = hook_free};

/* ---- shards --------------------------------------------------------------------------------------------- */

static uint32_t log2_of(uint32_t power) { return (uint32_t)__builtin_ctz(power); }

sk_err cache_index_create(struct cache *cache, uint32_t shards) {
    cache->shard_count = shards;
    /* The set uses the low half of the hash and the packed value the lowest 16 bits of the high one. */
    cache->shard_shift = 63 - log2_of(shards);
    cache->shards = aligned_alloc(64, shards * sizeof *cache->shards);
    if (!cache->shards) return SK_ERR_NO_MEMORY;
    memset(cache->shards, 0, shards * sizeof *cache->shards);
    hook_cache = cache;
    for (uint32_t i = 0; i < shards; i++) {
        struct cache_shard *shard = &cache->shards[i];
        pthread_mutex_init(&shard->lock, NULL);
        if (!ck_hs_init(&shard->set, CK_HS_MODE_SPMC | CK_HS_MODE_DIRECT, hash_value, compare_values, &hooks,
                        SHARD_MIN_ENTRIES, 0))
            return SK_ERR_NO_MEMORY;
    }
    return SK_OK;
}

static void shard_destroy(struct cache *cache, struct cache_shard *shard) {
    ck_hs_iterator_t iterator = CK_HS_ITERATOR_INITIALIZER;
    void *value;
    if (!shard->set.map) return;
    while (ck_hs_next(&shard->set, &iterator, &value)) cache_store_forget(cache, entry_of(value));
    ck_hs_destroy(&shard->set);
    pthread_mutex_destroy(&shard->lock);
}

void cache_index_destroy(struct cache *cache) {
    for (uint32_t i = 0; cache->shards && i < cache->shard_count; i++)
        shard_destroy(cache, &cache->shards[i]);
    free(cache->shards);
}

static struct cache_shard *shard_for(struct cache *cache, const struct cache_key *key) {
    return &cache->shards[cache_shard_of(cache, key->hash)];
}

static void *lookup(struct cache_shard *shard, const struct cache_key *key) {
    return ck_hs_get(&shard->set, key->hash.low, pack(key));
}

struct cache_entry *cache_index_get(struct cache *cache, const struct cache_key *key) {
    void *value = lookup(shard_for(cache, key), key);
    return value ? entry_of(value) : NULL;
}

/* The set's table is what the hook gave. */
static uint64_t number_of(struct ck_hs_map *table) {
    return SK_CONTAINER_OF((char *)table, struct table_memory, data[0])->number;
}

uint32_t cache_index_walk(struct cache *cache, struct cache_walk *walk, struct cache_entry **out,
                          uint32_t max) {
    struct cache_shard *shard = &cache->shards[walk->shard];
    struct ck_hs_map *table = ck_pr_load_ptr(&shard->set.map);
    if (number_of(table) != walk->table) walk->place = 0;
    walk->table = number_of(table);
    ck_hs_iterator_t iterator = {.offset = walk->place, .map = table};
    uint32_t count = 0;
    for (void *value; count < max && ck_hs_next_spmc(&shard->set, &iterator, &value);) {
        out[count] = entry_of(value);
        CACHE_ORDER_ACQUIRE(out[count]);
        count++;
    }
    walk->place = iterator.offset;
    if (count == 0) *walk = (struct cache_walk){.shard = (walk->shard + 1) % cache->shard_count};
    return count;
}

/* ---- changes -------------------------------------------------------------------------------------------- */

static void count(_Atomic uint64_t *counter, int64_t change) {
    atomic_fetch_add_explicit(counter, (uint64_t)change, memory_order_relaxed); /* a figure, orders nothing */
}

/* Under the shard's lock. */
static sk_err set_value(struct cache *cache, struct cache_shard *shard, struct cache_entry *entry,
                        void **out_previous) {
    *out_previous = NULL;
    hook_cache = cache;
    atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed); /* the caller has a reference already */
    CACHE_ORDER_RELEASE(entry);
    if (ck_hs_set(&shard->set, entry->object.key.hash.low, pack(&entry->object.key), out_previous)) {
        if (!*out_previous) count(&cache->objects, 1);
        return SK_OK;
    }
    atomic_fetch_sub_explicit(&entry->refs, 1, memory_order_relaxed);
    return SK_ERR_NO_MEMORY;
}

sk_err cache_index_put(struct cache *cache, struct cache_entry *entry, bool *out_replaced) {
    struct cache_shard *shard = shard_for(cache, &entry->object.key);
    void *previous;
    pthread_mutex_lock(&shard->lock);
    sk_err err = set_value(cache, shard, entry, &previous);
    pthread_mutex_unlock(&shard->lock);
    if (out_replaced) *out_replaced = previous != NULL;
    if (!err && previous) cache_store_forget(cache, entry_of(previous));
    return err;
}

bool cache_index_swap(struct cache *cache, struct cache_entry *expected, struct cache_entry *entry) {
    struct cache_shard *shard = shard_for(cache, &expected->object.key);
    void *previous = NULL;
    pthread_mutex_lock(&shard->lock);
    void *present = lookup(shard, &expected->object.key);
    bool swapped = present && entry_of(present) == expected && !set_value(cache, shard, entry, &previous);
    pthread_mutex_unlock(&shard->lock);
    if (swapped) cache_store_forget(cache, expected);
    return swapped;
}

/* Removed values leave marks that lengthen every search; half a table of them, and it is made anew. */
static void rebuild_when_worn(struct cache *cache, struct cache_shard *shard) {
    struct ck_hs_stat stat;
    if (++shard->removals < SHARD_MIN_ENTRIES) return;
    ck_hs_stat(&shard->set, &stat);
    if (shard->removals < stat.n_entries / 2 + SHARD_MIN_ENTRIES) return;
    hook_cache = cache;
    if (ck_hs_rebuild(&shard->set)) shard->removals = 0;
}

bool cache_index_remove(struct cache *cache, struct cache_entry *entry) {
    struct cache_shard *shard = shard_for(cache, &entry->object.key);
    pthread_mutex_lock(&shard->lock);
    void *present = lookup(shard, &entry->object.key);
    bool found = present && entry_of(present) == entry;
    if (found) {
        ck_hs_remove(&shard->set, entry->object.key.hash.low, pack(&entry->object.key));
        count(&cache->objects, -1);
        rebuild_when_worn(cache, shard);
    }
    pthread_mutex_unlock(&shard->lock);
    if (found) cache_store_forget(cache, entry);
    return found;
}
