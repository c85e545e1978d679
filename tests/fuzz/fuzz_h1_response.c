/* Any bytes as a response head: the same answer however they are cut, and what is accepted means the same
 * when it is written and read again. The first byte chooses the method of the request. */
#include "fuzz.h"
#include "wire/h1.h"

struct outcome {
    enum wire_h1_result result;
    enum wire_h1_refusal refusal;
    struct http_response response;
    size_t bytes;
    char *input; /* the response borrows from it */
    struct sk_arena arena;
};

static void offer(struct outcome *out, enum http_method method, const void *data, size_t bytes, size_t cut,
                  size_t step) {
    const struct wire_h1_limits limits = {.head_bytes = 4000, .target_bytes = 500, .field_count = 40};
    struct wire_h1_parser parser;
    wire_h1_parser_init(&parser);
    sk_arena_init(&out->arena, 4096, 0);
    out->input = NULL;
    for (size_t len = cut;; len = SK_MIN(len + step, bytes)) {
        free(out->input);
        out->input = exact_copy(data, len);
        out->result = wire_h1_parse_response(&parser, &limits, method, sk_str_make(out->input, len),
                                             &out->arena, &out->response, &out->bytes);
        if (out->result != WIRE_H1_NEED_MORE || len == bytes) break;
    }
    out->refusal = out->result == WIRE_H1_REFUSED ? parser.refusal : WIRE_H1_REFUSAL_NONE;
}

static void drop(struct outcome *out) {
    sk_arena_free(&out->arena);
    free(out->input);
}

static void same_meaning(const struct http_response *a, const struct http_response *b) {
    MUST(a->status == b->status && sk_str_eq(a->reason, b->reason));
    MUST(a->body_kind == b->body_kind && a->content_length == b->content_length);
}

static void same(const struct outcome *a, const struct outcome *b) {
    MUST(a->result == b->result && a->refusal == b->refusal);
    if (a->result != WIRE_H1_HEAD) return;
    same_meaning(&a->response, &b->response);
    MUST(a->bytes == b->bytes && a->response.keep_alive == b->response.keep_alive);
    MUST(a->response.version == b->response.version && a->response.fields.count == b->response.fields.count);
    for (uint32_t i = 0; i < a->response.fields.count; i++) {
        MUST(sk_str_eq(a->response.fields.items[i].name, b->response.fields.items[i].name));
        MUST(sk_str_eq(a->response.fields.items[i].value, b->response.fields.items[i].value));
        MUST(http_field_value_valid(a->response.fields.items[i].value));
    }
}

static void rewrite(enum http_method method, const struct http_response *response) {
    struct outcome again;
    struct sk_buf buf;
    if (response->status < 200) return; /* framing is never written there */
    sk_buf_init(&buf, 0);
    MUST(wire_h1_write_response(&buf, response) == SK_OK);
    offer(&again, method, buf.data + buf.start, sk_buf_len(&buf), sk_buf_len(&buf), 1);
    MUST(again.result == WIRE_H1_HEAD && again.bytes == sk_buf_len(&buf));
    same_meaning(response, &again.response);
    MUST(response->keep_alive == again.response.keep_alive);
    drop(&again);
    sk_buf_free(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct outcome whole, cut;
    if (bytes < 1 || bytes > 3500) return 0;
    enum http_method method = data[0] == 'h' ? HTTP_METHOD_HEAD : HTTP_METHOD_GET;
    data++, bytes--;
    offer(&whole, method, data, bytes, bytes, 1);
    offer(&cut, method, data, bytes, cut_of(data, bytes), bytes);
    same(&whole, &cut);
    drop(&cut);
    if (bytes < 300) {
        offer(&cut, method, data, bytes, 0, 1);
        same(&whole, &cut);
        drop(&cut);
    }
    if (whole.result == WIRE_H1_HEAD) rewrite(method, &whole.response);
    drop(&whole);
    return 0;
}
