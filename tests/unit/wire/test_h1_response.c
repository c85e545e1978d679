/* Response heads as origins send them: strict where it protects, lenient where it is harmless. */
#include "h1_cases.h"

static struct wire_h1_limits limits;

#define S(text) SK_STR_INIT(text)
#define OK "HTTP/1.1 200 OK\r\n"

static const struct {
    const char *name;
    sk_str input;
    enum wire_h1_refusal refusal;
} refused_cases[] = {
#define REFUSED(name, text, refusal) {name, S(text), WIRE_H1_REFUSAL_##refusal}
    REFUSED("RFC 9112 6.3: length and chunked", OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            LENGTH_AND_CHUNKED),
    REFUSED("RFC 9112 6.3: chunked and length", OK "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
            LENGTH_AND_CHUNKED),
    REFUSED("RFC 9112 6.3: lengths that differ", OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
            LENGTH_REPEATED),
    REFUSED("RFC 9112 6.3: lengths that agree", OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
            LENGTH_REPEATED),
    REFUSED("RFC 9112 6.3: a list of lengths", OK "Content-Length: 5, 5\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9112 6.3: a length that is none", OK "Content-Length: abc\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9112 6.3: a negative length", OK "Content-Length: -1\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9112 6.1: Transfer-Encoding in HTTP/1.0",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", TRANSFER_ENCODING_1_0),
    REFUSED("RFC 9112 6.3: a coding that is not chunked", OK "Transfer-Encoding: identity\r\n\r\n",
            TRANSFER_ENCODING),
    REFUSED("RFC 9112 6.3: chunked is not last", OK "Transfer-Encoding: chunked, gzip\r\n\r\n",
            TRANSFER_ENCODING),
    REFUSED("RFC 9112 6.3: chunked twice",
            OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", TRANSFER_ENCODING),
    REFUSED("RFC 9112 6.1: an unknown coding before chunked", OK "Transfer-Encoding: gzip, chunked\r\n\r\n",
            TRANSFER_CODING),
    REFUSED("RFC 9112 4: no version", "200 OK\r\n\r\n", STATUS_LINE),
    REFUSED("RFC 9112 4: another protocol", "ICY 200 OK\r\n\r\n", STATUS_LINE),
    REFUSED("RFC 9112 4: HTTP/2", "HTTP/2 200\r\n\r\n", STATUS_LINE),
    REFUSED("RFC 9112 4: HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", STATUS_LINE),
    REFUSED("RFC 9112 4: two digits", "HTTP/1.1 20 OK\r\n\r\n", STATUS_LINE),
    REFUSED("RFC 9112 4: four digits", "HTTP/1.1 2000 OK\r\n\r\n", STATUS_LINE),
    REFUSED("RFC 9112 4: no digits", "HTTP/1.1 OK\r\n\r\n", STATUS_LINE),
    REFUSED("RFC 9112 4: a status below 100", "HTTP/1.1 099 OK\r\n\r\n", STATUS_LINE),
    REFUSED("RFC 9112 4: two spaces", "HTTP/1.1  200 OK\r\n\r\n", STATUS_LINE),
    REFUSED("RFC 9112 4: a control byte in the reason", "HTTP/1.1 200 O\x01K\r\n\r\n", STATUS_LINE),
    REFUSED("RFC 9112 4: NUL in the reason", "HTTP/1.1 200 O\0K\r\n\r\n", NUL),
    REFUSED("RFC 9112 4: a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", STATUS_LINE),
    REFUSED("RFC 9112 4: an empty line before it", "\r\nHTTP/1.1 200 OK\r\n\r\n", STATUS_LINE),
    REFUSED("RFC 9112 4: HTML without any head", "<html>\r\n", STATUS_LINE),
    REFUSED("RFC 9112 2.2: bare LF", "HTTP/1.1 200 OK\nA: b\n\n", BARE_LF),
    REFUSED("RFC 9112 2.2: bare CR", OK "A: b\rC: d\r\n\r\n", BARE_CR),
    REFUSED("RFC 9112 5.1: space before the colon", OK "Set-Cookie : a\r\n\r\n", FIELD_SPACE_BEFORE_COLON),
    REFUSED("RFC 9112 5.2: a folded line", OK "A: b\r\n c\r\n\r\n", OBS_FOLD),
    REFUSED("RFC 9110 5.5: NUL", OK "A: b\0c\r\n\r\n", NUL),
    REFUSED("RFC 9110 5.5: a control byte", OK "A: b\x02\r\n\r\n", FIELD_VALUE),
    REFUSED("RFC 9110 5.1: no token", OK "A b: c\r\n\r\n", FIELD_NAME),
#undef REFUSED
};

static void refused_with_the_same_reason_however_it_is_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < SK_COUNT(refused_cases); i++) {
        sk_str input = refused_cases[i].input;
        for (size_t cut = 0; cut <= input.len; cut++) {
            struct wire_h1_parser parser;
            struct sk_arena arena;
            struct http_response response;
            size_t bytes;
            wire_h1_parser_init(&parser);
            sk_arena_init(&arena, 4096, 0);
            enum wire_h1_result result = offer_response(&parser, &limits, HTTP_METHOD_GET, input, cut,
                                                        cut % 2 ? 1 : input.len, &arena, &response, &bytes);
            if (result != WIRE_H1_REFUSED || parser.refusal != refused_cases[i].refusal) {
                fail_msg("%s, cut at %zu: %s", refused_cases[i].name, cut,
                         wire_h1_refusal_text(parser.refusal));
            }
            sk_arena_free(&arena);
        }
    }
}

static const struct {
    const char *name;
    sk_str input;
    enum http_method method;
    uint16_t status;
    sk_str reason;
    enum http_version version;
    enum http_body_kind body;
    uint64_t length;
    bool keep_alive;
} accepted_cases[] = {
    {"RFC 9112 6.3: a length", S(OK "Content-Length: 5\r\n\r\n"), HTTP_METHOD_GET, 200, S("OK"), HTTP_1_1,
     HTTP_BODY_LENGTH, 5, true},
    {"RFC 9112 6.3: no content of a known length", S(OK "Content-Length: 0\r\n\r\n"), HTTP_METHOD_GET, 200,
     S("OK"), HTTP_1_1, HTTP_BODY_LENGTH, 0, true},
    {"RFC 9112 6.3: chunked", S(OK "Transfer-Encoding: chunked\r\n\r\n"), HTTP_METHOD_GET, 200, S("OK"),
     HTTP_1_1, HTTP_BODY_CHUNKED, 0, true},
    {"RFC 9112 6.3: neither: until the connection ends", S(OK "\r\n"), HTTP_METHOD_GET, 200, S("OK"),
     HTTP_1_1, HTTP_BODY_CLOSE, 0, false},
    {"RFC 9112 6.3: neither, whatever Connection says", S(OK "Connection: keep-alive\r\n\r\n"),
     HTTP_METHOD_GET, 200, S("OK"), HTTP_1_1, HTTP_BODY_CLOSE, 0, false},
    {"RFC 9112 6.3: an answer to HEAD has no content", S(OK "Content-Length: 5\r\n\r\n"), HTTP_METHOD_HEAD,
     200, S("OK"), HTTP_1_1, HTTP_BODY_NONE, 0, true},
    {"RFC 9112 6.3: HEAD, chunked", S(OK "Transfer-Encoding: chunked\r\n\r\n"), HTTP_METHOD_HEAD, 200,
     S("OK"), HTTP_1_1, HTTP_BODY_NONE, 0, true},
    {"RFC 9112 6.3: HEAD without a length stays open", S(OK "\r\n"), HTTP_METHOD_HEAD, 200, S("OK"), HTTP_1_1,
     HTTP_BODY_NONE, 0, true},
    {"RFC 9112 6.3: 304", S("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), HTTP_METHOD_GET, 304,
     S("Not Modified"), HTTP_1_1, HTTP_BODY_NONE, 0, true},
    {"RFC 9112 6.3: 204", S("HTTP/1.1 204 No Content\r\n\r\n"), HTTP_METHOD_GET, 204, S("No Content"),
     HTTP_1_1, HTTP_BODY_NONE, 0, true},
    {"RFC 9112 6.3: 204 with a length of zero", S("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
     HTTP_METHOD_GET, 204, S("No Content"), HTTP_1_1, HTTP_BODY_NONE, 0, true},
    {"RFC 9110 8.6: 204 with a length may have sent it: no reuse",
     S("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"), HTTP_METHOD_GET, 204, S("No Content"),
     HTTP_1_1, HTTP_BODY_NONE, 0, false},
    {"RFC 9112 6.1: 204 with a coding: no reuse",
     S("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_METHOD_GET, 204,
     S("No Content"), HTTP_1_1, HTTP_BODY_NONE, 0, false},
    {"RFC 9110 15.2: 100", S("HTTP/1.1 100 Continue\r\n\r\n"), HTTP_METHOD_POST, 100, S("Continue"), HTTP_1_1,
     HTTP_BODY_NONE, 0, true},
    {"RFC 8297: 103", S("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"), HTTP_METHOD_GET, 103,
     S("Early Hints"), HTTP_1_1, HTTP_BODY_NONE, 0, true},
    {"RFC 9112 4: an empty reason", S("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), HTTP_METHOD_GET, 200,
     S(""), HTTP_1_1, HTTP_BODY_LENGTH, 0, true},
    {"RFC 9112 4: neither reason nor space", S("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), HTTP_METHOD_GET,
     200, S(""), HTTP_1_1, HTTP_BODY_LENGTH, 0, true},
    {"RFC 9112 4: a reason with bytes over 0x7f",
     S("HTTP/1.1 404 Nicht d\xc3\xa4\r\nContent-Length: 0\r\n\r\n"), HTTP_METHOD_GET, 404,
     S("Nicht d\xc3\xa4"), HTTP_1_1, HTTP_BODY_LENGTH, 0, true},
    {"RFC 9110 15: an unknown status", S("HTTP/1.1 799 Odd\r\nContent-Length: 0\r\n\r\n"), HTTP_METHOD_GET,
     799, S("Odd"), HTTP_1_1, HTTP_BODY_LENGTH, 0, true},
    {"RFC 9112 9.3: HTTP/1.0 closes", S("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"), HTTP_METHOD_GET, 200,
     S("OK"), HTTP_1_0, HTTP_BODY_LENGTH, 5, false},
    {"RFC 9112 9.3: HTTP/1.0 with keep-alive",
     S("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"), HTTP_METHOD_GET, 200,
     S("OK"), HTTP_1_0, HTTP_BODY_LENGTH, 5, true},
    {"RFC 9112 9.3: close", S(OK "Content-Length: 5\r\nConnection: close\r\n\r\n"), HTTP_METHOD_GET, 200,
     S("OK"), HTTP_1_1, HTTP_BODY_LENGTH, 5, false},
    {"RFC 9112 9.3: close wins", S(OK "Content-Length: 5\r\nConnection: keep-alive, close\r\n\r\n"),
     HTTP_METHOD_GET, 200, S("OK"), HTTP_1_1, HTTP_BODY_LENGTH, 5, false},
    {"RFC 9110 15.2.2: 101",
     S("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
     HTTP_METHOD_GET, 101, S("Switching Protocols"), HTTP_1_1, HTTP_BODY_NONE, 0, true},
    {"a Connection option that is no token is ignored", S(OK "Content-Length: 0\r\nConnection: a b\r\n\r\n"),
     HTTP_METHOD_GET, 200, S("OK"), HTTP_1_1, HTTP_BODY_LENGTH, 0, true},
};

static void accepted_and_understood_however_it_is_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < SK_COUNT(accepted_cases); i++) {
        sk_str input = accepted_cases[i].input;
        for (size_t cut = 0; cut <= input.len; cut++) {
            struct wire_h1_parser parser;
            struct sk_arena arena;
            struct http_response response;
            size_t bytes = 0;
            wire_h1_parser_init(&parser);
            sk_arena_init(&arena, 4096, 0);
            enum wire_h1_result result =
                offer_response(&parser, &limits, accepted_cases[i].method, input, cut,
                               cut % 2 ? 1 : input.len, &arena, &response, &bytes);
            if (result != WIRE_H1_HEAD)
                fail_msg("%s: %s", accepted_cases[i].name, wire_h1_refusal_text(parser.refusal));
            assert_int_equal(bytes, input.len);
            assert_int_equal(response.status, accepted_cases[i].status);
            assert_str(response.reason, accepted_cases[i].reason);
            assert_int_equal(response.version, accepted_cases[i].version);
            if (response.body_kind != accepted_cases[i].body) fail_msg("%s: body", accepted_cases[i].name);
            assert_int_equal(response.content_length, accepted_cases[i].length);
            if (response.keep_alive != accepted_cases[i].keep_alive)
                fail_msg("%s: keep-alive", accepted_cases[i].name);
            sk_arena_free(&arena);
        }
    }
}

/* RFC 9110 15.2: any number of interim responses may come before the final one. */
static void interim_responses_come_before_the_final_one(void **state) {
    struct wire_h1_parser parser;
    struct sk_arena arena;
    sk_str input = SK_STR("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    static const uint16_t statuses[] = {100, 103, 200};
    (void)state;
    wire_h1_parser_init(&parser);
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(statuses); i++) {
        struct http_response response;
        size_t bytes;
        assert_int_equal(
            wire_h1_parse_response(&parser, &limits, HTTP_METHOD_GET, input, &arena, &response, &bytes),
            WIRE_H1_HEAD);
        assert_int_equal(response.status, statuses[i]);
        input = sk_str_slice(input, bytes, input.len);
    }
    assert_str(input, SK_STR("hi"));
    assert_false(wire_h1_message_done(&parser));
    sk_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_with_the_same_reason_however_it_is_cut),
        cmocka_unit_test(accepted_and_understood_however_it_is_cut),
        cmocka_unit_test(interim_responses_come_before_the_final_one),
    };
    wire_h1_limits_default(&limits);
    return SK_RUN_TESTS(tests);
}
