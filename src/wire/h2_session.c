#include "wire/h2_session.h"

#define SLICE_BYTES 16384 /* so much at most is still looked at of a peer that has just been denied */
#define UNSEEN_BYTES 4096 /* of ignored frames that cost as much as one */

/* --- abuse ------------------------------------------------------------------------------------------------ */

bool h2_charge(struct h2_toll *toll, nghttp2_session *session, enum wire_h2_cost cost) {
    if (wire_h2_charge(&toll->account, cost, toll->now)) return true;
    if (toll->denied) return false;
    toll->denied = true;
    toll->why = wire_h2_cost_text(cost);
    nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
    return false;
}

/* The cost of a frame of this kind, or WIRE_H2_COST_COUNT_. Servers' resets are answers; their priorities are unknown to us
 * (RFC 9218 section 7.1: only clients send them). */
static enum wire_h2_cost cost_of(const struct h2_toll *toll, const nghttp2_frame_hd *frame) {
    switch (frame->type) {
    case NGHTTP2_DATA:
        return !frame->length && !(frame->flags & NGHTTP2_FLAG_END_STREAM) ? WIRE_H2_COST_EMPTY
                                                                           : WIRE_H2_COST_COUNT_;
    case NGHTTP2_HEADERS: return frame->length ? WIRE_H2_COST_COUNT_ : WIRE_H2_COST_EMPTY;
    case NGHTTP2_PRIORITY: return WIRE_H2_COST_PRIORITY;
    case NGHTTP2_PRIORITY_UPDATE: return toll->serves ? WIRE_H2_COST_PRIORITY : WIRE_H2_COST_UNKNOWN;
    case NGHTTP2_RST_STREAM: return toll->serves ? WIRE_H2_COST_RESET : WIRE_H2_COST_COUNT_;
    case NGHTTP2_SETTINGS: return WIRE_H2_COST_SETTINGS;
    case NGHTTP2_PING: return WIRE_H2_COST_PING;
    case NGHTTP2_WINDOW_UPDATE: return WIRE_H2_COST_WINDOW;
    case NGHTTP2_CONTINUATION: return WIRE_H2_COST_CONTINUATION;
    case NGHTTP2_GOAWAY: return WIRE_H2_COST_COUNT_;
    default: return WIRE_H2_COST_UNKNOWN;
    }
}

void h2_charge_frame(struct h2_toll *toll, nghttp2_session *session, const nghttp2_frame_hd *frame) {
    enum wire_h2_cost cost = cost_of(toll, frame);
    toll->unseen -= (int64_t)frame->length + 9;
    if (cost != WIRE_H2_COST_COUNT_) h2_charge(toll, session, cost);
}

/* Frames of unknown kinds, and those for streams that are over, show only as bytes. A frame may be told of before
 * all of it is there. */
static void charge_unseen(struct h2_toll *toll, nghttp2_session *session, size_t received) {
    toll->unseen += (int64_t)received;
    while (toll->unseen > UNSEEN_BYTES && h2_charge(toll, session, WIRE_H2_COST_UNKNOWN))
        toll->unseen -= UNSEEN_BYTES;
}

/* --- bytes ------------------------------------------------------------------------------------------------ */

sk_err h2_session_receive(nghttp2_session *session, struct h2_toll *toll, sk_str input, sk_time_ns now) {
    toll->now = now;
    if (toll->denied) return SK_ERR_DENIED;
    nghttp2_ssize n = 0;
    for (size_t at = 0; at < input.len && n >= 0 && !toll->denied; at += SLICE_BYTES) {
        sk_str slice = sk_str_slice(input, at, SK_MIN(at + SLICE_BYTES, input.len));
        n = nghttp2_session_mem_recv2(session, (const uint8_t *)slice.data, slice.len);
    }
    if (n == NGHTTP2_ERR_NOMEM) return SK_ERR_NO_MEMORY;
    if (n < 0) {
        if (!toll->why) toll->why = nghttp2_strerror((int)n);
        return n == NGHTTP2_ERR_FLOODED ? SK_ERR_DENIED : SK_ERR_MALFORMED;
    }
    charge_unseen(toll, session, input.len);
    return toll->denied ? SK_ERR_DENIED : SK_OK;
}

sk_err h2_session_fill(nghttp2_session *session, struct sk_buf *out, size_t enough) {
    sk_err err = SK_OK;
    while (!err && sk_buf_len(out) < enough) {
        const uint8_t *data;
        size_t before = sk_buf_len(out);
        nghttp2_ssize n = nghttp2_session_mem_send2(session, &data);
        if (n < 0) err = n == NGHTTP2_ERR_NOMEM ? SK_ERR_NO_MEMORY : SK_ERR_MALFORMED;
        if (n > 0) err = sk_buf_append(out, (sk_str){(const char *)data, (size_t)n});
        if (n == 0 && sk_buf_len(out) == before) break; /* what a callback has written itself counts too */
    }
    return err;
}
