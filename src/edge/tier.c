#include "edge/tier.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/random.h"
#include "cache/search.h"
#include "cache/slices.h"
#include "cache/tier.h"
#include "edge/process.h"
#include "edge/slices_private.h"
#include "edge/worker.h"

#define OPEN_WAIT_MS 1000 /* at the start; later the devices come into service by themselves */
#define SAVE_MS 10000     /* that saving what is in RAM may take at the end */

/* ---- one response ------------------------------------------------------------------------------------------- */

/* As http_may_reuse, of what the fetch's leader asked for. */
static bool is_fresh(const struct edge_fetch *fetch, const struct cache_tier_found *found) {
    struct http_cache_control control;
    if (found->soft_purged || found->unproven) return false;
    http_request_cache_control(&fetch->client_request, &control);
    sk_unix_s now = io_loop_wall_s(fetch->worker->loop);
    return http_may_reuse(&found->head.freshness, &control, now).reuse == HTTP_REUSE_SERVE;
}

/* It may still serve when the origin agrees, or fails. */
static void validate(struct edge_fetch *fetch, struct cache_tier_found *found) {
    const struct http_freshness *freshness = &found->head.freshness;
    if (!freshness->has_validator && (found->unproven || freshness->stale_if_error_s <= 0)) return;
    if (cache_tier_adopt(found, fetch->fill) != SK_OK) return;
    fetch->conditional = freshness->has_validator;
    if (found->head.part != CACHE_PART_HEAD) fetch->wish = (struct http_range_wish){0};
}

static void note(struct edge_fetch *fetch, const struct cache_tier_found *found, sk_time_ns started) {
    fetch->from_tier = true;
    fetch->published = true;
    observe_duration(fetch->worker->metrics, OBSERVE_DISK_READ_SECONDS, sk_time_now() - started);
}

static bool take_object(struct edge_fetch *fetch) {
    struct cache_tier_found found;
    sk_time_ns started = sk_time_now();
    if (fetch->rule->cache.no_vary_search &&
        cache_search_recall(fetch->worker->cache, &fetch->arena, cache_fill_primary_key(fetch->fill))) {
        cache_fill_again(fetch->fill);
        return true;
    }
    sk_err err = cache_tier_find(fetch->worker->cache, &fetch->arena, cache_fill_primary_key(fetch->fill),
                                 &fetch->client_request, &found);
    if (err == SK_ERR_AGAIN) {
        cache_fill_again(fetch->fill);
        return true;
    }
    if (err) return false;
    bool fresh = is_fresh(fetch, &found);
    if (fresh) {
        note(fetch, &found, started);
        (void)!cache_tier_fill(&found, fetch->fill); /* the fill tells those who wait */
    } else {
        validate(fetch, &found);
    }
    cache_tier_close(&found);
    return fresh;
}

/* ---- slices -------------------------------------------------------------------------------------------------- */

/* Into fetch->fill. */
static bool take_slice(struct edge_fetch *fetch) {
    struct cache_tier_found found;
    sk_time_ns started = sk_time_now();
    if (cache_tier_find(fetch->worker->cache, &fetch->arena, cache_fill_key(fetch->fill), NULL, &found))
        return false;
    bool slice = found.head.part == CACHE_PART_SLICE;
    if (slice) note(fetch, &found, started);
    if (slice) (void)!cache_tier_fill(&found, fetch->fill); /* as above */
    cache_tier_close(&found);
    return slice;
}

/* The first, and those after it that are wanted, as long as the tier has them; others are asked for when it is their
 * turn. */
static bool take_slices(struct edge_fetch *fetch) {
    uint64_t number = cache_slices_of(fetch->head);
    if (!take_slice(fetch)) return false;
    for (uint64_t slice = fetch->slice + 1; slice < fetch->slice_end; slice++) {
        struct cache_fill *next;
        struct cache_fill *done = fetch->fill;
        if (!cache_fill_interest(done) || edge_slice_begin(fetch, number, slice, &next) != SK_OK) break;
        fetch->fill = next;
        bool taken = take_slice(fetch);
        if (!taken) cache_fill_again(next); /* whoever has come to wait for it leads */
        cache_fill_release(done);
        if (!taken) break;
    }
    return true;
}

bool edge_tier_take(struct edge_fetch *fetch) {
    if (!cache_tier_is_open(cache_of(fetch->worker->cache)) || fetch->pass) return false;
    if (cache_fill_is_private(fetch->fill) || cache_fill_stale(fetch->fill)) return false;
    return fetch->head ? take_slices(fetch) : take_object(fetch);
}

/* ---- coded forms ---------------------------------------------------------------------------------------------- */

static bool lead_form(struct edge_exchange *exchange, struct cache_fill *fill) {
    struct cache_tier_found found;
    struct cache_thread *cache = exchange->worker->cache;
    bool there = !cache_tier_find(cache, exchange->arena, cache_fill_key(fill), NULL, &found);
    if (there) {
        (void)!cache_tier_fill(&found, fill); /* the fill tells those who wait */
        cache_tier_close(&found);
    } else {
        cache_fill_fail(fill, SK_ERR_NOT_FOUND, false);
    }
    cache_fill_release(fill);
    cache_fill_leave(cache, fill);
    return there;
}

static bool follow_form(struct edge_exchange *exchange, struct cache_fill *fill) {
    struct cache_thread *cache = exchange->worker->cache;
    enum cache_outcome outcome;
    struct cache_object *form = NULL;
    struct cache_failure failure;
    if (cache_fill_wait(cache, fill, CACHE_FOLLOW, NULL, SK_TIME_NEVER, &outcome, &form, &failure)) {
        cache_fill_leave(cache, fill);
        return false;
    }
    if (form) cache_object_unref(cache, form);
    return outcome == CACHE_OUTCOME_OBJECT;
}

bool edge_tier_take_form(struct edge_exchange *exchange, const struct cache_key *key) {
    struct cache_thread *cache = exchange->worker->cache;
    struct cache_fill *fill;
    struct cache_object *form;
    if (!io_fiber_self() || !cache_tier_is_open(cache_of(cache)) || !cache_tier_has(cache_of(cache), key))
        return false;
    switch (cache_fill_begin(cache, key, NULL, NULL, &fill, &form)) {
    case CACHE_LEAD: return lead_form(exchange, fill);
    case CACHE_FOLLOW: return follow_form(exchange, fill);
    case CACHE_FOUND: cache_object_unref(cache, form); return true;
    case CACHE_ALONE: break;
    }
    return false;
}

bool edge_tier_has_slice(const struct edge_exchange *exchange, const struct cache_key *slice_key) {
    struct cache *cache = cache_of(exchange->worker->cache);
    return cache_tier_is_open(cache) && cache_tier_has(cache, slice_key);
}

/* ---- the process ----------------------------------------------------------------------------------------------- */

sk_err edge_tier_secret(const struct config *config, uint8_t out_secret[SK_HASH_SECRET_BYTES],
                        uint64_t *out_tick) {
    *out_tick = 0;
    if (!config->disk.device_count) {
        sk_random_secret(out_secret, SK_HASH_SECRET_BYTES);
        return SK_OK;
    }
    return cache_tier_secret(config->disk.state.data, out_secret, out_tick);
}

sk_err edge_tier_start(struct edge_process *process, const uint8_t secret[SK_HASH_SECRET_BYTES],
                       uint64_t tick) {
    const struct config_disk *disk = &process->snapshot->config->disk;
    if (!disk->device_count) return SK_OK;
    struct disk_set_path *paths = calloc(disk->device_count, sizeof *paths);
    if (!paths) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < disk->device_count; i++)
        paths[i] = (struct disk_set_path){disk->devices[i].path.data, disk->devices[i].bytes};
    struct cache_tier_options options = {.paths = paths,
                                         .count = disk->device_count,
                                         .state = disk->state.data,
                                         .key_file = disk->key_file.len ? disk->key_file.data : NULL,
                                         .first_tick = tick,
                                         .admit = disk->admit,
                                         .write_limit = disk->write_limit};
    memcpy(options.secret, secret, SK_HASH_SECRET_BYTES);
    sk_err err = cache_tier_start(process->cache, &options);
    free(paths);
    if (err && disk->key_file.len)
        sk_log(SK_LOG_ERROR, "disk",
               "%s: %s: it must hold 32 bytes, and belong to the user that serves alone", disk->key_file.data,
               sk_err_text(err));
    if (!err) cache_tier_await(process->cache, sk_time_now() + OPEN_WAIT_MS * SK_NS_PER_MS);
    return err;
}

void edge_tier_hand_over(struct edge_process *process) {
    cache_tier_hand_over(process->cache, SAVE_MS * SK_NS_PER_MS);
}

void edge_tier_stop(struct edge_process *process) { cache_tier_stop(process->cache, SAVE_MS * SK_NS_PER_MS); }
