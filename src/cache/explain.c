#include "cache/explain.h"

#include "cache/find.h"
#include "cache/pass.h"
#include "cache/purge.h"

static void describe_entry(const struct cache_entry *entry, struct cache_explanation *explanation) {
    /* acquire: the length is seen together with the bytes */
    uint64_t body = atomic_load_explicit(&entry->object.available, memory_order_acquire);
    explanation->tags = entry->tag_count;
    explanation->memory_bytes = entry->chunk_bytes + (entry->body ? body : 0);
}

static void describe_list(const struct cache_entry *list, struct cache_explanation *explanation) {
    explanation->has_variants = true;
    explanation->vary = list->object.head;
    /* relaxed: a figure */
    explanation->variants = atomic_load_explicit(&list->variants, memory_order_relaxed);
}

sk_err cache_explain(struct cache_thread *thread, const struct cache_key *primary,
                     const struct http_request *request, struct sk_arena *arena,
                     struct cache_explanation *out_explanation) {
    struct cache *cache = thread->cache;
    struct cache_look look;
    struct cache_explanation explanation = {.purge_clock = cache_purge_clock(cache)};
    SK_ASSERT(thread->inside);
    cache_look(thread, primary, request, &look);
    explanation.key = look.key;
    explanation.key.text = sk_arena_copy(arena, look.key.text);
    explanation.coming = cache_fill_is_coming(cache, primary, &look.key);
    sk_arena_reset(&thread->scratch);
    if (!explanation.key.text.data) return SK_ERR_NO_MEMORY;
    explanation.finding = cache_finding_of(&look);
    explanation.remembered =
        cache_pass_remembered(cache->passes, look.key.hash, sk_time_now(), &explanation.remembered_reason);
    if (look.list) describe_list(look.list, &explanation);
    if (look.entry) {
        explanation.object = &look.entry->object;
        describe_entry(look.entry, &explanation);
    }
    *out_explanation = explanation;
    return SK_OK;
}
