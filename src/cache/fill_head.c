/* The fetch's side of a fill up to the head's fate: stored, passed, confirmed or failed. */
#include "cache/body.h"
#include "cache/entry.h"
#include "cache/fill_internal.h"
#include "cache/find.h"
#include "cache/index.h"
#include "cache/pass.h"
#include "cache/purge_internal.h"
#include "cache/store.h"
#include "cache/tier_internal.h"
#include "cache/vary.h"

#define LIST_TRIES 3

void fill_tell(struct cache_fill *fill, enum fill_state state) {
    SK_ASSERT(atomic_load(&fill->state) == FILL_PENDING);
    atomic_store(&fill->state, state); /* seq_cst, see channel.c */
    fill_notify(fill);
}

static void fail_with(struct cache_fill *fill, sk_err err) {
    fill->failure.err = err;
    fill_tell(fill, FILL_FAILED);
    fill->ended = true;
}

void cache_fill_blame(struct cache_fill *fill, uint32_t phase, const char *detail) {
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    fill->failure.phase = phase;
    fill->failure.detail = detail;
}

void cache_fill_fail(struct cache_fill *fill, sk_err err, bool allow_stale) {
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    fill_close_to_joiners(fill);
    fill->failure.err = err;
    if (!allow_stale || !fill->stale) {
        fail_with(fill, err);
        return;
    }
    fill_tell(fill, FILL_STALE);
    fill->ended = true;
}

/* ---- windows for the leader's own client ---------------------------------------------------------------- */

static bool fits_one_chunk(const struct cache_key *key, const struct cache_head *head) {
    if (head->part == CACHE_PART_HEAD) return true;
    return head->body_length <= CACHE_SINGLE_MAX_BYTES &&
           cache_entry_bytes(key, head) + head->body_length <= CACHE_SINGLE_MAX_BYTES;
}

static uint64_t new_number(struct cache *cache) {
    return 1 + atomic_fetch_add_explicit(&cache->numbers, 1, memory_order_relaxed); /* only unique */
}

/* An entry that gets its bytes from this fill. */
static void connect(struct cache_fill *fill, struct cache_entry *entry, bool shared) {
    entry->object.shared = shared;
    entry->guest = fill->guest;
    entry->object.born = fill->born;
    entry->object.born_at = entry->object.from_tier ? 0 : fill->born_at;
    if (entry->object.codable && !entry->object.number) entry->object.number = new_number(fill->cache);
    atomic_init(&entry->object.verified, cache_verified_make(fill->born, CACHE_PURGE_NONE));
    fill->entry = entry;
    fill_ref(fill);
    atomic_store_explicit(&entry->fill, fill, memory_order_release); /* readers find it whole */
}

static struct cache_entry *create_private(struct cache_fill *fill, const struct cache_head *head) {
    bool single = fits_one_chunk(&fill->key, head);
    struct cache_entry *entry =
        cache_entry_create(fill->cache, &fill->key, head, single ? head->body_length : 0, NULL);
    if (!entry || single) return entry;
    uint64_t window = atomic_load(&fill->window) ? atomic_load(&fill->window) : CACHE_WINDOW_BYTES;
    atomic_store(&fill->window, SK_MAX(window, CACHE_WINDOW_MIN_BYTES));
    entry->body = cache_body_create_window(fill->cache, head->body_length, window);
    if (entry->body) return entry;
    cache_entry_unref(fill->cache, entry);
    return NULL;
}

static sk_err go_private(struct cache_fill *fill, const struct cache_head *head) {
    fill_close_to_joiners(fill);
    struct cache_entry *entry = create_private(fill, head);
    if (!entry) {
        fail_with(fill, SK_ERR_NO_MEMORY);
        return SK_ERR_NO_MEMORY;
    }
    cache_store_never_indexed(fill->cache, entry);
    connect(fill, entry, false);
    fill_tell(fill, FILL_PRIVATE);
    return SK_OK;
}

sk_err cache_fill_pass(struct cache_fill *fill, const struct cache_head *head, int64_t remember_ms) {
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    if (remember_ms > 0)
        cache_pass_remember(fill->cache->passes, fill->key.hash, sk_time_now() + remember_ms * SK_NS_PER_MS,
                            head->reason);
    return go_private(fill, head);
}

void cache_fill_decline(struct cache_fill *fill, int64_t remember_ms, enum http_reason reason) {
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    if (remember_ms > 0)
        cache_pass_remember(fill->cache->passes, fill->key.hash, sk_time_now() + remember_ms * SK_NS_PER_MS,
                            reason);
    fill_close_to_joiners(fill);
    fill_tell(fill, FILL_ALONE);
    fill->ended = true;
}

void cache_fill_again(struct cache_fill *fill) {
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    fill_close_to_joiners(fill);
    fill_tell(fill, FILL_AGAIN);
    fill->ended = true;
}

/* ---- storing ---------------------------------------------------------------------------------------------- */

/* Under which key, and in which list of variants, a response will be stored. */
struct plan {
    struct cache_key key;
    struct cache_entry *present; /* the list that is in the index now, referenced; or NULL */
    struct cache_entry *list;    /* the list that it will be in, referenced: the same, a new one, or NULL */
};

static void plan_drop(struct cache *cache, struct plan *plan) {
    if (plan->present) cache_entry_unref(cache, plan->present);
    if (plan->list) cache_entry_unref(cache, plan->list);
    *plan = (struct plan){0};
}

/* The list under the primary key, referenced. */
static struct cache_entry *present_list(struct cache_thread *thread, const struct cache_key *primary) {
    cache_section_begin(thread);
    struct cache_entry *entry = cache_index_get(thread->cache, primary);
    if (entry && entry->object.kind != CACHE_KIND_VARIANTS) entry = NULL;
    if (entry) cache_entry_ref(entry);
    cache_section_end(thread);
    return entry;
}

static bool list_serves(struct cache *cache, const struct cache_entry *list, sk_str names) {
    if (!list || !sk_str_eq(list->object.head, names)) return false;
    /* relaxed: about so many is enough */
    if (atomic_load_explicit(&list->variants, memory_order_relaxed) < CACHE_VARY_MAX_VARIANTS) return true;
    atomic_fetch_add_explicit(&cache->variant_bounds, 1, memory_order_relaxed); /* a figure */
    return false;
}

/* A list selects by all names that any response of its URL has named: more than needed does no harm, and
 * responses that name different fields do not push each other out. */
static sk_err choose_list(struct cache_fill *fill, const struct cache_head *head, struct plan *plan) {
    struct cache *cache = fill->cache;
    sk_str names, known = plan->present ? plan->present->object.head : (sk_str){0};
    sk_err err = cache_vary_names(&fill->thread->scratch, head->vary, known, &names);
    if (err || sk_str_empty(names)) return err;
    if (list_serves(cache, plan->present, names)) {
        plan->list = plan->present;
        cache_entry_ref(plan->list);
    } else {
        plan->list = cache_entry_create_list(cache, &fill->primary, names, new_number(cache));
        if (!plan->list) return SK_ERR_FULL;
    }
    return cache_vary_key(&fill->thread->scratch, &fill->primary, plan->list->list_number,
                          plan->list->object.head, head->request, &plan->key);
}

/* Variants' keys live in the scratch arena until the entry has them. */
static sk_err make_plan(struct cache_fill *fill, const struct cache_head *head, struct plan *out_plan) {
    struct plan plan = {.key = fill->primary, .present = present_list(fill->thread, &fill->primary)};
    sk_err err = choose_list(fill, head, &plan);
    if (err)
        plan_drop(fill->cache, &plan);
    else
        *out_plan = plan;
    return err;
}

static sk_err create_shared(struct cache_fill *fill, const struct cache_key *key,
                            const struct cache_head *head, struct cache_entry **out_entry) {
    struct cache *cache = fill->cache;
    bool known = head->body_length != CACHE_LENGTH_UNKNOWN, single = fits_one_chunk(key, head);
    bool bodiless = head->part == CACHE_PART_HEAD;
    if (known && !bodiless && head->body_length > cache->max_object_bytes) return SK_ERR_TOO_LARGE;
    if (head->tag_count > CACHE_TAGS_MAX || cache_entry_bytes(key, head) > CACHE_CHUNK_MAX_BYTES)
        return SK_ERR_TOO_LARGE;
    struct cache_entry *entry =
        cache_entry_create(cache, key, head, single && !bodiless ? head->body_length : 0, NULL);
    if (!entry) return SK_ERR_FULL;
    if (!single) entry->body = cache_body_create(cache, head->body_length, cache->max_object_bytes);
    if (!single && !entry->body) {
        cache_entry_unref(cache, entry);
        return SK_ERR_FULL;
    }
    *out_entry = entry;
    return SK_OK;
}

/* Of a list, `verified` says when its youngest response began to come (cache/sweep.h). Under the stripe's lock. */
static void renew_list(struct cache_entry *list, uint64_t born) {
    _Atomic uint64_t *verified = &list->object.verified;
    if (atomic_load_explicit(verified, memory_order_relaxed) >> 2 < born) /* one writer at a time */
        atomic_store_explicit(verified, cache_verified_make(born, CACHE_PURGE_NONE), memory_order_relaxed);
}

enum published { PUBLISHED, PUBLISH_AGAIN, PUBLISH_NOT };

/* Under the stripe's lock: into the index, unless another list came there since the plan was made. */
static enum published into_index(struct cache_fill *fill, const struct plan *plan) {
    struct cache *cache = fill->cache;
    bool replaced;
    if (fill->doomed) return PUBLISH_NOT;
    struct cache_entry *present = cache_index_get(cache, &fill->primary);
    if (present && present->object.kind != CACHE_KIND_VARIANTS) present = NULL;
    if (present != plan->present) return PUBLISH_AGAIN;
    if (plan->list && plan->list != present && cache_index_put(cache, plan->list, NULL)) return PUBLISH_NOT;
    if (cache_index_put(cache, fill->entry, &replaced)) return PUBLISH_NOT;
    if (plan->list && !replaced) atomic_fetch_add_explicit(&plan->list->variants, 1, memory_order_relaxed);
    if (plan->list) renew_list(plan->list, fill->born);
    return PUBLISHED;
}

static enum published publish(struct cache_fill *fill, const struct plan *plan) {
    struct cache_stripe *stripe = &fill->cache->stripes[cache_shard_of(fill->cache, fill->primary.hash)];
    cache_section_begin(fill->thread);
    pthread_mutex_lock(&stripe->lock);
    enum published how = into_index(fill, plan);
    if (how == PUBLISHED || how == PUBLISH_NOT) sk_list_remove(&fill->link);
    pthread_mutex_unlock(&stripe->lock);
    cache_section_end(fill->thread);
    if (how == PUBLISHED && plan->list && plan->list != plan->present) {
        (void)cache_store_admit(fill->cache, plan->list);
        cache_tier_overtaken(fill->cache, &plan->list->object.key);
    }
    if (how == PUBLISH_NOT) cache_store_never_indexed(fill->cache, fill->entry);
    if (how == PUBLISHED && !fill->entry->object.from_tier)
        cache_tier_overtaken(fill->cache, &fill->entry->object.key);
    return how;
}

static void disconnect(struct cache_fill *fill) {
    struct cache_entry *entry = fill->entry;
    fill->entry = NULL;
    atomic_store(&entry->fill, NULL);
    cache_fill_unref(fill);
    cache_entry_unref(fill->cache, entry);
}

static sk_err try_store(struct cache_fill *fill, const struct cache_head *head, bool *out_again) {
    struct plan plan;
    struct cache_entry *entry = NULL;
    sk_err err = make_plan(fill, head, &plan);
    if (err) return err;
    err = create_shared(fill, &plan.key, head, &entry);
    if (!err) {
        connect(fill, entry, true);
        *out_again = publish(fill, &plan) == PUBLISH_AGAIN;
        if (*out_again)
            disconnect(fill);
        else if (plan.list)
            cache_entry_ref(fill->list = plan.list);
    }
    plan_drop(fill->cache, &plan);
    return err;
}

/* There is no more to come. */
static void complete_head(struct cache_fill *fill) {
    fill_end(fill, CACHE_COMPLETE);
    (void)cache_store_admit(fill->cache, fill->entry);
}

sk_err cache_fill_store(struct cache_fill *fill, const struct cache_head *head) {
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    if (fill->private) return go_private(fill, head);
    sk_err err = SK_OK;
    bool again = true;
    for (int i = 0; i < LIST_TRIES && again && !err; i++) {
        again = false;
        err = try_store(fill, head, &again);
        sk_arena_reset(&fill->thread->scratch);
    }
    if (!err && again) err = SK_ERR_FULL; /* lists come and go faster than we can look */
    if (!err) {
        if (head->part == CACHE_PART_HEAD) complete_head(fill);
        fill_tell(fill, FILL_OBJECT);
        return SK_OK;
    }
    atomic_fetch_add_explicit(&fill->cache->rejected_objects, 1, memory_order_relaxed); /* a figure */
    if (head->part == CACHE_PART_HEAD) {
        cache_fill_decline(fill, 0, HTTP_REASON_NO_STORE_NO_MEMORY);
        return err;
    }
    sk_err worse = go_private(fill, head);
    return worse ? worse : (err == SK_ERR_FULL ? SK_ERR_FULL : SK_ERR_TOO_LARGE);
}

/* ---- a confirmed one ------------------------------------------------------------------------------------------ */

/* The stale one's body: copied when it lies beside its head, else shared. */
static struct cache_entry *create_fresh(struct cache_fill *fill, const struct cache_head *head) {
    struct cache_entry *stale = fill->stale;
    uint64_t length = atomic_load(&stale->object.body_length);
    struct cache_head own = *head;
    own.body_length = length;
    own.part = (enum cache_part)stale->object.part;
    uint64_t present = atomic_load(&stale->object.available); /* 0 of a partial object's head */
    size_t inline_bytes = stale->body ? 0 : present;
    struct cache_entry *entry =
        cache_entry_create(fill->cache, &stale->object.key, &own, inline_bytes, stale);
    if (!entry) return NULL;
    if (inline_bytes) memcpy(entry->inline_body, stale->inline_body, inline_bytes);
    if (stale->body) cache_body_ref(entry->body = stale->body);
    entry->object.shared = true;
    entry->guest = stale->guest;
    entry->object.born = fill->born;
    entry->object.born_at = fill->born_at;
    entry->object.number = stale->object.number; /* the same content, so its forms stay good */
    if (entry->object.codable && !entry->object.number) entry->object.number = new_number(fill->cache);
    atomic_init(&entry->object.verified, cache_verified_make(fill->born, CACHE_PURGE_NONE));
    atomic_init(&entry->object.available, present);
    atomic_init(&entry->object.complete, CACHE_COMPLETE);
    cache_touch(entry);
    return entry;
}

static void publish_fresh(struct cache_fill *fill) {
    struct cache_stripe *stripe = &fill->cache->stripes[cache_shard_of(fill->cache, fill->primary.hash)];
    pthread_mutex_lock(&stripe->lock);
    sk_list_remove(&fill->link);
    bool indexed = !fill->doomed && !cache_index_put(fill->cache, fill->entry, NULL);
    pthread_mutex_unlock(&stripe->lock);
    if (indexed) cache_tier_overtaken(fill->cache, &fill->entry->object.key);
    if (indexed && !cache_store_admit(fill->cache, fill->entry))
        cache_index_remove(fill->cache, fill->entry);
    else if (!indexed)
        cache_store_never_indexed(fill->cache, fill->entry);
}

sk_err cache_fill_freshen(struct cache_fill *fill, const struct cache_head *head) {
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    if (!fill->stale) return SK_ERR_INVALID;
    fill->entry = create_fresh(fill, head);
    fill->ended = true;
    if (!fill->entry) {
        fill_close_to_joiners(fill);
        fill->failure.err = SK_ERR_FULL;
        fill_tell(fill, FILL_STALE);
        return SK_ERR_FULL;
    }
    publish_fresh(fill);
    fill_tell(fill, FILL_OBJECT);
    return SK_OK;
}
