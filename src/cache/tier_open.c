/* Opening the SSD tier: the log first, which says what may be believed of the devices. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "cache/purge_internal.h"
#include "cache/search.h"
#include "cache/tier_internal.h"

/* ---- the log --------------------------------------------------------------------------------------------------- */

/* What this process has purged before it had the log, under new ticks: what the other process stored meanwhile was
 * born by its own clock. */
static void repeat_pending(struct cache_tier *tier, struct sk_buf *pending) {
    struct tier_log_reading reading = {.good_bytes = sk_buf_len(pending)};
    struct cache_purge purge;
    uint64_t tick;
    size_t at = 0;
    while (tier_log_next(&reading, sk_buf_str(pending), &at, &purge, &tick))
        if (!cache_purge(tier->cache, &purge, NULL) && purge.kind == CACHE_PURGE_KEY)
            (void)!cache_search_purge(tier->cache, purge.text, purge.soft); /* they were good ones before */
    sk_buf_free(pending);
}

static void replay(struct cache_tier *tier, const struct tier_log_reading *reading, sk_str data) {
    struct cache_purge purge;
    uint64_t tick;
    size_t at = TIER_LOG_HEADER_BYTES;
    while (tier_log_next(reading, data, &at, &purge, &tick)) cache_purge_restore(tier->cache, &purge, tick);
    for (size_t i = 0; i < tier->count; i++)
        atomic_store(&tier->floors[i], tier_log_away(reading, data, sk_str_from_c(tier->paths[i].path)));
    atomic_store_explicit(&tier->searches, reading->state.searches,
                          memory_order_relaxed); /* see the struct */
    if (reading->state.searches)
        atomic_store(&tier->cache->searches, true); /* seq_cst, see cache_search_any */
}

void tier_device_away(struct cache_tier *tier, size_t number) {
    uint64_t tick = cache_purge_step(tier->cache);
    atomic_store(&tier->floors[number], tick);
    tier_log_append_away(tier->log, sk_str_from_c(tier->paths[number].path), tick);
}

/* Which ticks can be vouched for, and the log begun anew with what it must still say. */
static sk_err renew_log(struct cache_tier *tier, struct tier_log *log, const struct tier_log_reading *reading,
                        sk_str data) {
    bool proven = !reading->damaged && !reading->state.incomplete && (reading->ended || reading->same_boot);
    pthread_mutex_lock(&tier->lock);
    proven = proven && !tier->pending_lost;
    pthread_mutex_unlock(&tier->lock);
    uint64_t floor = reading->state.floor, last = SK_MAX(reading->last_tick, floor);
    sk_str kept = sk_str_slice(data, TIER_LOG_HEADER_BYTES, reading->purge_bytes);
    if (!proven) floor = SK_MAX(last, cache_purge_now(tier->cache)) + 1;
    if (kept.len > TIER_LOG_MAX_BYTES / 2) floor = SK_MAX(floor, last);
    if (floor > last || kept.len > TIER_LOG_MAX_BYTES / 2) kept.len = 0; /* all that it says is older */
    cache_purge_advance(tier->cache, SK_MAX(last, floor));
    sk_err err = tier_log_restart(log, floor, kept);
    if (err) return err;
    if (!proven && last)
        sk_log(SK_LOG_WARN, "disk",
               "purges may have been lost with the machine: what is stored is validated "
               "before it is used");
    atomic_store(&tier->floor, floor);
    return SK_OK;
}

sk_err tier_open_log(struct cache_tier *tier) {
    struct tier_log_reading reading;
    struct tier_log *log;
    struct sk_buf data, pending;
    sk_err err = tier_log_open(tier->state_path, tier->secret, &log, &data, &reading);
    if (err) return err;
    replay(tier, &reading, sk_buf_str(&data));
    err = renew_log(tier, log, &reading, sk_buf_str(&data));
    sk_buf_free(&data);
    if (err) {
        tier_log_close(log, false, 0);
        return err;
    }
    pthread_mutex_lock(&tier->lock);
    tier->log = log;
    pending = tier->pending;
    sk_buf_init(&tier->pending, TIER_PENDING_BYTES);
    pthread_mutex_unlock(&tier->lock);
    repeat_pending(tier, &pending);
    return SK_OK;
}

/* ---- the devices ----------------------------------------------------------------------------------------------- */

const char *tier_advice(sk_err err) {
    switch (err) {
    case SK_ERR_EXISTS: return "it holds something else; remove it, or name another file";
    case SK_ERR_DENIED: return "make it, and its folder, writable for the user that serves";
    case SK_ERR_FULL: return "make room, or take a smaller size";
    case SK_ERR_INVALID: return "it is too small: a store needs 64MiB or more";
    case SK_ERR_BUSY: return "another process has it";
    default: return "it is tried again every now and then";
    }
}

/* What they have in all, and what cannot be opened. */
static void look_at_devices(struct cache_tier *tier, struct disk_set *set) {
    for (size_t i = 0; i < tier->count; i++) {
        struct disk_set_usage usage;
        disk_set_usage(set, i, &usage);
        tier->admission.capacity += usage.disk.segments * usage.disk.segment_bytes;
        if (usage.err)
            sk_log(SK_LOG_ERROR, "disk", "%s: %s: %s", usage.path, sk_err_text(usage.err),
                   tier_advice(usage.err));
    }
}

/* Beside the log: no key lies on a device. */
static sk_err open_keys(struct cache_tier *tier) {
    char path[4096];
    if (!tier->sealed || tier->keys) return SK_OK;
    if (snprintf(path, sizeof path, "%s.keys", tier->state_path) >= (int)sizeof path) return SK_ERR_TOO_LARGE;
    sk_err err = disk_keys_open(path, tier->key, &tier->keys);
    if (err)
        SK_LOG_LIMITED(SK_LOG_ERROR, "disk",
                       "%s: %s: it holds the keys of sites, wrapped by the key in disk.key_file; without it, "
                       "remove it: all that is stored is lost then",
                       path, sk_err_text(err));
    return err;
}

sk_err tier_open_devices(struct cache_tier *tier) {
    struct disk_set *set;
    sk_err err = open_keys(tier);
    if (err) return err;
    struct disk_set_options options = {.paths = tier->paths,
                                       .count = tier->count,
                                       .create = true,
                                       .key = tier->sealed ? tier->key : NULL,
                                       .sites = tier->keys,
                                       .background = true};
    err = disk_set_open(&options, NULL, &set);
    if (err) return err;
    tier->admission.capacity = 0;
    look_at_devices(tier, set);
    atomic_store_explicit(&tier->loading, true, memory_order_relaxed); /* the thread finds out */
    tier->set = set;
    atomic_store(&tier->open, true); /* seq_cst, see tier_internal.h */
    return SK_OK;
}
