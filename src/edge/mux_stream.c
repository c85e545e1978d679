#include "edge/mux.h"

#include <stdlib.h>

#include "base/log.h"
#include "edge/error_page.h"
#include "edge/fetch.h"

static struct mux_stream *stream_of(struct wire_stream *wire) {
    return SK_CONTAINER_OF(wire, struct mux_stream, wire);
}

/* --- the request's content for the fetch ------------------------------------------------------------------ */

static void body_ready(struct mux_stream *stream) {
    if (stream->tunnel_reader) io_fiber_wake(stream->tunnel_reader);
    if (!stream->body_wanted) return;
    stream->body_wanted = false;
    if (stream->exchange.fetch) edge_fetch_wake(stream->exchange.fetch);
}

static void stream_data(void *owner, struct wire_stream *wire, sk_str bytes) {
    struct mux_stream *stream = stream_of(wire);
    edge_pace_moved(&stream->body_pace, bytes.len, io_loop_now(stream->conn->worker->loop));
    if (sk_buf_append(&stream->body, bytes) != SK_OK) stream->body_error = SK_ERR_NO_MEMORY;
    body_ready(stream);
}

static void stream_end(void *owner, struct wire_stream *wire) { body_ready(stream_of(wire)); }

/* What the fetch is done with, the client may send again as much of. */
static void consume_piece(struct mux_stream *stream) {
    size_t bytes = sk_buf_len(&stream->lent);
    sk_buf_clear(&stream->lent);
    if (!bytes || stream->conn->closed) return;
    stream->conn->ops->consumed(stream->conn, &stream->wire, bytes);
    mux_queue(stream->conn, false);
}

static sk_err await_body(struct mux_stream *stream) {
    if (stream->continue_due) {
        stream->continue_due = false;
        mux_inform(&stream->exchange, 100, NULL);
    }
    stream->body_wanted = true;
    edge_pace_run(&stream->body_pace, io_loop_now(stream->conn->worker->loop));
    return SK_ERR_AGAIN;
}

static sk_err read_body(struct edge_exchange *exchange, sk_str *out_piece) {
    struct mux_stream *stream = mux_stream_of(exchange);
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
    const struct http_fields *trailers = &mux_stream_of(exchange)->wire.trailers;
    return trailers->count ? trailers : NULL;
}

static sk_err take_stream(struct edge_exchange *exchange, const struct http_response *response,
                          struct io_stream **out_stream, sk_str *out_read_already) {
    return SK_ERR_UNSUPPORTED; /* a connection of many requests is nobody's tunnel */
}

/* --- life ------------------------------------------------------------------------------------------------- */

/* Whoever is on the stack may still look at it: so it goes later. */
static void release(struct mux_stream *stream) {
    if (!stream->gone || stream->exchange.fiber || stream->released) return;
    stream->released = true;
    sk_list_push_back(&stream->conn->over, &stream->work);
    mux_queue(stream->conn, false);
}

static void fiber_ended(struct edge_exchange *exchange) { release(mux_stream_of(exchange)); }

static const struct edge_exchange_ops exchange_ops = {
    .respond = mux_respond,
    .inform = mux_inform,
    .read_body = read_body,
    .body_trailers = body_trailers,
    .take_stream = take_stream,
    .tunnel_open = mux_tunnel_open,
    .tunnel_read = mux_tunnel_read,
    .tunnel_write = mux_tunnel_write,
    .tunnel_end = mux_tunnel_end,
    .tunnel_close = mux_tunnel_close,
    .fiber_ended = fiber_ended,
};

static struct wire_stream *stream_open(void *owner) {
    struct mux_conn *conn = owner;
    if (conn->stream_count >= conn->stream_limit) return NULL;
    struct mux_stream *stream = mux_room_get(&conn->worker->mux_room);
    if (!stream) return NULL;
    stream->conn = conn;
    stream->moved_at = io_loop_now(conn->worker->loop);
    stream->exchange.ops = &exchange_ops;
    stream->exchange.client = &conn->peer;
    stream->exchange.tls = conn->secure ? &conn->tls : NULL;
    sk_arena_init_pooled(&stream->wire.arena, &conn->worker->mux_room.chunks, 0);
    stream->exchange.lasting = true;
    sk_buf_init(&stream->body, 0);
    sk_buf_init(&stream->lent, 0);
    sk_buf_init(&stream->text, 0);
    sk_list_push_back(&conn->streams, &stream->link);
    sk_list_init(&stream->work);
    conn->stream_count++;
    return &stream->wire;
}

static void stream_request(void *owner, struct wire_stream *wire) {
    struct mux_conn *conn = owner;
    conn->asked = true;
    sk_list_push_back(&conn->fresh, &stream_of(wire)->work);
}

static void refuse(struct mux_stream *stream) {
    struct edge_exchange *exchange = &stream->exchange;
    char ip[IO_ADDR_TEXT_BYTES];
    observe_count(stream->conn->worker->metrics, OBSERVE_REQUESTS_MALFORMED);
    io_addr_format_ip(&stream->conn->peer, ip);
    SK_LOG_LIMITED(SK_LOG_INFO, "edge", "%s: request refused: %s", ip, stream->wire.refused);
    edge_respond_error(exchange, stream->wire.refusal, stream->wire.refused);
}

static void serve(struct mux_stream *stream) {
    struct edge_exchange *exchange = &stream->exchange;
    struct edge_worker *worker = stream->conn->worker;
    sk_arena_reset(&worker->scratch);
    exchange->request = stream->wire.request;
    edge_exchange_begin(exchange, worker);
    exchange->arena = &stream->wire.arena;
    stream->served = true;
    stream->continue_due = exchange->request.expect_continue;
    if (stream->wire.refusal)
        refuse(stream);
    else if (stream->wire.tunnel && mux_tunnel_ask(stream) != SK_OK)
        edge_respond_error(exchange, 503, "out of memory");
    else
        edge_serve(exchange);
    mux_stream_keep(stream);
}

/* What has no byte left to be taken needs its object no more. */
static void keep_reader(struct mux_stream *stream) {
    if (!stream->reader.object) return;
    if (stream->at_end && !stream->promised)
        cache_reader_close(&stream->reader);
    else
        cache_reader_keep(&stream->reader);
}

void mux_stream_keep(struct mux_stream *stream) {
    if (stream->gone || !stream->served) return;
    keep_reader(stream);
    if (edge_exchange_keep(&stream->exchange) != SK_OK) stream->conn->ops->reset(stream->conn, &stream->wire);
}

/* Answered, or the client is gone. */
static void finish(struct mux_stream *stream, bool whole) {
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

static void stream_closed(void *owner, struct wire_stream *wire, bool whole) {
    struct mux_stream *stream = stream_of(wire);
    size_t left = sk_buf_len(&stream->body) +
                  sk_buf_len(&stream->lent); /* the connection's window must not shrink by it */
    stream->conn->ops->consumed(stream->conn, wire, left);
    finish(stream, whole);
}

static void stream_abort(struct mux_stream *stream) {
    if (!stream->gone) finish(stream, false);
}

static void stream_free(struct mux_stream *stream) {
    struct mux_conn *conn = stream->conn;
    if (stream->served) edge_exchange_end(&stream->exchange);
    sk_arena_free(&stream->wire.arena);
    sk_buf_free(&stream->body);
    sk_buf_free(&stream->lent);
    sk_buf_free(&stream->text);
    sk_list_remove(&stream->link);
    sk_list_remove(&stream->work);
    conn->stream_count--;
    if (!conn->stream_count) conn->quiet_at = io_loop_now(conn->worker->loop);
    mux_room_put(&conn->worker->mux_room, stream);
}

/* --- too slow --------------------------------------------------------------------------------------------- */

static bool body_pace_ok(struct mux_stream *stream, const struct config_timeouts *timeouts, sk_time_ns now) {
    struct edge_pace_limits limits = {.progress_ms = timeouts->body_ms, .min_rate = timeouts->min_rate};
    sk_time_ns check;
    return !stream->body_wanted || edge_pace_ok(&stream->body_pace, &limits, now, &check);
}

/* The client's window is what keeps the answer waiting. */
static bool stalled(const struct mux_stream *stream, const struct config_timeouts *timeouts, sk_time_ns now) {
    bool answering = stream->exchange.responded && !stream->waiting && !stream->conn->blocked;
    return answering && now - stream->moved_at >= timeouts->write_ms * SK_NS_PER_MS;
}

/* HTTP/2 has the connection wait for it, HTTP/3 the stream alone. */
static void check_head(struct mux_stream *stream, sk_time_ns now) {
    struct mux_conn *conn = stream->conn;
    int64_t header_ms = conn->worker->snapshot->config->timeouts.header_ms;
    if (stream->wire.begun || !header_ms || now - stream->moved_at < header_ms * SK_NS_PER_MS) return;
    observe_count(conn->worker->metrics, OBSERVE_TIMEOUTS);
    conn->ops->reset(conn, &stream->wire);
    mux_queue(conn, false);
}

static void check_pace(struct mux_stream *stream, sk_time_ns now) {
    struct mux_conn *conn = stream->conn;
    if (stream->gone) return;
    if (!stream->served) {
        check_head(stream, now);
        return;
    }
    const struct config_timeouts *timeouts = &stream->exchange.snapshot->config->timeouts;
    if (!body_pace_ok(stream, timeouts, now)) {
        observe_count(conn->worker->metrics, OBSERVE_TIMEOUTS);
        stream->body_error = SK_ERR_TIMEOUT;
        body_ready(stream);
    } else if (timeouts->write_ms && stalled(stream, timeouts, now)) {
        observe_count(conn->worker->metrics, OBSERVE_TIMEOUTS);
        stream->exchange.outcome.error = SK_STR("the client took the response too slowly");
        conn->ops->reset(conn, &stream->wire);
        conn->ops->blame(conn, WIRE_H2_COST_STALL, now);
        mux_queue(conn, false);
    }
}

/* --- all of a connection's -------------------------------------------------------------------------------- */

const struct wire_stream_events mux_events = {
    .open = stream_open,
    .request = stream_request,
    .data = stream_data,
    .end = stream_end,
    .closed = stream_closed,
    .content = mux_answer_content,
    .take = mux_answer_take,
    .framed = mux_answer_framed,
    .lend = mux_answer_lend,
    .give_back = mux_answer_give_back,
};

void mux_conn_init(struct mux_conn *conn, const struct mux_ops *ops, struct edge_worker *worker,
                   const struct io_addr *peer, uint32_t stream_limit) {
    conn->ops = ops;
    conn->worker = worker;
    conn->peer = *peer;
    conn->stream_limit = stream_limit;
    conn->quiet_at = io_loop_now(worker->loop);
    sk_list_init(&conn->streams);
    sk_list_init(&conn->fresh);
    sk_list_init(&conn->over);
}

static void on_task(struct io_task *task) {
    struct mux_conn *conn = SK_CONTAINER_OF(task, struct mux_conn, task);
    conn->task_queued = false;
    mux_free_streams(conn);
    if (!conn->closed) conn->ops->run(conn);
    mux_free_streams(conn);
    if (conn->closed && !conn->stream_count && !conn->task_queued) conn->ops->free(conn);
}

void mux_queue(struct mux_conn *conn, bool yield) {
    if (conn->task_queued) return;
    conn->task_queued = true;
    conn->task.run = on_task;
    if (yield)
        io_loop_defer_to_next(conn->worker->loop, &conn->task);
    else
        io_loop_defer(conn->worker->loop, &conn->task);
}

struct wire_head_limits mux_head_limits(const struct edge_worker *worker) {
    const struct wire_h1_limits *limits = &worker->snapshot->head_limits;
    return (struct wire_head_limits){limits->head_bytes, limits->field_count, limits->target_bytes};
}

void mux_serve_fresh(struct mux_conn *conn) {
    struct sk_list *work;
    while (!conn->closed && (work = sk_list_pop_front(&conn->fresh)))
        serve(SK_CONTAINER_OF(work, struct mux_stream, work));
}

void mux_check_streams(struct mux_conn *conn, sk_time_ns now) {
    SK_LIST_FOR_EACH(link, &conn->streams) check_pace(SK_CONTAINER_OF(link, struct mux_stream, link), now);
}

void mux_abort_streams(struct mux_conn *conn) {
    SK_LIST_FOR_EACH(link, &conn->streams) stream_abort(SK_CONTAINER_OF(link, struct mux_stream, link));
}

void mux_free_streams(struct mux_conn *conn) {
    struct sk_list *work;
    while ((work = sk_list_pop_front(&conn->over)))
        stream_free(SK_CONTAINER_OF(work, struct mux_stream, work));
}

bool mux_idle_too_long(const struct mux_conn *conn, sk_time_ns now) {
    const struct config_timeouts *timeouts = &conn->worker->snapshot->config->timeouts;
    int64_t ms = conn->asked ? SK_MAX(timeouts->keep_alive_ms, 1) : timeouts->header_ms;
    return !conn->stream_count && ms && now - conn->quiet_at >= ms * SK_NS_PER_MS;
}
