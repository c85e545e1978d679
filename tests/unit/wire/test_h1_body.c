/* Bodies: however the bytes arrive, the same content and the same end come out. */
#include <stdio.h>

#include "h1_cases.h"

static struct wire_h1_limits limits;
#define S(text) SK_STR_INIT(text)

/* What came out of a body that was offered in pieces. */
struct outcome {
    sk_err err; /* SK_ERR_AGAIN: wants more; SK_ERR_END; SK_ERR_MALFORMED */
    enum wire_h1_refusal refusal;
    char content[512];
    size_t content_len, left; /* bytes of the input that were not taken */
    uint32_t trailer_count;
    char trailers[512];
};

static struct wire_h1_parser parser_after(struct sk_arena *arena, sk_str head) {
    struct wire_h1_parser parser;
    struct http_request request;
    size_t bytes;
    wire_h1_parser_init(&parser);
    assert_int_equal(wire_h1_parse_request(&parser, &limits, head, arena, &request, &bytes), WIRE_H1_HEAD);
    return parser;
}

static struct wire_h1_parser chunked_parser(struct sk_arena *arena) {
    return parser_after(arena, SK_STR("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
}

static void note_trailers(struct outcome *outcome, const struct http_fields *trailers) {
    size_t len = 0;
    outcome->trailer_count = trailers->count;
    for (uint32_t i = 0; i < trailers->count; i++) {
        len += (size_t)snprintf(outcome->trailers + len, sizeof(outcome->trailers) - len, "%.*s=%.*s;",
                                SK_STR_ARGS(trailers->items[i].name), SK_STR_ARGS(trailers->items[i].value));
    }
}

/* Offers INPUT up to CUT, then STEP bytes more at a time, always from the first byte not yet taken. */
static struct outcome read_body(struct wire_h1_parser parser, struct sk_arena *arena, sk_str input,
                                size_t cut, size_t step) {
    struct outcome outcome = {.err = SK_ERR_AGAIN};
    struct http_fields trailers = {0};
    size_t taken = 0, offered = cut;
    for (;;) {
        sk_str data = {NULL, 0};
        size_t consumed = 0;
        outcome.err = wire_h1_parse_body(&parser, &limits, sk_str_slice(input, taken, offered), arena,
                                         &trailers, &data, &consumed);
        if (outcome.err == SK_ERR_MALFORMED) break;
        assert_true(consumed <= offered - taken);
        assert_true(outcome.content_len + data.len <= sizeof(outcome.content));
        memcpy(outcome.content + outcome.content_len, data.data, data.len);
        outcome.content_len += data.len;
        taken += consumed;
        if (outcome.err == SK_ERR_END) break;
        if (outcome.err == SK_OK) continue;
        if (offered == input.len) break;
        offered = SK_MIN(offered + step, input.len);
    }
    outcome.refusal = parser.refusal;
    outcome.left = input.len - taken;
    note_trailers(&outcome, &trailers);
    return outcome;
}

static const struct {
    const char *name;
    sk_str input, content;
    size_t left;
    sk_str trailers;
} good_cases[] = {
    {"RFC 9112 7.1: one chunk", S("5\r\nhello\r\n0\r\n\r\n"), S("hello"), 0, S("")},
    {"RFC 9112 7.1: two chunks", S("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), S("hello world"), 0, S("")},
    {"RFC 9112 7.1: no content", S("0\r\n\r\n"), S(""), 0, S("")},
    {"RFC 9112 7.1: leading zeros", S("0005\r\nhello\r\n000\r\n\r\n"), S("hello"), 0, S("")},
    {"RFC 9112 7.1: hexadecimal in both cases", S("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"),
     S("01234567890123456789"), 0, S("")},
    {"RFC 9112 7.1: CRLF as content", S("2\r\n\r\n\r\n0\r\n\r\n"), S("\r\n"), 0, S("")},
    {"RFC 9112 7.1.1: an extension", S("5;a=b\r\nhello\r\n0;c\r\n\r\n"), S("hello"), 0, S("")},
    {"RFC 9112 7.1.1: a quoted extension", S("5;a=\"x;y\"\r\nhello\r\n0\r\n\r\n"), S("hello"), 0, S("")},
    {"RFC 9112 7.1.1: bad white space before an extension", S("5 \t; a = b\r\nhello\r\n0\r\n\r\n"),
     S("hello"), 0, S("")},
    {"RFC 9112 7.1: bytes after the end are not taken", S("1\r\na\r\n0\r\n\r\nGET /"), S("a"), 5, S("")},
    {"RFC 9112 7.1.2: trailers", S("1\r\na\r\n0\r\nServer-Timing: x\r\nGrpc-Status:  0 \r\n\r\n"), S("a"), 0,
     S("Server-Timing=x;Grpc-Status=0;")},
    {"RFC 9110 6.5.1: framing in a trailer is dropped",
     S("0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nX: y\r\nHost: b\r\nConnection: X\r\n\r\n"),
     S(""), 0, S("X=y;")},
    {"RFC 9110 6.5.1: authentication, cookies and caching in a trailer are dropped",
     S("0\r\nAuthorization: a\r\nCookie: b\r\nSet-Cookie: c\r\nCache-Control: d\r\nX-Forwarded-For: e\r\nX: y\r\n\r\n"),
     S(""), 0, S("X=y;")},
    {"RFC 9110 6.5.1: Content-* in a trailer is dropped",
     S("0\r\nContent-Type: a\r\ncontent-encoding: b\r\nContent-Whatever: c\r\nX: y\r\n\r\n"), S(""), 0,
     S("X=y;")},
};

static void content_and_end_are_the_same_however_it_is_cut(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 65536, 0);
    for (size_t i = 0; i < SK_COUNT(good_cases); i++) {
        for (size_t cut = 0; cut <= good_cases[i].input.len; cut++) {
            struct wire_h1_parser parser = chunked_parser(&arena);
            struct outcome got =
                read_body(parser, &arena, good_cases[i].input, cut, cut % 2 ? 1 : SIZE_MAX / 4);
            if (got.err != SK_ERR_END) {
                fail_msg("%s, cut at %zu: %s", good_cases[i].name, cut, wire_h1_refusal_text(got.refusal));
            }
            assert_str(sk_str_make(got.content, got.content_len), good_cases[i].content);
            assert_str(sk_str_from_c(got.trailers), good_cases[i].trailers);
            assert_int_equal(got.left, good_cases[i].left);
            sk_arena_reset(&arena);
        }
    }
    sk_arena_free(&arena);
}

static const struct {
    const char *name;
    sk_str input;
    enum wire_h1_refusal refusal;
} bad_cases[] = {
#define BAD(name, text, refusal) {name, S(text), WIRE_H1_REFUSAL_##refusal}
    BAD("RFC 9112 7.1: an empty size", "\r\nhello", CHUNK_SIZE),
    BAD("RFC 9112 7.1: an empty size with an extension", ";a\r\nhello", CHUNK_SIZE),
    BAD("RFC 9112 7.1: a sign", "+5\r\nhello\r\n0\r\n\r\n", CHUNK_SIZE),
    BAD("RFC 9112 7.1: a minus sign", "-5\r\nhello\r\n0\r\n\r\n", CHUNK_SIZE),
    BAD("RFC 9112 7.1: 0x", "0x5\r\nhello\r\n0\r\n\r\n", CHUNK_SIZE),
    BAD("RFC 9112 7.1: no digit", "g\r\nhello\r\n0\r\n\r\n", CHUNK_SIZE),
    BAD("RFC 9112 7.1: a digit and none", "5g\r\nhello\r\n0\r\n\r\n", CHUNK_SIZE),
    BAD("RFC 9112 7.1: space before", " 5\r\nhello\r\n0\r\n\r\n", CHUNK_SIZE),
    BAD("RFC 9112 7.1: space after", "5 \r\nhello\r\n0\r\n\r\n", CHUNK_SIZE),
    BAD("RFC 9112 7.1: tab after", "5\t\r\nhello\r\n0\r\n\r\n", CHUNK_SIZE),
    BAD("RFC 9112 7.1: space inside", "5 5\r\nhello\r\n0\r\n\r\n", CHUNK_SIZE),
    BAD("RFC 9112 7.1: an underscore", "5_0\r\nhello\r\n0\r\n\r\n", CHUNK_SIZE),
    BAD("RFC 9112 7.1: over 63 bits", "8000000000000000\r\nhello", CHUNK_SIZE),
    BAD("RFC 9112 7.1: over 64 bits", "10000000000000005\r\nhello", CHUNK_SIZE),
    BAD("RFC 9112 7.1: more zeros than a size has digits", "00000000000000005\r\nhello", CHUNK_SIZE),
    BAD("RFC 9112 7.1: bare LF after the size", "5\nhello\r\n0\r\n\r\n", CHUNK_SIZE),
    BAD("RFC 9112 7.1: bare CR after the size", "5\rhello\r\n0\r\n\r\n", CHUNK_SIZE),
    BAD("RFC 9112 7.1: NUL after the size", "5\0\r\nhello\r\n0\r\n\r\n", CHUNK_SIZE),
    BAD("RFC 9112 7.1.1: bare LF in an extension", "5;a\nhello\r\n0\r\n\r\n", CHUNK_EXTENSION),
    BAD("RFC 9112 7.1.1: bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n", CHUNK_SIZE),
    BAD("RFC 9112 7.1.1: NUL in an extension", "5;a\0b\r\nhello\r\n0\r\n\r\n", CHUNK_EXTENSION),
    BAD("RFC 9112 7.1: data without CRLF", "5\r\nhello0\r\n\r\n", CHUNK_DATA),
    BAD("RFC 9112 7.1: data longer than its size", "5\r\nhello!\r\n0\r\n\r\n", CHUNK_DATA),
    BAD("RFC 9112 7.1: data before LF", "5\r\nhello\n0\r\n\r\n", CHUNK_DATA),
    BAD("RFC 9112 7.1: data before CR alone", "5\r\nhello\r0\r\n\r\n", CHUNK_DATA),
    BAD("RFC 9112 7.1.2: a trailer without colon", "0\r\nabc\r\n\r\n", TRAILER),
    BAD("RFC 9112 7.1.2: a folded trailer", "0\r\nA: b\r\n c\r\n\r\n", TRAILER),
    BAD("RFC 9112 7.1.2: a request where the trailers end", "0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        TRAILER),
    BAD("RFC 9112 7.1.2: space before the colon", "0\r\nA : b\r\n\r\n", TRAILER),
    BAD("RFC 9112 7.1.2: bare LF ends the section", "0\r\n\n", TRAILER),
    BAD("RFC 9112 7.1.2: bare LF ends a line", "0\r\nA: b\n\r\n", TRAILER),
    BAD("RFC 9112 7.1.2: NUL", "0\r\nA: b\0\r\n\r\n", TRAILER),
#undef BAD
};

static void refused_with_the_same_reason_however_it_is_cut(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 65536, 0);
    for (size_t i = 0; i < SK_COUNT(bad_cases); i++) {
        for (size_t cut = 0; cut <= bad_cases[i].input.len; cut++) {
            struct wire_h1_parser parser = chunked_parser(&arena);
            struct outcome got =
                read_body(parser, &arena, bad_cases[i].input, cut, cut % 2 ? 1 : SIZE_MAX / 4);
            if (got.err != SK_ERR_MALFORMED || got.refusal != bad_cases[i].refusal) {
                fail_msg("%s, cut at %zu: %s %s", bad_cases[i].name, cut, sk_err_name(got.err),
                         wire_h1_refusal_text(got.refusal));
            }
            sk_arena_reset(&arena);
        }
    }
    sk_arena_free(&arena);
}

/* "5;xxx...\r\nhello\r\n0\r\n" and trailers of so many bytes. */
static sk_str body_with(struct sk_arena *arena, size_t extension_bytes, size_t trailer_bytes,
                        uint32_t trailers) {
    struct sk_buf buf;
    char *filler = sk_arena_alloc(arena, 65536);
    assert_non_null(filler);
    memset(filler, 'x', 65536);
    sk_buf_init(&buf, 0);
    if (extension_bytes > 0) assert_ok(sk_buf_printf(&buf, "1;%.*s\r\na\r\n", (int)extension_bytes, filler));
    assert_ok(sk_buf_printf(&buf, "0\r\n"));
    if (trailer_bytes > 0) assert_ok(sk_buf_printf(&buf, "X: %.*s\r\n", (int)trailer_bytes - 5, filler));
    for (uint32_t i = 0; i < trailers; i++) assert_ok(sk_buf_printf(&buf, "X: y\r\n"));
    assert_ok(sk_buf_printf(&buf, "\r\n"));
    sk_str body = sk_arena_copy(arena, sk_buf_str(&buf));
    sk_buf_free(&buf);
    return body;
}

static void limits_hold_to_the_byte(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 65536, 0);
    const struct {
        const char *name;
        sk_str input;
        enum wire_h1_refusal refusal;
    } cases[] = {
        {"RFC 9112 7.1.1: an extension at the limit", body_with(&arena, limits.chunk_extension_bytes, 0, 0),
         WIRE_H1_REFUSAL_NONE},
        {"RFC 9112 7.1.1: over it", body_with(&arena, limits.chunk_extension_bytes + 1, 0, 0),
         WIRE_H1_REFUSAL_CHUNK_EXTENSION},
        {"RFC 9112 7.1.2: trailers at the limit", body_with(&arena, 0, limits.trailer_bytes, 0),
         WIRE_H1_REFUSAL_NONE},
        {"RFC 9112 7.1.2: over it", body_with(&arena, 0, limits.trailer_bytes + 1, 0),
         WIRE_H1_REFUSAL_TRAILER},
        {"RFC 9112 7.1.2: many trailers", body_with(&arena, 0, 0, limits.field_count), WIRE_H1_REFUSAL_NONE},
        {"RFC 9112 7.1.2: too many", body_with(&arena, 0, 0, limits.field_count + 1),
         WIRE_H1_REFUSAL_TRAILER},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        for (size_t cut = 0; cut <= cases[i].input.len; cut += 101) {
            struct outcome got = read_body(chunked_parser(&arena), &arena, cases[i].input, cut, 997);
            if (got.refusal != cases[i].refusal) {
                fail_msg("%s, cut at %zu: %s", cases[i].name, cut, wire_h1_refusal_text(got.refusal));
            }
            assert_int_equal(got.err, cases[i].refusal ? SK_ERR_MALFORMED : SK_ERR_END);
        }
    }
    sk_arena_free(&arena);
}

/* RFC 9112 6.2: exactly so many bytes, the next ones belong to the next message. */
static void a_counted_body_ends_at_its_length(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t cut = 0; cut <= 9; cut++) {
        struct wire_h1_parser parser =
            parser_after(&arena, SK_STR("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"));
        struct outcome got = read_body(parser, &arena, SK_STR("helloGET "), cut, 1);
        assert_int_equal(got.err, SK_ERR_END);
        assert_str(sk_str_make(got.content, got.content_len), SK_STR("hello"));
        assert_int_equal(got.left, 4);
    }
    sk_arena_free(&arena);
}

/* RFC 9112 8: a cut-off message is never taken for a whole one. */
static void only_a_body_without_length_may_end_with_the_connection(void **state) {
    static const struct {
        const char *name;
        sk_str head, body;
        bool whole;
    } cases[] = {
        {"a length, cut off", S("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), S("hell"), false},
        {"a length, whole", S("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), S("hello"), true},
        {"chunked, cut off in data", S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), S("5\r\nhe"),
         false},
        {"chunked, cut off after data", S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
         S("5\r\nhello\r\n"), false},
        {"chunked, cut off in the last chunk", S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
         S("0\r\n"), false},
        {"chunked, whole", S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), S("0\r\n\r\n"), true},
        {"until the end", S("HTTP/1.1 200 OK\r\n\r\n"), S("hello"), true},
        {"no content", S("HTTP/1.1 204 No Content\r\n\r\n"), S(""), true},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct wire_h1_parser parser;
        struct sk_arena arena;
        struct http_response response;
        sk_str data, rest = cases[i].body;
        size_t bytes;
        wire_h1_parser_init(&parser);
        sk_arena_init(&arena, 4096, 0);
        assert_int_equal(wire_h1_parse_response(&parser, &limits, HTTP_METHOD_GET, cases[i].head, &arena,
                                                &response, &bytes),
                         WIRE_H1_HEAD);
        sk_err err = SK_OK;
        while (err == SK_OK) {
            err = wire_h1_parse_body(&parser, &limits, rest, &arena, NULL, &data, &bytes);
            rest = sk_str_slice(rest, bytes, rest.len);
        }
        err = wire_h1_body_eof(&parser);
        if (err != (cases[i].whole ? SK_OK : SK_ERR_MALFORMED)) fail_msg("%s", cases[i].name);
        assert_int_equal(parser.refusal, cases[i].whole ? WIRE_H1_REFUSAL_NONE : WIRE_H1_REFUSAL_CUT_OFF);
        assert_int_equal(wire_h1_message_done(&parser), cases[i].whole);
        sk_arena_free(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_and_end_are_the_same_however_it_is_cut),
        cmocka_unit_test(refused_with_the_same_reason_however_it_is_cut),
        cmocka_unit_test(limits_hold_to_the_byte),
        cmocka_unit_test(a_counted_body_ends_at_its_length),
        cmocka_unit_test(only_a_body_without_length_may_end_with_the_connection),
    };
    wire_h1_limits_default(&limits);
    return SK_RUN_TESTS(tests);
}
