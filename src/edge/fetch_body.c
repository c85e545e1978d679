/* The response's body: from the origin into the fill. */
#include "base/log.h"
#include "edge/dictionary.h"
#include "edge/fetch_peer.h"
#include "edge/slices_private.h"
#include "edge/stored_head.h"
#include "edge/worker.h"

/* What a fill that nobody waits for may still cost. */
#define ABANDONED_BYTES (16u << 20)

/* True when the fill goes on although nobody waits for it. */
static bool worth_finishing(const struct edge_fetch *fetch, uint64_t total, uint64_t received,
                            uint64_t since_abandoned) {
    if (cache_fill_interest(fetch->fill)) return true;
    if (since_abandoned > ABANDONED_BYTES) return false;
    return total == CACHE_LENGTH_UNKNOWN || total - received <= ABANDONED_BYTES || received >= total / 2;
}

sk_err edge_fetch_expect_end(struct origin_exchange *origin) {
    char spare[64];
    size_t n = 0;
    sk_err err = origin_exchange_read(origin, spare, sizeof spare, &n);
    return err == SK_OK ? SK_ERR_MALFORMED : err;
}

/* ORIGIN's place may be taken by another one, which the caller closes. */
static sk_err copy_body(struct edge_fetch *fetch, struct origin_exchange **origin, uint64_t total) {
    uint64_t received = 0, abandoned_at = 0;
    for (;;) {
        char *space;
        size_t room, n = 0;
        sk_err err = cache_fill_space(fetch->fill, SK_TIME_NEVER, &space, &room);
        if (err == SK_ERR_TOO_LARGE)
            err = edge_fetch_expect_end(*origin);
        else if (!err)
            err = origin_exchange_read(*origin, space, room, &n);
        if (err) {
            struct origin_exchange *rest;
            if (!edge_fetch_resume(fetch, err, received, total, &rest)) return err;
            if (fetch->rest) origin_exchange_close(fetch->rest);
            fetch->rest = *origin = rest;
            continue;
        }
        cache_fill_commit(fetch->fill, n);
        received += n;
        if (cache_fill_interest(fetch->fill)) abandoned_at = received;
        if (!worth_finishing(fetch, total, received, received - abandoned_at)) return SK_ERR_CANCELLED;
    }
}

/* As much of PIECE as there is room for. */
static sk_err copy_piece(struct edge_fetch *fetch, struct cache_reader *reader,
                         const struct cache_piece *piece) {
    char *space;
    size_t room;
    sk_err err = cache_fill_space(fetch->fill, SK_TIME_NEVER, &space, &room);
    if (err) return err;
    room = SK_MIN(room, piece->bytes);
    memcpy(space, piece->data, room);
    cache_reader_advance(reader, room);
    cache_fill_commit(fetch->fill, room);
    return SK_OK;
}

void edge_fetch_copy_stale(struct edge_fetch *fetch) {
    struct cache_object *stale = cache_fill_stale(fetch->fill);
    struct cache_reader reader;
    struct cache_piece piece;
    size_t count;
    sk_err err = SK_OK;
    cache_object_ref(stale);
    cache_reader_open(&reader, fetch->worker->cache, stale, 0, CACHE_LENGTH_UNKNOWN);
    while (!err && cache_reader_peek(&reader, &piece, 1, &count) == CACHE_READ_DATA)
        err = copy_piece(fetch, &reader, &piece);
    cache_reader_close(&reader);
    if (!err) err = cache_fill_finish(fetch->fill); /* which knows whether all of it was there */
    if (err) cache_fill_break(fetch->fill, err);
}

void edge_fetch_take_body(struct edge_fetch *fetch, struct origin_exchange *origin,
                          const struct http_response *response) {
    sk_err err = SK_ERR_END;
    /* the head does not outlive the body's first bytes */
    sk_str hop = http_fields_joined(&response->fields, HTTP_FIELD_CONNECTION, &fetch->arena);
    hop = hop.data ? sk_arena_copy(&fetch->arena, hop) : hop;
    if (response->body_kind != HTTP_BODY_NONE)
        err = copy_body(fetch, &origin, edge_fetch_body_length(response));
    const struct http_fields *trailers = err == SK_ERR_END ? origin_exchange_trailers(origin) : NULL;
    if (trailers && edge_trailer_fields(&fetch->arena, hop, trailers, &fetch->trailers) != SK_OK)
        err = SK_ERR_NO_MEMORY;
    if (fetch->rest) origin_exchange_close(fetch->rest);
    fetch->rest = NULL;
    if (err != SK_ERR_END) edge_part_keep(fetch, response);
    if (err == SK_ERR_END)
        err = cache_fill_finish(fetch->fill);
    else
        cache_fill_break(fetch->fill, err);
    if (!err) edge_dictionary_learn(fetch);
    if (!err || err == SK_ERR_CANCELLED) return;
    SK_LOG_LIMITED(SK_LOG_WARN, "edge", "%.*s: %.*s: response body: %s", SK_STR_ARGS(fetch->result.origin),
                   SK_STR_ARGS(fetch->request.target), sk_err_text(err));
}
