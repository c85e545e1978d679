#include "cache/pass.h"

#include <pthread.h>
#include <stdlib.h>

#define BUCKET_ENTRIES 4

struct pass_entry {
    uint64_t key;     /* the hash's low half; keyed, so nobody outside can choose a collision */
    sk_time_ns until; /* 0: empty */
    enum http_reason reason;
};
struct pass_bucket {
    struct pass_entry entries[BUCKET_ENTRIES];
};

struct cache_pass_table {
    uint64_t bucket_mask;
    pthread_mutex_t lock; /* the buckets; one look */
    struct pass_bucket *buckets;
};

sk_err cache_pass_create(uint64_t entries, struct cache_pass_table **out_table) {
    uint64_t buckets = 1;
    while (buckets * BUCKET_ENTRIES < entries) buckets *= 2;
    struct cache_pass_table *table = calloc(1, sizeof *table);
    if (!table) return SK_ERR_NO_MEMORY;
    table->bucket_mask = buckets - 1;
    table->buckets = calloc(buckets, sizeof *table->buckets);
    if (!table->buckets) {
        free(table);
        return SK_ERR_NO_MEMORY;
    }
    pthread_mutex_init(&table->lock, NULL);
    *out_table = table;
    return SK_OK;
}

void cache_pass_destroy(struct cache_pass_table *table) {
    pthread_mutex_destroy(&table->lock);
    free(table->buckets);
    free(table);
}

/* The key's own entry, or the one that ends first. */
static struct pass_entry *place_for(struct pass_bucket *bucket, uint64_t key) {
    struct pass_entry *first = &bucket->entries[0];
    for (size_t i = 0; i < BUCKET_ENTRIES; i++) {
        struct pass_entry *entry = &bucket->entries[i];
        if (entry->key == key) return entry;
        if (entry->until < first->until) first = entry;
    }
    return first;
}

void cache_pass_remember(struct cache_pass_table *table, sk_hash128 key, sk_time_ns until,
                         enum http_reason reason) {
    pthread_mutex_lock(&table->lock);
    *place_for(&table->buckets[key.high & table->bucket_mask], key.low) =
        (struct pass_entry){key.low, until, reason};
    pthread_mutex_unlock(&table->lock);
}

bool cache_pass_remembered(struct cache_pass_table *table, sk_hash128 key, sk_time_ns now,
                           enum http_reason *out_reason) {
    const struct pass_bucket *bucket = &table->buckets[key.high & table->bucket_mask];
    const struct pass_entry *found = NULL;
    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < BUCKET_ENTRIES; i++)
        if (bucket->entries[i].key == key.low && bucket->entries[i].until > now) found = &bucket->entries[i];
    if (found && out_reason) *out_reason = found->reason;
    pthread_mutex_unlock(&table->lock);
    return found;
}

uint64_t cache_pass_bytes(const struct cache_pass_table *table) {
    return sizeof *table + (table->bucket_mask + 1) * sizeof *table->buckets;
}
