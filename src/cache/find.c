#include "cache/find.h"

#include "cache/index.h"
#include "cache/vary.h"

/* A broken one is on its way out. */
static struct cache_entry *get(struct cache *cache, const struct cache_key *key) {
    struct cache_entry *entry = cache_index_get(cache, key);
    /* relaxed: only a hint; whoever reads the body looks again */
    bool broken =
        entry && atomic_load_explicit(&entry->object.complete, memory_order_relaxed) == CACHE_BROKEN;
    return broken ? NULL : entry;
}

void cache_look(struct cache_thread *thread, const struct cache_key *primary,
                const struct http_request *request, struct cache_look *out_look) {
    struct cache_entry *entry = get(thread->cache, primary);
    *out_look = (struct cache_look){.key = *primary, .entry = entry};
    if (SK_LIKELY(!entry || entry->object.kind == CACHE_KIND_RESPONSE)) return;
    out_look->list = entry;
    cache_touch(entry);
    sk_err err = cache_vary_key(&thread->scratch, primary, entry->list_number, entry->object.head, request,
                                &out_look->key);
    out_look->entry = err ? NULL : get(thread->cache, &out_look->key);
}

struct cache_object *cache_find(struct cache_thread *thread, const struct cache_key *key,
                                const struct http_request *request, struct cache_finding *out_finding) {
    struct cache_look look;
    struct cache_finding finding = {0};
    SK_ASSERT(thread->inside);
    cache_look(thread, key, request, &look);
    if (look.list) sk_arena_reset(&thread->scratch);
    finding.vary_miss = look.list && !look.entry;
    if (out_finding) *out_finding = finding;
    if (!look.entry) return NULL;
    cache_touch(look.entry);
    return &look.entry->object;
}
