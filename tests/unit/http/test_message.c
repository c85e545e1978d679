#include "http/message.h"

#include "http/reason.h"
#include "unit.h"

#define S(text) SK_STR_INIT(text)

static void methods(void **state) {
    static const struct {
        const char *name;
        sk_str text;
        enum http_method method;
        bool safe, idempotent;
    } cases[] = {
        {"RFC 9110 9.3.1", S("GET"), HTTP_METHOD_GET, true, true},
        {"RFC 9110 9.3.2", S("HEAD"), HTTP_METHOD_HEAD, true, true},
        {"RFC 9110 9.3.3", S("POST"), HTTP_METHOD_POST, false, false},
        {"RFC 9110 9.3.4", S("PUT"), HTTP_METHOD_PUT, false, true},
        {"RFC 9110 9.3.5", S("DELETE"), HTTP_METHOD_DELETE, false, true},
        {"RFC 9110 9.3.7", S("OPTIONS"), HTTP_METHOD_OPTIONS, true, true},
        {"RFC 9110 9.3.8", S("TRACE"), HTTP_METHOD_TRACE, true, true},
        {"RFC 5789 2", S("PATCH"), HTTP_METHOD_PATCH, false, false},
        {"RFC 9110 9.1: case-sensitive", S("get"), HTTP_METHOD_OTHER, false, false},
        {"RFC 9110 9.1: a prefix", S("GE"), HTTP_METHOD_OTHER, false, false},
        {"RFC 9110 9.1: longer", S("GETS"), HTTP_METHOD_OTHER, false, false},
        {"unregistered", S("BREW"), HTTP_METHOD_OTHER, false, false},
        {"ours", S("PURGE"), HTTP_METHOD_PURGE, false, true},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        enum http_method method = http_method_lookup(cases[i].text);
        if (method != cases[i].method) fail_msg("%s", cases[i].name);
        if (http_method_safe(method) != cases[i].safe) fail_msg("%s: safe", cases[i].name);
        if (http_method_idempotent(method) != cases[i].idempotent) fail_msg("%s: idempotent", cases[i].name);
    }
}

/* RFC 9110 6.4.1 */
static void responses_without_content(void **state) {
    static const struct {
        enum http_method method;
        uint16_t status;
        bool content;
    } cases[] = {
        {HTTP_METHOD_GET, 200, true},  {HTTP_METHOD_HEAD, 200, false}, {HTTP_METHOD_GET, 100, false},
        {HTTP_METHOD_GET, 103, false}, {HTTP_METHOD_GET, 204, false},  {HTTP_METHOD_GET, 205, true},
        {HTTP_METHOD_GET, 304, false}, {HTTP_METHOD_POST, 404, true},  {HTTP_METHOD_GET, 999, true},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        assert_int_equal(http_response_has_body(cases[i].method, cases[i].status), cases[i].content);
    }
}

static void texts(void **state) {
    (void)state;
    assert_str(http_version_text(HTTP_1_0), SK_STR("HTTP/1.0"));
    assert_str(http_version_text(HTTP_1_1), SK_STR("HTTP/1.1"));
    assert_str(http_version_text(HTTP_2), SK_STR("HTTP/2"));
    assert_str(http_version_text(HTTP_3), SK_STR("HTTP/3"));
    assert_str(http_status_reason(200), SK_STR("OK"));
    assert_str(http_status_reason(421), SK_STR("Misdirected Request"));
    assert_str(http_status_reason(299), SK_STR(""));
}

/* Reasons are tokens of Cache-Status, labels of metrics and words for people: unique and never empty. */
static void reasons_are_unique_tokens(void **state) {
    (void)state;
    for (int i = 0; i < HTTP_REASON_COUNT_; i++) {
        sk_str name = http_reason_name((enum http_reason)i);
        assert_true(http_token_valid(name));
        assert_true(http_reason_help((enum http_reason)i).len > 0);
        for (int j = 0; j < i; j++) assert_false(sk_str_eq(name, http_reason_name((enum http_reason)j)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods),
        cmocka_unit_test(responses_without_content),
        cmocka_unit_test(texts),
        cmocka_unit_test(reasons_are_unique_tokens),
    };
    return SK_RUN_TESTS(tests);
}
