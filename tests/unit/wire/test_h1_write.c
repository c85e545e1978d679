/* Heads as bytes: framing comes from the message's members alone, and what is written reads back. */
#include "h1_cases.h"

#define S(text) SK_STR_INIT(text)

static struct http_fields fields_of(struct sk_arena *arena, const char *const *pairs) {
    struct http_fields fields = {0};
    for (; *pairs; pairs += 2) {
        assert_ok(http_fields_add(&fields, arena, sk_str_from_c(pairs[0]), sk_str_from_c(pairs[1])));
    }
    return fields;
}

static void requests(void **state) {
    static const char *const mixed[] = {
        "Host",       "evil",       "Accept",  "*/*", "Content-Length",    "99",
        "Connection", "keep-alive", "Upgrade", "h2c", "Transfer-Encoding", "gzip",
        NULL};
    static const char *const te[] = {"TE", "trailers", NULL};
    static const char *const none[] = {NULL};
    static const struct {
        const char *name;
        struct http_request request;
        const char *const *fields;
        sk_str expected;
    } cases[] = {
        {"RFC 9112 3.2: Host comes first, and is ours",
         {.method = HTTP_METHOD_GET,
          .method_text = S("GET"),
          .target = S("/a"),
          .authority = S("h"),
          .keep_alive = true},
         mixed,
         S("GET /a HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n")},
        {"RFC 9112 9.6: close",
         {.method = HTTP_METHOD_GET, .method_text = S("GET"), .target = S("/"), .authority = S("h")},
         none,
         S("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")},
        {"RFC 9112 6.2: a length",
         {.method = HTTP_METHOD_PUT,
          .method_text = S("PUT"),
          .target = S("/"),
          .authority = S("h"),
          .keep_alive = true,
          .body_kind = HTTP_BODY_LENGTH,
          .content_length = 18446744073709551615U},
         mixed,
         S("PUT / HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nContent-Length: 18446744073709551615\r\n\r\n")},
        {"RFC 9112 6.1: chunked",
         {.method = HTTP_METHOD_POST,
          .method_text = S("POST"),
          .target = S("/"),
          .authority = S("h"),
          .keep_alive = true,
          .body_kind = HTTP_BODY_CHUNKED},
         none,
         S("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")},
        {"RFC 9110 8.6: a POST without content says so",
         {.method = HTTP_METHOD_POST,
          .method_text = S("POST"),
          .target = S("/"),
          .authority = S("h"),
          .keep_alive = true},
         none,
         S("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")},
        {"RFC 9110 7.8: an upgrade",
         {.method = HTTP_METHOD_GET,
          .method_text = S("GET"),
          .target = S("/"),
          .authority = S("h"),
          .keep_alive = true,
          .upgrade = S("websocket")},
         none,
         S("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")},
        {"RFC 9110 10.1.4: TE is named by Connection",
         {.method = HTTP_METHOD_GET, .method_text = S("GET"), .target = S("/"), .authority = S("h")},
         te,
         S("GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n")},
    };
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct sk_buf buf;
        struct http_request request = cases[i].request;
        request.fields = fields_of(&arena, cases[i].fields);
        sk_buf_init(&buf, 0);
        assert_ok(wire_h1_write_request(&buf, &request));
        assert_str(sk_buf_str(&buf), cases[i].expected);
        sk_buf_free(&buf);
    }
    sk_arena_free(&arena);
}

static void responses(void **state) {
    static const char *const mixed[] = {
        "Content-Length", "99",         "A",         "b",       "Transfer-Encoding", "chunked", "Connection",
        "close",          "Keep-Alive", "timeout=5", "Upgrade", "websocket",         NULL};
    static const char *const none[] = {NULL};
    static const struct {
        const char *name;
        struct http_response response;
        const char *const *fields;
        sk_str expected;
    } cases[] = {
        {"RFC 9112 6.2: a length",
         {.status = 200,
          .version = HTTP_1_1,
          .reason = S("OK"),
          .body_kind = HTTP_BODY_LENGTH,
          .content_length = 5,
          .keep_alive = true},
         mixed,
         S("HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\n")},
        {"RFC 9112 6.1: chunked",
         {.status = 200,
          .version = HTTP_1_1,
          .reason = S("OK"),
          .body_kind = HTTP_BODY_CHUNKED,
          .keep_alive = true},
         none,
         S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")},
        {"RFC 9112 6.3: until the end",
         {.status = 200,
          .version = HTTP_1_0,
          .reason = S("OK"),
          .body_kind = HTTP_BODY_CLOSE,
          .keep_alive = true},
         none,
         S("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")},
        {"RFC 9112 9.3: HTTP/1.0 is told that the connection stays",
         {.status = 200, .version = HTTP_1_0, .body_kind = HTTP_BODY_LENGTH, .keep_alive = true},
         none,
         S("HTTP/1.1 200 \r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n")},
        {"RFC 9112 9.6: close",
         {.status = 404, .version = HTTP_1_1, .reason = S("Not Found"), .body_kind = HTTP_BODY_LENGTH},
         none,
         S("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")},
        {"RFC 9110 8.6: 204 has no length",
         {.status = 204,
          .version = HTTP_1_1,
          .reason = S("No Content"),
          .body_kind = HTTP_BODY_LENGTH,
          .keep_alive = true},
         none,
         S("HTTP/1.1 204 No Content\r\n\r\n")},
        {"RFC 9112 6.1: 1xx has no coding",
         {.status = 103, .version = HTTP_1_1, .reason = S("Early Hints"), .body_kind = HTTP_BODY_CHUNKED},
         none,
         S("HTTP/1.1 103 Early Hints\r\n\r\n")},
        {"RFC 9110 15.2.2: 101 keeps Upgrade",
         {.status = 101, .version = HTTP_1_1, .reason = S("Switching Protocols"), .keep_alive = true},
         mixed,
         S("HTTP/1.1 101 Switching Protocols\r\nA: b\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")},
        {"RFC 9110 15.4.5: 304 without framing",
         {.status = 304, .version = HTTP_1_1, .reason = S("Not Modified"), .keep_alive = true},
         none,
         S("HTTP/1.1 304 Not Modified\r\n\r\n")},
    };
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct sk_buf buf;
        struct http_response response = cases[i].response;
        response.fields = fields_of(&arena, cases[i].fields);
        sk_buf_init(&buf, 0);
        assert_ok(wire_h1_write_response(&buf, &response));
        assert_str(sk_buf_str(&buf), cases[i].expected);
        sk_buf_free(&buf);
    }
    sk_arena_free(&arena);
}

static void a_full_buffer_stays_as_it_was(void **state) {
    struct http_request request = {.method_text = S("GET"), .target = S("/"), .authority = S("h")};
    struct sk_buf buf;
    (void)state;
    sk_buf_init(&buf, 64);
    assert_ok(sk_buf_append(&buf, SK_STR("before")));
    assert_err(wire_h1_write_request(&buf, &request), SK_ERR_TOO_LARGE);
    assert_str(sk_buf_str(&buf), SK_STR("before"));
    sk_buf_free(&buf);
}

static void chunks(void **state) {
    static const struct {
        uint64_t bytes;
        sk_str expected;
    } cases[] = {{0, S("0\r\n")},   {1, S("1\r\n")},         {15, S("f\r\n")},
                 {16, S("10\r\n")}, {0x1a2b, S("1a2b\r\n")}, {UINT64_MAX, S("ffffffffffffffff\r\n")}};
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        char out[20];
        assert_str(sk_str_make(out, wire_h1_chunk_head(cases[i].bytes, out)), cases[i].expected);
    }
}

static void the_last_chunk_carries_trailers_but_no_framing(void **state) {
    static const char *const pairs[] = {"Server-Timing", "a", "Content-Length", "5", NULL};
    struct sk_arena arena;
    struct sk_buf buf;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    sk_buf_init(&buf, 0);
    struct http_fields trailers = fields_of(&arena, pairs);
    assert_ok(wire_h1_write_last_chunk(&buf, NULL));
    assert_ok(wire_h1_write_last_chunk(&buf, &trailers));
    assert_str(sk_buf_str(&buf), SK_STR("0\r\n\r\n0\r\nServer-Timing: a\r\n\r\n"));
    sk_buf_free(&buf);
    sk_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(responses),
        cmocka_unit_test(a_full_buffer_stays_as_it_was),
        cmocka_unit_test(chunks),
        cmocka_unit_test(the_last_chunk_carries_trailers_but_no_framing),
    };
    return SK_RUN_TESTS(tests);
}
