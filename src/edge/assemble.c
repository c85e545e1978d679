/* One client's answer, put together from the slices of a partial object: each in its turn, fetched when it is
 * missing. The fiber writes into a window of the client's own, so a slow client holds no more than that and the
 * slice it is at. */
#include "cache/slices.h"
#include "edge/slices_private.h"
#include "edge/worker.h"

/* A slice that breaks off is asked for again, so often without a byte gained. */
#define TRIES 3

struct assembly {
    struct edge_fetch *fetch;
    struct io_fiber *fiber;
    uint64_t number, length;
    uint64_t end;                /* of the part that is being copied; exclusive */
    struct cache_object *object; /* a slice, referenced; or NULL */
    uint64_t slice;              /* which one */
    struct cache_reader reader;
};

sk_err edge_assembly_copy(struct edge_fetch *fetch, const struct edge_fetch_plan *plan) {
    struct edge_part *parts = sk_arena_alloc(&fetch->arena, plan->part_count * sizeof *parts);
    if (!parts) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < plan->part_count; i++) {
        parts[i] = plan->parts[i];
        if (!parts[i].text.len) continue;
        parts[i].text = sk_arena_copy(&fetch->arena, parts[i].text);
        if (!parts[i].text.data) return SK_ERR_NO_MEMORY;
    }
    fetch->parts = parts;
    fetch->part_count = plan->part_count;
    fetch->parts_bytes = plan->parts_bytes;
    return SK_OK;
}

/* --- getting slices ---------------------------------------------------------------------------------------- */

static sk_err key_of(struct assembly *assembly, uint64_t slice, struct cache_key *out_key) {
    return cache_slice_key(&assembly->fetch->worker->scratch, &assembly->fetch->head->key, assembly->number,
                           slice, out_key);
}

/* The end of the slices from SLICE on that are wanted and missing. */
static uint64_t missing_until(struct assembly *assembly, uint64_t slice) {
    uint64_t end = http_slice_of(assembly->end - 1) + 1, at = slice + 1;
    for (; at < end && at - slice < HTTP_SLICE_RUN; at++) {
        struct cache_key key;
        if (key_of(assembly, at, &key) != SK_OK || cache_slice_present(assembly->fetch->worker->cache, &key))
            break;
    }
    return at;
}

static void start_run(struct assembly *assembly, uint64_t slice, struct cache_fill *fill) {
    const struct edge_fetch *fetch = assembly->fetch;
    uint64_t until = missing_until(assembly, slice);
    struct edge_fetch_plan plan = {
        .worker = fetch->worker,
        .snapshot = fetch->snapshot,
        .site = fetch->site,
        .rule = fetch->rule,
        .request = &fetch->client_request,
        .client_of = fetch,
        .fill = fill,
        .head = fetch->head,
        .head_key = cache_fill_primary_key(fetch->fill),
        .slice = slice,
        .slice_end = until,
        .wish = {.wanted = true,
                 .first = slice * HTTP_SLICE_BYTES,
                 .last = SK_MIN(until * HTTP_SLICE_BYTES, assembly->length) - 1},
    };
    edge_fetch_start(&plan);
}

/* One try. SK_ERR_AGAIN: another may do better. */
static sk_err try_slice(struct assembly *assembly, uint64_t slice, struct cache_failure *out_failure) {
    struct cache_thread *thread = assembly->fetch->worker->cache;
    struct cache_key key;
    struct cache_fill *fill;
    enum cache_outcome outcome;
    sk_err err = key_of(assembly, slice, &key);
    if (err) return err;
    enum cache_role role = cache_fill_begin(thread, &key, NULL, NULL, &fill, &assembly->object);
    if (role == CACHE_FOUND) return SK_OK;
    if (role == CACHE_ALONE) return SK_ERR_NO_MEMORY;
    if (role == CACHE_LEAD) start_run(assembly, slice, fill);
    err = cache_fill_wait(thread, fill, role, NULL, SK_TIME_NEVER, &outcome, &assembly->object, out_failure);
    if (err) {
        cache_fill_leave(thread, fill);
        return err;
    }
    if (outcome == CACHE_OUTCOME_OBJECT) return SK_OK;
    if (outcome != CACHE_OUTCOME_FAILED) return SK_ERR_AGAIN;
    bool final = role == CACHE_LEAD || out_failure->err == SK_ERR_STALE;
    return final ? out_failure->err : SK_ERR_AGAIN;
}

/* Sets assembly->object to the slice at hand. */
static sk_err get_slice(struct assembly *assembly, uint64_t slice, struct cache_failure *out_failure) {
    sk_err err = SK_ERR_AGAIN;
    for (int i = 0; i < TRIES && err == SK_ERR_AGAIN; i++) {
        assembly->object = NULL;
        err = try_slice(assembly, slice, out_failure);
    }
    if (err) assembly->object = NULL;
    assembly->slice = slice;
    return err == SK_ERR_AGAIN ? SK_ERR_IO : err;
}

static void drop_slice(struct assembly *assembly) {
    if (assembly->object) cache_object_unref(assembly->fetch->worker->cache, assembly->object);
    assembly->object = NULL;
}

/* --- copying -------------------------------------------------------------------------------------------------- */

static sk_err put(struct edge_fetch *fetch, const char *data, size_t bytes) {
    while (bytes) {
        char *space;
        size_t room;
        sk_err err = cache_fill_space(fetch->fill, SK_TIME_NEVER, &space, &room);
        if (err) return err;
        size_t count = SK_MIN(room, bytes);
        memcpy(space, data, count);
        cache_fill_commit(fetch->fill, count);
        data += count;
        bytes -= count;
    }
    return SK_OK;
}

static void on_ready(struct cache_reader *reader) {
    io_fiber_wake(SK_CONTAINER_OF(reader, struct assembly, reader)->fiber);
}

/* What can be read now. SK_ERR_END: no more in this slice. */
static sk_err copy_some(struct assembly *assembly) {
    struct cache_piece piece;
    size_t count = 0;
    sk_err err;
    switch (cache_reader_peek(&assembly->reader, &piece, 1, &count)) {
    case CACHE_READ_DATA:
        err = put(assembly->fetch, piece.data, piece.bytes);
        if (!err) cache_reader_advance(&assembly->reader, piece.bytes);
        return err;
    case CACHE_READ_WAIT:
        if (!cache_reader_wait(&assembly->reader, on_ready)) return SK_OK; /* the end has come: look again */
        return io_fiber_park(SK_TIME_NEVER);
    case CACHE_READ_END: return SK_ERR_END;
    case CACHE_READ_FAILED: break;
    }
    return SK_ERR_CLOSED;
}

/* [POSITION, END) of the representation, within the slice at hand, whose reference goes. SK_ERR_CLOSED: the slice
 * broke off; *POSITION says how far it came. */
static sk_err copy_slice(struct assembly *assembly, uint64_t *position, uint64_t end) {
    uint64_t start = assembly->slice * HTTP_SLICE_BYTES;
    struct cache_object *object = assembly->object;
    sk_err err = SK_OK;
    assembly->object = NULL;
    cache_reader_open(&assembly->reader, assembly->fetch->worker->cache, object, *position - start,
                      end - start);
    while (!err) err = copy_some(assembly);
    *position = start + assembly->reader.position;
    cache_reader_close(&assembly->reader);
    if (err != SK_ERR_END) return err;
    return *position == end ? SK_OK : SK_ERR_CLOSED;
}

static sk_err copy_range(struct assembly *assembly, uint64_t position, uint64_t end) {
    struct cache_failure failure = {0};
    sk_err err = SK_OK;
    int tries = 0;
    assembly->end = end;
    while (!err && position < end) {
        uint64_t slice = http_slice_of(position), before = position;
        if (!assembly->object || assembly->slice != slice) {
            drop_slice(assembly);
            err = get_slice(assembly, slice, &failure);
        }
        if (!err) err = copy_slice(assembly, &position, SK_MIN(end, (slice + 1) * HTTP_SLICE_BYTES));
        tries = position > before ? 0 : tries + 1;
        if (err == SK_ERR_CLOSED && tries < TRIES) err = SK_OK;
    }
    return err;
}

static sk_err copy_parts(struct assembly *assembly) {
    const struct edge_fetch *fetch = assembly->fetch;
    sk_err err = SK_OK;
    for (uint32_t i = 0; i < fetch->part_count && !err; i++) {
        const struct edge_part *part = &fetch->parts[i];
        err = put(assembly->fetch, part->text.data, part->text.len);
        if (!err && part->first < part->end) err = copy_range(assembly, part->first, part->end);
    }
    return err;
}

/* --- the story -------------------------------------------------------------------------------------------------- */

/* A slice that is missing, wherever it lies: when it comes, the representation is still the same one. */
static sk_err probe(struct assembly *assembly, struct cache_failure *out_failure) {
    const struct edge_fetch *fetch = assembly->fetch;
    if (!fetch->slice_end) return SK_OK;
    assembly->end = SK_MIN(fetch->slice_end * HTTP_SLICE_BYTES, assembly->length);
    sk_err err = get_slice(assembly, fetch->slice, out_failure);
    if (!err && fetch->slice != http_slice_of(fetch->parts[0].first)) drop_slice(assembly);
    return err;
}

/* The answer's head goes out only when its first bytes are on their way. */
static sk_err begin(struct assembly *assembly) {
    struct edge_fetch *fetch = assembly->fetch;
    static const struct http_fields none = {0};
    struct cache_head head = {.status = 200, .fields = &none, .body_length = fetch->parts_bytes};
    struct cache_failure failure = {0};
    sk_err err = probe(assembly, &failure);
    assembly->end = fetch->parts[0].end;
    if (!err && !assembly->object) err = get_slice(assembly, http_slice_of(fetch->parts[0].first), &failure);
    if (!err) return cache_fill_pass(fetch->fill, &head, 0);
    cache_fill_blame(fetch->fill, failure.phase, failure.detail);
    cache_fill_fail(fetch->fill, err, false);
    return err;
}

void edge_assemble(struct edge_fetch *fetch) {
    struct assembly assembly = {
        .fetch = fetch,
        .fiber = io_fiber_self(),
        .number = cache_slices_of(fetch->head),
        .length = atomic_load_explicit(&fetch->head->body_length, memory_order_acquire),
    };
    sk_err err = begin(&assembly);
    if (!err) {
        err = copy_parts(&assembly);
        if (!err) err = cache_fill_finish(fetch->fill);
        if (err) cache_fill_break(fetch->fill, err);
    }
    drop_slice(&assembly);
}
