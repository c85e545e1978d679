#include "cache/cache.h"

#include <stdlib.h>

#include "cache/index.h"
#include "cache/internal.h"
#include "cache/pass.h"
#include "cache/purge_internal.h"
#include "cache/store.h"

#define MEMORY_MIN_BYTES (8u << 20)
#define SHARDS_DEFAULT 64
#define SHARDS_MAX 1024
#define SCRATCH_BYTES (2 * CACHE_KEY_MAX_BYTES)
#define PASS_SHARE_BYTES 8192 /* a place in the table of passes for each so many bytes of the budget */
#define PASS_ENTRIES_MAX 65536

/* ---- life ----------------------------------------------------------------------------------------------- */

static sk_err create_stripes(struct cache *cache, uint32_t count) {
    cache->stripes = aligned_alloc(64, count * sizeof *cache->stripes);
    if (!cache->stripes) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        pthread_mutex_init(&cache->stripes[i].lock, NULL);
        sk_list_init(&cache->stripes[i].fills);
    }
    return SK_OK;
}

static sk_err create_parts(struct cache *cache, const struct cache_options *options) {
    uint32_t shards = options->shards ? options->shards : SHARDS_DEFAULT;
    if ((shards & (shards - 1)) != 0 || shards > SHARDS_MAX) return SK_ERR_INVALID;
    sk_err err = cache_store_create(cache, options->policy ? options->policy : &cache_policy_gdsf);
    if (!err) err = cache_index_create(cache, shards);
    if (!err) err = cache_purges_create(cache);
    if (!err) err = create_stripes(cache, shards);
    if (!err)
        err = cache_pass_create(SK_MIN(options->memory_bytes / PASS_SHARE_BYTES, PASS_ENTRIES_MAX),
                                &cache->passes);
    if (err) return err;
    uint64_t fixed = sizeof *cache + shards * (sizeof *cache->shards + sizeof *cache->stripes);
    atomic_fetch_add(&cache->outside_bytes, fixed + cache_pass_bytes(cache->passes));
    return SK_OK;
}

sk_err cache_create(const struct cache_options *options, struct cache **out_cache) {
    if (options->memory_bytes < MEMORY_MIN_BYTES) return SK_ERR_INVALID;
    struct cache *cache = aligned_alloc(64, (sizeof *cache + 63) & ~(size_t)63);
    if (!cache) return SK_ERR_NO_MEMORY;
    memset(cache, 0, sizeof *cache);
    cache->magic = CACHE_MAGIC;
    cache->budget_bytes = options->memory_bytes;
    cache->max_object_bytes =
        options->max_object_bytes ? options->max_object_bytes : options->memory_bytes / 4;
    ck_epoch_init(&cache->epoch);
    pthread_mutex_init(&cache->threads_lock, NULL);
    sk_err err = create_parts(cache, options);
    if (err) {
        cache_destroy(cache);
        return err;
    }
    *out_cache = cache;
    return SK_OK;
}

void cache_destroy(struct cache *cache) {
    SK_CHECK_MAGIC(cache, CACHE_MAGIC);
    cache_index_destroy(cache);
    cache_store_destroy(cache);
    cache_purges_destroy(cache);
    for (struct cache_thread *thread = cache->threads, *next; thread; thread = next) {
        next = thread->next;
        free(thread);
    }
    for (uint32_t i = 0; cache->stripes && i < cache->shard_count; i++)
        pthread_mutex_destroy(&cache->stripes[i].lock);
    free(cache->stripes);
    if (cache->passes) cache_pass_destroy(cache->passes);
    pthread_mutex_destroy(&cache->threads_lock);
    cache->magic = 0;
    free(cache);
}

/* ---- threads -------------------------------------------------------------------------------------------- */

/* A record once registered stays with the epoch, so those of threads that left are used again. */
static struct cache_thread *thread_make(struct cache *cache) {
    ck_epoch_record_t *record = ck_epoch_recycle(&cache->epoch, NULL);
    if (record) return SK_CONTAINER_OF(record, struct cache_thread, record);
    struct cache_thread *thread = aligned_alloc(64, (sizeof *thread + 63) & ~(size_t)63);
    if (!thread) return NULL;
    memset(thread, 0, sizeof *thread);
    ck_epoch_register(&cache->epoch, &thread->record, NULL);
    pthread_mutex_lock(&cache->threads_lock);
    thread->next = cache->threads;
    cache->threads = thread;
    pthread_mutex_unlock(&cache->threads_lock);
    return thread;
}

sk_err cache_thread_join(struct cache *cache, struct io_loop *loop, struct cache_thread **out_thread) {
    SK_CHECK_MAGIC(cache, CACHE_MAGIC);
    struct cache_thread *thread = thread_make(cache);
    if (!thread) return SK_ERR_NO_MEMORY;
    thread->magic = CACHE_THREAD_MAGIC;
    thread->cache = cache;
    thread->loop = loop;
    thread->inside = false;
    sk_arena_init(&thread->scratch, SCRATCH_BYTES, 0);
    *out_thread = thread;
    return SK_OK;
}

void cache_thread_leave(struct cache_thread *thread) {
    SK_CHECK_MAGIC(thread, CACHE_THREAD_MAGIC);
    SK_ASSERT(!thread->inside);
    sk_arena_free(&thread->scratch);
    thread->magic = 0;
    ck_epoch_unregister(&thread->record);
}

struct cache *cache_of(const struct cache_thread *thread) { return thread->cache; }

void cache_enter(struct cache_thread *thread) {
    SK_ASSERT(!thread->inside);
    thread->inside = true;
    cache_section_begin(thread);
}

void cache_leave(struct cache_thread *thread) {
    SK_ASSERT(thread->inside);
    thread->inside = false;
    cache_section_end(thread);
}

/* ---- figures -------------------------------------------------------------------------------------------- */

void cache_usage(const struct cache *cache, struct cache_usage *out_usage) {
    struct cache_store *store = (struct cache_store *)&cache->store;
    struct cache_usage usage = {.budget_bytes = cache->budget_bytes};
    pthread_mutex_lock(&store->lock);
    usage.used_bytes = cache_slab_resident_bytes(store->slab) + store->ops->overhead_bytes(store->policy);
    usage.evicted_objects = store->evicted_objects;
    usage.evicted_bytes = store->evicted_bytes;
    usage.guest_bytes = store->guest_bytes;
    pthread_mutex_unlock(&store->lock);
    /* relaxed: figures */
    usage.used_bytes += atomic_load_explicit(&cache->outside_bytes, memory_order_relaxed);
    usage.objects = atomic_load_explicit(&cache->objects, memory_order_relaxed);
    usage.fills = atomic_load_explicit(&cache->fills, memory_order_relaxed);
    usage.variant_bounds = atomic_load_explicit(&cache->variant_bounds, memory_order_relaxed);
    usage.rejected_objects = atomic_load_explicit(&cache->rejected_objects, memory_order_relaxed);
    *out_usage = usage;
}
