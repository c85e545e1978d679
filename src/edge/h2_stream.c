#include "edge/h2.h"

#include <stdlib.h>

#include "base/log.h"
#include "edge/error_page.h"
#include "edge/fetch.h"

#define ARENA_FIRST_BYTES 4096

static struct h2_stream *stream_of(struct wire_h2_stream *wire) {
    return SK_CONTAINER_OF(wire, struct h2_stream, wire);
}

/* --- the request's content for the fetch ------------------------------------------------------------------ */

static void body_ready(struct h2_stream *stream) {
    if (!stream->body_wanted) return;
    stream->body_wanted = false;
    if (stream->exchange.fetch) edge_fetch_wake(stream->exchange.fetch);
}

void h2_stream_data(void *owner, struct wire_h2_stream *wire, sk_str bytes) {
    struct h2_stream *stream = stream_of(wire);
    edge_pace_moved(&stream->body_pace, bytes.len, io_loop_now(stream->conn->worker->loop));
    if (sk_buf_append(&stream->body, bytes) != SK_OK) stream->body_error = SK_ERR_NO_MEMORY;
    body_ready(stream);
}

void h2_stream_end(void *owner, struct wire_h2_stream *wire) { body_ready(stream_of(wire)); }

/* What the fetch is done with, the client may send again as much of. */
static void consume_piece(struct h2_stream *stream) {
    size_t bytes = sk_buf_len(&stream->lent);
    sk_buf_clear(&stream->lent);
    if (!bytes || stream->conn->closed) return;
    wire_h2_consumed(stream->conn->h2, &stream->wire, bytes);
    h2_queue(stream->conn, false);
}

static sk_err await_body(struct h2_stream *stream) {
    if (stream->continue_due) {
        stream->continue_due = false;
        h2_inform(&stream->exchange, 100, NULL);
    }
    stream->body_wanted = true;
    edge_pace_run(&stream->body_pace, io_loop_now(stream->conn->worker->loop));
    return SK_ERR_AGAIN;
}

static sk_err read_body(struct edge_exchange *exchange, sk_str *out_piece) {
    struct h2_stream *stream = h2_stream_of(exchange);
    stream->body_wanted = false;
    edge_pace_pause(&stream->body_pace, io_loop_now(stream->conn->worker->loop));
    if (exchange->client_gone || stream->gone) return SK_ERR_CLOSED;
    consume_piece(stream);
    if (stream->body_error) return stream->body_error;
    if (!sk_buf_len(&stream->body)) return stream->wire.ended ? SK_ERR_END : await_body(stream);
    struct sk_buf empty = stream->lent;
    stream->lent = stream->body;
    stream->body = empty;
    sk_str piece = sk_buf_str(&stream->lent);
    stream->body_bytes += piece.len;
    if (stream->body_bytes > exchange->snapshot->config->limits.request_body_bytes)
        return stream->body_error = SK_ERR_TOO_LARGE;
    *out_piece = piece;
    return SK_OK;
}

static const struct http_fields *body_trailers(struct edge_exchange *exchange) {
    const struct http_fields *trailers = &h2_stream_of(exchange)->wire.trailers;
    return trailers->count ? trailers : NULL;
}

static sk_err take_stream(struct edge_exchange *exchange, const struct http_response *response,
                          struct io_stream **out_stream, sk_str *out_read_already) {
    return SK_ERR_UNSUPPORTED; /* a connection of many requests is nobody's tunnel */
}

/* --- life ------------------------------------------------------------------------------------------------- */

/* Whoever is on the stack may still look at it: so it goes later. */
static void release(struct h2_stream *stream) {
    if (!stream->gone || stream->exchange.fiber || stream->released) return;
    stream->released = true;
    sk_list_push_back(&stream->conn->over, &stream->work);
    h2_queue(stream->conn, false);
}

static void fiber_ended(struct edge_exchange *exchange) { release(h2_stream_of(exchange)); }

static const struct edge_exchange_ops exchange_ops = {
    .respond = h2_respond,
    .inform = h2_inform,
    .read_body = read_body,
    .body_trailers = body_trailers,
    .take_stream = take_stream,
    .fiber_ended = fiber_ended,
};

struct wire_h2_stream *h2_stream_open(void *owner) {
    struct h2_conn *conn = owner;
    if (conn->stream_count >= WIRE_H2_STREAMS) return NULL;
    struct h2_stream *stream = sk_pool_get(&conn->worker->h2_stream_pool);
    if (!stream) return NULL;
    stream->conn = conn;
    stream->exchange.ops = &exchange_ops;
    stream->exchange.client = &conn->peer;
    stream->exchange.tls = conn->layer ? &conn->tls : NULL;
    sk_arena_init(&stream->wire.arena, ARENA_FIRST_BYTES, 0);
    sk_arena_init(&stream->exchange.own_arena, ARENA_FIRST_BYTES, 0);
    sk_buf_init(&stream->body, 0);
    sk_buf_init(&stream->lent, 0);
    sk_buf_init(&stream->text, 0);
    sk_list_push_back(&conn->streams, &stream->link);
    sk_list_init(&stream->work);
    conn->stream_count++;
    return &stream->wire;
}

void h2_stream_request(void *owner, struct wire_h2_stream *wire) {
    struct h2_conn *conn = owner;
    conn->asked = true;
    sk_list_push_back(&conn->fresh, &stream_of(wire)->work);
}

static void refuse(struct h2_stream *stream) {
    struct edge_exchange *exchange = &stream->exchange;
    char ip[IO_ADDR_TEXT_BYTES];
    observe_count(stream->conn->worker->metrics, OBSERVE_REQUESTS_MALFORMED);
    io_addr_format_ip(&stream->conn->peer, ip);
    SK_LOG_LIMITED(SK_LOG_INFO, "edge", "%s: request refused: %s", ip, stream->wire.refused);
    edge_respond_error(exchange, stream->wire.refusal, stream->wire.refused);
}

void h2_stream_serve(struct h2_stream *stream) {
    struct edge_exchange *exchange = &stream->exchange;
    struct edge_worker *worker = stream->conn->worker;
    sk_arena_reset(&worker->scratch);
    exchange->request = stream->wire.request;
    edge_exchange_begin(exchange, worker);
    stream->served = true;
    stream->continue_due = exchange->request.expect_continue;
    if (stream->wire.refusal)
        refuse(stream);
    else
        edge_serve(exchange);
    h2_stream_keep(stream);
}

void h2_stream_keep(struct h2_stream *stream) {
    if (stream->gone || !stream->served) return;
    if (stream->reader.object) cache_reader_keep(&stream->reader);
    if (edge_exchange_keep(&stream->exchange) != SK_OK) wire_h2_reset(stream->conn->h2, &stream->wire);
}

/* Answered, or the client is gone. */
static void finish(struct h2_stream *stream, bool whole) {
    struct edge_exchange *exchange = &stream->exchange;
    stream->gone = true;
    cache_reader_close(&stream->reader);
    if (stream->served) {
        if (!whole) exchange->client_gone = exchange->outcome.aborted = true;
        edge_exchange_account(exchange);
        body_ready(stream);
        /* The fiber sees it at its next park; when it runs just now, it is about to end. */
        if (!whole && exchange->fiber && io_fiber_self() != exchange->fiber) io_fiber_cancel(exchange->fiber);
    } else {
        sk_list_remove(&stream->work);
    }
    release(stream);
}

void h2_stream_closed(void *owner, struct wire_h2_stream *wire, bool whole) {
    struct h2_stream *stream = stream_of(wire);
    size_t left = sk_buf_len(&stream->body) +
                  sk_buf_len(&stream->lent); /* the connection's window must not shrink by it */
    wire_h2_consumed(stream->conn->h2, wire, left);
    finish(stream, whole);
}

void h2_stream_abort(struct h2_stream *stream) {
    if (!stream->gone) finish(stream, false);
}

void h2_stream_free(struct h2_stream *stream) {
    struct h2_conn *conn = stream->conn;
    if (stream->served) edge_exchange_end(&stream->exchange);
    sk_arena_free(&stream->wire.arena);
    sk_arena_free(&stream->exchange.own_arena);
    sk_buf_free(&stream->body);
    sk_buf_free(&stream->lent);
    sk_buf_free(&stream->text);
    sk_list_remove(&stream->link);
    sk_list_remove(&stream->work);
    conn->stream_count--;
    if (!conn->stream_count) conn->quiet_at = io_loop_now(conn->worker->loop);
    sk_pool_put(&conn->worker->h2_stream_pool, stream);
}

/* --- too slow --------------------------------------------------------------------------------------------- */

static bool body_pace_ok(struct h2_stream *stream, const struct config_timeouts *timeouts, sk_time_ns now) {
    struct edge_pace_limits limits = {.progress_ms = timeouts->body_ms, .min_rate = timeouts->min_rate};
    sk_time_ns check;
    return !stream->body_wanted || edge_pace_ok(&stream->body_pace, &limits, now, &check);
}

/* The client's window is what keeps the answer waiting. */
static bool stalled(const struct h2_stream *stream, const struct config_timeouts *timeouts, sk_time_ns now) {
    bool answering = stream->exchange.responded && !stream->waiting && !stream->conn->blocked;
    return answering && now - stream->moved_at >= timeouts->write_ms * SK_NS_PER_MS;
}

void h2_stream_check(struct h2_stream *stream, sk_time_ns now) {
    struct h2_conn *conn = stream->conn;
    if (stream->gone || !stream->served) return;
    const struct config_timeouts *timeouts = &stream->exchange.snapshot->config->timeouts;
    if (!body_pace_ok(stream, timeouts, now)) {
        observe_count(conn->worker->metrics, OBSERVE_TIMEOUTS);
        stream->body_error = SK_ERR_TIMEOUT;
        body_ready(stream);
    } else if (timeouts->write_ms && stalled(stream, timeouts, now)) {
        observe_count(conn->worker->metrics, OBSERVE_TIMEOUTS);
        stream->exchange.outcome.error = SK_STR("the client took the response too slowly");
        wire_h2_reset(conn->h2, &stream->wire);
        wire_h2_blame(conn->h2, WIRE_H2_COST_STALL, now);
        h2_queue(conn, false);
    }
}
