#include "edge/h3.h"

#include <stdlib.h>

#include "base/log.h"
#include "edge/load.h"
#include "edge/quic_log.h"

#define CHECK_MS 250
#define RETRY_MS 1

static struct h3_conn *conn_of(struct mux_conn *mux) { return SK_CONTAINER_OF(mux, struct h3_conn, mux); }

/* --- the end ---------------------------------------------------------------------------------------------- */

static void conn_free(struct mux_conn *mux) {
    struct h3_conn *conn = conn_of(mux);
    struct edge_worker *worker = mux->worker;
    wire_h3_free(conn->h3);
    wire_quic_free(conn->quic);
    edge_quic_log_close(conn->log);
    edge_connection_remove(worker, &conn->mux.connection);
    free(conn);
    edge_worker_check_drained(worker);
}

void h3_prove(struct h3_conn *conn) {
    if (!conn->proven) conn->endpoint->unproven--;
    conn->proven = true;
}

/* The memory goes when the last stream is over. */
static void conn_close(struct h3_conn *conn) {
    if (conn->mux.closed) return;
    conn->mux.closed = conn->dying = true;
    io_timer_stop(&conn->timer);
    sk_list_remove(&conn->touched);
    while (conn->id_count) edge_quic_ids_remove(&conn->endpoint->ids, &conn->ids[--conn->id_count]);
    free((char *)(uintptr_t)conn->held.data);
    conn->held = (struct io_train){0};
    if (!wire_quic_handshaken(conn->quic)) {
        conn->endpoint->handshakes--;
        observe_count(conn->mux.worker->metrics, OBSERVE_TLS_HANDSHAKES_FAILED);
    } else {
        edge_load_note_rtt(conn->mux.worker, &conn->mux.peer, wire_quic_min_rtt_us(conn->quic));
    }
    h3_prove(conn);
    if (conn->entered) edge_limits_leave(conn->mux.worker->limits, &conn->entrant);
    edge_quic_left(conn->socket);
    mux_abort_streams(&conn->mux);
    mux_queue(&conn->mux, false);
}

static void note_failure(const struct h3_conn *conn) {
    char ip[IO_ADDR_TEXT_BYTES];
    const char *abuse = wire_h3_abuse(conn->h3);
    if (abuse) observe_count(conn->mux.worker->metrics, OBSERVE_H3_ABUSED);
    io_addr_format_ip(&conn->mux.peer, ip);
    SK_LOG_LIMITED(SK_LOG_INFO, "edge", "%s: HTTP/3 connection ended: %s", ip,
                   abuse ? abuse : wire_quic_why(conn->quic));
}

/* What receive and tick say. True: it goes on. */
static bool survives(struct h3_conn *conn, sk_err err) {
    if (err == SK_ERR_END) {
        conn_close(conn);
        return false;
    }
    if (err && !conn->dying) {
        note_failure(conn);
        conn->dying = true;
    }
    return true; /* to say so */
}

/* --- output ----------------------------------------------------------------------------------------------- */

/* Keeps TRAIN until the socket takes it. Without memory it is lost, as datagrams may be. */
static void hold(struct h3_conn *conn, const struct io_train *train) {
    char *copy = malloc(train->bytes);
    if (!copy) return;
    memcpy(copy, train->data, train->bytes);
    conn->held = *train;
    conn->held.data = copy;
    conn->mux.blocked = true;
}

static bool send_held(struct h3_conn *conn) {
    if (!conn->held.data) return true;
    if (io_datagram_send(conn->socket->watch.fd, &conn->held) == SK_ERR_AGAIN) return false;
    free((char *)(uintptr_t)conn->held.data);
    conn->held = (struct io_train){0};
    conn->mux.blocked = false;
    return true;
}

static void send_train(struct h3_conn *conn, const struct io_train *train) {
    if (!train->bytes) return;
    struct observe_thread *metrics = conn->mux.worker->metrics;
    observe_add(metrics, OBSERVE_QUIC_SENT, (train->bytes + train->segment - 1) / train->segment);
    if (io_datagram_send(conn->socket->watch.fd, train) == SK_ERR_AGAIN) hold(conn, train);
}

static void write_all(struct h3_conn *conn) {
    for (size_t turn = 0; !conn->mux.closed && send_held(conn);) {
        struct io_train train;
        sk_err err = wire_quic_fill(conn->quic, conn->endpoint->train, mux_now(&conn->mux), &train);
        send_train(conn, &train);
        if (err) {
            if (!conn->dying) note_failure(conn);
            conn_close(conn);
            return;
        }
        if (!train.bytes) return;
        turn += train.bytes;
        if (turn >= EDGE_TURN_BYTES) {
            mux_queue(&conn->mux, true);
            return;
        }
    }
}

/* --- deadlines -------------------------------------------------------------------------------------------- */

static void on_timer(struct io_timer *timer);

sk_time_ns h3_next_check(const struct h3_conn *conn) {
    sk_time_ns now = mux_now(&conn->mux);
    bool busy = conn->mux.stream_count || wire_h3_borrows(conn->h3);
    if (busy || conn->drain_at || conn->drained || !conn->mux.asked) return now + CHECK_MS * SK_NS_PER_MS;
    return SK_MAX(now + CHECK_MS * SK_NS_PER_MS,
                  conn->mux.quiet_at + mux_timeouts(&conn->mux)->keep_alive_ms * SK_NS_PER_MS);
}

static void arm(struct h3_conn *conn) {
    if (conn->mux.closed) return;
    if (conn->mux.stream_count && conn->check_at > mux_now(&conn->mux) + CHECK_MS * SK_NS_PER_MS)
        conn->check_at = h3_next_check(conn);
    sk_time_ns due = SK_MIN(conn->check_at, wire_quic_due(conn->quic));
    if (conn->held.data) due = mux_now(&conn->mux) + RETRY_MS * SK_NS_PER_MS;
    io_timer_start(conn->mux.worker->loop, &conn->timer, due, on_timer);
}

static void go_away(struct h3_conn *conn) {
    conn->drained = true;
    wire_h3_goaway(conn->h3, true);
}

static bool is_silent(const struct h3_conn *conn) {
    return mux_now(&conn->mux) - conn->heard_at >= wire_quic_patience(conn->quic);
}

/* A handshake that is on its way is finished, one that nobody goes on with is not waited for. */
static void give_up_handshake(struct h3_conn *conn) {
    if (!is_silent(conn)) return;
    wire_quic_close(conn->quic, H3_NO_ERROR);
    conn->dying = true;
}

/* Who acknowledges nothing of an answer, however often it is sent, shall not keep the cache's memory. */
static void check_loans(struct h3_conn *conn, sk_time_ns now) {
    sk_time_ns patience = mux_timeouts(&conn->mux)->write_ms * SK_NS_PER_MS;
    if (!wire_h3_borrows(conn->h3) || wire_h3_check_loans(conn->h3, now, patience)) return;
    char ip[IO_ADDR_TEXT_BYTES];
    io_addr_format_ip(&conn->mux.peer, ip);
    SK_LOG_LIMITED(SK_LOG_INFO, "edge", "%s: HTTP/3 connection ended: it does not acknowledge its answer",
                   ip);
    observe_count(conn->mux.worker->metrics, OBSERVE_TIMEOUTS);
    wire_quic_close(conn->quic, H3_EXCESSIVE_LOAD);
    conn->dying = true;
}

static void check(struct h3_conn *conn, sk_time_ns now) {
    mux_check_streams(&conn->mux, now);
    check_loans(conn, now);
    bool due = (conn->drain_at && now >= conn->drain_at) || mux_idle_too_long(&conn->mux, now);
    if (!wire_quic_handshaken(conn->quic)) {
        if (due && conn->drain_at) give_up_handshake(conn);
    } else if (!conn->drained && due) {
        go_away(conn);
    }
    conn->check_at = h3_next_check(conn);
}

static void on_timer(struct io_timer *timer) {
    struct h3_conn *conn = SK_CONTAINER_OF(timer, struct h3_conn, timer);
    sk_time_ns now = mux_now(&conn->mux);
    if (now >= conn->check_at) check(conn, now);
    if (now >= wire_quic_due(conn->quic) && !survives(conn, wire_quic_tick(conn->quic, now))) return;
    h3_run(conn);
}

/* --- events ----------------------------------------------------------------------------------------------- */

/* RFC 9000 section 9: the log has the address that it moved to. */
static void follow_client(struct h3_conn *conn) {
    struct io_addr peer;
    wire_quic_peer(conn->quic, &peer);
    if (!io_addr_eq(&peer, &conn->mux.peer)) conn->mux.peer = peer;
}

/* All is said, and the client knows it, or is silent for too long about it. */
static bool is_over(const struct h3_conn *conn) {
    if (conn->mux.closed || conn->dying || !conn->drained || conn->mux.stream_count) return false;
    return wire_h3_over(conn->h3) || is_silent(conn);
}

void h3_receive(struct h3_conn *conn, const struct io_train *train, sk_str datagram) {
    if (conn->mux.closed) return;
    observe_add(conn->mux.worker->metrics, OBSERVE_CLIENT_BYTES_RECEIVED, datagram.len);
    struct wire_head_limits limits = mux_head_limits(conn->mux.worker);
    wire_h3_limit_heads(conn->h3, &limits);
    conn->heard_at = mux_now(&conn->mux);
    if (!survives(conn, wire_quic_receive(conn->quic, train, datagram, mux_now(&conn->mux)))) return;
    if (!sk_list_linked(&conn->touched)) sk_list_push_back(&conn->endpoint->touched, &conn->touched);
}

/* Early data of a client whose address is not proven waits for the handshake: it would be work for nobody. */
static bool may_serve(struct h3_conn *conn) {
    if (SK_LIKELY(!wire_quic_early(conn->quic))) return true;
    if (!conn->proven) return false;
    if (!conn->mux.tls.early) wire_quic_facts(conn->quic, &conn->mux.tls);
    return conn->mux.tls.early = true;
}

void h3_run(struct h3_conn *conn) {
    if (!conn->mux.closed && !conn->dying) {
        follow_client(conn);
        if (may_serve(conn)) mux_serve_fresh(&conn->mux);
    }
    write_all(conn);
    if (is_over(conn)) {
        wire_quic_close(conn->quic, H3_NO_ERROR);
        conn->dying = true;
        write_all(conn);
    }
    arm(conn);
    if (!sk_list_empty(&conn->mux.over)) mux_queue(&conn->mux, false);
}

static void run(struct mux_conn *mux) { h3_run(conn_of(mux)); }

/* RFC 9114 section 5.2: first a word, so that requests on their way are still taken; a second later the last one. */
static void on_drain(struct edge_connection *connection) {
    struct h3_conn *conn = SK_CONTAINER_OF(connection, struct h3_conn, mux.connection);
    if (conn->mux.closed || conn->drain_at) return;
    conn->drain_at = mux_now(&conn->mux) + EDGE_DRAIN_IDLE_MS * SK_NS_PER_MS;
    conn->check_at = conn->drain_at;
    wire_h3_goaway(conn->h3, false);
    mux_queue(&conn->mux, false);
}

static void on_abort(struct edge_connection *connection) {
    struct h3_conn *conn = SK_CONTAINER_OF(connection, struct h3_conn, mux.connection);
    wire_quic_close(conn->quic, H3_NO_ERROR);
    conn->dying = true;
    if (!conn->mux.closed) write_all(conn);
    conn_close(conn);
}

const struct edge_connection_ops h3_connection_ops = {.drain = on_drain, .abort = on_abort};

/* --- for the streams -------------------------------------------------------------------------------------- */

static void pull(struct mux_conn *mux, struct wire_stream *stream) { wire_h3_pull(conn_of(mux)->h3, stream); }
static sk_err respond(struct mux_conn *mux, struct wire_stream *stream, uint16_t status, const sk_str *heads,
                      int count, uint64_t length, bool content) {
    return wire_h3_respond(conn_of(mux)->h3, stream, status, heads, count, length, content);
}
static sk_err inform(struct mux_conn *mux, struct wire_stream *stream, uint16_t status,
                     const struct http_fields *fields) {
    return wire_h3_inform(conn_of(mux)->h3, stream, status, fields);
}
static void resume(struct mux_conn *mux, struct wire_stream *stream) {
    wire_h3_resume(conn_of(mux)->h3, stream);
}
static void consumed(struct mux_conn *mux, struct wire_stream *stream, size_t bytes) {
    wire_h3_consumed(conn_of(mux)->h3, stream, bytes);
}
static void reset(struct mux_conn *mux, struct wire_stream *stream) {
    wire_h3_reset(conn_of(mux)->h3, stream);
}
static void blame(struct mux_conn *mux, enum wire_h2_cost cost, sk_time_ns now) {
    wire_h3_blame(conn_of(mux)->h3, cost, now);
}

const struct mux_ops h3_mux_ops = {
    .run = run,
    .free = conn_free,
    .pull = pull,
    .respond = respond,
    .inform = inform,
    .resume = resume,
    .consumed = consumed,
    .reset = reset,
    .blame = blame,
};
