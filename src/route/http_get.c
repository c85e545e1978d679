#include "route/http_get.h"

#include "io/stream.h"
#include "wire/h1.h"

enum { HEAD_BYTES = 16 * 1024, READ_BYTES = 4096, CIPHER_BYTES = 4096 };

/* A connection with what came on it and is not taken yet. */
struct talk {
    const struct http_get *get;
    struct io_stream *stream;
    struct wire_tls *tls;
    struct sk_buf in;
    struct sk_arena arena;
    struct wire_h1_parser parser;
    struct wire_h1_limits limits;
};

/* --- bytes ------------------------------------------------------------------------------------------ */

static sk_err flush(struct talk *talk) {
    char cipher[CIPHER_BYTES];
    for (size_t n; (n = wire_tls_drain(talk->tls, cipher, sizeof cipher)) > 0;) {
        sk_err err = io_stream_write(talk->stream, cipher, n, talk->get->deadline);
        if (err) return err;
    }
    return SK_OK;
}

static sk_err feed(struct talk *talk) {
    char cipher[CIPHER_BYTES];
    size_t n;
    sk_err err = io_stream_read(talk->stream, cipher, sizeof cipher, talk->get->deadline, &n);
    return err ? err : wire_tls_feed(talk->tls, cipher, n);
}

static sk_err shake_hands(struct talk *talk) {
    for (;;) {
        sk_err shaken = wire_tls_handshake(talk->tls);
        sk_err err = flush(talk); /* also the alert that says why not */
        if (shaken != SK_ERR_AGAIN) return shaken ? shaken : err;
        if (!err) err = feed(talk);
        if (err) return err == SK_ERR_END ? SK_ERR_CLOSED : err;
    }
}

static sk_err read_some(struct talk *talk, char *data, size_t bytes, size_t *out_n) {
    if (!talk->tls) return io_stream_read(talk->stream, data, bytes, talk->get->deadline, out_n);
    for (;;) {
        sk_err err = wire_tls_read(talk->tls, data, bytes, out_n);
        if (err != SK_ERR_AGAIN) return err;
        err = flush(talk);
        if (!err) err = feed(talk);
        if (err) return err;
    }
}

/* More of the answer into the input; SK_ERR_END when there is none. */
static sk_err receive(struct talk *talk) {
    size_t n = 0;
    sk_err err = sk_buf_reserve(&talk->in, READ_BYTES);
    if (!err) err = read_some(talk, sk_buf_space(&talk->in), READ_BYTES, &n);
    if (!err) sk_buf_commit(&talk->in, n);
    return err;
}

static sk_err send_all(struct talk *talk, sk_str text) {
    if (!talk->tls) return io_stream_write(talk->stream, text.data, text.len, talk->get->deadline);
    sk_err err = wire_tls_write(talk->tls, text.data, text.len);
    return err ? err : flush(talk);
}

/* --- the message ------------------------------------------------------------------------------------ */

static sk_err send_request(struct talk *talk, sk_str host) {
    const struct http_get *get = talk->get;
    struct sk_buf head;
    sk_buf_init(&head, HEAD_BYTES);
    sk_err err =
        sk_buf_printf(&head,
                      "GET %.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: skerry-route\r\nAccept: */*\r\n"
                      "Connection: close\r\n",
                      SK_STR_ARGS(get->target), SK_STR_ARGS(host));
    if (!err && get->token.len)
        err = sk_buf_printf(&head, "Authorization: Bearer %.*s\r\n", SK_STR_ARGS(get->token));
    if (!err) err = sk_buf_append(&head, SK_STR("\r\n"));
    if (!err) err = send_all(talk, sk_buf_str(&head));
    sk_buf_free(&head);
    return err;
}

static sk_err take_head(struct talk *talk, struct http_response *out_response) {
    for (;;) {
        size_t used = 0;
        switch (wire_h1_parse_response(&talk->parser, &talk->limits, HTTP_METHOD_GET, sk_buf_str(&talk->in),
                                       &talk->arena, out_response, &used)) {
        case WIRE_H1_REFUSED: return SK_ERR_MALFORMED;
        case WIRE_H1_HEAD:
            sk_buf_consume(&talk->in, used);
            if (out_response->status >= 200) return SK_OK;
            sk_arena_reset(&talk->arena);
            wire_h1_parser_init(&talk->parser);
            continue;
        case WIRE_H1_NEED_MORE: break;
        }
        sk_err err = receive(talk);
        if (err) return err == SK_ERR_END ? SK_ERR_CLOSED : err;
    }
}

static sk_err take_body(struct talk *talk, struct sk_buf *out_body) {
    while (!wire_h1_message_done(&talk->parser)) {
        sk_str piece = {0};
        size_t used = 0;
        sk_err err = wire_h1_parse_body(&talk->parser, &talk->limits, sk_buf_str(&talk->in), &talk->arena,
                                        NULL, &piece, &used);
        sk_err kept = piece.len ? sk_buf_append(out_body, piece) : SK_OK;
        if (kept) return kept;
        sk_buf_consume(&talk->in, used);
        if (err == SK_ERR_END) return SK_OK;
        if (err == SK_ERR_AGAIN) err = receive(talk);
        if (err == SK_ERR_END) return wire_h1_body_eof(&talk->parser) ? SK_ERR_CLOSED : SK_OK;
        if (err) return err;
    }
    return SK_OK;
}

static sk_err converse(struct talk *talk, sk_str host, uint16_t *out_status, struct sk_buf *out_body) {
    struct http_response response;
    sk_err err = SK_OK;
    if (talk->get->tls) err = wire_tls_client(talk->get->tls, host, &talk->tls);
    if (!err && talk->tls) err = shake_hands(talk);
    if (!err) err = send_request(talk, host);
    if (!err) err = take_head(talk, &response);
    uint16_t status = err ? 0 : response.status;
    if (!err && out_body) err = take_body(talk, out_body);
    if (!err) *out_status = status;
    return err;
}

sk_err http_get(const struct http_get *get, uint16_t *out_status, struct sk_buf *out_body) {
    struct talk talk = {.get = get};
    char ip[IO_ADDR_TEXT_BYTES];
    sk_str host = get->host.len ? get->host : (sk_str){ip, io_addr_format_ip(&get->addr, ip)};
    sk_err err = io_stream_connect(get->loop, &get->addr, get->deadline, &talk.stream);
    if (err) return err;
    sk_arena_init(&talk.arena, 1024, 8 * HEAD_BYTES);
    sk_buf_init(&talk.in, 4 * HEAD_BYTES);
    wire_h1_parser_init(&talk.parser);
    wire_h1_limits_default(&talk.limits);
    talk.limits.head_bytes = HEAD_BYTES;
    err = converse(&talk, host, out_status, out_body);
    wire_tls_free(talk.tls);
    io_stream_close(talk.stream);
    sk_buf_free(&talk.in);
    sk_arena_free(&talk.arena);
    return err;
}
