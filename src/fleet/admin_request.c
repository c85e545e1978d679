#include "fleet/admin_request.h"

#include "wire/h1.h"

#define READ_BYTES 4096

sk_err fleet_admin_read_request(struct io_stream *stream, struct sk_buf *in, struct sk_arena *arena,
                                int64_t timeout_ms, struct http_request *out_request, uint16_t *out_status) {
    struct wire_h1_parser parser;
    struct wire_h1_limits limits;
    sk_time_ns deadline = sk_time_now() + timeout_ms * SK_NS_PER_MS;
    wire_h1_parser_init(&parser);
    wire_h1_limits_default(&limits);
    for (;;) {
        size_t n = 0, used;
        sk_err err = sk_buf_reserve(in, READ_BYTES);
        if (!err) err = io_stream_read(stream, sk_buf_space(in), READ_BYTES, deadline, &n);
        if (err) return err;
        sk_buf_commit(in, n);
        switch (wire_h1_parse_request(&parser, &limits, sk_buf_str(in), arena, out_request, &used)) {
        case WIRE_H1_NEED_MORE: break;
        case WIRE_H1_HEAD: return SK_OK;
        case WIRE_H1_REFUSED: *out_status = wire_h1_refusal_status(parser.refusal); return SK_ERR_MALFORMED;
        }
    }
}
