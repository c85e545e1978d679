#include "fleet/admin_client.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/time.h"
#include "fleet/link.h"
#include "wire/h1.h"

#define READ_BYTES (16 * 1024)
#define HEAD_LIMIT (64 * 1024)

struct call {
    const struct fleet_ask *ask;
    int fd;
    struct io_layer *layer; /* TLS, or NULL */
    sk_time_ns deadline;
    struct sk_arena arena; /* the request's fields, the answer's */
    struct sk_buf in;      /* what came and is not yet taken */
    struct wire_h1_parser parser;
    struct wire_h1_limits limits;
};

/* ---- the socket --------------------------------------------------------------------------------------------- */

static sk_err await(const struct call *call, short events) {
    for (;;) {
        int64_t left_ms = (call->deadline - sk_time_now()) / SK_NS_PER_MS;
        struct pollfd waiting[] = {{.fd = call->fd, .events = events},
                                   {.fd = call->ask->cancel_fd, .events = POLLIN}};
        if (left_ms <= 0) return SK_ERR_TIMEOUT;
        int ready = poll(waiting, SK_COUNT(waiting), (int)SK_MIN(left_ms, 60000));
        if (ready > 0) return waiting[1].revents ? SK_ERR_CANCELLED : SK_OK;
        if (ready < 0 && errno != EINTR) return sk_err_from_errno(errno);
    }
}

/* "host:port" looked up, for who does not write an address. Blocking, as all here. */
static sk_err look_up(sk_str name, struct io_addr *out_addr) {
    char host[256], port[8];
    struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM};
    size_t colon = name.len;
    while (colon && name.data[colon - 1] != ':') colon--;
    sk_str digits = sk_str_slice(name, colon, name.len);
    if (!colon || colon > sizeof host || digits.len >= sizeof port) return SK_ERR_INVALID;
    snprintf(host, sizeof host, "%.*s", (int)colon - 1, name.data);
    snprintf(port, sizeof port, "%.*s", SK_STR_ARGS(digits));
    if (getaddrinfo(host, port, &hints, &found)) return SK_ERR_NAME_NOT_FOUND;
    memcpy(out_addr, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return SK_OK;
}

static sk_err find_address(sk_str text, struct io_addr *out_addr) {
    static const sk_str scheme = SK_STR_INIT("https://");
    char whole[300];
    if (!sk_str_starts_with(text, scheme)) return io_addr_parse(text, out_addr) ? SK_ERR_INVALID : SK_OK;
    text = sk_str_slice(text, scheme.len, text.len);
    if (text.len && text.data[text.len - 1] == '/') text.len--;
    if (!text.len || text.len > 255 || memchr(text.data, '/', text.len)) return SK_ERR_INVALID;
    sk_str rest = text.data[0] == '[' ? sk_str_slice(text, sk_str_find_byte(text, ']'), text.len) : text;
    bool has_port = sk_str_find_byte(rest, ':') < rest.len;
    int len = has_port ? snprintf(whole, sizeof whole, "%.*s", SK_STR_ARGS(text))
                       : snprintf(whole, sizeof whole, "%.*s:%d", SK_STR_ARGS(text), FLEET_CONTROL_PORT);
    text = sk_str_make(whole, (size_t)len);
    return io_addr_parse(text, out_addr) ? look_up(text, out_addr) : SK_OK;
}

static sk_err check_control(const struct call *call, struct fleet_link *link) {
    struct fleet_caller control;
    if (!call->ask->fleet.len) return SK_OK;
    sk_err err = fleet_link_caller(link, &control);
    if (err) return SK_ERR_TLS_CERTIFICATE;
    enum fleet_verdict verdict =
        fleet_check(&control, call->ask->fleet, FLEET_VERB_SERVE_CONTROL, call->ask->expelled);
    return verdict == FLEET_ALLOWED ? SK_OK : SK_ERR_TLS_CERTIFICATE;
}

static sk_err begin_tls(struct call *call) {
    struct fleet_link *link;
    sk_err err = fleet_link_create(call->ask->tls, FLEET_LINK_CLIENT, call->fd, &link);
    if (err) return err;
    call->layer = fleet_link_layer(link);
    for (;;) {
        bool write = false;
        err = fleet_link_handshake(link, &write);
        if (!err) return check_control(call, link);
        if (err != SK_ERR_AGAIN) return err;
        err = await(call, write ? POLLOUT : POLLIN);
        if (err) return err;
    }
}

static sk_err connect_to(struct call *call) {
    struct io_addr addr;
    sk_err err = find_address(call->ask->address, &addr);
    if (!err) err = io_connect_start(&addr, &call->fd);
    if (!err) err = await(call, POLLOUT);
    if (!err) err = io_socket_error(call->fd);
    return err || !call->ask->tls ? err : begin_tls(call);
}

static sk_err send_all(const struct call *call, sk_str head, sk_str body) {
    for (sk_str rest[2] = {head, body}; rest[0].len + rest[1].len > 0;) {
        const struct iovec iov[2] = {{(void *)(uintptr_t)rest[0].data, rest[0].len},
                                     {(void *)(uintptr_t)rest[1].data, rest[1].len}};
        size_t sent = 0;
        sk_err err = io_layer_sendv(call->layer, call->fd, iov, 2, false, &sent);
        if (err == SK_ERR_AGAIN)
            err = await(call, POLLOUT);
        else if (err == SK_ERR_CLOSED || err == SK_ERR_RESET)
            return SK_OK; /* refused before it was read whole: the answer says why */
        if (err) return err;
        size_t of_head = SK_MIN(sent, rest[0].len);
        rest[0] = sk_str_slice(rest[0], of_head, rest[0].len);
        rest[1] = sk_str_slice(rest[1], sent - of_head, rest[1].len);
    }
    return SK_OK;
}

/* More of the answer; SK_ERR_END when there is none. */
static sk_err receive(struct call *call) {
    for (;;) {
        size_t n = 0;
        bool drained;
        sk_err err = sk_buf_reserve(&call->in, READ_BYTES);
        if (!err)
            err = io_layer_recv(call->layer, call->fd, sk_buf_space(&call->in), READ_BYTES, &n, &drained);
        if (!err) sk_buf_commit(&call->in, n);
        if (err != SK_ERR_AGAIN) return err == SK_ERR_RESET ? SK_ERR_END : err;
        err = await(call, POLLIN);
        if (err) return err;
    }
}

/* ---- the message -------------------------------------------------------------------------------------------- */

static sk_err add(struct call *call, struct http_fields *fields, enum http_field_id id, sk_str value) {
    return value.data ? http_fields_add_id(fields, &call->arena, id, value) : SK_ERR_NO_MEMORY;
}

static sk_err write_head(struct call *call, struct sk_buf *out) {
    sk_str token = call->ask->token, method = call->ask->method, target = call->ask->target,
           body = call->ask->body;
    struct http_request request = {.method = http_method_lookup(method),
                                   .method_text = method,
                                   .authority = SK_STR("admin"),
                                   .target = target,
                                   .body_kind = body.len ? HTTP_BODY_LENGTH : HTTP_BODY_NONE,
                                   .content_length = body.len};
    sk_err err = SK_OK;
    if (!http_token_valid(method) || !sk_str_starts_with(target, SK_STR("/")) ||
        http_field_text_span(target) != target.len || sk_str_find_byte(target, ' ') != target.len ||
        http_field_text_span(token) != token.len)
        return SK_ERR_INVALID;
    if (token.len)
        err = add(call, &request.fields, HTTP_FIELD_AUTHORIZATION,
                  sk_arena_printf(&call->arena, "Bearer %.*s", SK_STR_ARGS(token)));
    if (!err && body.len)
        err = add(call, &request.fields, HTTP_FIELD_CONTENT_TYPE,
                  call->ask->type.len ? call->ask->type : SK_STR("application/json"));
    return err ? err : wire_h1_write_request(out, &request);
}

static sk_err send_request(struct call *call) {
    struct sk_buf head;
    sk_buf_init(&head, HEAD_LIMIT);
    sk_err err = write_head(call, &head);
    if (!err) err = send_all(call, sk_buf_str(&head), call->ask->body);
    sk_buf_free(&head);
    return err == SK_ERR_TOO_LARGE ? SK_ERR_INVALID : err;
}

/* The head of the final answer; what is left in the buffer is its body's beginning. */
static sk_err take_head(struct call *call, enum http_method method, struct http_response *out_response) {
    for (;;) {
        size_t used = 0;
        sk_err err = SK_OK;
        switch (wire_h1_parse_response(&call->parser, &call->limits, method, sk_buf_str(&call->in),
                                       &call->arena, out_response, &used)) {
        case WIRE_H1_REFUSED: return SK_ERR_MALFORMED;
        case WIRE_H1_NEED_MORE: err = receive(call); break;
        case WIRE_H1_HEAD:
            sk_buf_consume(&call->in, used);
            if (out_response->status >= 200) return SK_OK;
        }
        if (err) return err == SK_ERR_END ? SK_ERR_CLOSED : err;
    }
}

static sk_err take_body(struct call *call, struct sk_buf *out_body) {
    while (!wire_h1_message_done(&call->parser)) {
        sk_str piece = {0};
        size_t used = 0;
        sk_err err = wire_h1_parse_body(&call->parser, &call->limits, sk_buf_str(&call->in), &call->arena,
                                        NULL, &piece, &used);
        sk_err kept = piece.len ? sk_buf_append(out_body, piece) : SK_OK;
        if (kept) return kept;
        sk_buf_consume(&call->in, used);
        if (err == SK_ERR_END) return SK_OK;
        if (err == SK_ERR_AGAIN) err = receive(call);
        if (err == SK_ERR_END) return wire_h1_body_eof(&call->parser) ? SK_ERR_CLOSED : SK_OK;
        if (err) return err;
    }
    return SK_OK;
}

sk_err fleet_ask(const struct fleet_ask *ask, uint16_t *out_status, struct sk_buf *out_body) {
    int64_t timeout_ms = ask->timeout_ms ? ask->timeout_ms : FLEET_ADMIN_TIMEOUT_MS;
    struct call call = {.ask = ask, .fd = -1, .deadline = sk_time_now() + timeout_ms * SK_NS_PER_MS};
    struct http_response response;
    sk_arena_init(&call.arena, 4096, HEAD_LIMIT);
    sk_buf_init(&call.in, 2 * HEAD_LIMIT);
    wire_h1_parser_init(&call.parser);
    wire_h1_limits_default(&call.limits);
    sk_err err = connect_to(&call);
    if (!err) err = send_request(&call);
    if (!err) err = take_head(&call, http_method_lookup(ask->method), &response);
    if (!err) err = take_body(&call, out_body);
    if (!err) *out_status = response.status;
    io_layer_free(call.layer);
    if (call.fd >= 0) close(call.fd);
    sk_buf_free(&call.in);
    sk_arena_free(&call.arena);
    return err;
}

sk_err fleet_admin_call(sk_str address, sk_str token, sk_str method, sk_str target, sk_str body,
                        uint16_t *out_status, struct sk_buf *out_body) {
    struct fleet_ask ask = {.address = address,
                            .token = token,
                            .method = method,
                            .target = target,
                            .body = body,
                            .cancel_fd = -1};
    return fleet_ask(&ask, out_status, out_body);
}
