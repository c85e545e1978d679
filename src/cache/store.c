#include "cache/store.h"

#include <sched.h>
#include <stdlib.h>

#include "cache/body.h"
#include "cache/index.h"
#include "cache/tier_internal.h"

#define EVICT_SKIP_MAX 64       /* entries in use that one look for victims passes over */
#define RESERVE_PART 512        /* of the budget */
#define LIMBO_BYTES (64 * 1024) /* so much retired is worth a look whether it can be freed */
#define LIMBO_PARTS 64          /* or so many fills and tables */
#define EVICT_BATCH_BYTES 16384
#define COPY_AT_ONCE_BYTES (64 * 1024)  /* to the SSD tier, before others of the thread get their turn */
#define A_HIT_BYTES (UINT64_C(1) << 30) /* what one is worth, when room is made; more than any slab has */
#define POLLS 8                         /* looks for the end of all sections before sleeping */
#define PAUSES_MAX 40                   /* milliseconds that an allocation sleeps at most */
#define ROUNDS_MAX 256                  /* evictions and pauses of one allocation */

/* An owner is an entry, or a body (lowest bit set) whose holder is meant. */
static void *owner_of_body(struct cache_body *body) { return body ? (void *)((uintptr_t)body | 1) : NULL; }

static struct cache_entry *entry_of_owner(void *owner) {
    if ((uintptr_t)owner & 1)
        return cache_body_holder((struct cache_body *)((uintptr_t)owner & ~(uintptr_t)1));
    return owner;
}

/* Nobody but the index holds it. Under the store's lock, so it cannot be forgotten meanwhile; a reference
 * taken right after the look only makes the eviction come to nothing for the moment. */
static bool evictable(const struct cache_entry *entry) {
    return entry->in_policy && atomic_load_explicit(&entry->refs, memory_order_relaxed) == 1;
}

/* All of an object goes when one of its chunks must. What that costs is the hits that are lost, whatever it occupies: a
 * slab that a few small objects have for themselves is nearly empty, and they may be what all ask for. But what was asked
 * for once or twice counts by its bytes alone: else a thousand small objects that nobody asks for any more would keep
 * their slab from the few large ones that come instead. */
static uint64_t cost_of_owner(void *store, void *owner) {
    const struct cache_policy_ops *ops = ((struct cache_store *)store)->ops;
    struct cache_entry *entry = entry_of_owner(owner);
    if (!entry || !evictable(entry)) return UINT64_MAX;
    uint64_t accesses = ops->accesses(&entry->policy), often = accesses > 2 ? accesses - 2 : 0;
    return often * A_HIT_BYTES + entry->policy.bytes;
}

/* ---- counted memory --------------------------------------------------------------------------------- */

void *cache_counted_alloc(struct cache *cache, size_t bytes) {
    void *memory = calloc(1, bytes);
    /* relaxed here and below: a sum, orders nothing */
    if (memory) atomic_fetch_add_explicit(&cache->outside_bytes, bytes, memory_order_relaxed);
    return memory;
}

void cache_counted_free(struct cache *cache, void *memory, size_t bytes) {
    if (!memory) return;
    atomic_fetch_sub_explicit(&cache->outside_bytes, bytes, memory_order_relaxed);
    free(memory);
}

/* Under the lock: what is outside of the slab is taken off its limit, and a little more for what is allocated there
 * until somebody looks again. */
static void follow_outside(struct cache *cache) {
    uint64_t outside = atomic_load_explicit(&cache->outside_bytes, memory_order_relaxed);
    outside += cache->budget_bytes / RESERVE_PART;
    outside += cache->store.ops->overhead_bytes(cache->store.policy);
    cache_slab_set_limit(cache->store.slab,
                         cache->budget_bytes > outside ? cache->budget_bytes - outside : 0);
    cache_slab_trim(cache->store.slab);
}

/* ---- reclaiming ------------------------------------------------------------------------------------- */

/* Whose epoch is being polled by this thread: the callbacks are not told. */
static thread_local struct cache *polled;

/* Under the lock. Also frees fills, tables and single chunks that were handed to cache_store_later. */
static void reclaim(struct cache *cache) {
    polled = cache;
    cache->store.limbo_parts = 0;
    (void)ck_epoch_poll(cache->store.reclaim);
}

void cache_store_later(struct cache *cache, ck_epoch_entry_t *epoch_entry, ck_epoch_cb_t *function) {
    pthread_mutex_lock(&cache->store.lock);
    ck_epoch_call(cache->store.reclaim, epoch_entry, function);
    if (++cache->store.limbo_parts > LIMBO_PARTS) reclaim(cache);
    pthread_mutex_unlock(&cache->store.lock);
}

/* Somebody inside a section may have taken a reference after the last had gone: then the entry waits for
 * that one's end. */
static bool still_unreferenced(struct cache_entry *entry) {
    uint32_t refs = atomic_load_explicit(&entry->refs, memory_order_acquire), next;
    do next = refs == CACHE_REFS_RETIRED ? refs : refs & ~CACHE_REFS_RETIRED;
    /* acquire: what others did with it lies before freeing it; release: for the next to retire it */
    while (!atomic_compare_exchange_weak_explicit(&entry->refs, &refs, next, memory_order_acq_rel,
                                                  memory_order_acquire));
    return next == CACHE_REFS_RETIRED;
}

static void reclaim_entry(ck_epoch_entry_t *epoch_entry) {
    struct cache_entry *entry = SK_CONTAINER_OF(epoch_entry, struct cache_entry, epoch_entry);
    CACHE_ORDER_ACQUIRE(&polled->epoch);
    polled->store.limbo_bytes -= entry->policy.bytes;
    if (!still_unreferenced(entry)) return;
    SK_ASSERT(atomic_load_explicit(&entry->fill, memory_order_relaxed) == NULL);
    if (entry->body) cache_body_unref(polled, entry->body);
    entry->object.magic = 0;
    cache_slab_free(polled->store.slab, entry, false);
}

void cache_entry_unref(struct cache *cache, struct cache_entry *entry) {
    uint32_t refs = atomic_load_explicit(&entry->refs, memory_order_relaxed), next;
    do next = refs == 1 ? CACHE_REFS_RETIRED : refs - 1;
    /* release: what we did with it; acquire: what the others did, for the one that retires it */
    while (!atomic_compare_exchange_weak_explicit(&entry->refs, &refs, next, memory_order_acq_rel,
                                                  memory_order_relaxed));
    SK_ASSERT((refs & ~CACHE_REFS_RETIRED) != 0);
    if (next != CACHE_REFS_RETIRED || refs != 1) return;
    pthread_mutex_lock(&cache->store.lock);
    cache->store.limbo_bytes += entry->policy.bytes;
    ck_epoch_call(cache->store.reclaim, &entry->epoch_entry, reclaim_entry);
    if (cache->store.limbo_bytes > LIMBO_BYTES) reclaim(cache);
    pthread_mutex_unlock(&cache->store.lock);
}

static void pause_for_others(void) {
    if (!io_fiber_self() || io_fiber_sleep_until(sk_time_now() + SK_NS_PER_MS)) sched_yield();
}

struct grace {
    bool over; /* under the store's lock */
    ck_epoch_entry_t epoch_entry;
};

static void end_grace(ck_epoch_entry_t *epoch_entry) {
    CACHE_ORDER_ACQUIRE(&polled->epoch);
    SK_CONTAINER_OF(epoch_entry, struct grace, epoch_entry)->over = true;
}

void cache_store_outwait_sections(struct cache *cache) {
    struct grace grace = {0};
    bool over = false;
    cache_store_later(cache, &grace.epoch_entry, end_grace);
    while (!over) {
        pthread_mutex_lock(&cache->store.lock);
        for (int i = 0; i < POLLS && !grace.over; i++) reclaim(cache);
        over = grace.over;
        pthread_mutex_unlock(&cache->store.lock);
        if (!over) pause_for_others();
    }
}

uint32_t cache_store_give_back(struct cache *cache, uint32_t slabs) {
    pthread_mutex_lock(&cache->store.lock);
    reclaim(cache);
    uint32_t given = cache_slab_give_back(cache->store.slab, slabs);
    pthread_mutex_unlock(&cache->store.lock);
    return given;
}

void cache_store_own(struct cache *cache, void *chunk, struct cache_body *body) {
    pthread_mutex_lock(&cache->store.lock);
    cache_slab_set_owner(cache->store.slab, chunk, owner_of_body(body));
    pthread_mutex_unlock(&cache->store.lock);
}

void cache_store_renew(struct cache *cache, void *chunk) {
    pthread_mutex_lock(&cache->store.lock);
    cache_slab_renew(cache->store.slab, chunk);
    pthread_mutex_unlock(&cache->store.lock);
}

void cache_store_free(struct cache *cache, void *chunk, bool sent) {
    pthread_mutex_lock(&cache->store.lock);
    cache_slab_free(cache->store.slab, chunk, sent);
    pthread_mutex_unlock(&cache->store.lock);
}

/* ---- in and out of the policy ------------------------------------------------------------------------ */

/* Under the lock. */
static bool has_room_for(const struct cache *cache, const struct cache_entry *entry) {
    uint64_t share = cache->budget_bytes / CACHE_GUEST_SHARE;
    return !entry->guest || cache->store.guest_bytes + entry->policy.bytes <= share;
}

/* Under the lock. */
static void enter_policy(struct cache_store *store, struct cache_entry *entry) {
    cache_slab_set_owner(store->slab, entry, entry);
    if (entry->body) cache_body_set_holder(entry->body, entry);
    entry->in_policy = true;
    if (entry->guest) store->guest_bytes += entry->policy.bytes;
    store->ops->insert(store->policy, &entry->policy);
}

/* Under the lock; the policy has let it go. */
static void left_policy(struct cache_store *store, struct cache_entry *entry) {
    entry->in_policy = false;
    if (entry->guest) store->guest_bytes -= entry->policy.bytes;
}

bool cache_store_admit(struct cache *cache, struct cache_entry *entry) {
    struct cache_store *store = &cache->store;
    pthread_mutex_lock(&store->lock);
    entry->policy.bytes = cache_chunk_bytes(entry->chunk_bytes);
    if (entry->body) entry->policy.bytes += cache_body_bytes(entry->body);
    bool room = has_room_for(cache, entry);
    if (room && !entry->removed) enter_policy(store, entry);
    pthread_mutex_unlock(&store->lock);
    return room;
}

uint64_t cache_store_bytes_of(struct cache *cache, const struct cache_entry *entry) {
    pthread_mutex_lock(&cache->store.lock); /* it may be admitted right now */
    uint64_t bytes = entry->policy.bytes;
    pthread_mutex_unlock(&cache->store.lock);
    return bytes;
}

void cache_store_never_indexed(struct cache *cache, struct cache_entry *entry) {
    pthread_mutex_lock(&cache->store.lock);
    entry->removed = true;
    pthread_mutex_unlock(&cache->store.lock);
}

void cache_store_forget(struct cache *cache, struct cache_entry *entry) {
    struct cache_store *store = &cache->store;
    pthread_mutex_lock(&store->lock);
    entry->removed = true;
    if (entry->in_policy) {
        store->ops->remove(store->policy, &entry->policy);
        left_policy(store, entry);
    }
    if (entry->body && cache_body_holder(entry->body) == entry) cache_body_set_holder(entry->body, NULL);
    pthread_mutex_unlock(&store->lock);
    cache_entry_unref(cache, entry);
}

/* ---- making room ------------------------------------------------------------------------------------- */

/* Taken out of the policy and kept by a reference until evict_all has it; linked through its policy entry. */
static uint64_t add_victim(struct cache_store *store, struct cache_entry *entry, struct sk_list *victims) {
    left_policy(store, entry);
    atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed); /* the index still has its own */
    sk_list_push_back(victims, &entry->policy.link);
    return entry->policy.bytes;
}

/* Those in use go back in: evicting them would free nothing now, and somebody evidently wants them. */
static uint64_t victims_by_policy(struct cache_store *store, uint64_t wanted_bytes, struct sk_list *victims) {
    struct sk_list in_use;
    uint64_t bytes = 0;
    sk_list_init(&in_use);
    for (size_t skipped = 0; bytes < wanted_bytes && skipped < EVICT_SKIP_MAX;) {
        struct cache_policy_entry *chosen = store->ops->evict(store->policy);
        if (!chosen) break;
        struct cache_entry *entry = SK_CONTAINER_OF(chosen, struct cache_entry, policy);
        if (evictable(entry)) {
            bytes += add_victim(store, entry, victims);
        } else {
            sk_list_push_back(&in_use, &chosen->link);
            skipped++;
        }
    }
    for (struct sk_list *link; (link = sk_list_pop_front(&in_use));)
        store->ops->insert(store->policy, SK_CONTAINER_OF(link, struct cache_policy_entry, link));
    return bytes;
}

/* All that is left in the emptiest slab, so that any class can have it. */
static uint64_t victims_of_a_slab(struct cache_store *store, struct sk_list *victims) {
    uint32_t index, cursor = 0;
    uint64_t bytes = 0;
    if (!cache_slab_drain(store->slab, cost_of_owner, store, &index)) return 0;
    for (void *owner; (owner = cache_slab_next_owner(store->slab, index, &cursor));) {
        struct cache_entry *entry = entry_of_owner(owner);
        if (!entry || !evictable(entry)) continue; /* chosen already, for another of its chunks */
        store->ops->remove(store->policy, &entry->policy);
        bytes += add_victim(store, entry, victims);
    }
    return bytes;
}

/* By the policy, until a slab's worth has gone and still no chunk of the right size came free. Under the
 * lock; returns the bytes that will come free. */
static uint64_t choose_victims(struct cache_store *store, size_t bytes, uint64_t evicted,
                               struct sk_list *victims) {
    bool over = cache_slab_resident_bytes(store->slab) > cache_slab_limit_bytes(store->slab);
    uint64_t chosen = 0;
    if (over || evicted >= cache_slab_bytes(store->slab)) chosen = victims_of_a_slab(store, victims);
    if (!chosen) chosen = victims_by_policy(store, SK_MAX(bytes, EVICT_BATCH_BYTES), victims);
    if (!chosen) chosen = victims_of_a_slab(store, victims);
    return chosen;
}

/* A slab's worth of victims takes a millisecond to copy; a hit does not wait for that. */
static void evict_all(struct cache *cache, struct sk_list *victims) {
    uint64_t objects = 0, bytes = 0, copied = 0;
    for (struct sk_list *link; (link = sk_list_pop_front(victims));) {
        struct cache_entry *entry = SK_CONTAINER_OF(link, struct cache_entry, policy.link);
        objects++;
        bytes += entry->policy.bytes;
        copied +=
            cache_tier_evicted(cache, entry); /* before: there is no moment at which neither tier has it */
        if (!cache_index_remove(cache, entry)) cache_tier_overtaken(cache, &entry->object.key);
        cache_entry_unref(cache, entry);
        if (copied < COPY_AT_ONCE_BYTES || !io_fiber_self()) continue;
        copied = 0;
        io_fiber_yield();
    }
    pthread_mutex_lock(&cache->store.lock);
    cache->store.evicted_objects += objects;
    cache->store.evicted_bytes += bytes;
    pthread_mutex_unlock(&cache->store.lock);
}

/* ---- allocation -------------------------------------------------------------------------------------- */

/* Sections last a microsecond, unless the system took the processor from somebody inside of one. */
static void reclaim_patiently(struct cache *cache) {
    for (int i = 0; i < POLLS && cache->store.limbo_bytes > 0; i++) {
        reclaim(cache);
        ck_pr_stall();
    }
}

/* One try; on failure *victims may be filled. *evicted counts over all tries. */
static void *try_alloc(struct cache *cache, size_t bytes, void *owner, uint64_t *evicted,
                       struct sk_list *victims) {
    struct cache_store *store = &cache->store;
    pthread_mutex_lock(&store->lock);
    follow_outside(cache);
    bool over = cache_slab_resident_bytes(store->slab) > cache_slab_limit_bytes(store->slab);
    void *chunk = cache_slab_alloc(store->slab, bytes, owner);
    if (!chunk && store->limbo_bytes > 0) {
        reclaim_patiently(cache);
        chunk = cache_slab_alloc(store->slab, bytes, owner);
    }
    /* With much retired and not yet freed, waiting is better than evicting more. */
    if (!chunk && store->limbo_bytes < cache_slab_bytes(store->slab))
        *evicted += choose_victims(store, bytes, *evicted, victims);
    else if (chunk && over)
        (void)victims_of_a_slab(store, victims);
    pthread_mutex_unlock(&store->lock);
    return chunk;
}

static bool limbo_empty(struct cache *cache) {
    pthread_mutex_lock(&cache->store.lock);
    bool empty = cache->store.limbo_bytes == 0;
    pthread_mutex_unlock(&cache->store.lock);
    return empty;
}

void *cache_store_alloc(struct cache *cache, size_t bytes, struct cache_body *body) {
    uint64_t evicted = 0;
    int pauses = 0;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        struct sk_list victims;
        sk_list_init(&victims);
        void *chunk = try_alloc(cache, bytes, owner_of_body(body), &evicted, &victims);
        bool some = !sk_list_empty(&victims);
        if (some) evict_all(cache, &victims);
        if (chunk) return chunk;
        if (some) continue;
        if (limbo_empty(cache) || pauses++ == PAUSES_MAX) return NULL;
        pause_for_others();
    }
    return NULL;
}

/* ---- life --------------------------------------------------------------------------------------------- */

sk_err cache_store_create(struct cache *cache, const struct cache_policy_ops *ops) {
    struct cache_store *store = &cache->store;
    pthread_mutex_init(&store->lock, NULL);
    store->ops = ops;
    sk_err err = ops->create(cache->budget_bytes, &store->policy);
    if (err) return err;
    store->reclaim = aligned_alloc(64, sizeof *store->reclaim);
    if (!store->reclaim) return SK_ERR_NO_MEMORY;
    ck_epoch_register(&cache->epoch, store->reclaim, NULL);
    return cache_slab_create(cache->budget_bytes, &store->slab);
}

/* No thread is in a section any more, so one round frees all; a freed body may free more. */
void cache_store_destroy(struct cache *cache) {
    struct cache_store *store = &cache->store;
    pthread_mutex_lock(&store->lock);
    for (int i = 0; i < CK_EPOCH_LENGTH && store->reclaim; i++) reclaim(cache);
    pthread_mutex_unlock(&store->lock);
    if (store->slab) cache_slab_destroy(store->slab);
    if (store->policy) store->ops->destroy(store->policy);
    free(store->reclaim);
    pthread_mutex_destroy(&store->lock);
}
