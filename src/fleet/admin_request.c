#include "fleet/admin_request.h"

#include "wire/h1.h"

enum { READ_BYTES = 16 * 1024, HEAD_LIMIT = 64 * 1024, CONTENT_LIMIT = 1 << 20, ARENA_FIRST_BYTES = 4096 };

void fleet_admin_request_init(struct fleet_admin_request *request) {
    *request = (struct fleet_admin_request){0};
    sk_buf_init(&request->head, HEAD_LIMIT + READ_BYTES); /* the two change places */
    sk_buf_init(&request->raw, HEAD_LIMIT + READ_BYTES);
    sk_buf_init(&request->content, CONTENT_LIMIT);
    sk_arena_init(&request->arena, ARENA_FIRST_BYTES, 0);
}

void fleet_admin_request_free(struct fleet_admin_request *request) {
    sk_buf_free(&request->head);
    sk_buf_free(&request->raw);
    sk_buf_free(&request->content);
    sk_arena_free(&request->arena);
}

void fleet_admin_request_next(struct fleet_admin_request *request) {
    struct sk_buf old = request->head;
    sk_buf_clear(&old);
    request->head = request->raw;
    request->raw = old;
    sk_buf_clear(&request->content);
    request->asker = NULL;
    sk_arena_reset(&request->arena);
}

static sk_err read_more(struct io_stream *stream, struct sk_buf *buf, sk_time_ns deadline) {
    size_t n = 0;
    sk_err err = sk_buf_reserve(buf, READ_BYTES);
    if (!err) err = io_stream_read(stream, sk_buf_space(buf), READ_BYTES, deadline, &n);
    if (!err) sk_buf_commit(buf, n);
    return err;
}

static sk_err refused(const struct wire_h1_parser *parser, uint16_t *out_status) {
    *out_status = wire_h1_refusal_status(parser->refusal);
    return SK_ERR_MALFORMED;
}

/* HEAD stays as it is, because the request borrows from it; what follows it goes to RAW. */
static sk_err read_head(struct fleet_admin_request *request, struct io_stream *stream, sk_time_ns deadline,
                        struct wire_h1_parser *parser, uint16_t *out_status) {
    struct wire_h1_limits limits;
    wire_h1_limits_default(&limits);
    for (;;) {
        size_t used = 0;
        sk_str input = sk_buf_str(&request->head);
        switch (wire_h1_parse_request(parser, &limits, input, &request->arena, &request->http, &used)) {
        case WIRE_H1_NEED_MORE: break;
        case WIRE_H1_HEAD: return sk_buf_append(&request->raw, sk_str_slice(input, used, input.len));
        case WIRE_H1_REFUSED: return refused(parser, out_status);
        }
        sk_err err = read_more(stream, &request->head, deadline);
        if (err) return err;
    }
}

static sk_err read_content(struct fleet_admin_request *request, struct io_stream *stream, sk_time_ns deadline,
                           struct wire_h1_parser *parser, uint16_t *out_status) {
    struct wire_h1_limits limits;
    wire_h1_limits_default(&limits);
    while (!wire_h1_message_done(parser)) {
        sk_str piece = {0};
        size_t used = 0;
        sk_err err = wire_h1_parse_body(parser, &limits, sk_buf_str(&request->raw), &request->arena, NULL,
                                        &piece, &used);
        if (err == SK_ERR_MALFORMED) return refused(parser, out_status);
        if (sk_buf_append(&request->content, piece) != SK_OK) {
            *out_status = 413;
            return SK_ERR_MALFORMED;
        }
        sk_buf_consume(&request->raw, used);
        if (err == SK_ERR_AGAIN) err = read_more(stream, &request->raw, deadline);
        if (err && err != SK_ERR_END) return err;
        if (err == SK_ERR_END && !wire_h1_message_done(parser)) return SK_ERR_CLOSED;
    }
    return SK_OK;
}

sk_err fleet_admin_request_read(struct fleet_admin_request *request, struct io_stream *stream,
                                int64_t timeout_ms, uint16_t *out_status) {
    static const sk_str go_on = SK_STR_INIT("HTTP/1.1 100 Continue\r\n\r\n");
    struct wire_h1_parser parser;
    sk_time_ns deadline = sk_time_now() + timeout_ms * SK_NS_PER_MS;
    wire_h1_parser_init(&parser);
    sk_err err = read_head(request, stream, deadline, &parser, out_status);
    if (!err && request->http.expect_continue && !wire_h1_message_done(&parser))
        err = io_stream_write(stream, go_on.data, go_on.len, deadline);
    return err ? err : read_content(request, stream, deadline, &parser, out_status);
}
