#include "edge/fetch.h"
#include "edge/mux.h"

#define PIECES 8

static struct mux_stream *stream_of(struct wire_stream *wire) {
    return SK_CONTAINER_OF(wire, struct mux_stream, wire);
}

/* --- content, as the engine asks for it ------------------------------------------------------------------- */

static void on_reader_ready(struct cache_reader *reader) {
    struct mux_stream *stream = SK_CONTAINER_OF(reader, struct mux_stream, reader);
    stream->waiting = false;
    stream->moved_at = io_loop_now(stream->conn->worker->loop);
    stream->conn->ops->resume(stream->conn, &stream->wire);
    mux_queue(stream->conn, false);
}

/* False: the end came before the reader was kept, so there is something to read. */
static bool await_fill(struct mux_stream *stream) {
    if (stream->waiting) return true;
    cache_reader_keep(&stream->reader);
    stream->waiting = cache_reader_wait(&stream->reader, on_reader_ready);
    return stream->waiting;
}

/* The next part of a multipart answer. False: there is none. */
static sk_err open_part(struct mux_stream *stream) {
    const struct edge_part *part = &stream->parts[++stream->part_at];
    struct cache_object *object = stream->reader.object;
    struct cache_thread *thread = stream->reader.thread;
    cache_object_ref(object);
    cache_reader_close(&stream->reader);
    cache_reader_open(&stream->reader, thread, object, part->first, part->end);
    return sk_buf_append(&stream->text, part->text);
}

static uint64_t total_of(const struct cache_piece *pieces, size_t count) {
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) total += pieces[i].bytes;
    return total;
}

/* The trailers that have come, where the client wants them; else NULL. */
static const struct http_fields *trailers_of(const struct edge_exchange *exchange) {
    bool wanted =
        (exchange->traits & EDGE_TRAIT_TRAILERS) && exchange->fetch && exchange->fetch->trailers.count;
    return wanted ? &exchange->fetch->trailers : NULL;
}

/* All has been given: was it what was promised? */
static sk_err finish(struct mux_stream *stream, bool *out_last, const struct http_fields **out_trailers) {
    if (stream->promised != 0 && stream->promised != CACHE_LENGTH_UNKNOWN) return SK_ERR_RESET;
    stream->at_end = *out_last = true;
    *out_trailers = trailers_of(&stream->exchange);
    return SK_OK;
}

/* True when nothing comes behind BYTES more: told with them, it saves a frame. */
static bool is_last(const struct mux_stream *stream, uint64_t bytes) {
    bool trailers = stream->exchange.traits & EDGE_TRAIT_TRAILERS;
    return bytes == stream->promised && stream->part_at + 1 >= stream->part_count && !trailers;
}

static sk_err content_of_reader(struct mux_stream *stream, size_t most, size_t *out_bytes, bool *out_last,
                                const struct http_fields **out_trailers) {
    struct cache_piece pieces[PIECES];
    size_t count = 0;
    enum cache_read state = CACHE_READ_END;
    if (stream->reader.object) state = cache_reader_peek_most(&stream->reader, most, pieces, PIECES, &count);
    if (state == CACHE_READ_WAIT && !await_fill(stream))
        state = cache_reader_peek_most(&stream->reader, most, pieces, PIECES, &count);
    if (state == CACHE_READ_WAIT) return SK_ERR_AGAIN;
    if (state == CACHE_READ_FAILED) return SK_ERR_RESET;
    if (state == CACHE_READ_END) return finish(stream, out_last, out_trailers);
    uint64_t bytes = SK_MIN(SK_MIN(total_of(pieces, count), (uint64_t)most), stream->promised);
    if (!bytes) return finish(stream, out_last, out_trailers); /* more than was promised: not our content */
    *out_bytes = (size_t)bytes;
    if (is_last(stream, bytes)) stream->at_end = *out_last = true;
    return SK_OK;
}

static bool part_is_over(struct mux_stream *stream) {
    struct cache_piece piece;
    size_t count = 0;
    if (stream->part_at + 1 >= stream->part_count || !stream->reader.object) return false;
    return cache_reader_peek(&stream->reader, &piece, 1, &count) == CACHE_READ_END;
}

sk_err mux_answer_content(void *owner, struct wire_stream *wire, size_t most, size_t *out_bytes,
                          bool *out_last, const struct http_fields **out_trailers) {
    struct mux_stream *stream = stream_of(wire);
    if (!sk_buf_len(&stream->text) && part_is_over(stream)) {
        sk_err err = open_part(stream);
        if (err) return err;
    }
    size_t text = sk_buf_len(&stream->text);
    if (!text && stream->tunnel_open && !stream->tunnel_ended) {
        stream->waiting = true;
        return SK_ERR_AGAIN;
    }
    if (!text) {
        sk_err err = content_of_reader(stream, most, out_bytes, out_last, out_trailers);
        if (err == SK_ERR_RESET) stream->exchange.outcome.error = SK_STR("the origin's response was cut off");
        return err;
    }
    *out_bytes = SK_MIN(text, most);
    if (*out_bytes == text && !stream->reader.object && is_last(stream, text))
        stream->at_end = *out_last = true;
    return SK_OK;
}

/* Copies BYTES of the present part out of the cache's blocks: the only copy before encryption. */
static sk_err take_of_reader(struct mux_stream *stream, size_t bytes, char *room) {
    while (bytes) {
        struct cache_piece pieces[PIECES];
        size_t count = 0, taken = 0;
        if (cache_reader_peek_most(&stream->reader, bytes, pieces, PIECES, &count) != CACHE_READ_DATA)
            return SK_ERR_RESET;
        for (size_t i = 0; i < count && taken < bytes; i++) {
            size_t n = SK_MIN(bytes - taken, (size_t)pieces[i].bytes);
            memcpy(room, pieces[i].data, n);
            room += n;
            taken += n;
        }
        cache_reader_advance(&stream->reader, taken);
        bytes -= taken;
    }
    return SK_OK;
}

static void count_taken(struct mux_stream *stream, size_t bytes) {
    struct edge_outcome *outcome = &stream->exchange.outcome;
    outcome->sent_bytes += bytes;
    outcome->body_bytes += bytes;
    if (stream->promised != CACHE_LENGTH_UNKNOWN) stream->promised -= bytes;
    stream->moved_at = io_loop_now(stream->conn->worker->loop);
}

sk_err mux_answer_take(void *owner, struct wire_stream *wire, size_t bytes, char *room) {
    struct mux_stream *stream = stream_of(wire);
    size_t text = sk_buf_len(&stream->text);
    sk_err err = SK_OK;
    if (text) {
        SK_ASSERT(bytes <= text);
        memcpy(room, sk_buf_str(&stream->text).data, bytes);
        sk_buf_consume(&stream->text, bytes);
        if (stream->tunnel_writer) io_fiber_wake(stream->tunnel_writer);
    } else {
        err = take_of_reader(stream, bytes, room);
    }
    count_taken(stream, bytes);
    return err;
}

/* A whole object's bytes stay where they are for as long as it is referenced; what still comes may turn out to be a
 * window's. Less than this is copied sooner than counted. */
#define LEND_BYTES 4096

static bool may_lend(const struct mux_stream *stream) {
    const struct cache_object *object = stream->reader.object;
    /* acquire: with the end, all blocks are seen */
    return !sk_buf_len(&stream->text) && object && object->shared &&
           atomic_load_explicit(&object->complete, memory_order_acquire) == CACHE_COMPLETE &&
           stream->promised >= LEND_BYTES;
}

sk_err mux_answer_lend(void *owner, struct wire_stream *wire, size_t most, sk_str *out_piece, bool *out_last,
                       void **out_loan) {
    struct mux_stream *stream = stream_of(wire);
    struct cache_piece piece;
    size_t count = 0;
    if (!may_lend(stream)) return SK_ERR_UNSUPPORTED;
    uint64_t wanted = SK_MIN((uint64_t)most, stream->promised);
    if (cache_reader_peek_most(&stream->reader, wanted, &piece, 1, &count) != CACHE_READ_DATA)
        return SK_ERR_UNSUPPORTED;
    *out_piece = (sk_str){piece.data, (size_t)SK_MIN((uint64_t)piece.bytes, wanted)};
    if (is_last(stream, out_piece->len)) stream->at_end = *out_last = true;
    cache_object_ref(stream->reader.object);
    *out_loan = stream->reader.object;
    cache_reader_advance(&stream->reader, out_piece->len);
    count_taken(stream, out_piece->len);
    return SK_OK;
}

void mux_answer_give_back(void *owner, void *loan) {
    struct mux_conn *conn = owner;
    cache_object_unref(conn->worker->cache, loan);
}

void mux_answer_framed(void *owner, struct wire_stream *wire, size_t bytes) {
    stream_of(wire)->exchange.outcome.sent_bytes += bytes;
}

/* --- heads ------------------------------------------------------------------------------------------------ */

static void open_object(struct mux_stream *stream, const struct edge_response *response) {
    struct cache_thread *cache = stream->conn->worker->cache;
    if (!response->object) return;
    if (response->head_only || !response->part_count) {
        if (!response->borrowed) cache_object_unref(cache, response->object);
        return;
    }
    const struct edge_part *part = &response->parts[0];
    stream->parts = response->parts;
    stream->part_count = response->part_count;
    if (response->borrowed)
        cache_reader_borrow(&stream->reader, cache, response->object, part->first, part->end);
    else
        cache_reader_open(&stream->reader, cache, response->object, part->first, part->end);
}

static sk_err open_body(struct mux_stream *stream, const struct edge_response *response) {
    stream->promised = response->own_length ? CACHE_LENGTH_UNKNOWN : response->body_length;
    open_object(stream, response);
    if (response->head_only) return SK_OK;
    sk_err err = response->part_count ? sk_buf_append(&stream->text, response->parts[0].text) : SK_OK;
    if (!err) err = sk_buf_append(&stream->text, response->small_body);
    return err;
}

/* RFC 8441 section 5: with a 2xx the client would take what follows for the tunnel. */
static struct edge_response not_a_tunnel(struct mux_stream *stream, const struct edge_response *response) {
    if (response->object && !response->borrowed)
        cache_object_unref(stream->conn->worker->cache, response->object);
    stream->exchange.outcome.error = SK_STR("the origin did not change its protocol");
    return (struct edge_response){.status = 502, .extra_head = response->extra_head, .head_only = true};
}

void mux_respond(struct edge_exchange *exchange, const struct edge_response *response) {
    struct mux_stream *stream = mux_stream_of(exchange);
    struct mux_conn *conn = stream->conn;
    struct edge_response instead;
    if (stream->wire.tunnel && !stream->tunnel_open && response->status / 100 == 2) {
        instead = not_a_tunnel(stream, response);
        response = &instead;
    }
    sk_str heads[] = {response->head, response->extra_head};
    exchange->responded = true;
    exchange->outcome.status = response->status;
    bool length = !response->own_length && response->body_length != CACHE_LENGTH_UNKNOWN;
    bool content = !response->head_only && response->body_length != 0;
    sk_err err = open_body(stream, response);
    if (!content) stream->at_end = true;
    if (!err && !stream->gone)
        err = conn->ops->respond(conn, &stream->wire, response->status, heads, 2,
                                 length ? response->body_length : UINT64_MAX, content);
    if (err && !stream->gone) conn->ops->reset(conn, &stream->wire);
    exchange->outcome.first_byte_at = sk_time_now();
    stream->moved_at = io_loop_now(conn->worker->loop);
    if (!stream->gone) conn->ops->pull(conn, &stream->wire); /* while a borrowed object is still there */
    mux_stream_keep(stream);
    mux_queue(conn, false);
}

void mux_inform(struct edge_exchange *exchange, uint16_t status, const struct http_fields *fields) {
    struct mux_stream *stream = mux_stream_of(exchange);
    if (stream->gone || exchange->client_gone || exchange->responded) return;
    /* What cannot be said is only a hint. */
    if (stream->conn->ops->inform(stream->conn, &stream->wire, status, fields) == SK_OK)
        mux_queue(stream->conn, false);
}
