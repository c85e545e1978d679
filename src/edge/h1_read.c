#include "edge/h1.h"

#include "base/log.h"
#include "edge/error_page.h"
#include "edge/tls_layer.h"

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
        !request->keep_alive || edge_worker_lets_go(conn->worker) || !h1_config(conn)->timeouts.keep_alive_ms;
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

void h1_slow_head(struct h1_conn *conn) {
    conn->exchange.request = (struct http_request){.version = HTTP_1_1};
    begin_exchange(conn);
    conn->close_after = conn->linger = true;
    observe_count(conn->worker->metrics, OBSERVE_TIMEOUTS);
    edge_respond_error(&conn->exchange, 408, "the request's header section took too long");
}

static void head_incomplete(struct h1_conn *conn) {
    if (conn->ended) {
        h1_close(conn);
    } else if (!conn->head_begun) {
        conn->head_begun = true;
        h1_set_deadline(conn, h1_after_ms(conn, h1_config(conn)->timeouts.header_ms));
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
    uint32_t limit = h1_config(conn)->limits.pipelined_requests;
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

void h1_serve_kept(struct h1_conn *conn) {
    if (sk_buf_len(&conn->in)) feed(conn, sk_buf_str(&conn->in), true);
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
    return conn->state == H1_HEAD && conn->in_row < h1_config(conn)->limits.pipelined_requests;
}

void h1_read_heads(struct h1_conn *conn) {
    conn->in_row = 0;
    while (read_once(conn)) continue;
    if (conn->state == H1_HEAD && conn->may_read) h1_queue(conn, true);
    if (conn->state == H1_HEAD) sk_buf_shrink(&conn->in);
}
