#include "edge/early.h"
#include "edge/error_page.h"
#include "edge/exchange.h"
#include "unit.h"

static void the_host_of_an_authority(void **state) {
    static const char *const cases[][2] = {
        {"example.com", "example.com"},
        {"example.com:8080", "example.com"},
        {"[::1]", "[::1]"},
        {"[::1]:80", "[::1]"},
        {"", ""},
        {"a:", "a"},
        {"a b", ""},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_request request = {.authority = sk_str_from_c(cases[i][0])};
        assert_str(edge_host_of(&request), sk_str_from_c(cases[i][1]));
    }
}

static void traits_are_found_in_one_pass(void **state) {
    static const struct {
        enum http_field_id id;
        const char *value;
        uint32_t traits;
    } cases[] = {
        {HTTP_FIELD_ACCEPT, "*/*", 0},
        {HTTP_FIELD_IF_NONE_MATCH, "*", EDGE_TRAIT_CONDITIONAL},
        {HTTP_FIELD_IF_RANGE, "\"a\"", EDGE_TRAIT_CONDITIONAL},
        {HTTP_FIELD_RANGE, "bytes=0-", EDGE_TRAIT_RANGE},
        {HTTP_FIELD_PRAGMA, "no-cache", EDGE_TRAIT_CACHE_CONTROL},
        {HTTP_FIELD_CACHE_CONTROL, "no-cache", EDGE_TRAIT_CACHE_CONTROL},
        {HTTP_FIELD_TE, "Trailers", EDGE_TRAIT_TRAILERS},
        {HTTP_FIELD_TE, "gzip", 0},
        {HTTP_FIELD_CDN_LOOP, "a", EDGE_TRAIT_MAYBE_LOOP},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_field items[] = {{SK_STR("x"), sk_str_from_c(cases[i].value), (uint16_t)cases[i].id}};
        struct http_fields fields = {items, 1, 1};
        assert_int_equal(edge_traits_of(&fields), cases[i].traits);
    }
}

static void rfc8470_3_only_safe_requests_may_be_early(void **state) {
    static const struct {
        struct http_request request;
        bool safe;
    } cases[] = {
        {{.version = HTTP_1_1, .method = HTTP_METHOD_GET}, true},
        {{.version = HTTP_2, .method = HTTP_METHOD_HEAD}, true},
        {{.version = HTTP_3, .method = HTTP_METHOD_OPTIONS}, true},
        {{.version = HTTP_1_1, .method = HTTP_METHOD_POST}, false},
        {{.version = HTTP_1_1, .method = HTTP_METHOD_PUT}, false},
        {{.version = HTTP_1_1, .method = HTTP_METHOD_PURGE}, false},
        {{.version = HTTP_1_1, .method = HTTP_METHOD_OTHER}, false},
        {{.version = HTTP_1_0, .method = HTTP_METHOD_GET}, false},
        {{.version = HTTP_2, .method = HTTP_METHOD_GET, .body_kind = HTTP_BODY_CHUNKED}, false},
        {{.version = HTTP_1_1, .method = HTTP_METHOD_GET, .upgrade = SK_STR_INIT("websocket")}, false},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++)
        assert_int_equal(edge_early_is_safe(&cases[i].request), cases[i].safe);
}

static void an_empty_body_is_no_content(void **state) {
    static const struct {
        enum http_body_kind kind;
        uint64_t length;
        bool content;
    } cases[] = {{HTTP_BODY_NONE, 0, false},
                 {HTTP_BODY_LENGTH, 0, false},
                 {HTTP_BODY_LENGTH, 1, true},
                 {HTTP_BODY_CHUNKED, 0, true}};
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_request request = {.body_kind = cases[i].kind, .content_length = cases[i].length};
        assert_int_equal(edge_has_content(&request), cases[i].content);
    }
}

static void the_status_names_whose_fault_it_was(void **state) {
    static const struct {
        enum origin_phase phase;
        sk_err err;
        uint16_t status;
    } cases[] = {
        {ORIGIN_PHASE_CONNECT, SK_ERR_REFUSED, 502},     {ORIGIN_PHASE_CONNECT, SK_ERR_TIMEOUT, 504},
        {ORIGIN_PHASE_FIRST_BYTE, SK_ERR_TIMEOUT, 504},  {ORIGIN_PHASE_HEAD, SK_ERR_MALFORMED, 502},
        {ORIGIN_PHASE_TLS, SK_ERR_TLS_CERTIFICATE, 502}, {ORIGIN_PHASE_BODY_READ, SK_ERR_TIMEOUT, 408},
        {ORIGIN_PHASE_BODY_READ, SK_ERR_TOO_LARGE, 413}, {ORIGIN_PHASE_BODY_READ, SK_ERR_MALFORMED, 400},
        {ORIGIN_PHASE_NONE, SK_ERR_TIMEOUT, 504},        {ORIGIN_PHASE_SELECT, SK_ERR_REFUSED, 502},
        {ORIGIN_PHASE_CONNECT, SK_ERR_BUSY, 503},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++)
        assert_int_equal(edge_failure_status(cases[i].phase, cases[i].err), cases[i].status);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_of_an_authority),
        cmocka_unit_test(traits_are_found_in_one_pass),
        cmocka_unit_test(rfc8470_3_only_safe_requests_may_be_early),
        cmocka_unit_test(an_empty_body_is_no_content),
        cmocka_unit_test(the_status_names_whose_fault_it_was),
    };
    return SK_RUN_TESTS(tests);
}
