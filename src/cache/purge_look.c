/* What purges have done to what is found. */
#include "base/glob.h"
#include "cache/purge_state.h"
#include "cache/vary.h"

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

uint64_t cache_tag_scope(sk_str key_text, sk_str tag) {
    return purge_scope_of_tag(parts_of(key_text).site, tag);
}

/* ---- looking ------------------------------------------------------------------------------------------------ */

struct look {
    const struct cache_purges *purges;
    uint64_t since; /* purges up to this tick are known not to matter any more */
    struct purge_times times;
};

static bool any_since(const struct look *look, enum cache_purge_kind kind) {
    return purge_load(&look->purges->last_tick[kind]) > look->since;
}

static void look_up(struct look *look, uint64_t scope) {
    purge_times_add(&look->times, purge_table_get(look->purges->table, scope));
}

/* The directories of patterns that may match a key. */
struct glob_scopes {
    uint64_t items[2 * PURGE_SEGMENTS_MAX + 1];
    size_t count;
};

static void want(struct glob_scopes *scopes, const struct look *look, uint64_t since, uint64_t scope) {
    if (purge_table_get(look->purges->glob_table, scope).hard > since) scopes->items[scopes->count++] = scope;
}

/* Those of which a pattern came since the last look and is in the ring. */
static void find_glob_scopes(struct glob_scopes *scopes, const struct look *look,
                             const struct key_parts *parts) {
    const struct cache_purges *purges = look->purges;
    uint64_t since = SK_MAX(look->since, purge_load(&purges->glob_left));
    bool any_host = purge_load(&purges->glob_any_host) > since;
    size_t path_end = sk_str_find_byte(parts->path, '?'), segments = 0;
    sk_str none = {0};
    if (purge_load(&purges->glob_any_path) > since)
        want(scopes, look, since, purge_scope_of_glob(parts->site, none, none));
    for (size_t i = 0; i < path_end && segments < PURGE_SEGMENTS_MAX; i++) {
        if (parts->path.data[i] != '/') continue;
        sk_str directory = sk_str_slice(parts->path, 0, i + 1);
        segments++;
        want(scopes, look, since, purge_scope_of_glob(parts->site, parts->host, directory));
        if (any_host) want(scopes, look, since, purge_scope_of_glob(parts->site, none, directory));
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
    uint64_t count = purge_load(&look->purges->glob_count),
             stop = count > PURGE_GLOBS ? count - PURGE_GLOBS : 0;
    for (uint64_t i = count; i > stop; i--) {
        const struct glob *glob =
            atomic_load_explicit(&look->purges->globs[(i - 1) % PURGE_GLOBS], memory_order_acquire);
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
    for (size_t i = 0; i < path_end && segments < PURGE_SEGMENTS_MAX; i++) {
        if (parts->path.data[i] != '/') continue;
        look_up(look, purge_scope_of_text(CACHE_PURGE_PREFIX,
                                          sk_str_slice(parts->primary, 0, parts->path_at + i + 1)));
        segments++;
    }
    for (size_t i = 0; i < PURGE_LENGTHS; i++) {
        uint32_t length = atomic_load_explicit(&look->purges->lengths[i], memory_order_acquire);
        if (length == 0) break;
        if (length > parts->path.len) continue;
        look_up(look, purge_scope_of_text(CACHE_PURGE_PREFIX,
                                          sk_str_slice(parts->primary, 0, parts->path_at + length)));
    }
}

/* Globs before prefixes and sites: that is where they go when there is no more room for them. */
static void look_at_key(struct look *look, sk_str key_text) {
    struct key_parts parts = parts_of(key_text);
    if (any_since(look, CACHE_PURGE_GLOB)) look_at_globs(look, &parts);
    if (any_since(look, CACHE_PURGE_KEY)) look_up(look, purge_scope_of_text(CACHE_PURGE_KEY, parts.primary));
    if (any_since(look, CACHE_PURGE_PREFIX)) look_at_prefixes(look, &parts);
    if (any_since(look, CACHE_PURGE_HOST)) {
        sk_str host = sk_str_slice(parts.primary, 0, parts.path_at - 1);
        look_up(look, purge_scope_of_text(CACHE_PURGE_HOST, host));
    }
    if (any_since(look, CACHE_PURGE_SITE)) look_up(look, purge_scope_of_text(CACHE_PURGE_SITE, parts.site));
    if (any_since(look, CACHE_PURGE_ALL)) {
        struct purge_times all = {purge_load(&look->purges->all_hard), purge_load(&look->purges->all_soft)};
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

uint64_t cache_purge_now(const struct cache *cache) { return purge_load(&cache->purges->clock); }
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

bool cache_purge_removes_site(struct cache *cache, sk_str key_text, uint64_t since) {
    struct look look = {.purges = cache->purges, .since = since};
    if (!any_since(&look, CACHE_PURGE_SITE)) return false;
    look_up(&look, purge_scope_of_text(CACHE_PURGE_SITE, parts_of(key_text).site));
    return state_after(&look.times, since) == CACHE_PURGE_HARD;
}
