#include "wire/h2.h"

#include <stdlib.h>

#include "wire/h2_internal.h"
#include "wire/h2_room.h"

#define QUEUE_MAX 1000 /* frames that wait to be sent, beside content */

static struct wire_h2 *h2_of(void *user) { return user; }

static int32_t id_of(const struct wire_stream *stream) { return (int32_t)stream->id; }

static struct wire_stream *stream_of(const struct wire_h2 *h2, int32_t id) {
    return nghttp2_session_get_stream_user_data(h2->session, id);
}

/* --- abuse ------------------------------------------------------------------------------------------------ */

static bool charge(struct wire_h2 *h2, enum wire_h2_cost cost) {
    return h2_charge(&h2->toll, h2->session, cost);
}

bool wire_h2_blame(struct wire_h2 *h2, enum wire_h2_cost cost, sk_time_ns now) {
    h2->toll.now = now;
    return charge(h2, cost);
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *frame, void *user) {
    struct wire_h2 *h2 = h2_of(user);
    h2_charge_frame(&h2->toll, session, frame);
    /* What we are to answer and the peer does not read. */
    if (nghttp2_session_get_outbound_queue_size(session) > QUEUE_MAX)
        while (charge(h2, WIRE_H2_COST_MADE_RESET)) continue;
    return 0;
}

/* --- requests --------------------------------------------------------------------------------------------- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct wire_h2 *h2 = h2_of(user);
    struct wire_stream *stream = stream_of(h2, frame->hd.stream_id);
    h2->head_open = true;
    if (stream) {
        stream->in_trailer = true;
        return 0;
    }
    stream = h2->toll.denied ? NULL : h2->events->open(h2->owner);
    if (!stream) {
        charge(h2, WIRE_H2_COST_REFUSED);
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    stream->id = frame->hd.stream_id;
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user) {
    struct wire_h2 *h2 = h2_of(user);
    struct wire_stream *stream = stream_of(h2, frame->hd.stream_id);
    if (!stream || stream->reset) return 0;
    uint16_t before = stream->refusal;
    sk_err err = wire_stream_field(&h2->rules, stream, (sk_str){(const char *)name, name_len},
                                   (sk_str){(const char *)value, value_len});
    if (err) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    /* A byte may name a long field of HPACK's table (RFC 7541 section 7.3). */
    if (before) charge(h2, WIRE_H2_COST_BIG_FIELD);
    if (!before && stream->refusal == 431) charge(h2, WIRE_H2_COST_BIG_HEAD);
    return h2->toll.denied ? NGHTTP2_ERR_PAUSE : 0; /* no work for the rest of it */
}

static void end_request(struct wire_h2 *h2, struct wire_stream *stream) {
    if (stream->ended) return;
    stream->ended = true;
    if (stream->begun) h2->events->end(h2->owner, stream);
}

/* A refused trailer section leaves nothing of the request to be trusted. */
static void finish_trailers(struct wire_h2 *h2, struct wire_stream *stream) {
    if (stream->refusal) wire_h2_reset(h2, stream);
}

static int finish_head(struct wire_h2 *h2, struct wire_stream *stream, bool end) {
    stream->ended = end;
    if (wire_stream_head_end(&h2->rules, stream, end) != SK_OK) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (stream->refusal && stream->refusal != 431) charge(h2, WIRE_H2_COST_MALFORMED);
    stream->begun = true;
    h2->events->request(h2->owner, stream);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct wire_h2 *h2 = h2_of(user);
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (frame->hd.type == NGHTTP2_HEADERS) h2->head_open = false;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    struct wire_stream *stream = stream_of(h2, frame->hd.stream_id);
    if (!stream || stream->reset) return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && !stream->begun) return finish_head(h2, stream, end);
    if (frame->hd.type == NGHTTP2_HEADERS) finish_trailers(h2, stream);
    if (end && !stream->reset) end_request(h2, stream);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t bytes,
                   void *user) {
    struct wire_h2 *h2 = h2_of(user);
    struct wire_stream *stream = stream_of(h2, id);
    if (stream && !stream->reset)
        h2->events->data(h2->owner, stream, (sk_str){(const char *)data, bytes});
    else
        nghttp2_session_consume(session, id, bytes); /* nobody else will */
    return 0;
}

static int on_invalid(nghttp2_session *session, const nghttp2_frame *frame, int error, void *user) {
    struct wire_h2 *h2 = h2_of(user);
    if (frame->hd.type == NGHTTP2_HEADERS) h2->head_open = false;
    /* More streams than it will be allowed once it has read our SETTINGS: nothing was begun for them. */
    charge(h2, error == NGHTTP2_ERR_REFUSED_STREAM ? WIRE_H2_COST_REFUSED : WIRE_H2_COST_MALFORMED);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *user) {
    struct wire_h2 *h2 = h2_of(user);
    struct wire_stream *stream = stream_of(h2, id);
    if (!stream) return 0;
    nghttp2_session_set_stream_user_data(session, id, NULL);
    if (stream->answered) wire_h2_credit(&h2->toll.account);
    h2->events->closed(h2->owner, stream, stream->answered);
    return 0;
}

/* --- frames that went out --------------------------------------------------------------------------------- */

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct wire_h2 *h2 = h2_of(user);
    uint8_t type = frame->hd.type;
    /* Resets that we were made to send cost as much as the peer's own (also after our GOAWAY). What was refused is
     * charged already. */
    if (type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR &&
        frame->rst_stream.error_code != NGHTTP2_REFUSED_STREAM)
        charge(h2, WIRE_H2_COST_MADE_RESET);
    if (type != NGHTTP2_HEADERS && type != NGHTTP2_DATA) return 0;
    if (type == NGHTTP2_DATA) wire_h2_credit_content(&h2->toll.account, frame->hd.length);
    struct wire_stream *stream = stream_of(h2, frame->hd.stream_id);
    if (!stream) return 0;
    h2->events->framed(h2->owner, stream, type == NGHTTP2_DATA ? 9 : 9 + frame->hd.length);
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) return 0;
    stream->answered = true;
    /* RFC 9113 section 8.1: the rest of the request is not needed. */
    if (!stream->ended)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id_of(stream), NGHTTP2_NO_ERROR);
    return 0;
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t bytes,
                     nghttp2_data_source *source, void *user) {
    struct wire_h2 *h2 = h2_of(user);
    struct wire_stream *stream = source->ptr;
    if (sk_buf_reserve(h2->out, 9 + bytes) != SK_OK) return NGHTTP2_ERR_CALLBACK_FAILURE;
    memcpy(sk_buf_space(h2->out), head, 9);
    sk_buf_commit(h2->out, 9);
    sk_err err = bytes ? h2->events->take(h2->owner, stream, bytes, sk_buf_space(h2->out)) : SK_OK;
    if (err) return NGHTTP2_ERR_CALLBACK_FAILURE;
    sk_buf_commit(h2->out, bytes);
    return 0;
}

/* --- life ------------------------------------------------------------------------------------------------- */

static nghttp2_session_callbacks *make_callbacks(void) {
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) return NULL;
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    return callbacks;
}

static nghttp2_option *make_options(void) {
    nghttp2_option *options;
    if (nghttp2_option_new(&options) != 0) return NULL;
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_no_closed_streams(options, 1); /* they serve RFC 7540's priorities only */
    nghttp2_option_set_max_outbound_ack(options, H2_ACKS_WAITING_MAX);
    nghttp2_option_set_builtin_recv_extension_type(options, NGHTTP2_PRIORITY_UPDATE);
    return options;
}

static int submit_settings(struct wire_h2 *h2) {
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, WIRE_H2_STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WIRE_H2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, h2->rules.limits.head_bytes},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    int result = nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, SK_COUNT(settings));
    if (result) return result;
    return nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, WIRE_H2_WINDOW);
}

sk_err wire_h2_create(const struct wire_stream_events *events, void *owner,
                      const struct wire_head_limits *limits, sk_str scheme, struct wire_h2 **out_h2) {
    struct wire_h2 *h2 = calloc(1, sizeof *h2);
    nghttp2_session_callbacks *callbacks = make_callbacks();
    nghttp2_option *options = make_options();
    bool made = h2 && callbacks && options;
    if (made) {
        *h2 = (struct wire_h2){.magic = WIRE_H2_MAGIC,
                               .events = events,
                               .owner = owner,
                               .toll = {.serves = true},
                               .rules = {*limits, HTTP_2, scheme}};
        made = h2_session_new(&h2->session, callbacks, h2, options) == 0;
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(options);
    if (made && submit_settings(h2) == 0) {
        *out_h2 = h2;
        return SK_OK;
    }
    if (made) nghttp2_session_del(h2->session);
    free(h2);
    return SK_ERR_NO_MEMORY;
}

void wire_h2_limit_heads(struct wire_h2 *h2, const struct wire_head_limits *limits) {
    h2->rules.limits = *limits;
}

void wire_h2_free(struct wire_h2 *h2) {
    if (!h2) return;
    SK_CHECK_MAGIC(h2, WIRE_H2_MAGIC);
    nghttp2_session_del(h2->session);
    h2->magic = 0;
    free(h2);
}

/* --- bytes ------------------------------------------------------------------------------------------------ */

sk_err wire_h2_receive(struct wire_h2 *h2, sk_str input, sk_time_ns now) {
    return h2_session_receive(h2->session, &h2->toll, input, now);
}

sk_err wire_h2_fill(struct wire_h2 *h2, struct sk_buf *out, size_t enough) {
    h2->out = out;
    h2_room_enter();
    sk_err err = h2_session_fill(h2->session, out, enough);
    h2_room_leave();
    h2->out = NULL;
    return err;
}

bool wire_h2_over(const struct wire_h2 *h2) {
    return !nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session);
}

bool wire_h2_head_open(const struct wire_h2 *h2) { return h2->head_open; }

const char *wire_h2_why(const struct wire_h2 *h2) { return h2->toll.why ? h2->toll.why : ""; }

void wire_h2_resume(struct wire_h2 *h2, struct wire_stream *stream) {
    (void)nghttp2_session_resume_data(h2->session, id_of(stream)); /* gone or not deferred: nothing to do */
}

void wire_h2_consumed(struct wire_h2 *h2, struct wire_stream *stream, size_t bytes) {
    if (bytes) (void)nghttp2_session_consume(h2->session, id_of(stream), bytes);
}

void wire_h2_reset(struct wire_h2 *h2, struct wire_stream *stream) {
    if (stream->reset) return;
    stream->reset = true;
    /* RFC 8441 section 5: as what a TCP connection's reset is told. */
    uint32_t error = wire_stream_in_tunnel(stream) ? NGHTTP2_CANCEL : NGHTTP2_INTERNAL_ERROR;
    (void)nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, id_of(stream), error);
}

void wire_h2_goaway(struct wire_h2 *h2, bool final) {
    if (final)
        (void)nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE,
                                    nghttp2_session_get_last_proc_stream_id(h2->session), NGHTTP2_NO_ERROR,
                                    NULL, 0);
    else
        (void)nghttp2_submit_shutdown_notice(h2->session);
}
