#include "cache/sweep.h"

#include "cache/entry.h"
#include "cache/index.h"
#include "cache/purge_internal.h"
#include "cache/store.h"

#define STEP_ENTRIES 128
#define STEP_SLABS 4 /* of 256 KiB or so */

/* A list goes when nothing was stored in it since the purge; its responses are found by it alone. */
static bool is_gone(struct cache *cache, struct cache_entry *entry) {
    if (entry->object.kind == CACHE_KIND_RESPONSE)
        return cache_purge_state_of(cache, entry) == CACHE_PURGE_HARD;
    /* relaxed: looked at again under the stripe's lock */
    uint64_t since = atomic_load_explicit(&entry->object.verified, memory_order_relaxed) >> 2;
    return cache_purge_removes_key(cache, entry->object.key.text, since);
}

/* Nothing is stored in a list between the look and its removal. */
static bool remove_list(struct cache *cache, struct cache_entry *list) {
    struct cache_stripe *stripe = &cache->stripes[cache_shard_of(cache, list->object.key.hash)];
    pthread_mutex_lock(&stripe->lock);
    bool removed = is_gone(cache, list) && cache_index_remove(cache, list);
    pthread_mutex_unlock(&stripe->lock);
    return removed;
}

static void take_out(struct cache_thread *thread, struct cache_sweep *sweep, struct cache_entry *entry) {
    struct cache *cache = thread->cache;
    uint64_t bytes = entry->policy.bytes;
    bool removed;
    if (entry->object.kind == CACHE_KIND_RESPONSE) {
        removed = cache_index_remove(cache, entry);
    } else {
        cache_section_begin(thread);
        removed = remove_list(cache, entry);
        cache_section_end(thread);
    }
    if (removed) {
        sweep->objects++;
        sweep->bytes += bytes;
    }
    cache_entry_unref(cache, entry);
}

/* False at the end of the index. */
static bool walk_on(struct cache_thread *thread, struct cache_sweep *sweep) {
    struct cache_walk walk = {sweep->shard, sweep->place, sweep->table};
    struct cache_entry *entries[STEP_ENTRIES];
    uint32_t gone = 0;
    cache_section_begin(thread);
    uint32_t count = cache_index_walk(thread->cache, &walk, entries, STEP_ENTRIES);
    for (uint32_t i = 0; i < count; i++) {
        if (!is_gone(thread->cache, entries[i])) continue;
        cache_entry_ref(entries[i]);
        entries[gone++] = entries[i];
    }
    cache_section_end(thread);
    for (uint32_t i = 0; i < gone; i++) take_out(thread, sweep, entries[i]);
    sweep->shard = walk.shard;
    sweep->place = walk.place;
    sweep->table = walk.table;
    return count > 0;
}

bool cache_sweep_step(struct cache_thread *thread, struct cache_sweep *sweep) {
    if (!sweep->walking && !sweep->emptying) {
        sweep->target = cache_purge_now(thread->cache);
        if (sweep->target == sweep->done) return false;
        sweep->walking = true;
        sweep->shard = 0;
        sweep->place = 0;
        sweep->table = NULL;
    }
    if (sweep->walking) {
        sweep->walking = walk_on(thread, sweep);
        sweep->emptying = !sweep->walking;
    } else if (cache_store_give_back(thread->cache, STEP_SLABS) == 0) {
        sweep->emptying = false;
        sweep->done = sweep->target;
        sweep->rounds++;
    }
    return true;
}
