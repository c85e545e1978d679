#include "cache/purge.h"

#include <stdlib.h>

#include "base/glob.h"
#include "cache/purge_state.h"
#include "cache/store.h"
#include "cache/tier_internal.h"

#define TABLE_SHARE_BYTES 128 /* of the budget, one byte in so many is for the table */
#define TABLE_MIN_BYTES (64 * 1024)
#define TABLE_MAX_BYTES (64 * 1024 * 1024)
#define GLOB_TABLE_BYTES (64 * 1024)

static const sk_str kind_names[] = {
#define X(name, text) SK_STR_INIT(text),
    CACHE_PURGE_TABLE(X)
#undef X
};

sk_str cache_purge_kind_name(enum cache_purge_kind kind) { return kind_names[kind]; }

/* ---- purging: all below with the lock held ------------------------------------------------------------------ */

struct order {
    struct cache *cache;
    struct cache_purges *purges;
    uint64_t tick;
    struct purge_times times;
};

/* The record before the kind's tick, so that who sees the tick finds the record. */
static void record(struct order *order, enum cache_purge_kind kind, uint64_t scope) {
    purge_table_put(order->purges->table, scope, order->times);
    purge_raise_to(&order->purges->last_tick[kind], order->tick);
}

/* "site|host|path" or "site|host", until the next call. */
static sk_str join(struct cache_purges *purges, sk_str site, sk_str host, const sk_str *path) {
    char *next = purges->text;
    memcpy(next, site.data, site.len);
    next += site.len;
    *next++ = '|';
    if (host.len) memcpy(next, host.data, host.len);
    next += host.len;
    if (path) {
        *next++ = '|';
        memcpy(next, path->data, path->len);
        next += path->len;
    }
    return sk_str_make(purges->text, (size_t)(next - purges->text));
}

/* How much of a path is a prefix that looks find by its segments: to its last '/', and not too deep. */
static size_t segment_bytes(sk_str path) {
    size_t segments = 0, end = 0, path_end = sk_str_find_byte(path, '?');
    for (size_t i = 0; i < path_end && segments < PURGE_SEGMENTS_MAX; i++) {
        if (path.data[i] != '/') continue;
        segments++;
        end = i + 1;
    }
    return end;
}

/* False when there is no place for another length. */
static bool know_length(struct cache_purges *purges, size_t length) {
    for (size_t i = 0; i < PURGE_LENGTHS; i++) {
        uint32_t known = atomic_load_explicit(&purges->lengths[i], memory_order_relaxed); /* only we write */
        if (known == length) return true;
        if (known) continue;
        atomic_store_explicit(&purges->lengths[i], (uint32_t)length, memory_order_release);
        return true;
    }
    return false;
}

static void record_prefix(struct order *order, sk_str site, sk_str host, sk_str path) {
    record(order, CACHE_PURGE_PREFIX,
           purge_scope_of_text(CACHE_PURGE_PREFIX, join(order->purges, site, host, &path)));
}

/* Coarser: the last whole segment before the first wildcard, or the site when that is in the host. */
static void fold_pattern(struct order *order, sk_str site, sk_str pattern) {
    sk_str literal = sk_glob_literal(pattern);
    size_t slash = sk_str_find_byte(literal, '/');
    if (slash == 0 || slash == literal.len) {
        record(order, CACHE_PURGE_SITE, purge_scope_of_text(CACHE_PURGE_SITE, site));
        return;
    }
    sk_str host = sk_str_slice(literal, 0, slash), path = sk_str_slice(literal, slash, literal.len);
    record_prefix(order, site, host, sk_str_slice(path, 0, segment_bytes(path)));
}

/* Before the pattern is in the ring. */
static uint64_t record_glob_scope(struct order *order, sk_str site, sk_str pattern) {
    sk_str literal = sk_glob_literal(pattern);
    size_t slash = sk_str_find_byte(literal, '/');
    sk_str host = sk_str_slice(literal, 0, slash), directory = sk_str_slice(literal, slash, literal.len);
    directory.len = segment_bytes(directory);
    bool any_path = slash == literal.len;
    if (any_path) host.len = directory.len = 0;
    uint64_t scope = purge_scope_of_glob(site, host, directory);
    purge_table_put(order->purges->glob_table, scope, (struct purge_times){.hard = order->tick});
    if (any_path)
        purge_raise_to(&order->purges->glob_any_path, order->tick);
    else if (host.len == 0)
        purge_raise_to(&order->purges->glob_any_host, order->tick);
    return scope;
}

static void free_glob(ck_epoch_entry_t *epoch_entry) {
    struct glob *glob = SK_CONTAINER_OF(epoch_entry, struct glob, epoch_entry);
    CACHE_ORDER_ACQUIRE(&glob->cache->epoch);
    cache_counted_free(glob->cache, glob, sizeof *glob + glob->site_bytes + glob->pattern_bytes);
}

static struct glob *make_glob(struct order *order, sk_str site, sk_str pattern) {
    struct glob *glob = cache_counted_alloc(order->cache, sizeof *glob + site.len + pattern.len);
    if (!glob) return NULL;
    glob->cache = order->cache;
    glob->tick = order->tick;
    glob->soft = order->times.hard == 0;
    glob->site_bytes = (uint16_t)site.len;
    glob->pattern_bytes = (uint16_t)pattern.len;
    memcpy(glob->text, site.data, site.len);
    memcpy(glob->text + site.len, pattern.data, pattern.len);
    return glob;
}

static void fold_glob(struct order *order, const struct glob *glob) {
    struct order old = *order;
    old.tick = glob->tick;
    old.times = (struct purge_times){glob->soft ? 0 : glob->tick, glob->soft ? glob->tick : 0};
    fold_pattern(&old, sk_str_make(glob->text, glob->site_bytes),
                 sk_str_make(glob->text + glob->site_bytes, glob->pattern_bytes));
}

static void record_glob(struct order *order, sk_str site, sk_str pattern) {
    struct cache_purges *purges = order->purges;
    struct glob *glob = make_glob(order, site, pattern);
    if (!glob) {
        fold_pattern(order, site, pattern);
        return;
    }
    uint64_t count = purge_load(&purges->glob_count);
    struct glob *old =
        atomic_load_explicit(&purges->globs[count % PURGE_GLOBS], memory_order_relaxed); /* only we write */
    if (old) {
        fold_glob(order, old);
        purge_raise_to(&purges->glob_left, old->tick);
    }
    glob->scope = record_glob_scope(order, site, pattern);
    atomic_store_explicit(&purges->globs[count % PURGE_GLOBS], glob, memory_order_release);
    atomic_store_explicit(&purges->glob_count, count + 1, memory_order_release);
    purge_raise_to(&purges->last_tick[CACHE_PURGE_GLOB], order->tick);
    if (old) cache_store_later(order->cache, &old->epoch_entry, free_glob);
}

/* A prefix that ends within a segment is found by its length, if not too many lengths are in use; else it is a
 * pattern, unless it has a wildcard's byte in it or is too long: then it counts as its beginning. */
static void order_prefix(struct order *order, const struct cache_purge *purge) {
    size_t whole = segment_bytes(purge->text);
    if (whole == purge->text.len || know_length(order->purges, purge->text.len)) {
        record_prefix(order, purge->site, purge->host, purge->text);
        return;
    }
    char pattern[CACHE_PURGE_GLOB_MAX_BYTES];
    size_t bytes = purge->host.len + purge->text.len + 1;
    bool literal = sk_glob_literal(purge->text).len == purge->text.len;
    if (!literal || bytes > sizeof pattern || purge->host.len == 0) {
        record_prefix(order, purge->site, purge->host, sk_str_slice(purge->text, 0, whole));
        return;
    }
    memcpy(pattern, purge->host.data, purge->host.len);
    memcpy(pattern + purge->host.len, purge->text.data, purge->text.len);
    pattern[bytes - 1] = '*';
    record_glob(order, purge->site, sk_str_make(pattern, bytes));
}

static void apply(struct order *order, const struct cache_purge *purge) {
    switch (purge->kind) {
    case CACHE_PURGE_KEY:
        record(order, CACHE_PURGE_KEY, purge_scope_of_text(CACHE_PURGE_KEY, purge->text));
        break;
    case CACHE_PURGE_PREFIX: order_prefix(order, purge); break;
    case CACHE_PURGE_HOST:
        record(order, CACHE_PURGE_HOST,
               purge_scope_of_text(CACHE_PURGE_HOST, join(order->purges, purge->site, purge->host, NULL)));
        break;
    case CACHE_PURGE_SITE:
        record(order, CACHE_PURGE_SITE, purge_scope_of_text(CACHE_PURGE_SITE, purge->site));
        break;
    case CACHE_PURGE_TAG: record(order, CACHE_PURGE_TAG, purge_scope_of_tag(purge->site, purge->text)); break;
    case CACHE_PURGE_GLOB: record_glob(order, purge->site, purge->text); break;
    case CACHE_PURGE_ALL:
    case CACHE_PURGE_COUNT_:
        purge_raise_to(&order->purges->all_hard, order->times.hard);
        purge_raise_to(&order->purges->all_soft, order->times.soft);
        purge_raise_to(&order->purges->last_tick[CACHE_PURGE_ALL], order->tick);
        break;
    }
}

/* ---- the door ------------------------------------------------------------------------------------------------- */

static bool has_no_bar(sk_str s) {
    return sk_str_find_byte(s, '|') == s.len && sk_str_find_byte(s, '\n') == s.len;
}

static sk_err check_parts(const struct cache_purge *purge) {
    bool site = purge->kind != CACHE_PURGE_KEY && purge->kind != CACHE_PURGE_ALL;
    if (site && (sk_str_empty(purge->site) || !has_no_bar(purge->site))) return SK_ERR_INVALID;
    if (!has_no_bar(purge->host)) return SK_ERR_INVALID;
    bool text =
        purge->kind == CACHE_PURGE_KEY || purge->kind == CACHE_PURGE_TAG || purge->kind == CACHE_PURGE_GLOB;
    if (text && sk_str_empty(purge->text)) return SK_ERR_INVALID;
    if (purge->kind == CACHE_PURGE_HOST && sk_str_empty(purge->host)) return SK_ERR_INVALID;
    if (purge->kind == CACHE_PURGE_PREFIX && !sk_str_starts_with(purge->text, SK_STR("/")))
        return SK_ERR_INVALID;
    return SK_OK;
}

static sk_err check_sizes(const struct cache_purge *purge) {
    if (purge->site.len + purge->host.len + purge->text.len + 4 > CACHE_KEY_MAX_BYTES)
        return SK_ERR_TOO_LARGE;
    if (purge->kind != CACHE_PURGE_GLOB) return SK_OK;
    bool too_large = purge->text.len > CACHE_PURGE_GLOB_MAX_BYTES ||
                     sk_glob_stars(purge->text) > CACHE_PURGE_GLOB_MAX_STARS;
    return too_large ? SK_ERR_TOO_LARGE : SK_OK;
}

static sk_err check(const struct cache_purge *purge) {
    if ((unsigned)purge->kind >= CACHE_PURGE_COUNT_) return SK_ERR_INVALID;
    sk_err err = check_parts(purge);
    return err ? err : check_sizes(purge);
}

static void apply_at(struct cache *cache, const struct cache_purge *purge, uint64_t tick) {
    struct order order = {cache, cache->purges, tick, {purge->soft ? 0 : tick, purge->soft ? tick : 0}};
    apply(&order, purge);
}

sk_err cache_purge(struct cache *cache, const struct cache_purge *purge, uint64_t *out_clock) {
    SK_CHECK_MAGIC(cache, CACHE_MAGIC);
    sk_err err = check(purge);
    if (err) return err;
    struct cache_purges *purges = cache->purges;
    pthread_mutex_lock(&purges->lock);
    uint64_t tick = purge_load(&purges->clock) + 1;
    apply_at(cache, purge, tick);
    cache_tier_purged(cache, purge, tick);
    sk_time_ns now = sk_time_now();
    purge_history_note(&purges->history, now, tick);
    if (purges->witness) purges->witness(purges->witness_arg, now);
    /* Last: a fill that begins before this still counts as older, and who sees the tick sees the purge. */
    atomic_store_explicit(&purges->clock, tick, memory_order_release);
    pthread_mutex_unlock(&purges->lock);
    if (out_clock) *out_clock = tick;
    return SK_OK;
}

void cache_purge_restore(struct cache *cache, const struct cache_purge *purge, uint64_t tick) {
    struct cache_purges *purges = cache->purges;
    if (check(purge)) return;
    pthread_mutex_lock(&purges->lock);
    apply_at(cache, purge, tick);
    purge_raise_to(&purges->clock, tick); /* last, as above */
    pthread_mutex_unlock(&purges->lock);
}

uint64_t cache_purge_step(struct cache *cache) {
    pthread_mutex_lock(&cache->purges->lock);
    uint64_t tick = purge_load(&cache->purges->clock) + 1;
    purge_raise_to(&cache->purges->clock, tick);
    pthread_mutex_unlock(&cache->purges->lock);
    return tick;
}

void cache_purge_advance(struct cache *cache, uint64_t tick) {
    pthread_mutex_lock(&cache->purges->lock);
    purge_raise_to(&cache->purges->clock, tick);
    pthread_mutex_unlock(&cache->purges->lock);
}

/* ---- life ----------------------------------------------------------------------------------------------------- */

sk_err cache_purges_create(struct cache *cache) {
    struct cache_purges *purges = cache_counted_alloc(cache, sizeof *purges);
    if (!purges) return SK_ERR_NO_MEMORY;
    cache->purges = purges;
    pthread_mutex_init(&purges->lock, NULL);
    uint64_t bytes =
        SK_MIN(SK_MAX(cache->budget_bytes / TABLE_SHARE_BYTES, TABLE_MIN_BYTES), TABLE_MAX_BYTES);
    sk_err err = purge_table_create(bytes, &purges->table);
    if (!err) err = purge_table_create(GLOB_TABLE_BYTES, &purges->glob_table);
    if (err) return err;
    atomic_fetch_add(&cache->outside_bytes,
                     purge_table_bytes(purges->table) + purge_table_bytes(purges->glob_table));
    return SK_OK;
}

void cache_purges_destroy(struct cache *cache) {
    struct cache_purges *purges = cache->purges;
    if (!purges) return;
    for (size_t i = 0; i < PURGE_GLOBS; i++) {
        struct glob *glob =
            atomic_load_explicit(&purges->globs[i], memory_order_relaxed); /* nobody else is left */
        if (glob) free_glob(&glob->epoch_entry);
    }
    if (purges->table) purge_table_destroy(purges->table);
    if (purges->glob_table) purge_table_destroy(purges->glob_table);
    pthread_mutex_destroy(&purges->lock);
    cache_counted_free(cache, purges, sizeof *purges);
}
