/* When purges came: what was fetched elsewhere at a known time is held against those since. */
#include "cache/purge_state.h"

/* Under the lock. What is left out makes looks go further back, which finds too much and never too little: so when there
 * is no room, every second one goes. */
void purge_history_note(struct purge_history *history, sk_time_ns now, uint64_t tick) {
    if (history->count == PURGE_HISTORY) {
        for (uint32_t i = 0; i < PURGE_HISTORY / 2; i++) history->items[i] = history->items[2 * i];
        history->count = PURGE_HISTORY / 2;
    }
    history->items[history->count++] = (struct purge_moment){now, tick};
}

uint64_t purge_history_at(const struct purge_history *history, sk_time_ns time) {
    uint32_t low = 0, high = history->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (history->items[middle].at <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? history->items[low - 1].tick : history->base;
}

uint64_t cache_purge_tick_at(struct cache *cache, sk_time_ns time) {
    struct cache_purges *purges = cache->purges;
    pthread_mutex_lock(&purges->lock);
    uint64_t tick = purge_history_at(&purges->history, time);
    pthread_mutex_unlock(&purges->lock);
    return tick;
}

void cache_purge_witness(struct cache *cache, void (*witness)(void *arg, sk_time_ns at), void *arg) {
    struct cache_purges *purges = cache->purges;
    pthread_mutex_lock(&purges->lock);
    purges->witness = witness;
    purges->witness_arg = arg;
    pthread_mutex_unlock(&purges->lock);
}

void cache_purge_forget_history(struct cache *cache) {
    struct cache_purges *purges = cache->purges;
    pthread_mutex_lock(&purges->lock);
    purges->history.count = 0;
    purges->history.base = purge_load(&purges->clock);
    pthread_mutex_unlock(&purges->lock);
}

enum cache_purge_effect cache_purge_effect_since(struct cache_thread *thread, sk_str key_text,
                                                 const uint64_t *tags, uint32_t tag_count, uint64_t tick) {
    const struct cache_purge_subject subject = {
        .key = key_text, .tags = tags, .tag_count = tag_count, .born = tick};
    cache_section_begin(thread);
    enum cache_purge_state state = cache_purge_state_of_stored(thread->cache, &subject);
    cache_section_end(thread);
    return state == CACHE_PURGE_HARD   ? CACHE_PURGE_REMOVES
           : state == CACHE_PURGE_SOFT ? CACHE_PURGE_STALES
                                       : CACHE_PURGE_SPARES;
}

uint32_t cache_object_tags(const struct cache_object *object, const uint64_t **out_tags) {
    const struct cache_entry *entry = cache_entry_of(object);
    *out_tags = entry->tags;
    return entry->tag_count;
}
