/* Any bytes as a request head: the same answer however they are cut, agreement of the two ways through the
 * parser, and what is accepted means the same when it is written and read again. */
#include "fuzz.h"
#include "http/uri.h"
#include "wire/h1.h"

struct outcome {
    enum wire_h1_result result;
    enum wire_h1_refusal refusal;
    struct http_request request;
    size_t bytes;
    char *input; /* the request borrows from it */
    struct sk_arena arena;
};

static struct wire_h1_limits limits_of(void) {
    return (struct wire_h1_limits){.head_bytes = 2000,
                                   .target_bytes = 500,
                                   .field_count = 30,
                                   .chunk_extension_bytes = 100,
                                   .trailer_bytes = 500};
}

/* Offers the bytes up to CUT, then STEP more at a time, each time at another address. */
static void offer(struct outcome *out, const struct wire_h1_limits *limits, const void *data, size_t bytes,
                  size_t cut, size_t step) {
    struct wire_h1_parser parser;
    wire_h1_parser_init(&parser);
    sk_arena_init(&out->arena, 4096, 0);
    out->input = NULL;
    for (size_t len = cut;; len = SK_MIN(len + step, bytes)) {
        free(out->input);
        out->input = exact_copy(data, len);
        out->result = wire_h1_parse_request(&parser, limits, sk_str_make(out->input, len), &out->arena,
                                            &out->request, &out->bytes);
        if (out->result != WIRE_H1_NEED_MORE || len == bytes) break;
    }
    out->refusal = out->result == WIRE_H1_REFUSED ? parser.refusal : WIRE_H1_REFUSAL_NONE;
}

static void drop(struct outcome *out) {
    sk_arena_free(&out->arena);
    free(out->input);
}

/* Framing fields are written from the request's members, Upgrade too. */
static bool written_apart(const struct http_field *field) {
    switch (field->id) {
    case HTTP_FIELD_HOST:
    case HTTP_FIELD_CONTENT_LENGTH:
    case HTTP_FIELD_TRANSFER_ENCODING:
    case HTTP_FIELD_CONNECTION:
    case HTTP_FIELD_KEEP_ALIVE:
    case HTTP_FIELD_PROXY_CONNECTION:
    case HTTP_FIELD_UPGRADE: return true;
    default: return false;
    }
}

static const struct http_field *next_kept(const struct http_fields *fields, uint32_t *at) {
    while (*at < fields->count && written_apart(&fields->items[*at])) ++*at;
    return *at < fields->count ? &fields->items[(*at)++] : NULL;
}

static void same_fields(const struct http_fields *a, const struct http_fields *b) {
    uint32_t i = 0, j = 0;
    const struct http_field *x, *y;
    do {
        x = next_kept(a, &i);
        y = next_kept(b, &j);
        MUST((x == NULL) == (y == NULL));
        MUST(!x || (sk_str_eq(x->name, y->name) && sk_str_eq(x->value, y->value) && x->id == y->id));
    } while (x);
}

static void same_message(const struct http_request *a, const struct http_request *b) {
    MUST(sk_str_eq(a->method_text, b->method_text) && a->method == b->method);
    MUST(sk_str_eq(a->target, b->target) && sk_str_eq(a->path, b->path) && sk_str_eq(a->query, b->query));
    MUST(sk_str_eq(a->authority, b->authority) && sk_str_eq(a->upgrade, b->upgrade));
    MUST(a->content_length == b->content_length && a->keep_alive == b->keep_alive);
    same_fields(&a->fields, &b->fields);
}

static void same(const struct outcome *a, const struct outcome *b) {
    MUST(a->result == b->result && a->refusal == b->refusal);
    if (a->result != WIRE_H1_HEAD) return;
    MUST(a->bytes == b->bytes && a->request.version == b->request.version);
    MUST(a->request.body_kind == b->request.body_kind && a->request.fields.count == b->request.fields.count);
    MUST(a->request.expect_continue == b->request.expect_continue);
    MUST(sk_str_eq(a->request.scheme, b->request.scheme));
    same_message(&a->request, &b->request);
}

/* What no accepted request has, whatever the bytes were. */
static void check(const struct http_request *request) {
    struct http_uri uri;
    sk_str host;
    uint16_t port;
    MUST(http_token_valid(request->method_text) && http_uri_parse_target(request->target, &uri) == SK_OK);
    MUST(request->target.data[0] == '/' || sk_str_eq(request->target, SK_STR("*")));
    MUST(request->authority.len == 0 ? request->version == HTTP_1_0
                                     : http_authority_parse(request->authority, &host, &port) == SK_OK);
    for (uint32_t i = 0; i < request->fields.count; i++) {
        MUST(http_token_valid(request->fields.items[i].name) &&
             http_field_value_valid(request->fields.items[i].value));
        MUST(http_field_lookup(request->fields.items[i].name) == request->fields.items[i].id);
    }
}

/* HTTP/1.0 ignores Expect and may lack Host; written as HTTP/1.1 it would mean something else. */
static bool rewritable(const struct http_request *request) {
    if (request->authority.len == 0) return false;
    return request->version != HTTP_1_0 || !http_fields_find(&request->fields, HTTP_FIELD_EXPECT);
}

static void rewrite(const struct http_request *request) {
    struct wire_h1_limits wide = limits_of();
    struct outcome again;
    struct sk_buf buf;
    wide.head_bytes *= 2;
    wide.field_count += 3;
    sk_buf_init(&buf, 0);
    MUST(wire_h1_write_request(&buf, request) == SK_OK);
    offer(&again, &wide, buf.data + buf.start, sk_buf_len(&buf), sk_buf_len(&buf), 1);
    MUST(again.result == WIRE_H1_HEAD && again.bytes == sk_buf_len(&buf));
    same_message(request, &again.request);
    MUST((request->body_kind == HTTP_BODY_CHUNKED) == (again.request.body_kind == HTTP_BODY_CHUNKED));
    drop(&again);
    sk_buf_free(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    const struct wire_h1_limits limits = limits_of();
    struct outcome whole, cut;
    if (bytes > 4000) return 0;
    offer(&whole, &limits, data, bytes, bytes, 1);
    offer(&cut, &limits, data, bytes, cut_of(data, bytes), bytes);
    same(&whole, &cut);
    drop(&cut);
    if (bytes < 300) {
        offer(&cut, &limits, data, bytes, 0, 1);
        same(&whole, &cut);
        drop(&cut);
    }
    if (whole.result == WIRE_H1_HEAD) {
        struct http_request copy;
        check(&whole.request);
        MUST(wire_h1_request_copy(&whole.arena, &whole.request, &copy) == SK_OK);
        same_message(&whole.request, &copy);
        if (rewritable(&whole.request)) rewrite(&copy);
    }
    drop(&whole);
    return 0;
}
