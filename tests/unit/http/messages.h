/* Requests and responses from lines of text, for the tests of decisions. */
#ifndef SK_TESTS_MESSAGES_H
#define SK_TESTS_MESSAGES_H

#include "http/message.h"
#include "unit.h"

/* LINES are "Name: value" separated by "\n"; NULL means none. Borrowed. */
static inline struct http_fields fields_of(struct sk_arena *arena, const char *lines) {
    struct http_fields fields = {0};
    sk_str rest = sk_str_from_c(lines), line;
    while (lines && sk_str_cut(&rest, '\n', &line)) {
        size_t colon = sk_str_find_byte(line, ':');
        if (line.len == 0) continue;
        assert_true(colon < line.len);
        assert_ok(http_fields_add(&fields, arena, sk_str_slice(line, 0, colon),
                                  sk_str_trim(sk_str_slice(line, colon + 1, line.len))));
    }
    return fields;
}

static inline struct http_request get_request(struct sk_arena *arena, const char *lines) {
    return (struct http_request){.method = HTTP_METHOD_GET,
                                 .version = HTTP_1_1,
                                 .method_text = SK_STR("GET"),
                                 .scheme = SK_STR("http"),
                                 .authority = SK_STR("a"),
                                 .target = SK_STR("/"),
                                 .path = SK_STR("/"),
                                 .fields = fields_of(arena, lines)};
}

static inline struct http_response response_of(struct sk_arena *arena, uint16_t status, const char *lines) {
    return (struct http_response){.status = status, .version = HTTP_1_1, .fields = fields_of(arena, lines)};
}

#endif
