#include "cache/purge.h"

#include <stdlib.h>

#include "base/glob.h"
#include "cache/purge_internal.h"
#include "cache/purge_table.h"
#include "cache/store.h"
#include "cache/tier_internal.h"
#include "cache/vary.h"

#define TABLE_SHARE_BYTES 128 /* of the budget, one byte in so many is for the table */
#define TABLE_MIN_BYTES (64 * 1024)
#define TABLE_MAX_BYTES (64 * 1024 * 1024)
#define GLOBS 256 /* patterns kept as such */
#define GLOB_TABLE_BYTES (64 * 1024)
#define LENGTHS 16      /* lengths of prefixes that do not end at a '/' */
#define SEGMENTS_MAX 32 /* prefixes of so many segments are looked up; a deeper one counts as its beginning */

struct glob {
    struct cache *cache;
    uint64_t tick;
    uint64_t scope; /* of its directory */
    bool soft;
    uint16_t site_bytes, pattern_bytes;
    ck_epoch_entry_t epoch_entry;
    char text[]; /* site, pattern */
};

struct cache_purges {
    pthread_mutex_t lock; /* all changes; some hundred nanoseconds each */
    struct purge_table *table;
    /* written under the lock; readers: acquire, after `clock` */
    _Atomic uint64_t clock;                         /* raised last, when all of a purge is in place */
    _Atomic uint64_t last_tick[CACHE_PURGE_COUNT_]; /* of a kind */
    _Atomic uint64_t all_hard, all_soft;
    _Atomic uint32_t lengths[LENGTHS];   /* in use, of the path's part; 0: free */
    _Atomic(struct glob *) globs[GLOBS]; /* a ring; readers are inside sections */
    _Atomic uint64_t glob_count;         /* ever put in */
    _Atomic uint64_t glob_left;          /* tick of the last that left the ring */
    /* By the directory (glob_scope) of patterns, the last tick of one: who is in none of those need not look at any
     * pattern. A table of its own, for what it folds is no purge. */
    struct purge_table *glob_table;
    _Atomic uint64_t glob_any_host,
        glob_any_path;              /* the last tick of one without a host, or without a directory */
    char text[CACHE_KEY_MAX_BYTES]; /* under the lock: a scope's, for a moment */
};

static uint64_t load(const _Atomic uint64_t *value) {
    return atomic_load_explicit(value, memory_order_acquire);
}
static void raise_to(_Atomic uint64_t *value, uint64_t to) {
    if (load(value) < to) atomic_store_explicit(value, to, memory_order_release); /* one writer at a time */
}

static const sk_str kind_names[] = {
#define X(name, text) SK_STR_INIT(text),
    CACHE_PURGE_TABLE(X)
#undef X
};

sk_str cache_purge_kind_name(enum cache_purge_kind kind) { return kind_names[kind]; }

/* ---- scopes ----------------------------------------------------------------------------------------------- */

/* "site|host|path?query" in its parts; the path without what a variant adds. */
struct key_parts {
    sk_str primary, site, host, path;
    size_t path_at; /* in primary */
};

static struct key_parts parts_of(sk_str key_text) {
    struct key_parts parts = {.primary = cache_key_primary(key_text)};
    size_t first = sk_str_find_byte(parts.primary, '|');
    sk_str rest = sk_str_slice(parts.primary, first + 1, parts.primary.len);
    parts.site = sk_str_slice(parts.primary, 0, first);
    parts.host = sk_str_slice(rest, 0, sk_str_find_byte(rest, '|'));
    parts.path_at = SK_MIN(first + 1 + parts.host.len + 1, parts.primary.len);
    parts.path = sk_str_slice(parts.primary, parts.path_at, parts.primary.len);
    return parts;
}

/* Kinds never share a scope. */
static uint64_t scope_of(enum cache_purge_kind kind, uint64_t hash) {
    return (hash ^ (uint64_t)(kind + 1)) * UINT64_C(0x9e3779b97f4a7c15);
}
static uint64_t scope_of_text(enum cache_purge_kind kind, sk_str text) {
    return scope_of(kind, sk_hash64(text.data, text.len));
}
static uint64_t scope_of_tag(sk_str site, sk_str tag) {
    uint64_t parts[2] = {sk_hash64(site.data, site.len), sk_hash64(tag.data, tag.len)};
    return scope_of(CACHE_PURGE_TAG, sk_hash64(parts, sizeof parts));
}

uint64_t cache_tag_scope(sk_str key_text, sk_str tag) { return scope_of_tag(parts_of(key_text).site, tag); }

/* ---- looking ------------------------------------------------------------------------------------------------ */

struct look {
    const struct cache_purges *purges;
    uint64_t since; /* purges up to this tick are known not to matter any more */
    struct purge_times times;
};

static bool any_since(const struct look *look, enum cache_purge_kind kind) {
    return load(&look->purges->last_tick[kind]) > look->since;
}

static void look_up(struct look *look, uint64_t scope) {
    purge_times_add(&look->times, purge_table_get(look->purges->table, scope));
}

/* The directory of patterns that begin with it; HOST and DIRECTORY are empty where a wildcard comes before them. */
static uint64_t glob_scope(sk_str site, sk_str host, sk_str directory) {
    uint64_t parts[3] = {sk_hash64(site.data, site.len), host.len ? sk_hash64(host.data, host.len) : 0,
                         directory.len ? sk_hash64(directory.data, directory.len) : 0};
    return scope_of(CACHE_PURGE_GLOB, sk_hash64(parts, sizeof parts));
}

/* The directories of patterns that may match a key. */
struct glob_scopes {
    uint64_t items[2 * SEGMENTS_MAX + 1];
    size_t count;
};

static void want(struct glob_scopes *scopes, const struct look *look, uint64_t since, uint64_t scope) {
    if (purge_table_get(look->purges->glob_table, scope).hard > since) scopes->items[scopes->count++] = scope;
}

/* Those of which a pattern came since the last look and is in the ring. */
static void find_glob_scopes(struct glob_scopes *scopes, const struct look *look,
                             const struct key_parts *parts) {
    const struct cache_purges *purges = look->purges;
    uint64_t since = SK_MAX(look->since, load(&purges->glob_left));
    bool any_host = load(&purges->glob_any_host) > since;
    size_t path_end = sk_str_find_byte(parts->path, '?'), segments = 0;
    sk_str none = {0};
    if (load(&purges->glob_any_path) > since) want(scopes, look, since, glob_scope(parts->site, none, none));
    for (size_t i = 0; i < path_end && segments < SEGMENTS_MAX; i++) {
        if (parts->path.data[i] != '/') continue;
        sk_str directory = sk_str_slice(parts->path, 0, i + 1);
        segments++;
        want(scopes, look, since, glob_scope(parts->site, parts->host, directory));
        if (any_host) want(scopes, look, since, glob_scope(parts->site, none, directory));
    }
}

static bool is_wanted(const struct glob_scopes *scopes, uint64_t scope) {
    for (size_t i = 0; i < scopes->count; i++)
        if (scopes->items[i] == scope) return true;
    return false;
}

/* From the newest back to the last that was looked at. One that leaves the ring meanwhile is in the table
 * before it leaves, which is read after this. */
static void look_at_globs(struct look *look, const struct key_parts *parts) {
    struct glob_scopes scopes = {.count = 0};
    find_glob_scopes(&scopes, look, parts);
    if (scopes.count == 0) return;
    uint64_t count = load(&look->purges->glob_count), stop = count > GLOBS ? count - GLOBS : 0;
    for (uint64_t i = count; i > stop; i--) {
        const struct glob *glob =
            atomic_load_explicit(&look->purges->globs[(i - 1) % GLOBS], memory_order_acquire);
        if (!glob || glob->tick <= look->since) return;
        if (!is_wanted(&scopes, glob->scope)) continue;
        sk_str site = {glob->text, glob->site_bytes},
               pattern = {glob->text + glob->site_bytes, glob->pattern_bytes};
        if (!sk_str_eq(site, parts->site)) continue;
        sk_str host = pattern.data[0] == '/' ? (sk_str){"", 0} : parts->host;
        if (!sk_glob_match(pattern, host, parts->path)) continue;
        purge_times_add(&look->times,
                        (struct purge_times){glob->soft ? 0 : glob->tick, glob->soft ? glob->tick : 0});
    }
}

static void look_at_prefixes(struct look *look, const struct key_parts *parts) {
    size_t path_end = sk_str_find_byte(parts->path, '?'), segments = 0;
    for (size_t i = 0; i < path_end && segments < SEGMENTS_MAX; i++) {
        if (parts->path.data[i] != '/') continue;
        look_up(look,
                scope_of_text(CACHE_PURGE_PREFIX, sk_str_slice(parts->primary, 0, parts->path_at + i + 1)));
        segments++;
    }
    for (size_t i = 0; i < LENGTHS; i++) {
        uint32_t length = atomic_load_explicit(&look->purges->lengths[i], memory_order_acquire);
        if (length == 0) break;
        if (length > parts->path.len) continue;
        look_up(look,
                scope_of_text(CACHE_PURGE_PREFIX, sk_str_slice(parts->primary, 0, parts->path_at + length)));
    }
}

/* Globs before prefixes and sites: that is where they go when there is no more room for them. */
static void look_at_key(struct look *look, sk_str key_text) {
    struct key_parts parts = parts_of(key_text);
    if (any_since(look, CACHE_PURGE_GLOB)) look_at_globs(look, &parts);
    if (any_since(look, CACHE_PURGE_KEY)) look_up(look, scope_of_text(CACHE_PURGE_KEY, parts.primary));
    if (any_since(look, CACHE_PURGE_PREFIX)) look_at_prefixes(look, &parts);
    if (any_since(look, CACHE_PURGE_HOST)) {
        sk_str host = sk_str_slice(parts.primary, 0, parts.path_at - 1);
        look_up(look, scope_of_text(CACHE_PURGE_HOST, host));
    }
    if (any_since(look, CACHE_PURGE_SITE)) look_up(look, scope_of_text(CACHE_PURGE_SITE, parts.site));
    if (any_since(look, CACHE_PURGE_ALL)) {
        struct purge_times all = {load(&look->purges->all_hard), load(&look->purges->all_soft)};
        purge_times_add(&look->times, all);
    }
}

static void look_at_tags(struct look *look, const uint64_t *tags, uint32_t count) {
    if (!any_since(look, CACHE_PURGE_TAG)) return;
    for (uint32_t i = 0; i < count; i++) look_up(look, tags[i]);
}

static enum cache_purge_state state_after(const struct purge_times *times, uint64_t born) {
    if (times->hard > born) return CACHE_PURGE_HARD;
    return times->soft > born ? CACHE_PURGE_SOFT : CACHE_PURGE_NONE;
}

uint64_t cache_purge_now(const struct cache *cache) { return load(&cache->purges->clock); }
uint64_t cache_purge_clock(const struct cache *cache) { return cache_purge_now(cache); }

enum cache_purge_state cache_purge_look(struct cache *cache, struct cache_entry *entry, uint64_t now) {
    /* relaxed: whole in itself, and a look twice does no harm */
    uint64_t verified = atomic_load_explicit(&entry->object.verified, memory_order_relaxed);
    enum cache_purge_state before = (enum cache_purge_state)SK_MIN(verified & 3, (uint64_t)CACHE_PURGE_HARD);
    struct look look = {.purges = cache->purges, .since = verified >> 2};
    if (before != CACHE_PURGE_HARD) {
        look_at_key(&look, entry->object.key.text);
        look_at_tags(&look, entry->tags, entry->tag_count);
    }
    enum cache_purge_state since = state_after(&look.times, entry->object.born);
    enum cache_purge_state state = before > since ? before : since;
    /* A slice is what its head says, and that one is asked about; a hard purge hits both. */
    if (entry->object.part == CACHE_PART_SLICE && state == CACHE_PURGE_SOFT) state = CACHE_PURGE_NONE;
    atomic_store_explicit(&entry->object.verified, cache_verified_make(now, state), memory_order_relaxed);
    return state;
}

enum cache_purge_state cache_purge_state_of_stored(struct cache *cache,
                                                   const struct cache_purge_subject *subject) {
    struct look look = {.purges = cache->purges, .since = subject->born};
    look_at_key(&look, subject->key);
    look_at_tags(&look, subject->tags, subject->tag_count);
    enum cache_purge_state state = state_after(&look.times, subject->born);
    return subject->slice && state == CACHE_PURGE_SOFT ? CACHE_PURGE_NONE : state;
}

bool cache_purge_covers_key(struct cache *cache, sk_str key_text, uint64_t born) {
    struct look look = {.purges = cache->purges, .since = born};
    if (cache_purge_now(cache) == born) return false;
    look_at_key(&look, key_text);
    return state_after(&look.times, born) != CACHE_PURGE_NONE;
}

bool cache_purge_removes_key(struct cache *cache, sk_str key_text, uint64_t since) {
    struct look look = {.purges = cache->purges, .since = since};
    if (cache_purge_now(cache) == since) return false;
    look_at_key(&look, key_text);
    return state_after(&look.times, since) == CACHE_PURGE_HARD;
}

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
    raise_to(&order->purges->last_tick[kind], order->tick);
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
    for (size_t i = 0; i < path_end && segments < SEGMENTS_MAX; i++) {
        if (path.data[i] != '/') continue;
        segments++;
        end = i + 1;
    }
    return end;
}

/* False when there is no place for another length. */
static bool know_length(struct cache_purges *purges, size_t length) {
    for (size_t i = 0; i < LENGTHS; i++) {
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
           scope_of_text(CACHE_PURGE_PREFIX, join(order->purges, site, host, &path)));
}

/* Coarser: the last whole segment before the first wildcard, or the site when that is in the host. */
static void fold_pattern(struct order *order, sk_str site, sk_str pattern) {
    sk_str literal = sk_glob_literal(pattern);
    size_t slash = sk_str_find_byte(literal, '/');
    if (slash == 0 || slash == literal.len) {
        record(order, CACHE_PURGE_SITE, scope_of_text(CACHE_PURGE_SITE, site));
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
    uint64_t scope = glob_scope(site, host, directory);
    purge_table_put(order->purges->glob_table, scope, (struct purge_times){.hard = order->tick});
    if (any_path)
        raise_to(&order->purges->glob_any_path, order->tick);
    else if (host.len == 0)
        raise_to(&order->purges->glob_any_host, order->tick);
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
    uint64_t count = load(&purges->glob_count);
    struct glob *old =
        atomic_load_explicit(&purges->globs[count % GLOBS], memory_order_relaxed); /* only we write */
    if (old) {
        fold_glob(order, old);
        raise_to(&purges->glob_left, old->tick);
    }
    glob->scope = record_glob_scope(order, site, pattern);
    atomic_store_explicit(&purges->globs[count % GLOBS], glob, memory_order_release);
    atomic_store_explicit(&purges->glob_count, count + 1, memory_order_release);
    raise_to(&purges->last_tick[CACHE_PURGE_GLOB], order->tick);
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
    case CACHE_PURGE_KEY: record(order, CACHE_PURGE_KEY, scope_of_text(CACHE_PURGE_KEY, purge->text)); break;
    case CACHE_PURGE_PREFIX: order_prefix(order, purge); break;
    case CACHE_PURGE_HOST:
        record(order, CACHE_PURGE_HOST,
               scope_of_text(CACHE_PURGE_HOST, join(order->purges, purge->site, purge->host, NULL)));
        break;
    case CACHE_PURGE_SITE:
        record(order, CACHE_PURGE_SITE, scope_of_text(CACHE_PURGE_SITE, purge->site));
        break;
    case CACHE_PURGE_TAG: record(order, CACHE_PURGE_TAG, scope_of_tag(purge->site, purge->text)); break;
    case CACHE_PURGE_GLOB: record_glob(order, purge->site, purge->text); break;
    case CACHE_PURGE_ALL:
    case CACHE_PURGE_COUNT_:
        raise_to(&order->purges->all_hard, order->times.hard);
        raise_to(&order->purges->all_soft, order->times.soft);
        raise_to(&order->purges->last_tick[CACHE_PURGE_ALL], order->tick);
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
    uint64_t tick = load(&purges->clock) + 1;
    apply_at(cache, purge, tick);
    cache_tier_purged(cache, purge, tick);
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
    raise_to(&purges->clock, tick); /* last, as above */
    pthread_mutex_unlock(&purges->lock);
}

void cache_purge_advance(struct cache *cache, uint64_t tick) {
    pthread_mutex_lock(&cache->purges->lock);
    raise_to(&cache->purges->clock, tick);
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
    for (size_t i = 0; i < GLOBS; i++) {
        struct glob *glob =
            atomic_load_explicit(&purges->globs[i], memory_order_relaxed); /* nobody else is left */
        if (glob) free_glob(&glob->epoch_entry);
    }
    if (purges->table) purge_table_destroy(purges->table);
    if (purges->glob_table) purge_table_destroy(purges->glob_table);
    pthread_mutex_destroy(&purges->lock);
    cache_counted_free(cache, purges, sizeof *purges);
}
