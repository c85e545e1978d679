#include "edge/h1.h"

#include <unistd.h>

#include "base/log.h"
#include "edge/error_page.h"
#include "edge/fetch.h"
#include "edge/load.h"
#include "edge/tls_layer.h"

#define OWN_ARENA_FIRST_BYTES 4096

static const struct config *config_of(const struct h1_conn *conn) { return conn->worker->snapshot->config; }

/* --- deadlines: stored for nothing, looked at when the timer fires ------------------------------------ */

static void on_timer(struct io_timer *timer);

void h1_set_deadline(struct h1_conn *conn, sk_time_ns deadline) {
    conn->deadline = deadline;
    if (deadline == SK_TIME_NEVER) return;
    if (io_timer_armed(&conn->timer) && conn->timer.deadline <= deadline) return;
    io_timer_start(conn->worker->loop, &conn->timer, deadline, on_timer);
}

static sk_time_ns after_ms(const struct h1_conn *conn, int64_t ms) {
    return ms ? io_loop_now(conn->worker->loop) + ms * SK_NS_PER_MS : SK_TIME_NEVER;
}

/* --- the end ------------------------------------------------------------------------------------------ */

static void close_socket(struct h1_conn *conn) {
    int fd = conn->watch.fd;
    if (fd < 0) return;
    edge_load_note(conn->worker, fd, &conn->peer);
    io_watch_stop(&conn->watch);
    conn->watch.fd = -1;
    io_layer_free(conn->layer);
    conn->layer = NULL;
    if (conn->reset)
        io_socket_abort(fd);
    else if (conn->linger)
        io_socket_close_lingering(conn->worker->loop, fd, EDGE_LINGER_MS);
    else
        close(fd);
}

static void conn_free(struct h1_conn *conn) {
    struct edge_worker *worker = conn->worker;
    h1_writer_reset(&conn->writer);
    sk_buf_free(&conn->in);
    edge_limits_leave(worker->limits, &conn->peer);
    edge_connection_remove(worker, &conn->connection);
    sk_pool_put(&worker->connection_pool, conn);
    edge_worker_check_drained(worker);
}

/* The memory goes at the end of the iteration, when nobody on the stack looks at it any more. */
static void conn_close(struct h1_conn *conn) {
    SK_ASSERT(conn->state == H1_HEAD);
    conn->state = H1_CLOSED;
    io_timer_stop(&conn->timer);
    /* RFC 8446 6.1: only what has ended well says so; an answer that was cut off does not come here. */
    if (conn->layer && !conn->reset) conn->layer->ops->finish(conn->layer, conn->watch.fd);
    close_socket(conn);
    h1_queue(conn, false);
}

void h1_abort(struct h1_conn *conn) {
    if (conn->state == H1_HEAD)
        conn_close(conn);
    else if (conn->state == H1_EXCHANGE)
        h1_answered(conn, true);
}

/* --- between exchanges -------------------------------------------------------------------------------- */

/* How long the next request is waited for on a connection that was not told of its end. */
static int64_t idle_ms(const struct h1_conn *conn) {
    int64_t keep_alive_ms = config_of(conn)->timeouts.keep_alive_ms;
    bool ends = edge_worker_lets_go(conn->worker) || !keep_alive_ms;
    return ends ? EDGE_DRAIN_IDLE_MS : keep_alive_ms;
}

/* Answer and fiber have ended. */
static void next_exchange(struct h1_conn *conn) {
    edge_exchange_end(&conn->exchange);
    h1_writer_reset(&conn->writer);
    sk_buf_consume(&conn->in, conn->body_piece);
    conn->body_piece = 0;
    conn->state = H1_HEAD;
    if (!conn->close_after && h1_body_unread(conn) && !h1_body_discard(conn))
        conn->close_after = conn->linger = true;
    if (conn->close_after) {
        conn_close(conn);
        return;
    }
    wire_h1_parser_init(&conn->parser);
    h1_set_deadline(conn, after_ms(conn, idle_ms(conn)));
    if (!conn->feeding) h1_queue(conn, false);
}

void h1_answered(struct h1_conn *conn, bool aborted) {
    struct edge_exchange *exchange = &conn->exchange;
    if (conn->answered) return;
    conn->answered = true;
    conn->writer.active = false;
    cache_reader_close(&conn->writer.reader);
    if (aborted) {
        exchange->client_gone = exchange->outcome.aborted = true;
        conn->close_after = true;
        conn->linger = false;
        close_socket(conn);
    }
    h1_set_deadline(conn, SK_TIME_NEVER);
    edge_exchange_account(exchange);
    if (!exchange->fiber) {
        next_exchange(conn);
        return;
    }
    /* The fiber sees the cancellation at its next park; when it runs just now, it is about to end. */
    if (aborted && io_fiber_self() != exchange->fiber) io_fiber_cancel(exchange->fiber);
}

static void fiber_ended(struct edge_exchange *exchange) {
    struct h1_conn *conn = h1_of(exchange);
    if (conn->answered)
        next_exchange(conn);
    else if (conn->watch.fd < 0) /* a tunnel has ended */
        h1_answered(conn, false);
}

const struct edge_exchange_ops h1_exchange_ops = {
    .respond = h1_respond,
    .inform = h1_inform,
    .read_body = h1_read_body,
    .body_trailers = h1_body_trailers,
    .take_stream = h1_take_stream,
    .fiber_ended = fiber_ended,
};

/* --- heads -------------------------------------------------------------------------------------------- */

static void begin_exchange(struct h1_conn *conn) {
    conn->exchange.request.scheme = conn->layer ? SK_STR("https") : SK_STR("http");
    conn->state = H1_EXCHANGE;
    conn->head_begun = false;
    conn->answered = conn->linger = false;
    conn->body_piece = 0;
    conn->body_bytes = 0;
    conn->body_error = SK_OK;
    conn->body_wanted = conn->body_seen = false;
    conn->body_trailers = (struct http_fields){0};
    conn->body_pace = (struct edge_pace){0};
    edge_exchange_begin(&conn->exchange, conn->worker);
}

static void serve(struct h1_conn *conn) {
    struct http_request *request = &conn->exchange.request;
    begin_exchange(conn);
    conn->continue_due = request->expect_continue && request->version >= HTTP_1_1;
    conn->close_after =
        !request->keep_alive || edge_worker_lets_go(conn->worker) || !config_of(conn)->timeouts.keep_alive_ms;
    edge_serve(&conn->exchange);
}

void h1_note_refusal(struct h1_conn *conn, enum wire_h1_refusal refusal) {
    char ip[IO_ADDR_TEXT_BYTES];
    observe_count(conn->worker->metrics, OBSERVE_REQUESTS_MALFORMED);
    io_addr_format_ip(&conn->peer, ip);
    SK_LOG_LIMITED(SK_LOG_INFO, "edge", "%s: request refused: %s", ip, wire_h1_refusal_text(refusal));
}

/* RFC 9112 section 3: what cannot be understood is answered once, and nothing more is read. */
static void refuse(struct h1_conn *conn, enum wire_h1_refusal refusal) {
    struct edge_exchange *exchange = &conn->exchange;
    exchange->request = (struct http_request){.version = HTTP_1_1};
    begin_exchange(conn);
    conn->close_after = conn->linger = true;
    h1_note_refusal(conn, refusal);
    edge_respond_error(exchange, wire_h1_refusal_status(refusal), wire_h1_refusal_text(refusal));
}

static void slow_head(struct h1_conn *conn) {
    conn->exchange.request = (struct http_request){.version = HTTP_1_1};
    begin_exchange(conn);
    conn->close_after = conn->linger = true;
    observe_count(conn->worker->metrics, OBSERVE_TIMEOUTS);
    edge_respond_error(&conn->exchange, 408, "the request's header section took too long");
}

static void head_incomplete(struct h1_conn *conn) {
    if (conn->ended) {
        conn_close(conn);
    } else if (!conn->head_begun) {
        conn->head_begun = true;
        h1_set_deadline(conn, after_ms(conn, config_of(conn)->timeouts.header_ms));
    }
}

/* Takes one head off *INPUT and serves it. OWN tells that *INPUT is the connection's buffer. False: no
 * complete head is there, or the connection ends. */
static bool feed_one(struct h1_conn *conn, sk_str *input, bool *own) {
    size_t used = 0;
    struct edge_worker *worker = conn->worker;
    sk_arena_reset(&worker->scratch);
    enum wire_h1_result result = wire_h1_parse_request(&conn->parser, &worker->snapshot->head_limits, *input,
                                                       &worker->scratch, &conn->exchange.request, &used);
    if (result == WIRE_H1_NEED_MORE) return false;
    if (result == WIRE_H1_REFUSED) {
        refuse(conn, conn->parser.refusal);
        return false;
    }
    conn->in_row++;
    *input = sk_str_slice(*input, used, input->len);
    if (*own) sk_buf_consume(&conn->in, used);
    if (h1_body_unread(conn) && !*own) { /* the fetch reads the body from the connection's buffer */
        if (sk_buf_append(&conn->in, *input) != SK_OK) conn->body_error = SK_ERR_NO_MEMORY;
        *input = (sk_str){0};
        *own = true;
    }
    serve(conn);
    if (*own) *input = sk_buf_str(&conn->in);
    return conn->state == H1_HEAD;
}

/* Serves what is complete in INPUT and keeps the rest. */
static void feed(struct h1_conn *conn, sk_str input, bool own) {
    uint32_t limit = config_of(conn)->limits.pipelined_requests;
    conn->feeding = true;
    while (input.len && conn->in_row < limit && feed_one(conn, &input, &own)) continue;
    conn->feeding = false;
    if (conn->state == H1_CLOSED) return;
    if (!own && input.len && sk_buf_append(&conn->in, input) != SK_OK) {
        h1_abort(conn);
        return;
    }
    if (conn->state != H1_HEAD || !input.len) return;
    if (conn->in_row >= limit)
        h1_queue(conn, true);
    else
        head_incomplete(conn);
}

/* --- reading ------------------------------------------------------------------------------------------ */

sk_err h1_receive(struct h1_conn *conn, char *data, size_t capacity, size_t *out_n) {
    if (conn->ended) return SK_ERR_END;
    if (!conn->may_read) return SK_ERR_AGAIN;
    bool drained;
    sk_err err = io_layer_recv(conn->layer, conn->watch.fd, data, capacity, out_n, &drained);
    if (err == SK_OK) {
        if (drained) conn->may_read = false;
        if (SK_UNLIKELY(conn->tls.early)) conn->tls.early = edge_tls_layer_of(conn->layer)->facts.early;
        observe_add(conn->worker->metrics, OBSERVE_CLIENT_BYTES_RECEIVED, *out_n);
    } else {
        conn->may_read = false;
        if (err != SK_ERR_AGAIN) conn->ended = true;
    }
    return err;
}

static void peer_ended(struct h1_conn *conn, sk_err err) {
    if (err == SK_ERR_TLS && conn->state == H1_HEAD) conn->linger = true; /* the alert is to arrive */
    if (err != SK_ERR_END || conn->state == H1_HEAD) h1_abort(conn);
}

/* Reads once: into the worker's buffer as long as the connection has nothing of its own. False: no more now. */
static bool read_once(struct h1_conn *conn) {
    struct edge_worker *worker = conn->worker;
    size_t n = 0;
    bool own = sk_buf_len(&conn->in) > 0;
    char *room = worker->input;
    size_t capacity = EDGE_INPUT_BYTES;
    if (own) {
        if (sk_buf_reserve(&conn->in, 4096) != SK_OK) {
            h1_abort(conn);
            return false;
        }
        room = sk_buf_space(&conn->in);
        capacity = sk_buf_space_len(&conn->in);
    }
    sk_err err = h1_receive(conn, room, capacity, &n);
    if (err == SK_ERR_AGAIN) return false;
    if (err) {
        peer_ended(conn, err);
        return false;
    }
    if (own) {
        sk_buf_commit(&conn->in, n);
        feed(conn, sk_buf_str(&conn->in), true);
    } else {
        feed(conn, (sk_str){room, n}, false);
    }
    return conn->state == H1_HEAD && conn->in_row < config_of(conn)->limits.pipelined_requests;
}

static void read_heads(struct h1_conn *conn) {
    conn->in_row = 0;
    while (read_once(conn)) continue;
    if (conn->state == H1_HEAD && conn->may_read) h1_queue(conn, true);
    if (conn->state == H1_HEAD) sk_buf_shrink(&conn->in);
}

/* Goes on after a turn that was given up, or after an answer. */
static void on_task(struct io_task *task) {
    struct h1_conn *conn = SK_CONTAINER_OF(task, struct h1_conn, task);
    conn->task_queued = false;
    if (conn->state == H1_CLOSED) {
        conn_free(conn);
    } else if (conn->state == H1_EXCHANGE) {
        if (conn->writer.active && !conn->writer.blocked) h1_pump(conn);
    } else {
        conn->in_row = 0;
        if (sk_buf_len(&conn->in)) feed(conn, sk_buf_str(&conn->in), true);
        if (conn->state == H1_HEAD && !conn->task_queued) read_heads(conn);
    }
}

void h1_queue(struct h1_conn *conn, bool yield) {
    if (conn->task_queued) return;
    conn->task_queued = true;
    conn->task.run = on_task;
    if (yield)
        io_loop_defer_to_next(conn->worker->loop, &conn->task);
    else
        io_loop_defer(conn->worker->loop, &conn->task);
}

/* --- events ------------------------------------------------------------------------------------------- */

static void on_exchange_ready(struct h1_conn *conn, unsigned ready) {
    if ((ready & IO_HANGUP) && io_socket_error(conn->watch.fd) != SK_OK) {
        h1_abort(conn);
        return;
    }
    if (ready & (IO_READABLE | IO_HANGUP)) h1_body_ready(conn);
    if ((ready & IO_WRITABLE) && conn->writer.blocked) h1_pump(conn);
}

static void on_ready(struct io_watch *watch, unsigned ready) {
    struct h1_conn *conn = SK_CONTAINER_OF(watch, struct h1_conn, watch);
    if (ready & (IO_READABLE | IO_HANGUP)) conn->may_read = true;
    if (conn->layer && (ready & IO_WRITABLE)) conn->layer->ops->flush(conn->layer, watch->fd);
    if (conn->state == H1_EXCHANGE)
        on_exchange_ready(conn, ready);
    else if (conn->state == H1_HEAD && conn->may_read && !conn->task_queued)
        read_heads(conn);
}

static void on_timer(struct io_timer *timer) {
    struct h1_conn *conn = SK_CONTAINER_OF(timer, struct h1_conn, timer);
    if (io_loop_now(conn->worker->loop) < conn->deadline) {
        h1_set_deadline(conn, conn->deadline);
        return;
    }
    if (conn->state == H1_HEAD) {
        if (conn->head_begun && sk_buf_len(&conn->in))
            slow_head(conn);
        else
            conn_close(conn);
    } else if (conn->writer.blocked) {
        if (!h1_write_pace_ok(conn)) h1_slow_reader(conn);
    } else {
        h1_body_deadline(conn);
    }
}

static void on_drain(struct edge_connection *connection) {
    struct h1_conn *conn = SK_CONTAINER_OF(connection, struct h1_conn, connection);
    /* A running exchange is told by h1_respond; when its head is out already, without a word of closing, the
     * client may send another request, which is the one to be told. */
    if (conn->state == H1_HEAD && !sk_buf_len(&conn->in))
        h1_set_deadline(conn, after_ms(conn, EDGE_DRAIN_IDLE_MS));
}

static void on_abort(struct edge_connection *connection) {
    h1_abort(SK_CONTAINER_OF(connection, struct h1_conn, connection));
}

static const struct edge_connection_ops connection_ops = {.drain = on_drain, .abort = on_abort};

void h1_accept(struct edge_worker *worker, int fd, const struct io_addr *peer, struct io_layer *layer) {
    struct h1_conn *conn = sk_pool_get(&worker->connection_pool);
    if (!conn) {
        edge_limits_leave(worker->limits, peer);
        io_layer_free(layer);
        close(fd);
        return;
    }
    conn->worker = worker;
    conn->peer = *peer;
    conn->exchange.ops = &h1_exchange_ops;
    conn->exchange.client = &conn->peer;
    sk_arena_init(&conn->exchange.own_arena, OWN_ARENA_FIRST_BYTES, 0);
    sk_buf_init(&conn->in, worker->snapshot->head_limits.head_bytes + 2 * EDGE_INPUT_BYTES);
    sk_buf_init(&conn->writer.text, 0);
    wire_h1_parser_init(&conn->parser);
    edge_connection_add(worker, &conn->connection, &connection_ops);
    conn->layer = layer;
    if (layer) {
        conn->tls = edge_tls_layer_of(layer)->facts;
        conn->exchange.tls = &conn->tls;
    }
    conn->watch = (struct io_watch){.fd = fd, .on_ready = on_ready};
    conn->head_begun = true; /* the first request is awaited with the header deadline, not the idle one */
    h1_set_deadline(conn, after_ms(conn, config_of(conn)->timeouts.header_ms));
    if (io_watch_start(worker->loop, &conn->watch) != SK_OK) {
        conn_close(conn);
    } else if (layer) { /* the first request may have come with the handshake's end */
        conn->may_read = true;
        h1_queue(conn, false);
    }
}
