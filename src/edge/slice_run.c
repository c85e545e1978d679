/* From one body into slice after slice. */
#include "base/log.h"
#include "cache/slices.h"
#include "edge/slices_private.h"
#include "edge/worker.h"

/* So many slices are fetched ahead with nobody reading them. */
#define AHEAD 16

sk_err edge_slice_begin(struct edge_fetch *fetch, uint64_t number, uint64_t slice,
                        struct cache_fill **out_fill) {
    struct cache_thread *thread = fetch->worker->cache;
    struct sk_arena *scratch = &fetch->worker->scratch;
    struct cache_key key;
    struct cache_fill *fill;
    struct cache_object *object;
    sk_err err = cache_slice_key(scratch, cache_fill_key(fetch->fill), number, slice, &key);
    if (err) return err;
    switch (cache_fill_begin(thread, &key, NULL, NULL, &fill, &object)) {
    case CACHE_FOUND: cache_object_unref(thread, object); return SK_ERR_EXISTS;
    case CACHE_FOLLOW: cache_fill_leave(thread, fill); return SK_ERR_EXISTS;
    case CACHE_ALONE: return SK_ERR_NO_MEMORY;
    case CACHE_LEAD: break;
    }
    cache_fill_leave(thread, fill);
    *out_fill = fill;
    return SK_OK;
}

sk_err edge_slice_store(struct cache_fill *fill, uint64_t slice, uint64_t length) {
    static const struct http_fields none = {0};
    struct cache_head head = {.status = 206,
                              .fields = &none,
                              .body_length = http_slice_bytes(slice, length),
                              .part = CACHE_PART_SLICE};
    sk_err err = cache_fill_store(fill, &head);
    /* It goes on as a window, for whoever waits for it. */
    return err == SK_ERR_FULL || err == SK_ERR_TOO_LARGE ? SK_OK : err;
}

/* What lies before the first slice. */
static sk_err skip(struct origin_exchange *origin, uint64_t bytes) {
    char spare[4096];
    while (bytes) {
        size_t n = 0;
        sk_err err = origin_exchange_read(origin, spare, SK_MIN(bytes, (uint64_t)sizeof spare), &n);
        if (err) return err;
        bytes -= n;
    }
    return SK_OK;
}

static sk_err read_slice(struct edge_fetch *fetch, struct origin_exchange *origin, uint64_t bytes) {
    while (bytes) {
        char *space;
        size_t room, n = 0;
        sk_err err = cache_fill_space(fetch->fill, SK_TIME_NEVER, &space, &room);
        if (!err) err = origin_exchange_read(origin, space, SK_MIN(bytes, (uint64_t)room), &n);
        if (err) return err;
        cache_fill_commit(fetch->fill, n);
        bytes -= n;
    }
    return SK_OK;
}

/* The whole of SLICE is in the body. */
static bool holds(const struct edge_slice_run *run, uint64_t slice) {
    uint64_t bytes = http_slice_bytes(slice, run->length);
    return bytes > 0 && slice * HTTP_SLICE_BYTES + bytes <= run->end;
}

/* One slice into fetch->fill. The fill of the next (*OUT_NEXT; NULL: there is none to go on with) is begun before
 * this one's last byte can be read, so that whoever has read this one finds that one on its way. */
static sk_err take_slice(struct edge_fetch *fetch, const struct edge_slice_run *run, uint64_t slice,
                         bool wanted, struct cache_fill **out_next) {
    uint64_t bytes = http_slice_bytes(slice, run->length);
    bool next = wanted && holds(run, slice + 1);
    *out_next = NULL;
    if (next && edge_slice_begin(fetch, run->number, slice + 1, out_next) != SK_OK) *out_next = NULL;
    sk_err err = edge_slice_store(fetch->fill, slice, run->length);
    if (!err) err = read_slice(fetch, run->origin, bytes);
    bool last = slice * HTTP_SLICE_BYTES + bytes == run->end;
    if (!err && last) {
        err = edge_fetch_expect_end(run->origin);
        if (err == SK_ERR_END) err = SK_OK;
    }
    return err ? err : cache_fill_finish(fetch->fill);
}

static void failed(struct edge_fetch *fetch, sk_err err) {
    if (err == SK_ERR_END) err = SK_ERR_CLOSED; /* shorter than Content-Range said */
    cache_fill_blame(fetch->fill, ORIGIN_PHASE_BODY, NULL);
    cache_fill_break(fetch->fill, err);
    if (err == SK_ERR_CANCELLED) return;
    SK_LOG_LIMITED(SK_LOG_WARN, "edge", "%.*s: %.*s: partial response body: %s",
                   SK_STR_ARGS(fetch->result.origin), SK_STR_ARGS(fetch->request.target), sk_err_text(err));
}

void edge_slice_run(struct edge_fetch *fetch, const struct edge_slice_run *run) {
    uint64_t slice = run->slice, unwanted = 0;
    sk_err err = skip(run->origin, slice * HTTP_SLICE_BYTES - run->position);
    for (; !err; slice++) {
        struct cache_fill *next;
        bool more = slice + 1 - run->slice < HTTP_SLICE_RUN && unwanted < AHEAD;
        err = take_slice(fetch, run, slice, more, &next);
        if (err && next) cache_fill_release(next);
        unwanted = cache_fill_interest(fetch->fill) ? 0 : unwanted + 1;
        if (err || !next) break;
        cache_fill_release(fetch->fill);
        fetch->fill = next;
    }
    if (err) failed(fetch, err);
}
