/* A response that was cut off while it was being stored: its whole slices are kept, and a head that says how much
 * there should be. The next request has the rest fetched (RFC 9111 section 3.3). */
#include "cache/slices.h"
#include "edge/slices_private.h"
#include "edge/worker.h"

/* Copies [first, first + bytes) of what OBJECT has into DATA. */
static bool copy_out(struct edge_fetch *fetch, struct cache_object *object, uint64_t first, char *data,
                     uint64_t bytes) {
    struct cache_reader reader;
    cache_object_ref(object);
    cache_reader_open(&reader, fetch->worker->cache, object, first, first + bytes);
    uint64_t copied = 0;
    while (copied < bytes) {
        struct cache_piece pieces[8];
        size_t count = 0;
        if (cache_reader_peek(&reader, pieces, SK_COUNT(pieces), &count) != CACHE_READ_DATA) break;
        uint64_t before = copied;
        for (size_t i = 0; i < count; i++) {
            memcpy(data + copied, pieces[i].data, pieces[i].bytes);
            copied += pieces[i].bytes;
        }
        cache_reader_advance(&reader, copied - before);
    }
    cache_reader_close(&reader);
    return copied == bytes;
}

/* What came of OBJECT for this slice, into its fill. */
static bool fill_slice(struct edge_fetch *fetch, struct cache_object *object, struct cache_fill *fill,
                       uint64_t slice, uint64_t length) {
    uint64_t bytes = http_slice_bytes(slice, length), done = 0;
    if (edge_slice_store(fill, slice, length) != SK_OK || cache_fill_is_private(fill)) return false;
    while (done < bytes) {
        char *space;
        size_t room;
        if (cache_fill_space(fill, SK_TIME_NEVER, &space, &room) != SK_OK) return false;
        if (cache_fill_is_private(fill)) return false; /* no more memory */
        size_t count = (size_t)SK_MIN(bytes - done, (uint64_t)room);
        if (!copy_out(fetch, object, slice * HTTP_SLICE_BYTES + done, space, count)) return false;
        cache_fill_commit(fill, count);
        done += count;
    }
    return cache_fill_finish(fill) == SK_OK;
}

static bool keep_slice(struct edge_fetch *fetch, struct cache_object *object, uint64_t number,
                       uint64_t slice) {
    struct cache_fill *fill;
    uint64_t length = atomic_load_explicit(&object->body_length, memory_order_relaxed); /* was announced */
    if (edge_slice_begin(fetch, number, slice, &fill) != SK_OK) return false;
    bool kept = fill_slice(fetch, object, fill, slice, length);
    cache_fill_release(fill);
    io_fiber_yield();
    return kept;
}

/* Still what a request would be answered with: not purged, removed or replaced. */
static bool in_force(struct edge_fetch *fetch, const struct cache_key *primary,
                     const struct cache_object *object) {
    struct cache_finding finding;
    cache_enter(fetch->worker->cache);
    const struct cache_object *found =
        cache_find(fetch->worker->cache, primary, &fetch->client_request, &finding);
    bool same = found == object && !finding.soft_purged;
    cache_leave(fetch->worker->cache);
    return same;
}

/* Into FILL, which was begun before anybody looked whether OBJECT is in force: what comes to it later comes to
 * FILL. */
static void keep(struct edge_fetch *fetch, const struct http_response *response, struct cache_fill *fill) {
    struct cache_object *object = cache_fill_object(fetch->fill);
    /* relaxed: this fiber wrote it */
    uint64_t available = atomic_load_explicit(&object->available, memory_order_relaxed);
    struct http_fields fields;
    struct cache_head head;
    if (edge_fetch_make_head(fetch, response, true, &fields, &head) != SK_OK ||
        edge_fetch_tags(fetch, response, &head) != SK_OK)
        return;
    head.freshness = object->freshness;
    head.reason = object->store_reason;
    head.part = CACHE_PART_HEAD;
    head.slices = cache_slices_number(fetch->worker->cache);
    for (uint64_t slice = 0; (slice + 1) * HTTP_SLICE_BYTES <= available; slice++)
        if (!keep_slice(fetch, object, head.slices, slice)) break;
    (void)!cache_fill_store(fill, &head);
}

void edge_part_keep(struct edge_fetch *fetch, const struct http_response *response) {
    struct cache_object *object = cache_fill_object(fetch->fill), *found;
    struct cache_thread *thread = fetch->worker->cache;
    struct cache_fill *fill;
    if (!object || !object->shared || cache_fill_is_private(fetch->fill) || object->status != 200) return;
    /* relaxed: this fiber wrote them */
    uint64_t available = atomic_load_explicit(&object->available, memory_order_relaxed);
    if (atomic_load_explicit(&object->body_length, memory_order_relaxed) == CACHE_LENGTH_UNKNOWN) return;
    if (available < HTTP_SLICE_BYTES || !http_validators_strong(&object->validators)) return;
    const struct cache_key *primary = cache_fill_primary_key(fetch->fill);
    switch (cache_fill_begin(thread, primary, &fetch->client_request, object, &fill, &found)) {
    case CACHE_FOUND: cache_object_unref(thread, found); return;
    case CACHE_FOLLOW: cache_fill_leave(thread, fill); return;
    case CACHE_ALONE: return;
    case CACHE_LEAD: break;
    }
    cache_fill_leave(thread, fill);
    cache_fill_inherit(fill, object);
    if (in_force(fetch, primary, object)) keep(fetch, response, fill);
    cache_fill_release(fill);
}
