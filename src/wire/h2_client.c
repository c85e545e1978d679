#include "wire/h2_client.h"

#include <stdlib.h>

#include "wire/h2_client_internal.h"

/* Until the server's SETTINGS are there. RFC 9113 6.5.2 would allow any number, but some servers end a connection that
 * had more streams than they are about to allow; they mostly come right behind the handshake. */
#define CALLS_AT_FIRST 1

static struct wire_h2_call *call_of(const struct wire_h2_client *client, int32_t id) {
    return nghttp2_session_get_stream_user_data(client->session, id);
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *frame, void *user) {
    struct wire_h2_client *client = user;
    h2_charge_frame(&client->toll, session, frame);
    return 0;
}

/* --- calls come to their end --------------------------------------------------------------------------- */

static void forget(struct wire_h2_client *client, struct wire_h2_call *call) {
    sk_list_remove(&call->link);
    client->call_count--;
}

static sk_err verdict(const struct wire_h2_call *call, uint32_t code) {
    if (call->failed) return call->failed;
    if (code == NGHTTP2_NO_ERROR && call->ended) return SK_OK;
    if (call->invalid) return SK_ERR_MALFORMED;
    if (code == NGHTTP2_REFUSED_STREAM && !call->final) return SK_ERR_REFUSED;
    return code == NGHTTP2_HTTP_1_1_REQUIRED ? SK_ERR_UNSUPPORTED : SK_ERR_RESET;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user) {
    struct wire_h2_client *client = user;
    struct wire_h2_call *call = call_of(client, id);
    if (!call) return 0;
    nghttp2_session_set_stream_user_data(session, id, NULL);
    forget(client, call);
    wire_h2_credit(&client->toll.account);
    client->events->closed(client->owner, call, verdict(call, code));
    return 0;
}

/* A request that never became a stream: after GOAWAY, or when the ids are used up. */
static int on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int error, void *user) {
    struct wire_h2_client *client = user;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    client->leaving = true;
    SK_LIST_FOR_EACH(link, &client->calls) {
        struct wire_h2_call *call = SK_CONTAINER_OF(link, struct wire_h2_call, link);
        if (call->id != frame->hd.stream_id) continue;
        nghttp2_session_set_stream_user_data(session, call->id, NULL);
        forget(client, call);
        client->events->closed(client->owner, call, SK_ERR_REFUSED);
        break;
    }
    return 0;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct wire_h2_client *client = user;
    if (frame->hd.type == NGHTTP2_DATA) wire_h2_credit_content(&client->toll.account, frame->hd.length);
    return 0;
}

/* --- responses ------------------------------------------------------------------------------------------ */

static int fail_call(struct wire_h2_call *call, sk_err err) {
    call->failed = err;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* the library resets the stream */
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct wire_h2_call *call = call_of(user, frame->hd.stream_id);
    if (call && !call->failed) h2_client_begin(call);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user) {
    struct wire_h2_client *client = user;
    struct wire_h2_call *call = call_of(client, frame->hd.stream_id);
    if (!call || call->failed) return 0;
    sk_err err = h2_client_field(client, call, (sk_str){(const char *)name, name_len},
                                 (sk_str){(const char *)value, value_len});
    return err ? fail_call(call, err) : 0;
}

static int on_head(struct wire_h2_client *client, struct wire_h2_call *call, bool end) {
    sk_err err = h2_client_finish(call, end);
    if (err) return fail_call(call, err);
    client->events->response(client->owner, call);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct wire_h2_client *client = user;
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (frame->hd.type == NGHTTP2_GOAWAY) client->leaving = true;
    if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK)
        client->events->pong(client->owner);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    struct wire_h2_call *call = call_of(client, frame->hd.stream_id);
    if (!call || call->failed) return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && !call->in_trailer) return on_head(client, call, end);
    if (!end || call->ended) return 0;
    call->ended = true;
    client->events->end(client->owner, call);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t bytes,
                   void *user) {
    struct wire_h2_client *client = user;
    struct wire_h2_call *call = call_of(client, id);
    if (call && !call->failed)
        client->events->data(client->owner, call, (sk_str){(const char *)data, bytes});
    else
        nghttp2_session_consume(session, id, bytes); /* nobody else will */
    return 0;
}

static int on_invalid(nghttp2_session *session, const nghttp2_frame *frame, int error, void *user) {
    struct wire_h2_client *client = user;
    struct wire_h2_call *call = call_of(client, frame->hd.stream_id);
    if (call) call->invalid = true;
    if (call && !call->why) call->why = "not as HTTP/2 would have it";
    h2_charge(&client->toll, session, WIRE_H2_COST_MALFORMED);
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
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_not_sent);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    return callbacks;
}

static nghttp2_option *make_options(void) {
    nghttp2_option *options;
    if (nghttp2_option_new(&options) != 0) return NULL;
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_max_outbound_ack(options, H2_ACKS_WAITING_MAX);
    nghttp2_option_set_peer_max_concurrent_streams(options, CALLS_AT_FIRST);
    return options;
}

static int submit_settings(const struct wire_h2_client *client) {
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WIRE_H2_CLIENT_CALL_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, client->limits.head_bytes},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    int result = nghttp2_submit_settings(client->session, NGHTTP2_FLAG_NONE, settings, SK_COUNT(settings));
    if (result) return result;
    return nghttp2_session_set_local_window_size(client->session, NGHTTP2_FLAG_NONE, 0,
                                                 WIRE_H2_CLIENT_WINDOW);
}

sk_err wire_h2_client_create(const struct wire_h2_client_events *events, void *owner,
                             const struct wire_h2_client_limits *limits, struct wire_h2_client **out_client) {
    struct wire_h2_client *client = calloc(1, sizeof *client);
    nghttp2_session_callbacks *callbacks = make_callbacks();
    nghttp2_option *options = make_options();
    bool made = client && callbacks && options;
    if (made) {
        *client = (struct wire_h2_client){
            .magic = WIRE_H2_CLIENT_MAGIC, .events = events, .owner = owner, .limits = *limits};
        sk_list_init(&client->calls);
        made = nghttp2_session_client_new2(&client->session, callbacks, client, options) == 0;
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(options);
    if (made && submit_settings(client) == 0) {
        *out_client = client;
        return SK_OK;
    }
    if (made) nghttp2_session_del(client->session);
    free(client);
    return SK_ERR_NO_MEMORY;
}

void wire_h2_client_free(struct wire_h2_client *client) {
    if (!client) return;
    SK_CHECK_MAGIC(client, WIRE_H2_CLIENT_MAGIC);
    nghttp2_session_del(client->session);
    client->magic = 0;
    free(client);
}

/* --- bytes ------------------------------------------------------------------------------------------------ */

sk_err wire_h2_client_receive(struct wire_h2_client *client, sk_str input, sk_time_ns now) {
    return h2_session_receive(client->session, &client->toll, input, now);
}

sk_err wire_h2_client_fill(struct wire_h2_client *client, struct sk_buf *out, size_t enough) {
    return h2_session_fill(client->session, out, enough);
}

bool wire_h2_client_over(const struct wire_h2_client *client) {
    return !nghttp2_session_want_read(client->session) && !nghttp2_session_want_write(client->session);
}

uint32_t wire_h2_client_room(const struct wire_h2_client *client) {
    if (wire_h2_client_leaving(client)) return 0;
    uint32_t most =
        nghttp2_session_get_remote_settings(client->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    most = SK_MIN(most, (uint32_t)WIRE_H2_CLIENT_CALLS);
    return most > client->call_count ? most - client->call_count : 0;
}

uint32_t wire_h2_client_calls(const struct wire_h2_client *client) { return client->call_count; }

bool wire_h2_client_leaving(const struct wire_h2_client *client) {
    return client->leaving || client->toll.denied || !nghttp2_session_check_request_allowed(client->session);
}

/* --- the owner's wishes ----------------------------------------------------------------------------------- */

void wire_h2_client_resume(struct wire_h2_client *client, struct wire_h2_call *call) {
    (void)nghttp2_session_resume_data(client->session, call->id); /* gone or not deferred: nothing to do */
}

void wire_h2_client_consumed(struct wire_h2_client *client, struct wire_h2_call *call, size_t bytes) {
    if (bytes) (void)nghttp2_session_consume(client->session, call->id, bytes);
}

void wire_h2_client_cancel(struct wire_h2_client *client, struct wire_h2_call *call) {
    if (!sk_list_linked(&call->link)) return;
    nghttp2_session_set_stream_user_data(client->session, call->id, NULL);
    forget(client, call);
    (void)nghttp2_submit_rst_stream(client->session, NGHTTP2_FLAG_NONE, call->id, NGHTTP2_CANCEL);
}

void wire_h2_client_abandon(struct wire_h2_client *client, sk_err err) {
    while (!sk_list_empty(&client->calls)) {
        struct wire_h2_call *call = SK_CONTAINER_OF(sk_list_first(&client->calls), struct wire_h2_call, link);
        nghttp2_session_set_stream_user_data(client->session, call->id, NULL);
        forget(client, call);
        client->events->closed(client->owner, call, err);
    }
}

sk_err wire_h2_client_ping(struct wire_h2_client *client) {
    int result = nghttp2_submit_ping(client->session, NGHTTP2_FLAG_NONE, NULL);
    if (result == NGHTTP2_ERR_NOMEM) return SK_ERR_NO_MEMORY;
    return result ? SK_ERR_CLOSED : SK_OK;
}
