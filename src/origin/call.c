/* An exchange over HTTP/2: the request as a call of a session, its head, its content. */
#include "origin/exchange.h"

static const char *detail_of(const struct origin_call *call) { return call->detail; }

/* --- the request ---------------------------------------------------------------------------------------- */

/* An origin that has been silent may be gone: what cannot be sent twice waits until it has said a word. */
static sk_err make_sure(struct origin_exchange *exchange) {
    if (!exchange->reused || !exchange->careful || !origin_session_quiet(exchange->session)) return SK_OK;
    sk_time_ns until = origin_exchange_within(exchange, exchange->options->connect_timeout_ms);
    sk_err err = origin_session_probe(exchange->session, SK_MIN(until, exchange->deadline));
    if (!err) return SK_OK;
    exchange->failure = (struct origin_failure){ORIGIN_PHASE_CONNECT, "no answer to a PING"};
    return err == SK_ERR_TIMEOUT ? SK_ERR_CLOSED : err;
}

static sk_err begin(struct origin_exchange *exchange, bool content) {
    struct http_request request = *exchange->request->request;
    struct origin_session *session = exchange->session;
    request.authority = origin_exchange_authority(exchange);
    exchange->failure = (struct origin_failure){.phase = ORIGIN_PHASE_SEND};
    exchange->clipped = false;
    exchange->call.on_informational = exchange->request->on_informational;
    exchange->call.informational_arg = exchange->request->informational_arg;
    exchange->session = NULL; /* its place is the call's */
    sk_err err = origin_call_begin(&exchange->call, session, &request, content);
    exchange->sent = !err;
    exchange->sent_at = origin_exchange_now(exchange);
    observe_count(exchange->thread->metrics, OBSERVE_ORIGIN_REQUESTS);
    return err;
}

/* --- waiting -------------------------------------------------------------------------------------------- */

/* As io_fiber_park, for what the origin says next; SK_OK may be for nothing. Where options say so, an origin that has said
 * nothing, on any call, since SINCE and for half of that time is asked for a sign of life by a PING, which an origin that is
 * only slow answers at once; SK_ERR_UNREACHABLE: it gives none in the other half. */
static sk_err await(struct origin_exchange *exchange, sk_time_ns since, sk_time_ns deadline) {
    struct origin_session *session = exchange->call.session;
    sk_time_ns half = exchange->options->patience_ms * SK_NS_PER_MS / 2;
    if (!half) return io_fiber_park(deadline);
    sk_time_ns heard_at = origin_session_heard_at(session), quiet_at = SK_MAX(heard_at, since) + half;
    if (deadline <= quiet_at) return io_fiber_park(deadline);
    sk_err err = io_fiber_park(quiet_at);
    if (err != SK_ERR_TIMEOUT) return err;
    if (origin_session_heard_at(session) > heard_at) return SK_OK;
    err = origin_session_probe(session, SK_MIN(origin_exchange_now(exchange) + half, deadline));
    if (!err || err == SK_ERR_CANCELLED) return err;
    /* Also when it has failed meanwhile: this call was told. */
    return origin_session_dead(session) || origin_session_heard_at(session) > heard_at ? SK_OK
                                                                                       : SK_ERR_UNREACHABLE;
}

/* --- the head ------------------------------------------------------------------------------------------- */

/* A 1xx came: it lives, and the wait for the final head begins anew. */
static void note_life(struct origin_exchange *exchange) {
    const struct origin_call *call = &exchange->call;
    if (call->heard_at <= exchange->sent_at) return;
    exchange->sent_at = call->heard_at;
    if (exchange->deadline != SK_TIME_NEVER && !exchange->strict)
        exchange->deadline = exchange->sent_at + exchange->options->first_byte_timeout_ms * SK_NS_PER_MS;
}

static sk_err failed(struct origin_exchange *exchange) {
    struct origin_call *call = &exchange->call;
    bool bad = call->error == SK_ERR_MALFORMED || call->error == SK_ERR_TOO_LARGE;
    exchange->failure =
        (struct origin_failure){bad ? ORIGIN_PHASE_HEAD : ORIGIN_PHASE_FIRST_BYTE, detail_of(call)};
    /* Not looked at: as if it had never been sent, and the connection's doing, not the origin's. */
    if (call->refused) exchange->sent = false;
    exchange->reused = call->refused || (exchange->reused && origin_session_dead(call->session));
    return call->error ? call->error : SK_ERR_CLOSED;
}

static sk_err await_head(struct origin_exchange *exchange) {
    struct origin_call *call = &exchange->call;
    struct origin_upload *upload = &exchange->upload;
    for (;;) {
        exchange->heard = call->heard_at > 0;
        if (call->wire.final) return SK_OK;
        if (call->closed || call->error) return failed(exchange);
        if (!upload->running && upload->source_failed) {
            exchange->failure = (struct origin_failure){.phase = ORIGIN_PHASE_BODY_READ};
            return upload->error;
        }
        note_life(exchange);
        sk_err err = await(exchange, exchange->sent_at, origin_head_deadline(exchange));
        if (upload->running) io_fiber_wake(upload->fiber); /* a source may have woken this fiber instead */
        call->timed_out = err == SK_ERR_TIMEOUT || err == SK_ERR_UNREACHABLE;
        if (err) return origin_head_failed(exchange, err);
    }
}

sk_err origin_exchange_call(struct origin_exchange *exchange, bool content) {
    sk_err err = make_sure(exchange);
    if (err) return err;
    exchange->call = (struct origin_call){.wire.arena = &exchange->arena, .content = &exchange->body};
    err = begin(exchange, content);
    if (!err && content) {
        exchange->deadline = SK_TIME_NEVER; /* it takes as long as the client takes */
        err = origin_upload_start(&exchange->upload, exchange->thread, NULL, &exchange->call,
                                  exchange->request, exchange->options->between_bytes_timeout_ms);
    }
    if (!err) err = await_head(exchange);
    origin_upload_stop(&exchange->upload);
    if (!err) exchange->response = exchange->call.wire.response;
    exchange->clipped = false;
    return err;
}

/* --- content -------------------------------------------------------------------------------------------- */

static sk_err take(struct origin_exchange *exchange, char *data, size_t bytes, size_t *out_n) {
    struct sk_buf *body = &exchange->body;
    size_t n = SK_MIN(bytes, sk_buf_len(body));
    memcpy(data, sk_buf_str(body).data, n);
    sk_buf_consume(body, n);
    origin_call_consumed(&exchange->call, n);
    *out_n = n;
    return SK_OK;
}

sk_err origin_call_read(struct origin_exchange *exchange, char *data, size_t bytes, size_t *out_n) {
    struct origin_call *call = &exchange->call;
    sk_time_ns since = origin_exchange_now(exchange);
    sk_time_ns deadline = origin_exchange_within(exchange, exchange->options->between_bytes_timeout_ms);
    for (;;) {
        if (sk_buf_len(&exchange->body)) return take(exchange, data, bytes, out_n);
        if (call->wire.ended) {
            exchange->trailers = call->wire.trailers;
            return origin_body_complete(exchange);
        }
        sk_err err = call->error;
        if (!err && call->closed) err = SK_ERR_CLOSED;
        if (err) return origin_body_fail(exchange, err, detail_of(call));
        err = await(exchange, since, deadline);
        if (err == SK_ERR_CANCELLED) return err;
        call->timed_out = err == SK_ERR_TIMEOUT || err == SK_ERR_UNREACHABLE;
        if (err) return origin_body_fail(exchange, err, NULL);
    }
}

void origin_exchange_drop_call(struct origin_exchange *exchange) {
    struct origin_session *place = exchange->session;
    exchange->session = NULL;
    origin_call_end(&exchange->call);
    if (place) origin_session_leave(place);
}
