/* What goes down to the SSD tier. */
#include "base/random.h"
#include "cache/body.h"
#include "cache/purge_internal.h"
#include "cache/search.h"
#include "cache/slices.h"
#include "cache/tier_internal.h"
#include "cache/tier_record.h"
#include "http/content_range.h"

#define PIECES_MAX (CACHE_TIER_RECORD_BYTES / 65536 + 8) /* a record's body may lie in as many blocks */

/* Of one put: memory for its record's head, and where its body lies. */
struct put {
    struct cache_tier *tier;
    struct disk_set *set;
    struct cache_entry *entry;
    struct sk_buf head;
    sk_str pieces[PIECES_MAX];
    size_t count;
};

bool tier_deserves(struct cache *cache, const struct cache_entry *entry) {
    pthread_mutex_lock(&cache->store.lock);
    bool deserves = cache->store.ops->accesses(&entry->policy) > 1;
    pthread_mutex_unlock(&cache->store.lock);
    return deserves;
}

static uint64_t length_of(const struct cache_entry *entry) {
    return atomic_load_explicit(&entry->object.body_length, memory_order_acquire);
}

/* ---- which --------------------------------------------------------------------------------------------------- */

/* Nothing could ever be done with it. */
static bool is_spent(const struct cache_object *object) {
    const struct http_freshness *freshness = &object->freshness;
    if (object->part == CACHE_PART_SLICE || freshness->has_validator) return false;
    int64_t age = http_current_age(freshness, sk_wall_now_s());
    return age >= freshness->lifetime_s + SK_MAX(freshness->stale_if_error_s, 0);
}

/* What a purge has hit may go down: that is seen when it is found. */
static bool is_one_of_ours(const struct cache_entry *entry) {
    const struct cache_object *object = &entry->object;
    if (entry->guest) return false;
    if (object->kind == CACHE_KIND_VARIANTS) return true;
    /* acquire: with it, all bytes are seen */
    if (atomic_load_explicit(&object->complete, memory_order_acquire) != CACHE_COMPLETE) return false;
    return object->shared && !is_spent(object);
}

static bool can_be_sliced(const struct cache_object *object) {
    return object->part == CACHE_PART_NONE && object->status == 200 && !object->codable &&
           !object->freshness.unframed && http_validators_strong(&object->validators);
}

/* ---- keys of sites ---- */

/* Of an encrypted tier. Nothing from before an erasure is sealed with the key that the site has after it: the number is
 * taken before the look at the purge which comes with an erasure, and cannot be used any more after that. A purge of the
 * site alone has the same effect. SK_ERR_EXISTS: it is from before. */
static sk_err number_site(struct cache_tier *tier, sk_str key, uint64_t born, uint32_t *out_site) {
    *out_site = 0;
    if (!tier->keys) return SK_OK;
    sk_err err = disk_keys_for(tier->keys, cache_key_site(key), out_site);
    if (err) return err;
    return cache_purge_removes_site(tier->cache, key, born) ? SK_ERR_EXISTS : SK_OK;
}

/* ---- one record ------------------------------------------------------------------------------------------------ */

/* With a body of BYTES in put->pieces, or of none. */
static sk_err put_record(struct put *put, const struct cache_key *key, const struct tier_record *record,
                         uint64_t bytes) {
    struct cache_tier *tier = put->tier;
    uint32_t site;
    sk_buf_clear(&put->head);
    sk_err err = number_site(tier, key->text, record->born, &site);
    if (!err) err = tier_record_encode(record, &put->head);
    if (err) return err;
    if (bytes && !disk_pace_take(&tier->pace, bytes, sk_time_now())) {
        tier_count(&tier->refused, 1);
        return SK_ERR_AGAIN;
    }
    err = disk_set_put(put->set, key->hash, site, key->text, sk_buf_str(&put->head), put->pieces,
                       bytes ? put->count : 0);
    if (!err) {
        tier_count(&tier->puts, 1);
        atomic_store_explicit(&tier->put_since, true, memory_order_relaxed); /* a hint */
    }
    return err;
}

/* The bytes from FIRST to END, where they lie. SK_ERR_NOT_FOUND: they are not all there; SK_ERR_TOO_LARGE: in too many
 * pieces. */
static sk_err find_pieces(struct put *put, uint64_t first, uint64_t end) {
    const struct cache_entry *entry = put->entry;
    put->count = 0;
    if (!entry->body) {
        put->pieces[put->count++] = sk_str_make(entry->inline_body + first, (size_t)(end - first));
        return SK_OK;
    }
    struct cache_piece piece;
    for (uint64_t at = first; at < end; at += piece.bytes) {
        if (put->count == PIECES_MAX) return SK_ERR_TOO_LARGE;
        if (!cache_body_piece(put->tier->cache, entry->body, at, end, &piece)) return SK_ERR_NOT_FOUND;
        put->pieces[put->count++] = sk_str_make(piece.data, piece.bytes);
    }
    return SK_OK;
}

static struct tier_record describe(const struct cache_entry *entry) {
    const struct cache_object *object = &entry->object;
    struct tier_record record = {
        .codable = object->codable,
        .part = (enum cache_part)object->part,
        .status = object->status,
        .reason = object->store_reason,
        .freshness = object->freshness,
        .validators = object->validators,
        .stored_at = object->stored_at,
        .born = object->born,
        .number = object->number,
        .length = length_of(entry),
        .tags = entry->tags,
        .fields = object->head,
    };
    memcpy(record.tag_counts, entry->tag_counts, sizeof record.tag_counts);
    return record;
}

/* ---- kinds ------------------------------------------------------------------------------------------------------ */

/* Before the first is there. */
static void note_searches(struct cache_tier *tier) {
    if (atomic_exchange_explicit(&tier->searches, true, memory_order_relaxed)) return; /* see the struct */
    pthread_mutex_lock(&tier->lock);
    if (tier->log) tier_log_searches(tier->log);
    pthread_mutex_unlock(&tier->lock);
}

static sk_err put_list(struct put *put) {
    const struct cache_entry *entry = put->entry;
    /* relaxed: the birth of the youngest response in it, or one before */
    uint64_t verified = atomic_load_explicit(&entry->object.verified, memory_order_relaxed);
    struct tier_record record = {
        .list = true, .number = entry->list_number, .names = entry->object.head, .born = verified >> 2};
    if (cache_search_is_list(entry->object.key.text)) note_searches(put->tier);
    return put_record(put, &entry->object.key, &record, 0);
}

static sk_err put_whole(struct put *put) {
    struct tier_record record = describe(put->entry);
    uint64_t bytes = put->entry->object.part == CACHE_PART_HEAD ? 0 : record.length;
    sk_err err = find_pieces(put, 0, bytes);
    return err ? err : put_record(put, &put->entry->object.key, &record, bytes);
}

static sk_err put_slice(struct put *put, struct sk_arena *arena, uint64_t number, uint64_t slice) {
    const struct cache_object *object = &put->entry->object;
    struct cache_key key;
    uint64_t first = slice * HTTP_SLICE_BYTES, bytes = http_slice_bytes(slice, length_of(put->entry));
    struct tier_record record = {.part = CACHE_PART_SLICE,
                                 .status = 206,
                                 .stored_at = object->stored_at,
                                 .born = object->born,
                                 .length = bytes};
    sk_err err = cache_slice_key(arena, &object->key, number, slice, &key);
    if (!err) err = find_pieces(put, first, first + bytes);
    return err ? err : put_record(put, &key, &record, bytes);
}

/* As a partial object: each slice may come back, and go, alone. Others get their turn in between. */
static sk_err put_sliced(struct put *put) {
    struct tier_record record = describe(put->entry);
    struct sk_arena arena;
    record.part = CACHE_PART_HEAD;
    /* relaxed: only unique */
    record.number = 1 + atomic_fetch_add_explicit(&put->tier->cache->numbers, 1, memory_order_relaxed);
    sk_err err = put_record(put, &put->entry->object.key, &record, 0);
    sk_arena_init(&arena, 512, 0);
    for (uint64_t slice = 0; !err && slice * HTTP_SLICE_BYTES < record.length; slice++) {
        err = put_slice(put, &arena, record.number, slice);
        sk_arena_reset(&arena);
        if (io_fiber_self()) io_fiber_yield();
    }
    sk_arena_free(&arena);
    return err;
}

sk_err tier_put(struct cache_tier *tier, struct disk_set *set, struct cache_entry *entry) {
    struct put put = {.tier = tier, .set = set, .entry = entry};
    const struct cache_object *object = &entry->object;
    if (!is_one_of_ours(entry)) return SK_ERR_INVALID;
    if (object->from_tier && disk_set_has(set, object->key.hash)) return SK_ERR_EXISTS;
    sk_buf_init(&put.head, DISK_HEAD_MAX_BYTES);
    sk_err err = SK_ERR_INVALID;
    if (object->kind == CACHE_KIND_VARIANTS)
        err = put_list(&put);
    else if (object->part == CACHE_PART_HEAD || length_of(entry) <= CACHE_TIER_WHOLE_BYTES)
        err = put_whole(&put);
    else if (can_be_sliced(object))
        err = put_sliced(&put);
    else if (length_of(entry) <= CACHE_TIER_RECORD_BYTES)
        err = put_whole(&put);
    sk_buf_free(&put.head);
    return err;
}

/* A record that says that there is none: the later one of a key counts, also after a crash. Errors as put_record. */
static sk_err put_tombstone(struct cache_tier *tier, struct disk_set *set, const struct cache_key *key) {
    struct put put = {.tier = tier, .set = set};
    sk_buf_init(&put.head, DISK_HEAD_MAX_BYTES);
    struct tier_record record = {.list = true, .born = cache_purge_now(tier->cache)};
    sk_err err = put_record(&put, key, &record, 0);
    sk_buf_free(&put.head);
    return err;
}

void cache_tier_overtaken(struct cache *cache, const struct cache_key *key) {
    struct disk_set *set = cache->tier ? tier_enter(cache->tier) : NULL;
    if (!set) return;
    bool maybe = atomic_load_explicit(&cache->tier->loading, memory_order_relaxed); /* a hint */
    if (maybe || disk_set_has(set, key->hash)) {
        sk_err err = put_tombstone(cache->tier, set, key);
        disk_set_remove(set, key->hash);
        /* a device that is away comes back unproven */
        if (err && err != SK_ERR_IO) tier_note_removed(cache->tier, key);
    }
    tier_leave(cache->tier);
}

uint64_t cache_tier_evicted(struct cache *cache, struct cache_entry *entry) {
    struct cache_tier *tier = cache->tier;
    struct disk_set *set = tier ? tier_enter(tier) : NULL;
    if (!set) return 0;
    bool put = disk_admits(&tier->admission, tier_deserves(cache, entry), entry->policy.bytes,
                           (uint32_t)sk_random_below(100)) &&
               tier_put(tier, set, entry) == SK_OK;
    tier_leave(tier);
    return put ? entry->policy.bytes : 0;
}
