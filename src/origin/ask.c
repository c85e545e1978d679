#include "origin/ask.h"

#include "http/uri.h"
#include "io/stream.h"
#include "origin/pool.h"
#include "wire/h1.h"

#define HEAD_BYTES 8192
#define HTTP_PORT 80

/* What an answer is read with. */
struct asking {
    struct origin_thread *thread;
    struct io_stream *stream;
    sk_time_ns deadline;
    struct wire_h1_limits limits;
    struct wire_h1_parser parser;
    struct sk_buf input;
    struct sk_arena arena;
};

static sk_str without_brackets(sk_str host) {
    bool bracketed = host.len >= 2 && host.data[0] == '[';
    return bracketed ? sk_str_slice(host, 1, host.len - 1) : host;
}

static sk_err connect_to(struct asking *asking, const struct http_uri *uri) {
    struct io_addr addrs[IO_RESOLVE_MAX];
    size_t count;
    sk_err err = io_resolve(asking->thread->resolver, without_brackets(uri->host),
                            uri->port ? uri->port : HTTP_PORT, asking->deadline, addrs, &count);
    if (err) return err;
    return io_stream_connect_any(asking->thread->loop, addrs, count, asking->deadline, &asking->stream, NULL);
}

static sk_err write_question(const struct origin_ask *ask, const struct http_uri *uri, struct sk_buf *out) {
    sk_str path = uri->path;
    if (ask->below.len && path.data[path.len - 1] == '/') path.len--;
    return sk_buf_printf(
        out,
        "GET %.*s%s%.*s%s%.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: skerry\r\nAccept: %.*s\r\n"
        "Connection: close\r\n\r\n",
        SK_STR_ARGS(path), ask->below.len ? "/" : "", SK_STR_ARGS(ask->below), uri->query.data ? "?" : "",
        SK_STR_ARGS(uri->query), SK_STR_ARGS(uri->authority), SK_STR_ARGS(ask->accept));
}

static sk_err send_question(struct asking *asking, const struct origin_ask *ask, const struct http_uri *uri) {
    struct sk_buf question;
    sk_buf_init(&question, 0);
    sk_err err = write_question(ask, uri, &question);
    sk_str text = sk_buf_str(&question);
    if (!err) err = io_stream_write(asking->stream, text.data, text.len, asking->deadline);
    sk_buf_free(&question);
    return err;
}

static sk_err read_more(struct asking *asking) {
    size_t n;
    sk_err err = sk_buf_reserve(&asking->input, 1024);
    if (!err)
        err = io_stream_read(asking->stream, sk_buf_space(&asking->input), sk_buf_space_len(&asking->input),
                             asking->deadline, &n);
    if (!err) sk_buf_commit(&asking->input, n);
    return err;
}

/* The final head, whatever stands before it. */
static sk_err read_head(struct asking *asking, uint16_t *out_status) {
    for (;;) {
        struct http_response response;
        size_t bytes;
        enum wire_h1_result result =
            wire_h1_parse_response(&asking->parser, &asking->limits, HTTP_METHOD_GET,
                                   sk_buf_str(&asking->input), &asking->arena, &response, &bytes);
        if (result == WIRE_H1_REFUSED)
            return asking->parser.refusal == WIRE_H1_REFUSAL_HEAD_TOO_LARGE ? SK_ERR_TOO_LARGE
                                                                            : SK_ERR_MALFORMED;
        if (result == WIRE_H1_HEAD) {
            sk_buf_consume(&asking->input, bytes);
            *out_status = response.status;
            sk_arena_reset(&asking->arena);
            if (response.status >= 200) return SK_OK;
            wire_h1_parser_init(&asking->parser);
            continue;
        }
        sk_err err = read_more(asking);
        if (err) return err == SK_ERR_END ? SK_ERR_CLOSED : err;
    }
}

static sk_err read_body(struct asking *asking, struct sk_buf *out_body) {
    for (;;) {
        sk_str piece = {0};
        size_t consumed = 0;
        sk_err err = wire_h1_parse_body(&asking->parser, &asking->limits, sk_buf_str(&asking->input),
                                        &asking->arena, NULL, &piece, &consumed);
        if (err && err != SK_ERR_AGAIN && err != SK_ERR_END) return err;
        sk_err appended = piece.len ? sk_buf_append(out_body, piece) : SK_OK;
        if (appended) return appended;
        sk_buf_consume(&asking->input, consumed);
        if (err == SK_ERR_END) return SK_OK;
        if (err != SK_ERR_AGAIN) continue;
        err = read_more(asking);
        if (err == SK_ERR_END) return wire_h1_body_eof(&asking->parser) == SK_OK ? SK_OK : SK_ERR_CLOSED;
        if (err) return err;
    }
}

sk_err origin_ask(struct origin_thread *thread, const struct origin_ask *ask, sk_time_ns deadline,
                  uint16_t *out_status, struct sk_buf *out_body) {
    struct http_uri uri;
    if (http_uri_parse_absolute(ask->url, &uri) != SK_OK || !sk_str_ieq(uri.scheme, SK_STR("http")))
        return SK_ERR_INVALID;
    struct asking asking = {.thread = thread, .deadline = deadline};
    wire_h1_limits_default(&asking.limits);
    asking.limits.head_bytes = HEAD_BYTES;
    wire_h1_parser_init(&asking.parser);
    sk_buf_init(&asking.input, 4 * HEAD_BYTES);
    sk_arena_init(&asking.arena, 1024, 8 * HEAD_BYTES);
    sk_err err = connect_to(&asking, &uri);
    if (!err) err = send_question(&asking, ask, &uri);
    if (!err) err = read_head(&asking, out_status);
    if (!err) err = read_body(&asking, out_body);
    io_stream_close(asking.stream);
    sk_arena_free(&asking.arena);
    sk_buf_free(&asking.input);
    return err;
}
