#include "cache/find.h"

#include "cache/index.h"
#include "cache/purge_internal.h"
#include "cache/vary.h"

/* A broken one is on its way out. */
static struct cache_entry *get(struct cache *cache, const struct cache_key *key) {
    struct cache_entry *entry = cache_index_get(cache, key);
    /* relaxed: only a hint; whoever reads the body looks again */
    bool broken =
        entry && atomic_load_explicit(&entry->object.complete, memory_order_relaxed) == CACHE_BROKEN;
    return broken ? NULL : entry;
}

/* Holds what the purges say against what was found. */
static void look_at_purges(struct cache *cache, struct cache_look *look) {
    enum cache_purge_state state = cache_purge_state_of(cache, look->entry);
    if (SK_LIKELY(state == CACHE_PURGE_NONE)) return;
    look->soft_purged = state == CACHE_PURGE_SOFT;
    look->purged = state == CACHE_PURGE_HARD;
    if (look->purged) look->entry = NULL;
}

/* Follows a list to the variant. */
static void look_for_variant(struct cache_thread *thread, const struct cache_key *primary,
                             const struct http_request *request, struct cache_look *look) {
    look->list = look->entry;
    sk_err err = cache_vary_key(&thread->scratch, primary, look->list->list_number, look->list->object.head,
                                request, &look->key);
    look->entry = err ? NULL : get(thread->cache, &look->key);
}

void cache_look(struct cache_thread *thread, const struct cache_key *primary,
                const struct http_request *request, struct cache_look *out_look) {
    struct cache_entry *entry = get(thread->cache, primary);
    *out_look = (struct cache_look){.key = *primary, .entry = entry};
    if (entry && entry->object.kind == CACHE_KIND_VARIANTS)
        look_for_variant(thread, primary, request, out_look);
    if (out_look->entry) look_at_purges(thread->cache, out_look);
}

struct cache_object *cache_find(struct cache_thread *thread, const struct cache_key *key,
                                const struct http_request *request, struct cache_finding *out_finding) {
    struct cache_look look;
    SK_ASSERT(thread->inside);
    cache_look(thread, key, request, &look);
    if (look.list) {
        cache_touch(look.list);
        sk_arena_reset(&thread->scratch);
    }
    if (out_finding) *out_finding = cache_finding_of(&look);
    if (!look.entry) return NULL;
    cache_touch(look.entry);
    return &look.entry->object;
}
