/* Reading the content of a response, and its end. */
#include "origin/exchange.h"

#include "base/log.h"

sk_err origin_body_begin(struct origin_exchange *exchange) {
    struct sk_buf *head = &exchange->head;
    sk_str rest = sk_str_slice(sk_buf_str(head), exchange->piece_end, sk_buf_len(head));
    exchange->piece_end = 0;
    exchange->clipped = false;
    if (sk_str_empty(rest)) return SK_OK;
    sk_err err = sk_buf_append(&exchange->body, rest);
    head->end -= rest.len;
    return err;
}

/* --- the end -------------------------------------------------------------------------------------------- */

sk_err origin_body_fail(struct origin_exchange *exchange, sk_err err, const char *detail) {
    exchange->read_error = err;
    origin_exchange_blame(exchange, ORIGIN_PHASE_BODY, err, detail);
    origin_exchange_settle(exchange);
    return err;
}

/* The message is complete. What lies behind it is nobody's, and makes the connection unusable. */
sk_err origin_body_complete(struct origin_exchange *exchange) {
    if (exchange->connection && sk_buf_len(&exchange->body))
        SK_LOG_LIMITED(SK_LOG_WARN, "origin", "%s: bytes after the end of a response",
                       exchange->member->origin->url);
    exchange->read_error = SK_ERR_END;
    origin_exchange_settle(exchange);
    return SK_ERR_END;
}

/* The connection ended, or failed. */
static sk_err ended(struct origin_exchange *exchange, sk_err err) {
    if (err == SK_ERR_CANCELLED) return err;
    if (err == SK_ERR_END && wire_h1_body_eof(&exchange->parser) == SK_OK)
        return origin_body_complete(exchange);
    return origin_body_fail(exchange, err == SK_ERR_END ? SK_ERR_CLOSED : err, NULL);
}

/* --- content -------------------------------------------------------------------------------------------- */

/* Finds the next piece of content in what has come. SK_ERR_AGAIN when there is none yet. */
static sk_err find_piece(struct origin_exchange *exchange) {
    struct sk_buf *body = &exchange->body;
    while (sk_buf_len(body) && !wire_h1_message_done(&exchange->parser)) {
        size_t consumed;
        sk_str piece;
        sk_err err = wire_h1_parse_body(&exchange->parser, &exchange->limits, sk_buf_str(body),
                                        &exchange->arena, &exchange->trailers, &piece, &consumed);
        if (err && err != SK_ERR_AGAIN && err != SK_ERR_END) return err;
        exchange->piece = piece;
        exchange->piece_end = consumed;
        if (piece.len) return SK_OK;
        sk_buf_consume(body, consumed);
        if (err == SK_ERR_AGAIN) break;
    }
    return wire_h1_message_done(&exchange->parser) ? SK_ERR_END : SK_ERR_AGAIN;
}

static size_t give_piece(struct origin_exchange *exchange, char *data, size_t bytes) {
    size_t n = SK_MIN(bytes, exchange->piece.len);
    memcpy(data, exchange->piece.data, n);
    exchange->piece = sk_str_slice(exchange->piece, n, exchange->piece.len);
    if (exchange->piece.len == 0) sk_buf_consume(&exchange->body, exchange->piece_end);
    return n;
}

static sk_time_ns next_deadline(const struct origin_exchange *exchange) {
    return origin_exchange_within(exchange, exchange->options->between_bytes_timeout_ms);
}

/* Content that is not framed goes from the socket to where it is wanted. Never over the message's end. */
static sk_err read_straight(struct origin_exchange *exchange, char *data, size_t bytes, size_t *out_n) {
    if (exchange->parser.body_kind == HTTP_BODY_LENGTH) bytes = SK_MIN(bytes, exchange->parser.body_left);
    size_t n, consumed;
    sk_str piece;
    sk_err err = origin_connection_read(exchange->connection, data, bytes, next_deadline(exchange), &n);
    if (err) return err;
    err = wire_h1_parse_body(&exchange->parser, &exchange->limits, sk_str_make(data, n), &exchange->arena,
                             NULL, &piece, &consumed);
    SK_ASSERT(consumed == n && (err == SK_ERR_AGAIN || err == SK_ERR_END || err == SK_OK));
    *out_n = n;
    return SK_OK;
}

static sk_err read_framed(struct origin_exchange *exchange) {
    struct sk_buf *body = &exchange->body;
    size_t n;
    sk_err err = sk_buf_reserve(body, ORIGIN_READ_BYTES / 2);
    if (!err)
        err = origin_connection_read(exchange->connection, sk_buf_space(body), sk_buf_space_len(body),
                                     next_deadline(exchange), &n);
    if (!err) sk_buf_commit(body, n);
    return err;
}

sk_err origin_exchange_read(struct origin_exchange *exchange, char *data, size_t bytes, size_t *out_n) {
    SK_CHECK_MAGIC(exchange, ORIGIN_EXCHANGE_MAGIC);
    SK_ASSERT(bytes > 0 && !exchange->tunnel);
    if (exchange->read_error) return exchange->read_error;
    if (exchange->call.session) return origin_call_read(exchange, data, bytes, out_n);
    for (;;) {
        sk_err err = exchange->piece.len ? SK_OK : find_piece(exchange);
        if (!err) {
            *out_n = give_piece(exchange, data, bytes);
            return SK_OK;
        }
        if (err == SK_ERR_END) return origin_body_complete(exchange);
        if (err != SK_ERR_AGAIN)
            return origin_body_fail(exchange, err, wire_h1_refusal_text(exchange->parser.refusal));
        bool framed = exchange->parser.body_kind == HTTP_BODY_CHUNKED;
        err = framed ? read_framed(exchange) : read_straight(exchange, data, bytes, out_n);
        if (err) return ended(exchange, err);
        if (!framed) return SK_OK;
    }
}

const struct http_fields *origin_exchange_trailers(const struct origin_exchange *exchange) {
    return exchange->trailers.count ? &exchange->trailers : NULL;
}

void origin_body_finish_quietly(struct origin_exchange *exchange) {
    struct sk_buf *body = &exchange->body;
    size_t n;
    if (exchange->read_error || exchange->piece.len || exchange->parser.body_kind != HTTP_BODY_CHUNKED)
        return;
    if (find_piece(exchange) != SK_ERR_AGAIN || sk_buf_reserve(body, 64)) return;
    if (origin_connection_try_read(exchange->connection, sk_buf_space(body), sk_buf_space_len(body), &n))
        return;
    sk_buf_commit(body, n);
    (void)!find_piece(exchange);
}

/* --- after 101 ------------------------------------------------------------------------------------------ */

sk_err origin_exchange_tunnel_read(struct origin_exchange *exchange, char *data, size_t bytes,
                                   sk_time_ns deadline, size_t *out_n) {
    SK_CHECK_MAGIC(exchange, ORIGIN_EXCHANGE_MAGIC);
    SK_ASSERT(exchange->tunnel && bytes > 0);
    size_t early = SK_MIN(bytes, sk_buf_len(&exchange->body));
    if (!early) return origin_connection_read(exchange->connection, data, bytes, deadline, out_n);
    memcpy(data, sk_buf_str(&exchange->body).data, early);
    sk_buf_consume(&exchange->body, early);
    *out_n = early;
    return SK_OK;
}

sk_err origin_exchange_tunnel_write(struct origin_exchange *exchange, const char *data, size_t bytes,
                                    sk_time_ns deadline) {
    SK_CHECK_MAGIC(exchange, ORIGIN_EXCHANGE_MAGIC);
    SK_ASSERT(exchange->tunnel);
    return origin_connection_write(exchange->connection, &(sk_str){data, bytes}, 1, deadline);
}

void origin_exchange_tunnel_shutdown(struct origin_exchange *exchange) {
    SK_CHECK_MAGIC(exchange, ORIGIN_EXCHANGE_MAGIC);
    SK_ASSERT(exchange->tunnel);
    origin_connection_shutdown(exchange->connection);
}
