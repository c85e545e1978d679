/* Joining and waiting: the requests' side of a fill. */
#include "cache/entry.h"
#include "cache/fill_internal.h"
#include "cache/find.h"
#include "cache/index.h"
#include "cache/pass.h"
#include "cache/purge_internal.h"
#include "cache/store.h"
#include "cache/tier_internal.h"
#include "cache/vary.h"

/* ---- life ----------------------------------------------------------------------------------------------- */

/* With two references, the fetch's and the waiter's, and a waiter. KEY's text begins with PRIMARY's. */
static struct cache_fill *fill_create(struct cache_thread *thread, const struct cache_key *key,
                                      const struct cache_key *primary) {
    size_t bytes = sizeof(struct cache_fill) + key->text.len;
    struct cache_fill *fill = cache_counted_alloc(thread->cache, bytes);
    if (!fill) return NULL;
    char *text = (char *)(fill + 1);
    if (key->text.len) memcpy(text, key->text.data, key->text.len); /* "*" has no key */
    fill->magic = CACHE_FILL_MAGIC;
    fill->cache = thread->cache;
    fill->thread = thread;
    fill->key = (struct cache_key){key->hash, sk_str_make(text, key->text.len)};
    fill->primary = (struct cache_key){primary->hash, sk_str_make(text, primary->text.len)};
    fill->bytes = (uint32_t)bytes;
    fill->born = cache_purge_now(thread->cache);
    fill->born_at = sk_time_now();
    sk_list_init(&fill->link);
    atomic_init(&fill->refs, 2);
    atomic_init(&fill->waiters, 1);
    atomic_fetch_add_explicit(&thread->cache->fills, 1, memory_order_relaxed); /* a figure */
    return fill;
}

static void fill_free(ck_epoch_entry_t *epoch_entry) {
    struct cache_fill *fill = SK_CONTAINER_OF(epoch_entry, struct cache_fill, epoch_entry);
    CACHE_ORDER_ACQUIRE(&fill->cache->epoch);
    fill->magic = 0;
    fill_channels_free(fill);
    if (fill->moved_text) cache_counted_free(fill->cache, fill->moved_text, fill->key.text.len);
    cache_counted_free(fill->cache, fill, fill->bytes);
}

bool fill_try_ref(struct cache_fill *fill) {
    uint32_t refs = atomic_load_explicit(&fill->refs, memory_order_relaxed);
    /* acquire: sees the fill as it was made */
    while (refs > 0 && !atomic_compare_exchange_weak_explicit(&fill->refs, &refs, refs + 1,
                                                              memory_order_acquire, memory_order_relaxed));
    return refs > 0;
}

void cache_fill_unref(struct cache_fill *fill) {
    struct cache *cache = fill->cache;
    /* release: what we did with it; acquire: what all did, for the one that frees it */
    if (atomic_fetch_sub_explicit(&fill->refs, 1, memory_order_acq_rel) > 1) return;
    if (fill->entry) cache_entry_unref(cache, fill->entry);
    if (fill->list) cache_entry_unref(cache, fill->list);
    if (fill->stale) cache_entry_unref(cache, fill->stale);
    cache_store_later(cache, &fill->epoch_entry, fill_free);
}

/* ---- beginning ------------------------------------------------------------------------------------------ */

static struct cache_stripe *stripe_of(struct cache *cache, const struct cache_key *primary) {
    return &cache->stripes[cache_shard_of(cache, primary->hash)];
}

static bool same_key(const struct cache_key *a, const struct cache_key *b) {
    return sk_hash128_eq(a->hash, b->hash) && sk_str_eq(a->text, b->text);
}

/* Takes a fill out of the stripe: what it brings is only for those who wait already. */
static void doom(struct cache_fill *fill) {
    fill->doomed = true;
    sk_list_remove(&fill->link);
}

/* One that began before a purge is not for those who come after it. */
static struct cache_fill *find_fill(struct cache *cache, struct cache_stripe *stripe,
                                    const struct cache_key *key) {
    SK_LIST_FOR_EACH(link, &stripe->fills) {
        struct cache_fill *fill = SK_CONTAINER_OF(link, struct cache_fill, link);
        if (!same_key(&fill->key, key)) continue;
        if (!cache_purge_covers_key(cache, key->text, fill->born)) return fill;
        doom(fill);
    }
    return NULL;
}

static struct cache_fill *follow(struct cache_fill *fill) {
    fill_ref(fill);
    atomic_fetch_add(&fill->waiters, 1);
    return fill;
}

/* Only a complete body can be confirmed by a 304, and not one that is gone. */
static void keep_stale(struct cache_fill *fill, struct cache_object *stale) {
    if (!stale || atomic_load_explicit(&stale->complete, memory_order_acquire) != CACHE_COMPLETE) return;
    struct cache_entry *entry = cache_entry_of(stale);
    if (cache_purge_state_of(fill->cache, entry) == CACHE_PURGE_HARD) return;
    fill->stale = entry;
    cache_entry_ref(entry);
}

/* Under the stripe's lock and inside a section. */
static enum cache_role choose_role(struct cache_thread *thread, const struct cache_key *primary,
                                   const struct http_request *request, struct cache_object *stale,
                                   struct cache_fill **out_fill, struct cache_object **out_object) {
    struct cache *cache = thread->cache;
    struct cache_stripe *stripe = stripe_of(cache, primary);
    struct cache_look look;
    cache_look(thread, primary, request, &look);
    if (look.soft_purged) stale = &look.entry->object;
    if (look.entry && &look.entry->object != stale) {
        cache_entry_ref(look.entry);
        cache_touch(look.entry);
        *out_object = &look.entry->object;
        return CACHE_FOUND;
    }
    if (cache_pass_remembered(cache->passes, look.key.hash, sk_time_now(), NULL)) return CACHE_ALONE;
    struct cache_fill *fill = find_fill(cache, stripe, &look.key);
    if (fill) {
        *out_fill = follow(fill);
        return CACHE_FOLLOW;
    }
    /* Stored before its URL was known to vary, it is none of the variants. */
    if (stale && look.list && !same_key(&stale->key, &look.key)) stale = NULL;
    fill = fill_create(thread, &look.key, primary);
    if (!fill) return CACHE_ALONE;
    keep_stale(fill, stale);
    sk_list_push_back(&stripe->fills, &fill->link);
    *out_fill = fill;
    return CACHE_LEAD;
}

enum cache_role cache_fill_begin(struct cache_thread *thread, const struct cache_key *key,
                                 const struct http_request *request, struct cache_object *stale,
                                 struct cache_fill **out_fill, struct cache_object **out_object) {
    SK_CHECK_MAGIC(thread, CACHE_THREAD_MAGIC);
    struct cache_stripe *stripe = stripe_of(thread->cache, key);
    cache_section_begin(thread);
    pthread_mutex_lock(&stripe->lock);
    enum cache_role role = choose_role(thread, key, request, stale, out_fill, out_object);
    pthread_mutex_unlock(&stripe->lock);
    cache_section_end(thread);
    sk_arena_reset(&thread->scratch);
    return role;
}

bool cache_fill_is_coming(struct cache *cache, const struct cache_key *primary, const struct cache_key *key) {
    struct cache_stripe *stripe = stripe_of(cache, primary);
    bool coming = false;
    pthread_mutex_lock(&stripe->lock);
    SK_LIST_FOR_EACH(link, &stripe->fills) {
        const struct cache_fill *fill = SK_CONTAINER_OF(link, struct cache_fill, link);
        coming |= same_key(&fill->key, key) && !cache_purge_covers_key(cache, key->text, fill->born);
    }
    pthread_mutex_unlock(&stripe->lock);
    return coming;
}

sk_err cache_fill_private(struct cache_thread *thread, const struct cache_key *key, uint32_t window_bytes,
                          struct cache_fill **out_fill) {
    SK_CHECK_MAGIC(thread, CACHE_THREAD_MAGIC);
    struct cache_fill *fill = fill_create(thread, key, key);
    if (!fill) return SK_ERR_NO_MEMORY;
    fill->private = true;
    atomic_init(&fill->window, window_bytes);
    *out_fill = fill;
    return SK_OK;
}

bool fill_close_to_joiners(struct cache_fill *fill) {
    struct cache_stripe *stripe = stripe_of(fill->cache, &fill->primary);
    pthread_mutex_lock(&stripe->lock);
    sk_list_remove(&fill->link);
    bool doomed = fill->doomed;
    pthread_mutex_unlock(&stripe->lock);
    return doomed;
}

sk_err cache_fill_move(struct cache_fill *fill, const struct cache_key *key) {
    struct cache *cache = fill->cache;
    struct cache_stripe *stripe = stripe_of(cache, key);
    char *text = cache_counted_alloc(cache, key->text.len);
    if (!text) return SK_ERR_NO_MEMORY;
    SK_ASSERT(!fill->moved_text);
    memcpy(text, key->text.data, key->text.len);
    bool doomed = fill_close_to_joiners(fill);
    cache_section_begin(fill->thread);
    doomed = doomed || cache_purge_covers_key(cache, fill->primary.text, fill->born);
    cache_section_end(fill->thread);
    fill->moved_text = text;
    fill->key = fill->primary = (struct cache_key){key->hash, sk_str_make(text, key->text.len)};
    pthread_mutex_lock(&stripe->lock);
    fill->doomed = doomed;
    if (!doomed) sk_list_push_back(&stripe->fills, &fill->link);
    pthread_mutex_unlock(&stripe->lock);
    return SK_OK;
}

/* ---- waiting -------------------------------------------------------------------------------------------- */

/* Whether the object is what this request selects: with a list that the waiter did not know when it joined,
 * its own fields decide. */
static bool selects(struct cache_thread *thread, const struct cache_fill *fill,
                    const struct http_request *request) {
    const struct cache_entry *entry = fill->entry;
    struct cache_key wanted;
    if (!fill->list || same_key(&entry->object.key, &fill->key)) return true;
    sk_err err = cache_vary_key(&thread->scratch, &fill->primary, fill->list->list_number,
                                fill->list->object.head, request, &wanted);
    bool same = !err && same_key(&wanted, &entry->object.key);
    sk_arena_reset(&thread->scratch);
    return same;
}

static enum cache_outcome give(struct cache_entry *entry, enum cache_outcome outcome,
                               struct cache_object **out_object) {
    cache_entry_ref(entry); /* the fill has one, and the caller still has the fill */
    *out_object = &entry->object;
    return outcome;
}

static enum cache_purge_state purged_by_now(struct cache_thread *thread, struct cache_entry *entry) {
    cache_section_begin(thread);
    enum cache_purge_state state = cache_purge_state_of(thread->cache, entry);
    cache_section_end(thread);
    return state;
}

/* A follower may have come after a purge that only the head's tags show to concern it. */
static bool is_for(struct cache_thread *thread, const struct cache_fill *fill, enum cache_role role,
                   const struct http_request *request) {
    if (role == CACHE_LEAD) return true;
    return selects(thread, fill, request) && purged_by_now(thread, fill->entry) == CACHE_PURGE_NONE;
}

static enum cache_outcome outcome_of(struct cache_thread *thread, struct cache_fill *fill,
                                     enum cache_role role, const struct http_request *request,
                                     struct cache_object **out_object, struct cache_failure *out_failure) {
    uint8_t state = atomic_load(&fill->state);
    if (state == FILL_ALONE || (state == FILL_PRIVATE && role != CACHE_LEAD)) return CACHE_OUTCOME_ALONE;
    if (state == FILL_AGAIN) return CACHE_OUTCOME_AGAIN;
    if (state == FILL_OBJECT && !is_for(thread, fill, role, request)) return CACHE_OUTCOME_AGAIN;
    if (state == FILL_OBJECT && role == CACHE_FOLLOW) cache_touch(fill->entry);
    if (state == FILL_OBJECT || state == FILL_PRIVATE)
        return give(fill->entry, CACHE_OUTCOME_OBJECT, out_object);
    if (state == FILL_STALE && purged_by_now(thread, fill->stale) != CACHE_PURGE_HARD)
        return give(fill->stale, CACHE_OUTCOME_STALE, out_object);
    *out_failure = fill->failure;
    return CACHE_OUTCOME_FAILED;
}

static bool pending(struct cache_fill *fill) { return atomic_load(&fill->state) == FILL_PENDING; }

/* Until the state is told, the time is up or the fiber is cancelled. */
static sk_err await_state(struct cache_thread *thread, struct cache_fill *fill, sk_time_ns deadline) {
    struct fill_channel *channel = fill_channel_of(fill, thread);
    struct fill_waiter waiter = {.fiber = io_fiber_self()};
    sk_err err = channel ? SK_OK : SK_ERR_NO_MEMORY;
    if (!channel) return err;
    SK_ASSERT(waiter.fiber != NULL);
    sk_list_push_back(&channel->fibers, &waiter.link);
    while (!err) {
        fill_arm(channel);
        if (!pending(fill)) break;
        err = io_fiber_park(deadline);
    }
    sk_list_remove(&waiter.link);
    return pending(fill) ? err : SK_OK;
}

static void drop_waiter(struct cache_fill *fill) {
    atomic_fetch_sub(&fill->waiters, 1);
    fill_window_released(fill);
    cache_fill_unref(fill);
}

sk_err cache_fill_wait(struct cache_thread *thread, struct cache_fill *fill, enum cache_role role,
                       const struct http_request *request, sk_time_ns deadline,
                       enum cache_outcome *out_outcome, struct cache_object **out_object,
                       struct cache_failure *out_failure) {
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    SK_ASSERT(role == CACHE_LEAD || role == CACHE_FOLLOW);
    if (pending(fill)) {
        sk_err err = await_state(thread, fill, deadline);
        if (err) return err;
    }
    *out_outcome = outcome_of(thread, fill, role, request, out_object, out_failure);
    drop_waiter(fill);
    return SK_OK;
}

void cache_fill_leave(struct cache_thread *thread, struct cache_fill *fill) {
    SK_CHECK_MAGIC(thread, CACHE_THREAD_MAGIC);
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    drop_waiter(fill);
}

void cache_fill_born(struct cache_fill *fill, uint64_t born) {
    struct cache_stripe *stripe = stripe_of(fill->cache, &fill->primary);
    pthread_mutex_lock(&stripe->lock);
    fill->born = SK_MIN(fill->born, born);
    pthread_mutex_unlock(&stripe->lock);
}

void cache_fill_held_since(struct cache_fill *fill, sk_time_ns at) {
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    fill->born_at = SK_MIN(fill->born_at, at);
}

void cache_fill_inherit(struct cache_fill *fill, const struct cache_object *object) {
    SK_CHECK_MAGIC(object, CACHE_OBJECT_MAGIC);
    cache_fill_born(fill, object->born);
}

/* ---- removing --------------------------------------------------------------------------------------------- */

static void doom_fills(struct cache_stripe *stripe, const struct cache_key *primary) {
    SK_LIST_FOR_EACH(link, &stripe->fills) {
        struct cache_fill *fill = SK_CONTAINER_OF(link, struct cache_fill, link);
        if (same_key(&fill->primary, primary)) doom(fill);
    }
}

void cache_remove(struct cache_thread *thread, const struct cache_key *key) {
    struct cache_stripe *stripe = stripe_of(thread->cache, key);
    cache_section_begin(thread);
    pthread_mutex_lock(&stripe->lock);
    struct cache_entry *entry = cache_index_get(thread->cache, key);
    if (entry) cache_index_remove(thread->cache, entry);
    doom_fills(stripe, key);
    pthread_mutex_unlock(&stripe->lock);
    cache_section_end(thread);
    cache_tier_removed(thread->cache, key); /* may write to the log: not inside of a section */
}

/* ---- plain answers ------------------------------------------------------------------------------------------ */

uint32_t cache_fill_interest(const struct cache_fill *fill) {
    uint32_t interest = atomic_load(&fill->waiters);
    if (!fill->entry) return interest;
    struct cache_store *store = &fill->cache->store;
    pthread_mutex_lock(&store->lock);
    uint32_t others =
        atomic_load(&fill->entry->refs) - 1 - !fill->entry->removed; /* the fill's, the index's */
    pthread_mutex_unlock(&store->lock);
    return interest + others;
}

struct cache_object *cache_fill_stale(const struct cache_fill *fill) {
    return fill->stale ? &fill->stale->object : NULL;
}
struct cache_object *cache_fill_object(const struct cache_fill *fill) {
    return fill->entry ? &fill->entry->object : NULL;
}
const struct cache_key *cache_fill_key(const struct cache_fill *fill) { return &fill->key; }
const struct cache_key *cache_fill_primary_key(const struct cache_fill *fill) { return &fill->primary; }
bool cache_fill_is_private(const struct cache_fill *fill) {
    return fill->private || atomic_load(&fill->state) == FILL_PRIVATE ||
           atomic_load_explicit(&fill->window, memory_order_relaxed) > 0; /* own thread writes it */
}
