/* Waiting for the head of a response: 1xx heads pass by, a body may still be on its way out. */
#include "origin/exchange.h"

#define INFORMATIONAL_MOST 32
/* After the origin refused to take the body: this long it may say why. */
#define LAST_WORD_NS SK_NS_PER_S

/* --- what came ------------------------------------------------------------------------------------------ */

static sk_err refuse(struct origin_exchange *exchange, const char *detail, sk_err err) {
    exchange->failure = (struct origin_failure){ORIGIN_PHASE_HEAD, detail};
    return err;
}

static sk_err refused_by_parser(struct origin_exchange *exchange) {
    enum wire_h1_refusal refusal = exchange->parser.refusal;
    bool large = refusal == WIRE_H1_REFUSAL_HEAD_TOO_LARGE || refusal == WIRE_H1_REFUSAL_TOO_MANY_FIELDS;
    return refuse(exchange, wire_h1_refusal_text(refusal), large ? SK_ERR_TOO_LARGE : SK_ERR_MALFORMED);
}

/* RFC 9110 15.2: 100 was for us, the others are for the client. Its bytes go, the next head begins. */
static sk_err pass_informational(struct origin_exchange *exchange, size_t head_bytes) {
    const struct origin_request *request = exchange->request;
    if (++exchange->informational > INFORMATIONAL_MOST)
        return refuse(exchange, "too many informational responses", SK_ERR_MALFORMED);
    if (exchange->response.status != 100 && request->on_informational)
        request->on_informational(request->informational_arg, &exchange->response);
    sk_buf_consume(&exchange->head, head_bytes);
    sk_arena_reset(&exchange->arena);
    wire_h1_parser_init(&exchange->parser);
    /* It lives: the wait for the final head begins anew. */
    exchange->sent_at = origin_exchange_now(exchange);
    if (exchange->deadline != SK_TIME_NEVER && !exchange->strict)
        exchange->deadline = exchange->sent_at + exchange->options->first_byte_timeout_ms * SK_NS_PER_MS;
    return SK_ERR_AGAIN;
}

/* SK_OK: a final head; SK_ERR_AGAIN: more is needed. */
static sk_err take_head(struct origin_exchange *exchange) {
    for (;;) {
        size_t head_bytes;
        enum wire_h1_result result = wire_h1_parse_response(
            &exchange->parser, &exchange->limits, exchange->method, sk_buf_str(&exchange->head),
            &exchange->arena, &exchange->response, &head_bytes);
        if (result == WIRE_H1_NEED_MORE) return SK_ERR_AGAIN;
        if (result == WIRE_H1_REFUSED) return refused_by_parser(exchange);
        uint16_t status = exchange->response.status;
        exchange->tunnel = status == 101;
        if (status == 101 && !exchange->request->request->upgrade.data)
            return refuse(exchange, "101 Switching Protocols that was not asked for", SK_ERR_MALFORMED);
        exchange->piece_end = head_bytes; /* for origin_body_begin */
        if (status >= 200 || status == 101) return SK_OK;
        sk_err err = pass_informational(exchange, head_bytes);
        if (err != SK_ERR_AGAIN) return err;
    }
}

/* --- waiting for it ------------------------------------------------------------------------------------- */

/* The origin has not taken the body. */
static bool upload_failed(const struct origin_upload *upload) {
    return !upload->running && upload->error && !upload->source_failed;
}

/* While the body goes out there is no limit here: each piece has its
 * own, and so has the client. */
sk_time_ns origin_head_deadline(struct origin_exchange *exchange) {
    const struct origin_upload *upload = &exchange->upload;
    if (upload->running) return SK_TIME_NEVER;
    if (upload_failed(upload)) return upload->ended + LAST_WORD_NS;
    sk_time_ns since = SK_MAX(exchange->sent_at, upload->ended);
    sk_time_ns until = since + exchange->options->first_byte_timeout_ms * SK_NS_PER_MS;
    if (sk_buf_len(&exchange->head))
        until =
            SK_MAX(until, exchange->head_since + exchange->options->between_bytes_timeout_ms * SK_NS_PER_MS);
    exchange->clipped = exchange->deadline < until;
    return SK_MIN(until, exchange->deadline);
}

static sk_err read_some(struct origin_exchange *exchange) {
    struct sk_buf *head = &exchange->head;
    size_t n;
    if (sk_buf_space_len(head) < ORIGIN_READ_BYTES / 4) {
        sk_err err = sk_buf_reserve(head, ORIGIN_READ_BYTES);
        if (err) return err;
    }
    sk_err err =
        origin_connection_try_read(exchange->connection, sk_buf_space(head), sk_buf_space_len(head), &n);
    if (err) return err;
    if (sk_buf_len(head) == 0) exchange->head_since = origin_exchange_now(exchange);
    sk_buf_commit(head, n);
    exchange->heard = true;
    return SK_OK;
}

static sk_err wait_for_more(struct origin_exchange *exchange) {
    struct origin_upload *upload = &exchange->upload;
    sk_err err = origin_connection_wait(exchange->connection, origin_head_deadline(exchange));
    /* A source may know only the fiber that asked for the exchange, and have woken that. */
    if (upload->running) io_fiber_wake(upload->fiber);
    return err;
}

/* The origin's silence after it refused the body is that refusal. */
sk_err origin_head_failed(struct origin_exchange *exchange, sk_err err) {
    const struct origin_upload *upload = &exchange->upload;
    exchange->failure = (struct origin_failure){.phase = ORIGIN_PHASE_FIRST_BYTE};
    /* An origin of TLS 1.3 says only now that it wants another certificate of ours, or any. */
    if (err == SK_ERR_TLS && exchange->connection)
        exchange->failure.detail = wire_tls_error(exchange->connection->tls);
    if (sk_buf_len(&exchange->head)) exchange->failure.phase = ORIGIN_PHASE_HEAD;
    if (err == SK_ERR_CANCELLED || !upload_failed(upload)) return err == SK_ERR_END ? SK_ERR_CLOSED : err;
    exchange->failure.phase = ORIGIN_PHASE_SEND;
    return upload->error;
}

sk_err origin_head_receive(struct origin_exchange *exchange) {
    struct origin_upload *upload = &exchange->upload;
    /* Nothing can be there yet: the connection is new, or was found to be silent. */
    sk_err err = wait_for_more(exchange);
    if (err) return origin_head_failed(exchange, err);
    for (;;) {
        err = read_some(exchange);
        if (!err)
            err = take_head(exchange);
        else if (err != SK_ERR_AGAIN)
            return origin_head_failed(exchange, err);
        if (err != SK_ERR_AGAIN) return err;
        if (!upload->running && upload->source_failed) {
            exchange->failure = (struct origin_failure){.phase = ORIGIN_PHASE_BODY_READ};
            return upload->error;
        }
        err = wait_for_more(exchange);
        if (err) return origin_head_failed(exchange, err);
    }
}
