#include "cache/explain.h"

#include "cache/find.h"
#include "cache/pass.h"
#include "cache/purge.h"
#include "cache/tier_explain.h"

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

static sk_err look_on_disk(struct cache_thread *thread, const struct http_request *request,
                           struct sk_arena *arena, struct cache_explanation *explanation) {
    struct cache_tier_seen seen;
    sk_err err = cache_tier_see(thread, arena, &explanation->key, request, &seen);
    if (err) return err;
    if (seen.has_variants) {
        explanation->has_variants = true;
        explanation->vary = seen.vary;
        explanation->finding.vary_miss = !seen.object && !seen.purged;
        explanation->key = seen.key;
    }
    explanation->finding.purged = seen.purged;
    if (!seen.object) return SK_OK;
    explanation->finding = (struct cache_finding){.soft_purged = seen.soft_purged};
    explanation->object = seen.object;
    explanation->on_disk = true;
    explanation->tags = seen.tags;
    explanation->disk_bytes = seen.record_bytes;
    return SK_OK;
}

sk_err cache_explain(struct cache_thread *thread, const struct cache_key *primary,
                     const struct http_request *request, bool disk, struct sk_arena *arena,
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
    if (disk && !look.entry && !look.purged) {
        sk_err err = look_on_disk(thread, request, arena, &explanation);
        if (err) return err;
    }
    *out_explanation = explanation;
    return SK_OK;
}
