#include "edge/stored_head.h"

#include <stdio.h>

#include "edge/answer.h"

#include "unit.h"

static struct sk_arena arena;

/* "Name: value" lines, each with "\n" at its end. */
static struct http_fields fields_of(const char *lines) {
    struct http_fields fields = {0};
    sk_str rest = sk_str_from_c(lines), line;
    while (rest.len && sk_str_cut(&rest, '\n', &line)) {
        size_t colon = sk_str_find_byte(line, ':');
        assert_ok(http_fields_add(&fields, &arena, sk_str_slice(line, 0, colon),
                                  sk_str_trim(sk_str_slice(line, colon + 1, line.len))));
    }
    return fields;
}

static sk_str lines_of(const struct http_fields *fields) {
    sk_str text = SK_STR("");
    for (uint32_t i = 0; i < fields->count; i++)
        text = sk_arena_printf(&arena, "%.*s%.*s: %.*s\n", SK_STR_ARGS(text),
                               SK_STR_ARGS(fields->items[i].name), SK_STR_ARGS(fields->items[i].value));
    return text;
}

static void what_is_kept_of_a_response(void **state) {
    static const struct {
        const char *name, *received, *kept;
        struct edge_head_rules rules;
    } cases[] = {
        {"RFC 9111 3.1: fields of the connection and framing are not stored",
         "Date: D\nConnection: X-Gone\nX-Gone: 1\nKeep-Alive: 5\nContent-Length: 5\nX-Stays: 1\n",
         "Date: D\nX-Stays: 1\nvia: 1.1 me\n",
         {.shared = true}},
        {"RFC 9111 3.1: fields of the proxy that was asked are not stored",
         "Date: D\nProxy-Authenticate: Basic\nProxy-Authentication-Info: a\nProxy-Authorization: b\nX: 1\n",
         "Date: D\nX: 1\nvia: 1.1 me\n",
         {.shared = true}},
        {"RFC 9110 11.7.1: a response that passes keeps them",
         "Date: D\nProxy-Authenticate: Basic\n",
         "Date: D\nProxy-Authenticate: Basic\nvia: 1.1 me\n",
         {.shared = false}},
        {"RFC 9111 3.1: fields that nobody knows are kept",
         "Date: D\nX-New: 1\nx-NEW: 2\nWarning: 110 - \"a\"\nSet-Cookie: a=b\n",
         "Date: D\nX-New: 1\nx-NEW: 2\nWarning: 110 - \"a\"\nSet-Cookie: a=b\nvia: 1.1 me\n",
         {.shared = true}},
        {"RFC 9111 5.1: the stored Age is part of the freshness, not of the head",
         "Date: D\nAge: 5\n",
         "Date: D\nvia: 1.1 me\n",
         {.shared = true}},
        {"RFC 9111 5.1: a response that passes keeps its Age",
         "Date: D\nAge: 5\n",
         "Date: D\nAge: 5\nvia: 1.1 me\n",
         {.shared = false}},
        {"RFC 9110 9.3.2: the length of an answer to HEAD is the origin's word",
         "Date: D\nContent-Length: 5\n",
         "Date: D\nContent-Length: 5\nvia: 1.1 me\n",
         {.keep_length = true}},
        {"Set-Cookie is not shared when the operator has it ignored",
         "Date: D\nSet-Cookie: a\n",
         "Date: D\nvia: 1.1 me\n",
         {.shared = true, .drop_set_cookie = true}},
        {"RFC 9110 6.6.1: a missing Date is added",
         "X: 1\n",
         "X: 1\ndate: Thu, 01 Jan 1970 00:00:00 GMT\nvia: 1.1 me\n",
         {.shared = true}},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_response response = {
            .status = 200, .version = HTTP_1_1, .fields = fields_of(cases[i].received)};
        struct edge_head_rules rules = cases[i].rules;
        struct http_fields kept;
        rules.pseudonym = SK_STR("me");
        assert_ok(edge_head_fields(&arena, &response, &rules, &kept));
        sk_str lines = lines_of(&kept);
        char *lower = sk_arena_alloc(&arena, lines.len + 1), *expected = sk_arena_alloc(&arena, 500);
        sk_ascii_lower(lower, lines.data, lines.len);
        sk_ascii_lower(expected, cases[i].kept, strlen(cases[i].kept));
        if (!sk_str_eq((sk_str){lower, lines.len}, (sk_str){expected, strlen(cases[i].kept)}))
            fail_msg("%s: kept\n%.*s", cases[i].name, SK_STR_ARGS(lines));
    }
}

static void a_304_renews_the_stored_fields(void **state) {
    static const struct {
        const char *name, *stored, *fresh, *renewed;
    } cases[] = {
        {"RFC 9111 3.2: a field of the 304 replaces the stored ones", "A: 1\nX: 1\nX: 2\n", "X: 3\n",
         "A: 1\nX: 3\n"},
        {"names are compared without regard to case", "x-a: 1\n", "X-A: 2\n", "X-A: 2\n"},
        {"RFC 9111 3.2: what the stored bytes depend on stays", "A: 1\nContent-Encoding: gzip\n",
         "Content-Encoding: br\nContent-Length: 0\nContent-Range: bytes 0-1/2\nETag: \"x\"\n",
         "A: 1\nContent-Encoding: gzip\nETag: \"x\"\n"},
        {"RFC 9111 3.2: other Content fields are renewed",
         "Content-Type: a\nContent-Location: /a\nContent-Foo: 1\n",
         "Content-Type: b\nContent-Location: /b\nContent-Foo: 2\n",
         "Content-Type: b\nContent-Location: /b\nContent-Foo: 2\n"},
        {"an empty 304 changes nothing", "A: 1\n", "", "A: 1\n"},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_fields stored = fields_of(cases[i].stored), fresh = fields_of(cases[i].fresh), renewed;
        assert_ok(edge_head_update(&arena, &stored, &fresh, &renewed));
        if (!sk_str_eq(lines_of(&renewed), sk_str_from_c(cases[i].renewed)))
            fail_msg("%s: %.*s", cases[i].name, SK_STR_ARGS(lines_of(&renewed)));
    }
}

/* RFC 9110 section 6.5.1. */
static void trailers_that_mean_something_to_a_recipient_are_not_passed_on(void **state) {
    struct http_fields
        given =
            fields_of("X-Sum: 1\nContent-Length: 5\nHost: a\nSet-Cookie: a\nServer-Timing: b\nX-Hop: c\n"),
        passed;
    assert_ok(edge_trailer_fields(&arena, SK_STR("close, x-hop"), &given, &passed));
    assert_str(lines_of(&passed), SK_STR("X-Sum: 1\nServer-Timing: b\n"));
}

static const struct {
    const char *name, *lines, *names;
} announcements[] = {
    {"RFC 9110 6.6.2: nothing is announced", "X-Sum: 1\n", ""},
    {"RFC 9110 6.6.2: names that may be passed on", "Trailer: X-Sum, ,x-b\nTrailer: Server-Timing\n",
     "X-Sum, x-b, Server-Timing"},
    {"RFC 9110 6.5.1: not those of framing", "Trailer: Content-Length, Age\n", ""},
    {"RFC 9110 7.6.1: not those that Connection names", "Trailer: X-Sum, X-Hop\nConnection: x-hop\n",
     "X-Sum"},
    {"what is no name", "Trailer: a b, \"c\", X-Sum\n", "X-Sum"},
};

static void trailers_are_announced(void **state) {
    char name[EDGE_TRAILER_NAMES_MAX];
    for (size_t i = 0; i < SK_COUNT(announcements); i++) {
        struct http_response response = {.fields = fields_of(announcements[i].lines)};
        sk_str names = edge_trailer_names(&arena, &response);
        if (!sk_str_eq(names, sk_str_from_c(announcements[i].names))) fail_msg("%s", announcements[i].name);
    }
    for (size_t bytes = 190; bytes <= 200; bytes++) { /* whole or not at all */
        char line[300];
        memset(name, 'x', sizeof name);
        snprintf(line, sizeof line, "Trailer: %.*s\n", (int)bytes, name);
        struct http_response response = {.fields = fields_of(line)};
        size_t got = edge_trailer_names(&arena, &response).len;
        assert_true(got == bytes || (got == 0 && bytes + 2 > EDGE_TRAILER_NAMES_MAX));
    }
    (void)state;
}

static void heads_made_of_stored_fields(void **state) {
    struct http_fields stored =
        fields_of("Date: D\nETag: \"a\"\nContent-Type: t\nX: 1\nVary: v\nVia: 1.1 me\n");
    assert_str(edge_not_modified_head(&arena, &stored),
               SK_STR("Date: D\r\nETag: \"a\"\r\nVary: v\r\nVia: 1.1 me\r\n")); /* RFC 9110 15.4.5 */
    assert_str(edge_head_without_type(&arena, &stored),
               SK_STR("Date: D\r\nETag: \"a\"\r\nX: 1\r\nVary: v\r\nVia: 1.1 me\r\n")); /* RFC 9110 14.6 */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_of_a_response),
        cmocka_unit_test(a_304_renews_the_stored_fields),
        cmocka_unit_test(trailers_that_mean_something_to_a_recipient_are_not_passed_on),
        cmocka_unit_test(trailers_are_announced),
        cmocka_unit_test(heads_made_of_stored_fields),
    };
    sk_arena_init(&arena, 4096, 0);
    int failed = SK_RUN_TESTS(tests);
    sk_arena_free(&arena);
    return failed;
}
