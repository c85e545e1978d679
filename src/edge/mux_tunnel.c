/* A WebSocket on one stream (RFC 8441, RFC 9220): an extended CONNECT. To the origin it is the handshake of HTTP/1.1,
 * which we make in the client's place; behind it the stream's content is the tunnel. */
#include "edge/mux.h"
#include "edge/stored_head.h"
#include "wire/websocket.h"

#define WAITING_MAX (64 * 1024) /* bytes that the client has not taken yet */

sk_err mux_tunnel_ask(struct mux_stream *stream) {
    static const sk_str ours[] = {SK_STR_INIT("sec-websocket-key"), SK_STR_INIT("sec-websocket-accept")};
    struct http_fields *fields = &stream->exchange.request.fields;
    struct sk_arena *arena = &stream->wire.arena;
    char *key = sk_arena_alloc(arena, WIRE_WEBSOCKET_KEY_BYTES);
    if (!key) return SK_ERR_NO_MEMORY;
    wire_websocket_key(key);
    stream->tunnel_key = (sk_str){key, WIRE_WEBSOCKET_KEY_BYTES};
    for (size_t i = 0; i < SK_COUNT(ours); i++) http_fields_remove_name(fields, ours[i]);
    return http_fields_add(fields, arena, SK_STR("Sec-WebSocket-Key"), stream->tunnel_key);
}

/* RFC 6455 section 4.1: who cannot say this has not understood. */
static bool has_understood(const struct mux_stream *stream, const struct http_response *response) {
    char expected[WIRE_WEBSOCKET_ACCEPT_BYTES];
    const struct http_field *accept =
        http_fields_find_name(&response->fields, SK_STR("sec-websocket-accept"), NULL);
    return accept && wire_websocket_accept(stream->tunnel_key, expected) &&
           sk_str_eq(accept->value, sk_str_make(expected, sizeof expected));
}

/* The 101's fields without those of its connection, as lines. */
static sk_err head_of(struct edge_exchange *exchange, const struct http_response *response,
                      sk_str *out_head) {
    struct http_fields fields = response->fields;
    struct sk_buf lines;
    sk_err err = SK_OK;
    http_fields_remove_name(&fields, SK_STR("sec-websocket-accept"));
    http_fields_remove(&fields, HTTP_FIELD_UPGRADE);
    sk_buf_init(&lines, 0);
    for (uint32_t i = 0; i < fields.count && !err; i++)
        err = sk_buf_printf(&lines, "%.*s: %.*s\r\n", SK_STR_ARGS(fields.items[i].name),
                            SK_STR_ARGS(fields.items[i].value));
    if (!err) *out_head = sk_arena_copy(exchange->arena, sk_buf_str(&lines));
    if (!err && !out_head->data) err = SK_ERR_NO_MEMORY;
    sk_buf_free(&lines);
    return err;
}

sk_err mux_tunnel_open(struct edge_exchange *exchange, const struct http_response *response) {
    struct mux_stream *stream = mux_stream_of(exchange);
    sk_str head;
    if (!stream->wire.tunnel) return SK_ERR_UNSUPPORTED;
    if (exchange->client_gone || exchange->responded) return SK_ERR_CLOSED;
    if (!has_understood(stream, response)) return SK_ERR_MALFORMED;
    sk_err err = head_of(exchange, response, &head);
    if (err) return err;
    stream->tunnel_open = stream->waiting = true;
    mux_respond(exchange,
                &(struct edge_response){.status = 200, .head = head, .body_length = CACHE_LENGTH_UNKNOWN});
    return SK_OK;
}

sk_err mux_tunnel_read(struct edge_exchange *exchange, struct io_fiber *reader, char *data, size_t bytes,
                       size_t *out_n) {
    struct mux_stream *stream = mux_stream_of(exchange);
    size_t have = sk_buf_len(&stream->body);
    stream->tunnel_reader = NULL;
    if (exchange->client_gone || stream->gone) return SK_ERR_CLOSED;
    if (have && bytes) {
        *out_n = SK_MIN(have, bytes);
        memcpy(data, sk_buf_str(&stream->body).data, *out_n);
        sk_buf_consume(&stream->body, *out_n);
        if (!sk_buf_len(&stream->body)) sk_buf_shrink(&stream->body);
        stream->conn->ops->consumed(stream->conn, &stream->wire, *out_n);
        mux_queue(stream->conn, false);
        return SK_OK;
    }
    if (stream->wire.ended) return SK_ERR_END;
    stream->tunnel_reader = reader;
    return SK_ERR_AGAIN;
}

static void go_on(struct mux_stream *stream) {
    stream->waiting = false;
    stream->moved_at = io_loop_now(stream->conn->worker->loop);
    stream->conn->ops->resume(stream->conn, &stream->wire);
    mux_queue(stream->conn, false);
}

sk_err mux_tunnel_write(struct edge_exchange *exchange, const char *data, size_t bytes, sk_time_ns deadline) {
    struct mux_stream *stream = mux_stream_of(exchange);
    while (bytes) {
        if (exchange->client_gone || stream->gone) return SK_ERR_CLOSED;
        size_t waiting = sk_buf_len(&stream->text),
               n = SK_MIN(bytes, WAITING_MAX - SK_MIN(waiting, WAITING_MAX));
        if (!n) {
            stream->tunnel_writer = io_fiber_self();
            sk_err err = io_fiber_park(deadline);
            stream->tunnel_writer = NULL;
            if (err) return err;
            continue;
        }
        sk_err err = sk_buf_append(&stream->text, (sk_str){data, n});
        if (err) return err;
        data += n;
        bytes -= n;
        go_on(stream);
    }
    return SK_OK;
}

void mux_tunnel_end(struct edge_exchange *exchange) {
    struct mux_stream *stream = mux_stream_of(exchange);
    stream->tunnel_ended = true;
    if (!stream->gone && !exchange->client_gone) go_on(stream);
}

void mux_tunnel_close(struct edge_exchange *exchange, bool well) {
    struct mux_stream *stream = mux_stream_of(exchange);
    stream->tunnel_reader = stream->tunnel_writer = NULL;
    if (stream->gone || exchange->client_gone) return;
    if (well) {
        mux_tunnel_end(exchange);
    } else {
        stream->conn->ops->reset(stream->conn, &stream->wire);
        mux_queue(stream->conn, false);
    }
}
