#include "edge/h3.h"

#include <stdlib.h>

#include "edge/quic_log.h"

static sk_err on_id_added(void *owner, const struct wire_quic_id *id) {
    struct h3_conn *conn = owner;
    if (conn->id_count == H3_IDS) return SK_ERR_FULL;
    sk_err err = edge_quic_ids_add(&conn->endpoint->ids, id, conn);
    if (!err) conn->ids[conn->id_count++] = *id;
    return err;
}

static void on_id_removed(void *owner, const struct wire_quic_id *id) {
    struct h3_conn *conn = owner;
    for (uint8_t i = 0; i < conn->id_count; i++) {
        if (!wire_quic_id_eq(&conn->ids[i], id)) continue;
        edge_quic_ids_remove(&conn->endpoint->ids, id);
        conn->ids[i] = conn->ids[--conn->id_count];
        return;
    }
}

/* Now that the client is one: does it count, and may it stay? */
static void on_handshaken(void *owner) {
    struct h3_conn *conn = owner;
    struct edge_worker *worker = conn->mux.worker;
    conn->endpoint->handshakes--;
    h3_prove(conn);
    wire_quic_facts(conn->quic, &conn->mux.tls);
    observe_count(worker->metrics,
                  conn->mux.tls.post_quantum ? OBSERVE_TLS_HANDSHAKES_PQ : OBSERVE_TLS_HANDSHAKES_CLASSICAL);
    if (conn->mux.tls.resumed) observe_count(worker->metrics, OBSERVE_TLS_RESUMED);
    conn->entrant = conn->mux.peer;
    conn->entered = edge_limits_enter(worker->limits, &conn->entrant) == SK_OK;
    observe_count(worker->metrics, conn->entered ? OBSERVE_CONNECTIONS : OBSERVE_CONNECTIONS_REFUSED);
    if (conn->entered) {
        observe_count(worker->metrics, OBSERVE_QUIC_CONNECTIONS);
        return;
    }
    conn->dying = true;
    wire_quic_close(conn->quic, H3_EXCESSIVE_LOAD);
}

static void on_qlog(void *owner, sk_str record) {
    struct h3_conn *conn = owner;
    edge_quic_log_write(conn->log, record);
}

static const struct wire_quic_events quic_events = {
    .qlog = on_qlog,
    .id_added = on_id_added,
    .id_removed = on_id_removed,
    .handshaken = on_handshaken,
};

static sk_err create_engines(struct h3_conn *conn, const struct io_train *train,
                             const struct wire_quic_packet *packet, enum wire_quic_token token,
                             const struct wire_quic_id *original) {
    struct edge_worker *worker = conn->mux.worker;
    struct wire_head_limits head = mux_head_limits(worker);
    sk_err err = wire_h3_create(&mux_events, &conn->mux, &head, &conn->endpoint->h3, &conn->h3);
    if (err) return err;
    conn->log = edge_quic_log_open(worker->snapshot, &train->peer,
                                   token == WIRE_QUIC_TOKEN_RETRY ? original : &packet->to);
    struct wire_quic_options options = {
        .tls = conn->socket->tls,
        .qlog = conn->log,
        .keys = conn->endpoint->keys,
        .place = conn->endpoint->place,
        .packet = packet,
        .token = token,
        .original = *original,
        .local = &train->local,
        .peer = &train->peer,
        .events = &quic_events,
        .owner = conn,
        .app = &wire_h3_app,
        .app_arg = conn->h3,
        .now = mux_now(&conn->mux),
        .idle_ms = SK_MAX(mux_timeouts(&conn->mux)->keep_alive_ms, 1000),
        .handshake_ms = mux_timeouts(&conn->mux)->header_ms,
    };
    err = wire_quic_accept(&options, &conn->quic);
    if (!err) wire_h3_attach(conn->h3, conn->quic);
    return err;
}

sk_err h3_accept(struct edge_quic_socket *socket, const struct io_train *train,
                 const struct wire_quic_packet *packet, enum wire_quic_token token,
                 const struct wire_quic_id *original, struct h3_conn **out_conn) {
    struct edge_quic *endpoint = socket->quic;
    struct h3_conn *conn = calloc(1, sizeof *conn);
    if (!conn) return SK_ERR_NO_MEMORY;
    conn->endpoint = endpoint;
    conn->socket = socket;
    conn->mux.secure = true;
    sk_list_init(&conn->touched);
    mux_conn_init(&conn->mux, &h3_mux_ops, endpoint->worker, &train->peer, WIRE_QUIC_STREAMS);
    sk_err err = on_id_added(conn, &packet->to);
    if (!err) err = create_engines(conn, train, packet, token, original);
    if (err) {
        while (conn->id_count) edge_quic_ids_remove(&endpoint->ids, &conn->ids[--conn->id_count]);
        wire_h3_free(conn->h3);
        edge_quic_log_close(conn->log);
        free(conn);
        return err;
    }
    conn->proven = token != WIRE_QUIC_TOKEN_NONE;
    if (!conn->proven) endpoint->unproven++;
    endpoint->handshakes++;
    socket->connections++;
    conn->check_at = h3_next_check(conn);
    edge_connection_add(endpoint->worker, &conn->mux.connection, &h3_connection_ops);
    *out_conn = conn;
    return SK_OK;
}
