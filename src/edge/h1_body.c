#include "edge/fetch.h"
#include "edge/h1.h"

#define BODY_READ_BYTES (16 * 1024)

static sk_err body_failed(struct h1_conn *conn, sk_err err) {
    conn->body_error = err;
    conn->close_after = conn->linger = true;
    return err;
}

/* RFC 9110 section 10.1.1. What cannot be sent at once would only be late: the client sends anyway. */
static void send_continue(struct h1_conn *conn) {
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct iovec iov = {(void *)(uintptr_t)text, sizeof text - 1};
    size_t n = 0;
    conn->continue_due = false;
    sk_err err = io_layer_sendv(conn->layer, conn->watch.fd, &iov, 1, false, &n);
    /* A layer that has not taken it all wants it again, and nobody would offer it. */
    if (err ? conn->layer != NULL : n < iov.iov_len) conn->body_error = SK_ERR_CLOSED;
}

static bool body_pace_ok(struct h1_conn *conn) {
    const struct config_timeouts *timeouts = &conn->exchange.snapshot->config->timeouts;
    struct edge_pace_limits limits = {.progress_ms = timeouts->body_ms, .min_rate = timeouts->min_rate};
    sk_time_ns check = SK_TIME_NEVER;
    if (!edge_pace_ok(&conn->body_pace, &limits, io_loop_now(conn->worker->loop), &check)) return false;
    h1_set_deadline(conn, check);
    return true;
}

/* Nothing is there: the fetch is woken when there is, or when it has taken too long. */
static sk_err await_body(struct h1_conn *conn) {
    if (conn->continue_due) send_continue(conn);
    if (conn->body_error) return conn->body_error;
    conn->body_wanted = true;
    edge_pace_run(&conn->body_pace, io_loop_now(conn->worker->loop));
    return body_pace_ok(conn) ? SK_ERR_AGAIN : body_failed(conn, SK_ERR_TIMEOUT);
}

static sk_err receive_body(struct h1_conn *conn) {
    size_t n = 0;
    if (sk_buf_reserve(&conn->in, BODY_READ_BYTES) != SK_OK) return body_failed(conn, SK_ERR_NO_MEMORY);
    sk_err err = h1_receive(conn, sk_buf_space(&conn->in), sk_buf_space_len(&conn->in), &n);
    if (err == SK_ERR_AGAIN) return await_body(conn);
    if (err) return body_failed(conn, SK_ERR_CLOSED);
    sk_buf_commit(&conn->in, n);
    edge_pace_moved(&conn->body_pace, n, io_loop_now(conn->worker->loop));
    return SK_OK;
}

static sk_err malformed_body(struct h1_conn *conn) {
    h1_note_refusal(conn, conn->parser.refusal);
    conn->exchange.body_problem = wire_h1_refusal_text(conn->parser.refusal);
    return body_failed(conn, SK_ERR_MALFORMED);
}

static sk_err account_piece(struct h1_conn *conn, size_t bytes) {
    uint64_t limit = conn->exchange.snapshot->config->limits.request_body_bytes;
    conn->body_bytes += bytes;
    return conn->body_bytes > limit ? body_failed(conn, SK_ERR_TOO_LARGE) : SK_OK;
}

/* The first bytes of a chunked body are looked through as far as they are there before any of them, or the
 * request itself, goes on: what is malformed from the beginning never reaches an origin. */
static sk_err look_ahead(struct h1_conn *conn) {
    struct wire_h1_parser parser = conn->parser;
    sk_str input = sk_buf_str(&conn->in);
    sk_err err = SK_OK;
    if (conn->body_seen) return SK_OK;
    conn->body_seen = true;
    while (!err && !wire_h1_message_done(&parser)) {
        struct http_fields trailers = {0};
        sk_str data;
        size_t consumed = 0;
        err = wire_h1_parse_body(&parser, &conn->exchange.snapshot->head_limits, input, conn->exchange.arena,
                                 &trailers, &data, &consumed);
        input = sk_str_slice(input, consumed, input.len);
    }
    if (err == SK_ERR_MALFORMED) conn->parser.refusal = parser.refusal;
    return err == SK_ERR_MALFORMED ? err : SK_OK;
}

sk_err h1_read_body(struct edge_exchange *exchange, sk_str *out_piece) {
    struct h1_conn *conn = h1_of(exchange);
    if (exchange->client_gone) return SK_ERR_CLOSED;
    sk_buf_consume(&conn->in, conn->body_piece);
    conn->body_piece = 0;
    conn->body_wanted = false;
    edge_pace_pause(&conn->body_pace, io_loop_now(conn->worker->loop));
    while (!conn->body_error) {
        sk_str data = {0};
        size_t consumed = 0;
        if (!h1_body_unread(conn)) return SK_ERR_END;
        sk_err err = sk_buf_len(&conn->in) ? look_ahead(conn) : SK_OK;
        if (!err)
            err = wire_h1_parse_body(&conn->parser, &exchange->snapshot->head_limits, sk_buf_str(&conn->in),
                                     exchange->arena, &conn->body_trailers, &data, &consumed);
        if (err == SK_ERR_MALFORMED) return malformed_body(conn);
        if (data.len) {
            conn->body_piece = consumed;
            if ((err = account_piece(conn, data.len)) != SK_OK) return err;
            *out_piece = data;
            return SK_OK;
        }
        sk_buf_consume(&conn->in, consumed);
        if (err == SK_ERR_AGAIN && (err = receive_body(conn)) != SK_OK) return err;
    }
    return conn->body_error;
}

const struct http_fields *h1_body_trailers(struct edge_exchange *exchange) {
    const struct http_fields *trailers = &h1_of(exchange)->body_trailers;
    return trailers->count ? trailers : NULL;
}

void h1_body_ready(struct h1_conn *conn) {
    if (!conn->body_wanted) return;
    conn->body_wanted = false;
    h1_set_deadline(conn, SK_TIME_NEVER);
    if (conn->exchange.fetch) edge_fetch_wake(conn->exchange.fetch);
}

void h1_body_deadline(struct h1_conn *conn) {
    if (!conn->body_wanted || body_pace_ok(conn)) return;
    observe_count(conn->worker->metrics, OBSERVE_TIMEOUTS);
    conn->body_error = SK_ERR_TIMEOUT;
    conn->close_after = conn->linger = true;
    h1_body_ready(conn);
}

bool h1_body_discard(struct h1_conn *conn) {
    if (conn->continue_due || conn->body_error) return false;
    sk_buf_consume(&conn->in, conn->body_piece);
    conn->body_piece = 0;
    while (h1_body_unread(conn)) {
        sk_str data;
        size_t consumed = 0;
        sk_err err = wire_h1_parse_body(&conn->parser, &conn->worker->snapshot->head_limits,
                                        sk_buf_str(&conn->in), conn->exchange.arena, NULL, &data, &consumed);
        sk_buf_consume(&conn->in, consumed);
        if (err == SK_ERR_AGAIN || err == SK_ERR_MALFORMED) return false;
    }
    return true;
}

/* --- tunnels ---------------------------------------------------------------------------------------------- */

static sk_err write_switching(struct sk_buf *out, const struct http_response *response) {
    struct http_response switching = *response;
    switching.status = 101;
    switching.version = HTTP_1_1;
    switching.reason = http_status_reason(101);
    return wire_h1_write_response(out, &switching);
}

static sk_time_ns write_deadline(const struct h1_conn *conn) {
    int64_t ms = conn->exchange.snapshot->config->timeouts.write_ms;
    return ms ? io_loop_now(conn->worker->loop) + ms * SK_NS_PER_MS : SK_TIME_NEVER;
}

sk_err h1_take_stream(struct edge_exchange *exchange, const struct http_response *response,
                      struct io_stream **out_stream, sk_str *out_read_already) {
    struct h1_conn *conn = h1_of(exchange);
    if (exchange->client_gone || exchange->responded) return SK_ERR_CLOSED;
    sk_str rest = sk_arena_copy(exchange->arena, sk_buf_str(&conn->in));
    if (!rest.data) return SK_ERR_NO_MEMORY;
    sk_err err = write_switching(&conn->writer.text, response);
    if (err) return err;
    int fd = conn->watch.fd;
    io_watch_stop(&conn->watch);
    conn->watch.fd = -1;
    conn->close_after = exchange->responded = true;
    sk_buf_clear(&conn->in);
    struct io_stream *stream = NULL;
    if ((err = io_stream_adopt(conn->worker->loop, fd, &stream)) != SK_OK) {
        io_layer_free(conn->layer);
        conn->layer = NULL;
        io_socket_abort(fd);
        return err;
    }
    io_stream_set_layer(stream, conn->layer);
    conn->layer = NULL;
    sk_str head = sk_buf_str(&conn->writer.text);
    err = io_stream_write(stream, head.data, head.len, write_deadline(conn));
    if (err) {
        io_stream_close(stream);
        return err;
    }
    exchange->outcome.status = 101;
    exchange->outcome.sent_bytes += head.len;
    sk_buf_clear(&conn->writer.text);
    *out_stream = stream;
    *out_read_already = rest;
    return SK_OK;
}
