#include "cache/sweep.h"

#include "cache/entry.h"
#include "cache/index.h"
#include "cache/purge_internal.h"
#include "cache/store.h"

#define STEP_ENTRIES 32
#define STEP_SLABS 1 /* of 256 KiB or so */

#define RICH 16 /* one entry in so many is worth it */
#define TURN_IDLE_NS SK_NS_PER_MS
#define TURN_BUSY_NS (200 * SK_NS_PER_US)
#define TURN_POOR_NS (60 * SK_NS_PER_US) /* what a hit that shares the core may have to wait for */
#define REST_NS SK_NS_PER_MS
/* Of all moments, fewer than one in a hundred by far: a walk that finds little is not seen in the 99th percentile. */
#define REST_MOST_NS (400 * TURN_POOR_NS)

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
        sweep->bytes += cache_store_bytes_of(cache, entry);
    }
    cache_entry_unref(cache, entry);
}

static void walk_on(struct cache_thread *thread, struct cache_sweep *sweep) {
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
    sweep->looked += count;
    sweep->shards_left -= walk.shard != sweep->shard || (count == 0 && thread->cache->shard_count == 1);
    sweep->shard = walk.shard;
    sweep->place = walk.place;
    sweep->table = walk.table;
}

/* Once round from here; what was passed of this shard comes again at the end. */
static void begin_round(struct cache_thread *thread, struct cache_sweep *sweep) {
    sweep->phase = CACHE_SWEEP_WALKS;
    sweep->shards_left = thread->cache->shard_count + (sweep->place > 0);
    sweep->objects_then = sweep->objects;
}

static void walk(struct cache_thread *thread, struct cache_sweep *sweep) {
    walk_on(thread, sweep);
    if (sweep->shards_left > 0) return;
    if (sweep->objects > sweep->objects_then)
        begin_round(thread, sweep);
    else
        sweep->phase = CACHE_SWEEP_EMPTIES;
}

static void empty(struct cache_thread *thread, struct cache_sweep *sweep) {
    uint32_t given = cache_store_give_back(thread->cache, STEP_SLABS);
    sweep->slabs += given;
    if (given > 0) return;
    sweep->phase = CACHE_SWEEP_RESTS;
    sweep->done = sweep->target;
    sweep->rounds++;
}

bool cache_sweep_step(struct cache_thread *thread, struct cache_sweep *sweep) {
    uint64_t now = cache_purge_now(thread->cache);
    if (now != sweep->target) {
        sweep->target = now;
        begin_round(thread, sweep);
    }
    switch (sweep->phase) {
    case CACHE_SWEEP_RESTS: return false;
    case CACHE_SWEEP_WALKS: walk(thread, sweep); return true;
    case CACHE_SWEEP_EMPTIES: empty(thread, sweep); return true;
    }
    return false;
}

struct cache_sweep_pace cache_sweep_next(const struct cache_sweep *before, const struct cache_sweep *after,
                                         struct cache_sweep_pace last, bool busy) {
    uint64_t looked = after->looked - before->looked;
    uint64_t found = after->objects - before->objects + after->slabs - before->slabs;
    if (found > 0 && found * RICH >= looked)
        return (struct cache_sweep_pace){REST_NS, busy ? TURN_BUSY_NS : TURN_IDLE_NS};
    sk_time_ns rest = last.turn_ns == TURN_POOR_NS ? last.rest_ns * 2 : REST_NS;
    return (struct cache_sweep_pace){SK_MIN(rest, REST_MOST_NS), TURN_POOR_NS};
}
