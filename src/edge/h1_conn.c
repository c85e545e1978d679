#include "edge/h1.h"

#include <unistd.h>

#include "edge/load.h"
#include "edge/tls_layer.h"

#define OWN_ARENA_FIRST_BYTES 4096

/* --- deadlines: stored for nothing, looked at when the timer fires ------------------------------------ */

static void on_timer(struct io_timer *timer);

void h1_set_deadline(struct h1_conn *conn, sk_time_ns deadline) {
    conn->deadline = deadline;
    if (deadline == SK_TIME_NEVER) return;
    if (io_timer_armed(&conn->timer) && conn->timer.deadline <= deadline) return;
    io_timer_start(conn->worker->loop, &conn->timer, deadline, on_timer);
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

void h1_close(struct h1_conn *conn) {
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
        h1_close(conn);
    else if (conn->state == H1_EXCHANGE)
        h1_answered(conn, true);
}

/* --- between exchanges -------------------------------------------------------------------------------- */

/* How long the next request is waited for on a connection that was not told of its end. */
static int64_t idle_ms(const struct h1_conn *conn) {
    int64_t keep_alive_ms = h1_config(conn)->timeouts.keep_alive_ms;
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
        h1_close(conn);
        return;
    }
    wire_h1_parser_init(&conn->parser);
    h1_set_deadline(conn, h1_after_ms(conn, idle_ms(conn)));
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

/* --- turns -------------------------------------------------------------------------------------------- */

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
        h1_serve_kept(conn);
        if (conn->state == H1_HEAD && !conn->task_queued) h1_read_heads(conn);
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
        h1_read_heads(conn);
}

static void on_timer(struct io_timer *timer) {
    struct h1_conn *conn = SK_CONTAINER_OF(timer, struct h1_conn, timer);
    if (io_loop_now(conn->worker->loop) < conn->deadline) {
        h1_set_deadline(conn, conn->deadline);
        return;
    }
    if (conn->state == H1_HEAD) {
        if (conn->head_begun && sk_buf_len(&conn->in))
            h1_slow_head(conn);
        else
            h1_close(conn);
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
        h1_set_deadline(conn, h1_after_ms(conn, EDGE_DRAIN_IDLE_MS));
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
    h1_set_deadline(conn, h1_after_ms(conn, h1_config(conn)->timeouts.header_ms));
    if (io_watch_start(worker->loop, &conn->watch) != SK_OK) {
        h1_close(conn);
    } else if (layer) { /* the first request may have come with the handshake's end */
        conn->may_read = true;
        h1_queue(conn, false);
    }
}
