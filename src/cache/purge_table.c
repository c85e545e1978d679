#include "cache/purge_table.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define BUCKET_RECORDS 4

struct record {
    _Atomic uint64_t scope; /* 0: empty */
    _Atomic uint64_t hard, soft;
};
struct bucket {
    _Alignas(128) _Atomic uint64_t floor_hard;
    _Atomic uint64_t floor_soft;
    struct record records[BUCKET_RECORDS];
};

struct purge_table {
    uint64_t bucket_mask;
    struct bucket *buckets;
};

/* Every load is acquire and every store release: a reader that sees one step of put sees those before it. */
static uint64_t load(const _Atomic uint64_t *value) {
    return atomic_load_explicit(value, memory_order_acquire);
}
static void store(_Atomic uint64_t *value, uint64_t to) {
    atomic_store_explicit(value, to, memory_order_release);
}
static void raise_to(_Atomic uint64_t *value, uint64_t to) {
    if (load(value) < to) store(value, to);
}

sk_err purge_table_create(uint64_t bytes, struct purge_table **out_table) {
    uint64_t count = 1;
    while (2 * count * sizeof(struct bucket) <= bytes) count *= 2;
    struct purge_table *table = calloc(1, sizeof *table);
    if (!table) return SK_ERR_NO_MEMORY;
    table->bucket_mask = count - 1;
    table->buckets = aligned_alloc(_Alignof(struct bucket), count * sizeof *table->buckets);
    if (!table->buckets) {
        free(table);
        return SK_ERR_NO_MEMORY;
    }
    memset(table->buckets, 0, count * sizeof *table->buckets);
    *out_table = table;
    return SK_OK;
}

void purge_table_destroy(struct purge_table *table) {
    free(table->buckets);
    free(table);
}

static struct bucket *bucket_of(const struct purge_table *table, uint64_t scope) {
    return &table->buckets[scope & table->bucket_mask];
}
static uint64_t normal_scope(uint64_t scope) { return scope ? scope : 1; }

static struct record *find_record(struct bucket *bucket, uint64_t scope) {
    for (size_t i = 0; i < BUCKET_RECORDS; i++)
        if (load(&bucket->records[i].scope) == scope) return &bucket->records[i];
    return NULL;
}

static uint64_t last_tick(const struct record *record) {
    return SK_MAX(load(&record->hard), load(&record->soft));
}

static struct record *oldest_record(struct bucket *bucket) {
    struct record *oldest = &bucket->records[0];
    for (size_t i = 1; i < BUCKET_RECORDS; i++)
        if (last_tick(&bucket->records[i]) < last_tick(oldest)) oldest = &bucket->records[i];
    return oldest;
}

/* The floor first: a reader that looks for the old scope and finds it gone, or finds the new one's ticks in its
 * place, reads the floor after that and so sees it raised. */
static void replace(struct bucket *bucket, struct record *record, uint64_t scope, struct purge_times times) {
    raise_to(&bucket->floor_hard, load(&record->hard));
    raise_to(&bucket->floor_soft, load(&record->soft));
    store(&record->scope, 0);
    store(&record->hard, times.hard);
    store(&record->soft, times.soft);
    store(&record->scope, scope);
}

void purge_table_put(struct purge_table *table, uint64_t scope, struct purge_times times) {
    scope = normal_scope(scope);
    struct bucket *bucket = bucket_of(table, scope);
    struct record *record = find_record(bucket, scope);
    if (record) {
        raise_to(&record->hard, times.hard);
        raise_to(&record->soft, times.soft);
        return;
    }
    record = find_record(bucket, 0);
    replace(bucket, record ? record : oldest_record(bucket), scope, times);
}

struct purge_times purge_table_get(const struct purge_table *table, uint64_t scope) {
    scope = normal_scope(scope);
    struct bucket *bucket = bucket_of(table, scope);
    struct record *record = find_record(bucket, scope);
    struct purge_times times = {0};
    if (record) times = (struct purge_times){load(&record->hard), load(&record->soft)};
    purge_times_add(&times, (struct purge_times){load(&bucket->floor_hard), load(&bucket->floor_soft)});
    return times;
}

uint64_t purge_table_bytes(const struct purge_table *table) {
    return sizeof *table + (table->bucket_mask + 1) * sizeof *table->buckets;
}
