#include "edge/h2.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/load.h"
#include "edge/tls_layer.h"

/* Frames made before the socket is asked; what waits in it beside that is what one frame holds. */
#define OUT_ENOUGH (64 * 1024)
#define READS_A_TURN 4
/* Input that brings little and costs much (fields by the thousand, frames without content) has so much time in a turn,
 * which is looked at after each bite: less than one costs less in any case. */
#define TURN_NS (SK_NS_PER_MS / 10)
#define BITE_BYTES (8 * 1024)
#define TICK_MS 250

static struct h2_conn *conn_of(struct mux_conn *mux) { return SK_CONTAINER_OF(mux, struct h2_conn, mux); }

/* --- the end ---------------------------------------------------------------------------------------------- */

static void conn_free(struct mux_conn *mux) {
    struct h2_conn *conn = conn_of(mux);
    struct edge_worker *worker = mux->worker;
    wire_h2_free(conn->h2);
    sk_buf_free(&conn->out);
    sk_buf_free(&conn->unfed);
    edge_limits_leave(worker->limits, &conn->mux.peer);
    edge_connection_remove(worker, &conn->mux.connection);
    free(conn);
    edge_worker_check_drained(worker);
}

/* The memory goes when the last stream is over. */
static void conn_close(struct h2_conn *conn, bool well) {
    if (conn->mux.closed) return;
    conn->mux.closed = conn->dying = true;
    int fd = conn->watch.fd;
    edge_load_note(conn->mux.worker, fd, &conn->mux.peer);
    io_timer_stop(&conn->timer);
    io_watch_stop(&conn->watch);
    conn->watch.fd = -1;
    if (conn->layer && well) conn->layer->ops->finish(conn->layer, fd);
    io_layer_free(conn->layer);
    conn->layer = NULL;
    if (well)
        io_socket_close_lingering(conn->mux.worker->loop, fd, EDGE_LINGER_MS);
    else
        close(fd);
    mux_abort_streams(&conn->mux);
    mux_queue(&conn->mux, false);
}

/* --- output ----------------------------------------------------------------------------------------------- */

static void fail(struct h2_conn *conn) {
    conn->dying = true;
    sk_buf_clear(&conn->out);
}

static void pull(struct h2_conn *conn) {
    if (conn->mux.closed || conn->feeding) return;
    if (wire_h2_fill(conn->h2, &conn->out, OUT_ENOUGH) != SK_OK) fail(conn);
}

static void note_abuse(const struct h2_conn *conn, sk_err err) {
    char ip[IO_ADDR_TEXT_BYTES];
    observe_count(conn->mux.worker->metrics,
                  err == SK_ERR_DENIED ? OBSERVE_H2_ABUSED : OBSERVE_REQUESTS_MALFORMED);
    io_addr_format_ip(&conn->mux.peer, ip);
    SK_LOG_LIMITED(SK_LOG_INFO, "edge", "%s: HTTP/2 connection ended: %s", ip, wire_h2_why(conn->h2));
}

/* True when all of OUT is with the socket. */
static bool send_out(struct h2_conn *conn) {
    while (sk_buf_len(&conn->out)) {
        sk_str text = sk_buf_str(&conn->out);
        struct iovec iov = {(void *)(uintptr_t)text.data, text.len};
        size_t n = 0;
        sk_err err = io_layer_sendv(conn->layer, conn->watch.fd, &iov, 1, false, &n);
        if (err == SK_ERR_AGAIN) {
            if (!conn->mux.blocked) edge_pace_run(&conn->pace, mux_now(&conn->mux));
            conn->mux.blocked = true;
            return false;
        }
        if (err) {
            conn_close(conn, false);
            return false;
        }
        sk_buf_consume(&conn->out, n);
        edge_pace_moved(&conn->pace, n, mux_now(&conn->mux));
    }
    conn->mux.blocked = false;
    edge_pace_pause(&conn->pace, mux_now(&conn->mux));
    return true;
}

/* Frames out until the socket is full, nothing is left, or the turn is over. */
static void write_all(struct h2_conn *conn) {
    for (size_t turn = 0; !conn->mux.closed; turn += OUT_ENOUGH) {
        pull(conn);
        if (!sk_buf_len(&conn->out) || !send_out(conn)) break;
        if (turn >= EDGE_TURN_BYTES) {
            mux_queue(&conn->mux, true);
            return;
        }
    }
    if (conn->mux.closed || sk_buf_len(&conn->out)) return;
    sk_buf_shrink(&conn->out);
    if (conn->dying || wire_h2_over(conn->h2)) conn_close(conn, true);
}

/* --- input ------------------------------------------------------------------------------------------------ */

static void feed(struct h2_conn *conn, sk_str input) {
    struct wire_head_limits limits = mux_head_limits(conn->mux.worker);
    wire_h2_limit_heads(conn->h2, &limits);
    conn->feeding = true;
    sk_err err = wire_h2_receive(conn->h2, input, mux_now(&conn->mux));
    conn->feeding = false;
    if (err) {
        note_abuse(conn, err);
        conn->dying = true;
        return;
    }
    mux_serve_fresh(&conn->mux);
    if (!wire_h2_head_open(conn->h2))
        conn->head_at = 0;
    else if (!conn->head_at)
        conn->head_at = mux_now(&conn->mux);
}

/* *END: when the turn is over, or 0 before anything is worth a look at the clock. */
static bool is_over(sk_time_ns *end) {
    sk_time_ns now = sk_time_now();
    if (!*end) *end = now + TURN_NS;
    return now >= *end;
}

/* What of INPUT the turn has no time for. */
static sk_str feed_bites(struct h2_conn *conn, sk_str input, sk_time_ns *end) {
    do {
        size_t bite = SK_MIN(input.len, (size_t)BITE_BYTES);
        feed(conn, sk_str_slice(input, 0, bite));
        input = sk_str_slice(input, bite, input.len);
    } while (input.len && !conn->dying && !is_over(end));
    return input;
}

static void feed_kept(struct h2_conn *conn, sk_time_ns *end) {
    sk_str rest = feed_bites(conn, sk_buf_str(&conn->unfed), end);
    sk_buf_consume(&conn->unfed, sk_buf_len(&conn->unfed) - rest.len);
    if (!rest.len) sk_buf_shrink(&conn->unfed);
}

static void feed_fresh(struct h2_conn *conn, sk_str input, sk_time_ns *end) {
    sk_str rest = feed_bites(conn, input, end);
    if (!conn->dying && rest.len && sk_buf_append(&conn->unfed, rest) != SK_OK) fail(conn);
}

/* A client that takes no answers gets no further questions in. */
static bool wants_input(const struct h2_conn *conn) {
    return !conn->dying && (conn->may_read || sk_buf_len(&conn->unfed)) &&
           !(conn->mux.blocked && sk_buf_len(&conn->out) >= OUT_ENOUGH);
}

/* False: the socket has no more now, or it is closed. */
static bool read_more(struct h2_conn *conn, sk_time_ns *end) {
    size_t n = 0;
    bool drained;
    char *room = conn->mux.worker->input;
    sk_err err = io_layer_recv(conn->layer, conn->watch.fd, room, EDGE_INPUT_BYTES, &n, &drained);
    if (drained) conn->may_read = false;
    if (err) {
        if (err != SK_ERR_AGAIN) conn_close(conn, err == SK_ERR_TLS);
        return false;
    }
    observe_add(conn->mux.worker->metrics, OBSERVE_CLIENT_BYTES_RECEIVED, n);
    if (SK_UNLIKELY(conn->mux.tls.early)) conn->mux.tls.early = edge_tls_layer_of(conn->layer)->facts.early;
    feed_fresh(conn, (sk_str){room, n}, end);
    return true;
}

static void read_some(struct h2_conn *conn) {
    sk_time_ns end = 0;
    if (wants_input(conn) && sk_buf_len(&conn->unfed)) feed_kept(conn, &end);
    for (int i = 0; i < READS_A_TURN && wants_input(conn) && !sk_buf_len(&conn->unfed); i++)
        if (!read_more(conn, &end)) return;
    if (wants_input(conn)) mux_queue(&conn->mux, true);
}

/* --- events ----------------------------------------------------------------------------------------------- */

static void on_timer(struct io_timer *timer);

static void arm(struct h2_conn *conn) {
    if (conn->mux.closed || io_timer_armed(&conn->timer)) return;
    io_timer_start(conn->mux.worker->loop, &conn->timer, mux_now(&conn->mux) + TICK_MS * SK_NS_PER_MS,
                   on_timer);
}

static void run(struct mux_conn *mux) {
    struct h2_conn *conn = conn_of(mux);
    read_some(conn);
    write_all(conn);
    arm(conn);
}

static void on_ready(struct io_watch *watch, unsigned ready) {
    struct h2_conn *conn = SK_CONTAINER_OF(watch, struct h2_conn, watch);
    if ((ready & IO_HANGUP) && io_socket_error(watch->fd) != SK_OK) {
        conn_close(conn, false);
        return;
    }
    if (ready & (IO_READABLE | IO_HANGUP)) conn->may_read = true;
    if (ready & IO_WRITABLE) {
        conn->mux.blocked = false;
        if (conn->layer) conn->layer->ops->flush(conn->layer, watch->fd);
    }
    read_some(conn);
    write_all(conn);
    arm(conn);
    if (!sk_list_empty(&conn->mux.over)) mux_queue(&conn->mux, false);
}

/* --- deadlines -------------------------------------------------------------------------------------------- */

static bool is_after(sk_time_ns now, sk_time_ns since, int64_t ms) {
    return since && ms && now - since >= ms * SK_NS_PER_MS;
}

static bool write_pace_ok(struct h2_conn *conn, sk_time_ns now) {
    const struct config_timeouts *timeouts = mux_timeouts(&conn->mux);
    struct edge_pace_limits limits = {.progress_ms = timeouts->write_ms, .min_rate = timeouts->min_rate};
    sk_time_ns check;
    return !conn->mux.blocked || edge_pace_ok(&conn->pace, &limits, now, &check);
}

static void go_away(struct h2_conn *conn) {
    conn->drained = true;
    wire_h2_goaway(conn->h2, true);
    mux_queue(&conn->mux, false);
}

static void on_timer(struct io_timer *timer) {
    struct h2_conn *conn = SK_CONTAINER_OF(timer, struct h2_conn, timer);
    sk_time_ns now = mux_now(&conn->mux);
    if (!write_pace_ok(conn, now) || is_after(now, conn->head_at, mux_timeouts(&conn->mux)->header_ms)) {
        observe_count(conn->mux.worker->metrics, OBSERVE_TIMEOUTS);
        conn_close(conn, false);
        return;
    }
    mux_check_streams(&conn->mux, now);
    if (!conn->drained && ((conn->drain_at && now >= conn->drain_at) || mux_idle_too_long(&conn->mux, now)))
        go_away(conn);
    arm(conn);
}

/* RFC 9113 section 6.8: first a word, so that requests on their way are still taken; a second later the last one. */
static void on_drain(struct edge_connection *connection) {
    struct h2_conn *conn = SK_CONTAINER_OF(connection, struct h2_conn, mux.connection);
    if (conn->mux.closed || conn->drain_at) return;
    conn->drain_at = mux_now(&conn->mux) + EDGE_DRAIN_IDLE_MS * SK_NS_PER_MS;
    wire_h2_goaway(conn->h2, false);
    mux_queue(&conn->mux, false);
}

static void on_abort(struct edge_connection *connection) {
    conn_close(SK_CONTAINER_OF(connection, struct h2_conn, mux.connection), false);
}

/* --- the beginning ---------------------------------------------------------------------------------------- */

static const struct edge_connection_ops connection_ops = {.drain = on_drain, .abort = on_abort};

static void mux_pull(struct mux_conn *mux, struct wire_stream *stream) { pull(conn_of(mux)); }
static sk_err respond(struct mux_conn *mux, struct wire_stream *stream, uint16_t status, const sk_str *heads,
                      int count, uint64_t length, bool content) {
    return wire_h2_respond(conn_of(mux)->h2, stream, status, heads, count, length, content);
}
static sk_err inform(struct mux_conn *mux, struct wire_stream *stream, uint16_t status,
                     const struct http_fields *fields) {
    return wire_h2_inform(conn_of(mux)->h2, stream, status, fields);
}
static void resume(struct mux_conn *mux, struct wire_stream *stream) {
    wire_h2_resume(conn_of(mux)->h2, stream);
}
static void consumed(struct mux_conn *mux, struct wire_stream *stream, size_t bytes) {
    wire_h2_consumed(conn_of(mux)->h2, stream, bytes);
}
static void reset(struct mux_conn *mux, struct wire_stream *stream) {
    wire_h2_reset(conn_of(mux)->h2, stream);
}
static void blame(struct mux_conn *mux, enum wire_h2_cost cost, sk_time_ns now) {
    wire_h2_blame(conn_of(mux)->h2, cost, now);
}

static const struct mux_ops mux_ops = {
    .run = run,
    .free = conn_free,
    .pull = mux_pull,
    .respond = respond,
    .inform = inform,
    .resume = resume,
    .consumed = consumed,
    .reset = reset,
    .blame = blame,
};

static sk_err create_engine(struct h2_conn *conn) {
    struct wire_head_limits head = mux_head_limits(conn->mux.worker);
    return wire_h2_create(&mux_events, &conn->mux, &head, conn->layer ? SK_STR("https") : SK_STR("http"),
                          &conn->h2);
}

void h2_accept(struct edge_worker *worker, int fd, const struct io_addr *peer, struct io_layer *layer) {
    struct h2_conn *conn = calloc(1, sizeof *conn);
    if (conn) {
        mux_conn_init(&conn->mux, &mux_ops, worker, peer, WIRE_H2_STREAMS);
        conn->layer = layer;
    }
    if (!conn || create_engine(conn) != SK_OK) {
        free(conn);
        edge_limits_leave(worker->limits, peer);
        io_layer_free(layer);
        close(fd);
        return;
    }
    conn->mux.secure = layer;
    if (layer) conn->mux.tls = edge_tls_layer_of(layer)->facts;
    sk_buf_init(&conn->out, 0);
    sk_buf_init(&conn->unfed, 0);
    conn->watch = (struct io_watch){.fd = fd, .on_ready = on_ready};
    edge_connection_add(worker, &conn->mux.connection, &connection_ops);
    if (io_watch_start(worker->loop, &conn->watch) != SK_OK) {
        conn_close(conn, false);
        return;
    }
    conn->may_read = true; /* the first request may have come with the handshake's end */
    mux_queue(&conn->mux, false);
    if (worker->stage != EDGE_RUNNING) on_drain(&conn->mux.connection);
}
