/* The fetch's side of a fill once its head is known: the body's bytes and their end. */
#include "cache/body.h"
#include "cache/entry.h"
#include "cache/fill_internal.h"
#include "cache/index.h"
#include "cache/purge_internal.h"
#include "cache/store.h"

#define RETRY_MS 5 /* between looks for memory while a window cannot get any */
#define TURNED_WINDOW_BYTES (2 * CACHE_WINDOW_BYTES)

static uint64_t length_of(const struct cache_fill *fill) {
    return atomic_load(&fill->entry->object.body_length);
}
static uint64_t written(const struct cache_fill *fill) {
    return atomic_load_explicit(&fill->entry->object.available,
                                memory_order_relaxed); /* own thread writes it */
}
static bool has_window(const struct cache_fill *fill) {
    return atomic_load_explicit(&fill->window, memory_order_relaxed) > 0; /* own thread writes it */
}

/* ---- space ------------------------------------------------------------------------------------------------ */

/* Of one that is in no index: nobody reads, nobody is about to. */
static bool nobody_reads(struct cache_fill *fill) {
    return atomic_load(&fill->waiters) == 0 && atomic_load(&fill->entry->refs) == 1;
}

/* What present readers need goes on as a window; nobody else finds it, and who found it without taking a
 * reference is gone. */
static void turn_into_window(struct cache_fill *fill) {
    atomic_fetch_add_explicit(&fill->cache->rejected_objects, 1, memory_order_relaxed); /* a figure */
    cache_index_remove(fill->cache, fill->entry);
    cache_store_outwait_sections(fill->cache);
    atomic_store(&fill->window, TURNED_WINDOW_BYTES);
}

/* Until somebody has read on or gone, or for LIMIT at most. */
static sk_err park_for_space(struct cache_fill *fill, sk_time_ns deadline) {
    fill->parked = io_fiber_self();
    SK_ASSERT(fill->parked != NULL);
    sk_err err = SK_OK;
    atomic_store(&fill->wants_space, true); /* seq_cst, see window.c */
    if (!fill_window_advance(fill) && !nobody_reads(fill)) err = io_fiber_park(deadline);
    atomic_store(&fill->wants_space, false);
    fill->parked = NULL;
    return err;
}

static sk_err wait_for_window(struct cache_fill *fill, sk_time_ns deadline) {
    while (!fill_window_advance(fill)) {
        if (nobody_reads(fill)) return SK_ERR_CANCELLED;
        sk_err err = park_for_space(fill, deadline);
        if (err) return err;
    }
    return nobody_reads(fill) ? SK_ERR_CANCELLED : SK_OK;
}

static sk_err wait_for_memory(sk_time_ns deadline) {
    sk_time_ns now = sk_time_now();
    if (now >= deadline) return SK_ERR_TIMEOUT;
    return io_fiber_sleep_until(SK_MIN(deadline, now + RETRY_MS * SK_NS_PER_MS));
}

static sk_err block_space(struct cache_fill *fill, sk_time_ns deadline, char **out_data, size_t *out_bytes) {
    uint64_t position = written(fill);
    bool too_large = length_of(fill) == CACHE_LENGTH_UNKNOWN && position >= fill->cache->max_object_bytes;
    if (too_large && !has_window(fill)) turn_into_window(fill);
    for (;;) {
        sk_err err = has_window(fill) ? wait_for_window(fill, deadline) : SK_OK;
        if (err) return err;
        char *data = cache_body_space(fill->cache, fill->entry->body, position, out_bytes);
        if (data) {
            *out_data = data;
            return SK_OK;
        }
        if (has_window(fill))
            err = wait_for_memory(deadline);
        else
            turn_into_window(fill);
        if (err) return err;
    }
}

sk_err cache_fill_space(struct cache_fill *fill, sk_time_ns deadline, char **out_data, size_t *out_bytes) {
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    SK_ASSERT(fill->entry != NULL && !fill->ended);
    uint64_t length = length_of(fill), position = written(fill);
    if (position == length) return SK_ERR_TOO_LARGE;
    if (fill->entry->body) return block_space(fill, deadline, out_data, out_bytes);
    if (!fill->entry->object.shared && nobody_reads(fill)) return SK_ERR_CANCELLED;
    *out_data = fill->entry->inline_body + position;
    *out_bytes = length - position;
    return SK_OK;
}

void cache_fill_commit(struct cache_fill *fill, size_t bytes) {
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    atomic_store(&fill->entry->object.available, written(fill) + bytes); /* seq_cst, see channel.c */
    fill_notify(fill);
}

/* ---- the end ---------------------------------------------------------------------------------------------- */

void fill_end(struct cache_fill *fill, enum cache_completeness how) {
    fill->ended = true;
    atomic_store(&fill->entry->object.complete, (uint8_t)how); /* seq_cst, see channel.c */
    fill_notify(fill);
    /* release: the fill as it ended, for a section that still sees it there */
    struct cache_fill *own = atomic_exchange_explicit(&fill->entry->fill, NULL, memory_order_acq_rel);
    if (own) cache_fill_unref(own);
}

static bool worth_packing(const struct cache_fill *fill, uint64_t bytes) {
    const struct cache_entry *entry = fill->entry;
    if (!entry->body || bytes > CACHE_PACK_MAX_BYTES) return false;
    uint64_t held = cache_chunk_bytes(entry->chunk_bytes) + cache_body_bytes(entry->body);
    return held > bytes + entry->chunk_bytes + bytes / 8;
}

static bool copy_blocks(struct cache *cache, const struct cache_body *from, struct cache_entry *to,
                        uint64_t bytes) {
    for (uint64_t position = 0; position < bytes;) {
        struct cache_piece piece;
        size_t room = bytes - position;
        char *data =
            to->body ? cache_body_space(cache, to->body, position, &room) : to->inline_body + position;
        if (!data || !cache_body_piece(cache, from, position, bytes, &piece)) return false;
        size_t count = SK_MIN(room, piece.bytes);
        memcpy(data, piece.data, count);
        position += count;
    }
    return true;
}

/* The same response, laid out as if its length had been announced. */
static struct cache_entry *create_packed(struct cache *cache, const struct cache_entry *entry,
                                         uint64_t bytes) {
    const struct cache_object *object = &entry->object;
    struct cache_head head = {
        .status = object->status,
        .fields = &object->fields,
        .freshness = object->freshness,
        .validators = object->validators,
        .reason = object->store_reason,
        .codable = object->codable,
        .body_length = bytes,
    };
    bool single = entry->chunk_bytes + bytes <= CACHE_SINGLE_MAX_BYTES;
    struct cache_entry *packed = cache_entry_create(cache, &object->key, &head, single ? bytes : 0, entry);
    if (!packed) return NULL;
    if (!single) packed->body = cache_body_create(cache, bytes, bytes);
    if ((!single && !packed->body) || !copy_blocks(cache, entry->body, packed, bytes)) {
        cache_entry_unref(cache, packed);
        return NULL;
    }
    packed->object.shared = true;
    packed->object.born = object->born;
    packed->object.born_at = object->born_at;
    packed->object.number = object->number;
    packed->object.stored_at = object->stored_at;
    atomic_init(&packed->object.verified, cache_verified_make(object->born, CACHE_PURGE_NONE));
    atomic_init(&packed->object.accesses,
                atomic_load_explicit(&object->accesses, memory_order_relaxed)); /* a hint */
    atomic_init(&packed->object.available, bytes);
    atomic_init(&packed->object.complete, CACHE_COMPLETE);
    return packed;
}

/* Takes the arriving one's place in the index; its readers go on with what they have. */
static void admit_packed(struct cache_fill *fill, uint64_t bytes) {
    struct cache *cache = fill->cache;
    struct cache_entry *packed = worth_packing(fill, bytes) ? create_packed(cache, fill->entry, bytes) : NULL;
    if (!packed) {
        (void)cache_store_admit(cache, fill->entry); /* guests come with a length */
        return;
    }
    if (cache_index_swap(cache, fill->entry, packed)) (void)cache_store_admit(cache, packed);
    cache_entry_unref(cache, packed);
}

void cache_fill_as_guest(struct cache_fill *fill) {
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    fill->guest = true;
}

void cache_fill_not_to_keep(struct cache_fill *fill) {
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    fill->unkept = true;
}

sk_err cache_fill_finish(struct cache_fill *fill) {
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    SK_ASSERT(fill->entry != NULL && !fill->ended);
    uint64_t length = length_of(fill), bytes = written(fill);
    bool known = length != CACHE_LENGTH_UNKNOWN;
    if (known && bytes != length) {
        cache_fill_break(fill, SK_ERR_CORRUPT);
        return SK_ERR_CORRUPT;
    }
    atomic_store(&fill->entry->object.body_length, bytes);
    fill_end(fill, CACHE_COMPLETE);
    if (!fill->entry->object.shared || has_window(fill)) return SK_OK;
    if (fill->unkept) {
        cache_index_remove(fill->cache, fill->entry);
        return SK_OK;
    }
    if (!known)
        admit_packed(fill, bytes);
    else if (!cache_store_admit(fill->cache, fill->entry))
        cache_index_remove(fill->cache, fill->entry);
    return SK_OK;
}

void cache_fill_break(struct cache_fill *fill, sk_err err) {
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    if (fill->ended) return;
    if (!fill->entry) {
        cache_fill_fail(fill, err, false);
        return;
    }
    if (fill->entry->object.shared) cache_index_remove(fill->cache, fill->entry);
    fill_end(fill, CACHE_BROKEN);
}

void cache_fill_release(struct cache_fill *fill) {
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    cache_fill_break(fill, SK_ERR_CANCELLED);
    atomic_fetch_sub_explicit(&fill->cache->fills, 1, memory_order_relaxed); /* a figure */
    cache_fill_unref(fill);
}
