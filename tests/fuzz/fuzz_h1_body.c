/* Any bytes as a chunked body: the same content, end and reason however they are cut; and llhttp in strict
 * mode reads the same content and the same end, or objects to an extension or a trailer. */
#include <llhttp.h>

#include "fuzz.h"
#include "wire/h1.h"

static const sk_str head = SK_STR_INIT("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");

/* Content as it comes; never more than the input. */
struct outcome {
    sk_err err;
    enum wire_h1_refusal refusal;
    char *content;
    size_t len, taken;
    uint32_t trailers;
};

static struct outcome read_body(const uint8_t *data, size_t bytes, size_t cut, size_t step) {
    const struct wire_h1_limits limits = {.head_bytes = 1000,
                                          .target_bytes = 100,
                                          .field_count = 10,
                                          .chunk_extension_bytes = 40,
                                          .trailer_bytes = 200};
    struct outcome out = {.err = SK_ERR_AGAIN, .content = exact_copy(NULL, 0)};
    struct wire_h1_parser parser;
    struct http_request request;
    struct http_fields trailers = {0};
    struct sk_arena arena;
    size_t head_bytes, offered = cut;
    wire_h1_parser_init(&parser);
    sk_arena_init(&arena, 4096, 0);
    MUST(wire_h1_parse_request(&parser, &limits, head, &arena, &request, &head_bytes) == WIRE_H1_HEAD);
    free(out.content);
    out.content = exact_copy(data, bytes);
    for (;;) {
        sk_str piece;
        size_t consumed;
        char *input = exact_copy(data + out.taken, offered - out.taken);
        out.err = wire_h1_parse_body(&parser, &limits, sk_str_make(input, offered - out.taken), &arena,
                                     &trailers, &piece, &consumed);
        if (out.err != SK_ERR_MALFORMED) {
            MUST(consumed <= offered - out.taken && piece.len <= consumed);
            memcpy(out.content + out.len, piece.data, piece.len);
            out.len += piece.len;
            out.taken += consumed;
        }
        free(input);
        if (out.err == SK_OK) continue;
        if (out.err != SK_ERR_AGAIN || offered == bytes) break;
        offered = SK_MIN(offered + step, bytes);
    }
    out.refusal = parser.refusal;
    out.trailers = trailers.count;
    MUST(wire_h1_message_done(&parser) == (out.err == SK_ERR_END));
    sk_arena_free(&arena);
    return out;
}

static void same(const struct outcome *a, const struct outcome *b) {
    MUST(a->err == b->err && a->refusal == b->refusal);
    if (a->err == SK_ERR_MALFORMED) return;
    MUST(a->taken == b->taken && a->trailers == b->trailers);
    MUST(a->len == b->len && memcmp(a->content, b->content, a->len) == 0);
}

/* ---- the other opinion ------------------------------------------------------------------------------- */

static int on_body(llhttp_t *llhttp, const char *at, size_t length) {
    struct outcome *out = llhttp->data;
    memcpy(out->content + out->len, at, length);
    out->len += length;
    return 0;
}

static int on_end(llhttp_t *llhttp) {
    struct outcome *out = llhttp->data;
    out->err = SK_ERR_END;
    return HPE_PAUSED;
}

/* Neither extensions nor trailers, about which llhttp is stricter: what we take then, it takes. */
static bool simple(const uint8_t *data, size_t bytes) {
    return !memchr(data, ';', bytes) && !memchr(data, ':', bytes);
}

static void compare_with_llhttp(const struct outcome *ours, const uint8_t *data, size_t bytes) {
    llhttp_settings_t settings = {.on_body = on_body, .on_message_complete = on_end};
    struct outcome theirs = {.err = SK_ERR_AGAIN, .content = exact_copy(data, bytes)};
    llhttp_t llhttp;
    llhttp_init(&llhttp, HTTP_REQUEST, &settings);
    llhttp.data = &theirs;
    MUST(llhttp_execute(&llhttp, head.data, head.len) == HPE_OK);
    llhttp_execute(&llhttp, (const char *)data, bytes);
    if (theirs.err != SK_ERR_END) {
        MUST(!simple(data, ours->taken));
    } else {
        MUST(ours->len == theirs.len && memcmp(ours->content, theirs.content, ours->len) == 0);
        MUST(llhttp_get_error_pos(&llhttp) == (const char *)data + ours->taken);
    }
    free(theirs.content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes > 2000) return 0;
    struct outcome whole = read_body(data, bytes, bytes, 1);
    struct outcome cut = read_body(data, bytes, cut_of(data, bytes), bytes + 1);
    struct outcome slow = read_body(data, bytes, 0, 1);
    same(&whole, &cut);
    same(&whole, &slow);
    if (whole.err == SK_ERR_END) compare_with_llhttp(&whole, data, bytes);
    free(whole.content);
    free(cut.content);
    free(slow.content);
    return 0;
}
