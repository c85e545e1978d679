#include "cache/reader.h"

#include "cache/body.h"
#include "cache/entry.h"
#include "cache/fill_internal.h"
#include "cache/store.h"

void cache_object_ref(struct cache_object *object) { cache_entry_ref(cache_entry_of(object)); }

/* The fill that an object arrives by, referenced; NULL when it is complete. Sections nest inside of
 * Concurrency Kit, so this may be called in and out of one. */
static struct cache_fill *fill_of(struct cache_thread *thread, struct cache_entry *entry) {
    if (!cache_entry_arriving(entry)) return NULL;
    cache_section_begin(thread);
    struct cache_fill *fill = atomic_load_explicit(&entry->fill, memory_order_acquire); /* sees it made */
    if (fill && !fill_try_ref(fill)) fill = NULL; /* it has just come to its end */
    cache_section_end(thread);
    return fill;
}

void cache_object_unref(struct cache_thread *thread, struct cache_object *object) {
    struct cache_entry *entry = cache_entry_of(object);
    struct cache_fill *fill = fill_of(thread, entry);
    cache_entry_unref(thread->cache, entry);
    if (!fill) return;
    fill_window_released(fill);
    cache_fill_unref(fill);
}

/* ---- opening and closing ------------------------------------------------------------------------------ */

static void attach(struct cache_reader *reader) {
    struct cache_entry *entry = cache_entry_of(reader->object);
    struct cache_fill *fill = fill_of(reader->thread, entry);
    struct fill_channel *channel = fill ? fill_channel_of(fill, reader->thread) : NULL;
    if (fill && !channel) cache_fill_unref(fill); /* no memory: it can read what is there and then fails */
    if (!channel) return;
    reader->fill = fill;
    sk_list_push_back(&channel->readers, &reader->link);
    fill_window_opened(channel, reader->position);
}

static void begin(struct cache_reader *reader, struct cache_thread *thread, struct cache_object *object,
                  uint64_t first, uint64_t end) {
    SK_CHECK_MAGIC(thread, CACHE_THREAD_MAGIC);
    SK_CHECK_MAGIC(object, CACHE_OBJECT_MAGIC);
    SK_ASSERT(first <= end);
    *reader = (struct cache_reader){.object = object, .position = first, .end = end, .thread = thread};
    sk_list_init(&reader->link);
    sk_list_init(&reader->wait_link);
}

void cache_reader_open(struct cache_reader *reader, struct cache_thread *thread, struct cache_object *object,
                       uint64_t first, uint64_t end) {
    begin(reader, thread, object, first, end);
    reader->referenced = true;
    attach(reader);
}

void cache_reader_borrow(struct cache_reader *reader, struct cache_thread *thread,
                         struct cache_object *object, uint64_t first, uint64_t end) {
    SK_ASSERT(thread->inside);
    begin(reader, thread, object, first, end);
}

void cache_reader_keep(struct cache_reader *reader) {
    if (reader->referenced) return;
    SK_ASSERT(reader->thread->inside);
    cache_object_ref(reader->object);
    reader->referenced = true;
    attach(reader);
}

static struct fill_channel *channel_of(struct cache_reader *reader) {
    return reader->fill ? fill_channel_of(reader->fill, reader->thread) : NULL;
}

void cache_reader_close(struct cache_reader *reader) {
    struct cache_object *object = reader->object;
    if (!object) return;
    struct cache_fill *fill = reader->fill;
    if (fill) {
        sk_list_remove(&reader->link);
        sk_list_remove(&reader->wait_link);
        fill_window_closed(channel_of(reader), reader->position);
    }
    reader->object = NULL;
    reader->fill = NULL;
    if (reader->referenced) cache_entry_unref(reader->thread->cache, cache_entry_of(object));
    if (!fill) return;
    fill_window_released(fill);
    cache_fill_unref(fill);
}

/* ---- reading ------------------------------------------------------------------------------------------ */

/* One position's answer. `complete` is read before `available`: at the end, `available` is final. */
static enum cache_read state_at(const struct cache_reader *reader, uint64_t *out_available) {
    const struct cache_object *object = reader->object;
    /* seq_cst: this is also the second look of a waiter (channel.c) */
    uint8_t complete = atomic_load(&object->complete);
    *out_available = atomic_load(&object->available);
    if (reader->position >= reader->end) return CACHE_READ_END;
    if (reader->position < *out_available) return CACHE_READ_DATA;
    if (complete == CACHE_COMPLETE) return CACHE_READ_END;
    if (complete == CACHE_BROKEN || (reader->referenced && !reader->fill)) return CACHE_READ_FAILED;
    return CACHE_READ_WAIT;
}

bool reader_ready(const struct cache_reader *reader) {
    uint64_t available;
    return state_at(reader, &available) != CACHE_READ_WAIT;
}

/* Asked for so often since the policy looked at it last, it will be again. */
#define LEND_ACCESSES 2

static bool is_worth_lending(const struct cache_entry *entry) {
    /* relaxed: a hint */
    return cache_body_is_lent(entry->body) ||
           atomic_load_explicit(&entry->object.accesses, memory_order_relaxed) >= LEND_ACCESSES;
}

static bool piece_at(const struct cache *cache, const struct cache_entry *entry, uint64_t position,
                     uint64_t end, bool lend, struct cache_piece *out_piece) {
    if (entry->body) {
        if (!cache_body_piece(cache, entry->body, position, end, out_piece)) return false;
        if (lend && is_worth_lending(entry)) cache_body_lend(cache, entry->body, position, out_piece);
        return true;
    }
    *out_piece = (struct cache_piece){entry->inline_body + position, end - position, -1, 0};
    return true;
}

/* Neighbours go out in one call; who asks again for each piece must not walk the whole object. */
#define PEEK_BYTES (1024 * 1024)

/* Neighbours are one piece, where both lie in the file or neither does. */
static bool joined(struct cache_piece *before, const struct cache_piece *piece) {
    if (before->fd != piece->fd || before->data + before->bytes != piece->data) return false;
    before->bytes += piece->bytes;
    return true;
}

static enum cache_read peek(struct cache_reader *reader, uint64_t most, bool lend, struct cache_piece *pieces,
                            size_t max, size_t *out_count) {
    const struct cache_entry *entry = cache_entry_of(reader->object);
    uint64_t available, position = reader->position;
    enum cache_read state = state_at(reader, &available);
    if (state != CACHE_READ_DATA) return state;
    uint64_t end = SK_MIN(available, reader->end);
    if (end - position > most) end = position + SK_MAX(most, UINT64_C(1));
    size_t count = 0;
    while (position < end) {
        struct cache_piece piece;
        if (!piece_at(reader->thread->cache, entry, position, end, lend, &piece)) break;
        bool merged = count > 0 && joined(&pieces[count - 1], &piece);
        if (!merged && count == max) break;
        if (!merged) pieces[count++] = piece;
        position += piece.bytes;
    }
    if (count == 0) return CACHE_READ_FAILED; /* behind a window's start */
    *out_count = count;
    return CACHE_READ_DATA;
}

enum cache_read cache_reader_peek(struct cache_reader *reader, struct cache_piece *pieces, size_t max,
                                  size_t *out_count) {
    return peek(reader, PEEK_BYTES, false, pieces, max, out_count);
}

enum cache_read cache_reader_peek_most(struct cache_reader *reader, uint64_t most, struct cache_piece *pieces,
                                       size_t max, size_t *out_count) {
    return peek(reader, most, false, pieces, max, out_count);
}

enum cache_read cache_reader_peek_lent(struct cache_reader *reader, struct cache_piece *pieces, size_t max,
                                       size_t *out_count) {
    return peek(reader, PEEK_BYTES, true, pieces, max, out_count);
}

void cache_reader_advance(struct cache_reader *reader, uint64_t bytes) {
    uint64_t from = reader->position;
    reader->position += bytes;
    if (reader->fill) fill_window_moved(channel_of(reader), from, reader->position);
}

bool cache_reader_wait(struct cache_reader *reader, void (*on_ready)(struct cache_reader *reader)) {
    struct fill_channel *channel = channel_of(reader);
    if (!channel) return false;
    reader->on_ready = on_ready;
    sk_list_remove(&reader->wait_link);
    sk_list_push_back(&channel->waiting, &reader->wait_link);
    fill_arm(channel);
    if (reader_ready(reader)) fill_notify(reader->fill);
    return true;
}
