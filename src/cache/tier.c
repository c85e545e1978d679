#include "cache/tier.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "cache/purge_internal.h"
#include "cache/tier_internal.h"
#include "cache/vary.h"

/* ---- who may use the set ------------------------------------------------------------------------------------- */

struct disk_set *tier_enter(struct cache_tier *tier) {
    atomic_fetch_add(&tier->users, 1); /* seq_cst, see tier_internal.h */
    if (atomic_load(&tier->open)) return tier->set;
    tier_leave(tier);
    return NULL;
}

void tier_leave(struct cache_tier *tier) {
    /* release: what was done is over before the set is closed */
    atomic_fetch_sub_explicit(&tier->users, 1, memory_order_release);
}

bool cache_tier_is_open(const struct cache *cache) {
    /* relaxed: a hint; who uses the tier looks again */
    return cache->tier && atomic_load_explicit(&cache->tier->open, memory_order_relaxed);
}

bool cache_tier_has(struct cache *cache, const struct cache_key *key) {
    struct disk_set *set = cache->tier ? tier_enter(cache->tier) : NULL;
    if (!set) return false;
    bool has = disk_set_has(set, key->hash);
    tier_leave(cache->tier);
    return has;
}

/* ---- purges ---------------------------------------------------------------------------------------------------- */

/* Before the log is there, or after it is closed. Under the lock. */
static void keep_pending(struct cache_tier *tier, const struct cache_purge *purge, uint64_t tick) {
    if (tier->stage == TIER_CLOSED || tier->pending_lost) return;
    tier->pending_lost = tier_log_encode(purge, tick, 0, &tier->pending) != SK_OK;
}

static void log_purge(struct cache_tier *tier, const struct cache_purge *purge, uint64_t tick) {
    pthread_mutex_lock(&tier->lock);
    if (tier->log)
        tier_log_append(tier->log, purge, tick);
    else
        keep_pending(tier, purge, tick);
    pthread_mutex_unlock(&tier->lock);
}

void cache_tier_purged(struct cache *cache, const struct cache_purge *purge, uint64_t tick) {
    if (cache->tier) log_purge(cache->tier, purge, tick);
}

/* The clock does not move: what is stored from now on is not older than the removal, so the record is as of the next
 * tick, and hits a bit too much after a restart. */
void tier_note_removed(struct cache_tier *tier, const struct cache_key *key) {
    struct cache_purge purge = {.kind = CACHE_PURGE_KEY, .text = cache_key_primary(key->text)};
    log_purge(tier, &purge, cache_purge_now(tier->cache) + 1);
}

void cache_tier_removed(struct cache *cache, const struct cache_key *key) {
    struct cache_tier *tier = cache->tier;
    if (!tier) return;
    tier_note_removed(tier, key);
    struct disk_set *set = tier_enter(tier);
    if (!set) return;
    disk_set_remove(set, key->hash);
    tier_leave(tier);
}

/* ---- erasing --------------------------------------------------------------------------------------------------- */

sk_err cache_tier_erase(struct cache *cache, sk_str site) {
    struct cache_tier *tier = cache->tier;
    if (!tier || !tier->sealed) return SK_ERR_UNSUPPORTED;
    struct cache_purge purge = {.kind = CACHE_PURGE_SITE, .site = site};
    sk_err err = cache_purge(cache, &purge, NULL);
    if (err) return err;
    if (!tier_enter(tier)) return SK_ERR_BUSY;
    err = disk_keys_erase(tier->keys, site);
    tier_leave(tier);
    return err;
}

/* ---- the beginning ---------------------------------------------------------------------------------------------------- */

sk_err cache_tier_secret(const char *state, uint8_t out_secret[SK_HASH_SECRET_BYTES], uint64_t *out_tick) {
    sk_err err = tier_log_peek(state, out_secret, out_tick);
    if (err == SK_ERR_DENIED || err == SK_ERR_IO) return err;
    if (!err) return SK_OK;
    sk_random_secret(out_secret, SK_HASH_SECRET_BYTES);
    *out_tick = 0;
    return SK_OK;
}

static void tier_free_parts(struct cache_tier *tier) {
    for (size_t i = 0; tier->paths && i < tier->count; i++) free((char *)(uintptr_t)tier->paths[i].path);
    free(tier->paths);
    free(tier->state_path);
    sk_buf_free(&tier->pending);
    pthread_cond_destroy(&tier->changed);
    pthread_mutex_destroy(&tier->lock);
    free(tier);
}

static bool copy_options(struct cache_tier *tier, const struct cache_tier_options *options) {
    tier->paths = calloc(options->count, sizeof *tier->paths);
    tier->state_path = strdup(options->state);
    if (!tier->paths || !tier->state_path) return false;
    for (; tier->count < options->count; tier->count++) {
        char *path = strdup(options->paths[tier->count].path);
        if (!path) return false;
        tier->paths[tier->count] = (struct disk_set_path){path, options->paths[tier->count].bytes};
    }
    memcpy(tier->secret, options->secret, SK_HASH_SECRET_BYTES);
    tier->admission.percent = options->admit;
    disk_pace_init(&tier->pace, options->write_limit,
                   SK_MAX(options->write_limit, (uint64_t)CACHE_TIER_RECORD_BYTES));
    return true;
}

static sk_err start_thread(struct cache_tier *tier) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
    bool started = pthread_create(&tier->thread, NULL, tier_thread_main, tier) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started ? SK_OK : SK_ERR_FULL;
}

sk_err cache_tier_start(struct cache *cache, const struct cache_tier_options *options) {
    struct cache_tier *tier = calloc(1, sizeof *tier);
    pthread_condattr_t attributes;
    if (!tier) return SK_ERR_NO_MEMORY;
    tier->cache = cache;
    pthread_mutex_init(&tier->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&tier->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    sk_buf_init(&tier->pending, TIER_PENDING_BYTES);
    sk_err err = copy_options(tier, options) ? SK_OK : SK_ERR_NO_MEMORY;
    if (!err && options->key_file) err = disk_key_load(options->key_file, true, tier->key);
    tier->sealed = options->key_file;
    cache_purge_advance(cache, options->first_tick);
    /* No number of an earlier process may come again: records on the devices hold them. */
    atomic_store(&cache->numbers, sk_random_u64() >> 2);
    cache->tier = tier;
    if (!err) err = start_thread(tier);
    if (!err) return SK_OK;
    cache->tier = NULL;
    tier_free_parts(tier);
    return err;
}

void cache_tier_await(struct cache *cache, sk_time_ns deadline) {
    struct cache_tier *tier = cache->tier;
    if (!tier) return;
    struct timespec until = {.tv_sec = deadline / SK_NS_PER_S, .tv_nsec = deadline % SK_NS_PER_S};
    pthread_mutex_lock(&tier->lock);
    int failed = 0;
    while (tier->stage == TIER_OPENING && !failed)
        failed = pthread_cond_timedwait(&tier->changed, &tier->lock, &until);
    pthread_mutex_unlock(&tier->lock);
}

/* ---- the end ------------------------------------------------------------------------------------------------------ */

static void ask_to_leave(struct cache_tier *tier, int64_t budget_ns) {
    pthread_mutex_lock(&tier->lock);
    if (!tier->leaving) tier->save_ns = budget_ns;
    tier->leaving = true;
    pthread_cond_broadcast(&tier->changed);
    pthread_mutex_unlock(&tier->lock);
}

void cache_tier_hand_over(struct cache *cache, int64_t budget_ns) {
    if (cache->tier) ask_to_leave(cache->tier, budget_ns);
}

void cache_tier_stop(struct cache *cache, int64_t budget_ns) {
    struct cache_tier *tier = cache->tier;
    if (!tier) return;
    ask_to_leave(tier, budget_ns);
    pthread_join(tier->thread, NULL);
    tier_free_parts(tier);
    cache->tier = NULL;
}

/* ---- figures -------------------------------------------------------------------------------------------------------- */

static void add_device(struct cache_tier_usage *usage, const struct disk_set_usage *device) {
    const struct disk_usage *disk = &device->disk;
    usage->devices++;
    usage->devices_failed += device->err != SK_OK;
    usage->outages += device->outages;
    usage->bytes += disk->segments * disk->segment_bytes;
    usage->free_bytes += disk->free_segments * disk->segment_bytes;
    usage->records += disk->index.records;
    usage->index_bytes += disk->index.bytes;
    usage->put_bytes += disk->put_bytes;
    usage->refused += disk->refused + device->dropped;
    usage->written_bytes += disk->written_bytes;
    usage->read_bytes += disk->read_bytes;
    usage->reinserted += disk->reinserted;
    usage->reclaimed += disk->reclaimed;
    usage->damaged += disk->damaged;
    usage->read_errors += disk->read_errors;
    usage->write_errors += disk->write_errors;
}

void cache_tier_usage(struct cache *cache, struct cache_tier_usage *out_usage) {
    struct cache_tier *tier = cache->tier;
    struct cache_tier_usage usage = {0};
    struct disk_set *set = tier ? tier_enter(tier) : NULL;
    if (set) {
        usage.open = true;
        for (size_t i = 0; i < disk_set_count(set); i++) {
            struct disk_set_usage device;
            disk_set_usage(set, i, &device);
            add_device(&usage, &device);
        }
        tier_leave(tier);
    }
    if (tier) {
        /* relaxed: figures */
        usage.puts = atomic_load_explicit(&tier->puts, memory_order_relaxed);
        usage.refused += atomic_load_explicit(&tier->refused, memory_order_relaxed);
        usage.flushed = atomic_load_explicit(&tier->flushed, memory_order_relaxed);
        usage.found = atomic_load_explicit(&tier->found, memory_order_relaxed);
        usage.found_bytes = atomic_load_explicit(&tier->found_bytes, memory_order_relaxed);
        usage.purged = atomic_load_explicit(&tier->purged, memory_order_relaxed);
        usage.unproven = atomic_load_explicit(&tier->unproven, memory_order_relaxed);
    }
    *out_usage = usage;
}
