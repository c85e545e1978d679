#include <stdio.h>

#include "observe/access_format.h"
#include "unit.h"

static const struct access_log_entry sample = {
    .wall_ns = INT64_C(1767322984) * SK_NS_PER_S + 5 * SK_NS_PER_MS + 999999,
    .client_ip = SK_STR_INIT("192.0.2.1"),
    .method = SK_STR_INIT("GET"),
    .host = SK_STR_INIT("example.com"),
    .target = SK_STR_INIT("/a?b=1"),
    .version = HTTP_1_1,
    .status = 200,
    .reason = HTTP_REASON_HIT_FRESH,
    .hit = true,
    .sent_bytes = 1234,
    .body_bytes = 1000,
    .duration_ns = 123999,
    .first_byte_ns = 50000,
};

typedef sk_err formatter(struct access_format_clock *, const struct access_log_entry *, struct sk_buf *);

static void expect(formatter *format, const struct access_log_entry *entry, const char *line) {
    struct access_format_clock clock = {0};
    struct sk_buf buf;
    sk_buf_init(&buf, 0);
    assert_int_equal(format(&clock, entry, &buf), SK_OK);
    assert_int_equal(sk_buf_append(&buf, sk_str_make("", 1)), SK_OK);
    assert_string_equal(buf.data, line);
    sk_buf_free(&buf);
}

static void a_json_line_leaves_out_what_does_not_apply(void **state) {
    (void)state;
    expect(access_format_json, &sample,
           "{\"time\":\"2026-01-02T03:03:04.005Z\",\"client\":\"192.0.2.1\",\"method\":\"GET\","
           "\"host\":\"example.com\",\"target\":\"/a?b=1\",\"protocol\":\"HTTP/1.1\",\"status\":200,"
           "\"sent_bytes\":1234,\"body_bytes\":1000,\"duration_us\":123,\"first_byte_us\":50,\"hit\":true,"
           "\"reason\":\"hit\"}\n");
}

static void a_full_json_line_has_every_key_of_the_table(void **state) {
    struct access_log_entry entry = sample;
    struct access_format_clock clock = {0};
    struct sk_buf buf;
    (void)state;
    entry.site = SK_STR("s");
    entry.upstream = SK_STR("http://127.0.0.1:9000");
    entry.origin_status = 304;
    entry.user_agent = SK_STR("curl");
    entry.referer = SK_STR("r");
    entry.error = SK_STR("e");
    entry.tls_version = entry.tls_group = entry.tls_cipher = SK_STR("t");
    entry.tls_resumed = entry.early_data = true;
    entry.store_reason = HTTP_REASON_STORE_EXPLICIT;
    entry.stored = entry.collapsed = entry.aborted = true;
    sk_buf_init(&buf, 0);
    assert_int_equal(access_format_json(&clock, &entry, &buf), SK_OK);
    assert_int_equal(sk_buf_append(&buf, sk_str_make("", 1)), SK_OK);
#define X(name, key, always, help) assert_non_null(strstr(buf.data, "\"" key "\":"));
    ACCESS_LOG_FIELD_TABLE(X)
#undef X
    sk_buf_free(&buf);
}

static void json_is_valid_utf8_whatever_the_bytes(void **state) {
    static const struct {
        const char *what;
        sk_str in;
        const char *out;
    } cases[] = {
        {"RFC 8259 7: quote and backslash", SK_STR_INIT("a\"b\\c"), "a\\\"b\\\\c"},
        {"RFC 8259 7: controls and NUL", SK_STR_INIT("\0\n\r\t\x1b\x7f"),
         "\\u0000\\u000a\\u000d\\u0009\\u001b\\u007f"},
        {"valid UTF-8 of 2, 3 and 4 bytes stays", SK_STR_INIT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
         "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"C1 control", SK_STR_INIT("\xc2\x9b"), "\\u009b"},
        {"a lone byte", SK_STR_INIT("\xe9x"), "\\u00e9x"},
        {"a lone continuation", SK_STR_INIT("\x80"), "\\u0080"},
        {"RFC 3629 4: overlong", SK_STR_INIT("\xc0\xaf\xe0\x80\xaf"), "\\u00c0\\u00af\\u00e0\\u0080\\u00af"},
        {"RFC 3629 4: surrogate", SK_STR_INIT("\xed\xa0\x80"), "\\u00ed\\u00a0\\u0080"},
        {"RFC 3629 4: over U+10FFFF", SK_STR_INIT("\xf4\x90\x80\x80"), "\\u00f4\\u0090\\u0080\\u0080"},
        {"cut off", SK_STR_INIT("\xe2\x82"), "\\u00e2\\u0082"},
        {"cut off before a quote", SK_STR_INIT("\xf0\x9f\""), "\\u00f0\\u009f\\\""},
        {"a third byte that is none", SK_STR_INIT("\xe2\x82\x28"), "\\u00e2\\u0082("},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct access_log_entry entry = sample;
        struct access_format_clock clock = {0};
        struct sk_buf buf;
        char line[256];
        entry.target = cases[i].in;
        snprintf(line, sizeof(line), "\"target\":\"%s\",\"protocol\"", cases[i].out);
        sk_buf_init(&buf, 0);
        assert_int_equal(access_format_json(&clock, &entry, &buf), SK_OK);
        if (sk_str_find(sk_buf_str(&buf), sk_str_from_c(line)) == sk_buf_len(&buf))
            fail_msg("%s: %.*s", cases[i].what, SK_STR_ARGS(sk_buf_str(&buf)));
        sk_buf_free(&buf);
    }
}

static void the_longest_line_fits(void **state) {
    static char bytes[4096];
    struct access_log_entry entry = {.wall_ns = INT64_MIN,
                                     .duration_ns = INT64_MAX,
                                     .first_byte_ns = INT64_MAX,
                                     .sent_bytes = UINT64_MAX,
                                     .body_bytes = UINT64_MAX,
                                     .status = UINT16_MAX,
                                     .origin_status = UINT16_MAX,
                                     .hit = false,
                                     .stored = true,
                                     .collapsed = true,
                                     .aborted = true,
                                     .reason = HTTP_REASON_HIT_STALE_WHILE_REVALIDATE};
    (void)state;
    memset(bytes, 0xff, sizeof(bytes));
    entry.client_ip = entry.method = entry.host = entry.target = entry.user_agent = entry.referer =
        entry.site = entry.upstream = entry.error = sk_str_make(bytes, sizeof(bytes));
    static formatter *const formats[] = {access_format_json, access_format_common};
    for (size_t i = 0; i < SK_COUNT(formats); i++) { /* ASan says whether the reserve was enough */
        struct access_format_clock clock = {0};
        struct sk_buf buf;
        sk_buf_init(&buf, 0);
        assert_int_equal(formats[i](&clock, &entry, &buf), SK_OK);
        sk_buf_free(&buf);
    }
}

static void common_log_format(void **state) {
    struct access_log_entry entry = sample;
    (void)state;
    expect(access_format_common, &entry,
           "192.0.2.1 - - [02/Jan/2026:03:03:04 +0000] \"GET /a?b=1 HTTP/1.1\" 200 1000\n");
    entry.target = SK_STR("/\"\\\n\xe9");
    entry.body_bytes = 0;
    expect(access_format_common, &entry,
           "192.0.2.1 - - [02/Jan/2026:03:03:04 +0000] \"GET /\\\"\\\\\\x0a\\xe9 HTTP/1.1\" 200 -\n");
    entry.method = SK_STR("");
    entry.client_ip = SK_STR("");
    entry.status = 400;
    expect(access_format_common, &entry, "- - - [02/Jan/2026:03:03:04 +0000] \"-\" 400 -\n");
}

static void the_clock_follows_the_second(void **state) {
    struct access_format_clock clock = {0};
    struct access_log_entry entry = sample;
    struct sk_buf buf;
    (void)state;
    static const struct {
        int64_t wall_ns;
        const char *text;
    } cases[] = {
        {0, "\"1970-01-01T00:00:00.000Z\""},
        {999999999, "\"1970-01-01T00:00:00.999Z\""},
        {SK_NS_PER_S, "\"1970-01-01T00:00:01.000Z\""},
        {-1, "\"1969-12-31T23:59:59.999Z\""},
        {INT64_C(951782400) * SK_NS_PER_S, "\"2000-02-29T00:00:00.000Z\""},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        entry.wall_ns = cases[i].wall_ns;
        sk_buf_init(&buf, 0);
        assert_int_equal(access_format_json(&clock, &entry, &buf), SK_OK);
        assert_memory_equal(buf.data + 8, cases[i].text, strlen(cases[i].text));
        sk_buf_free(&buf);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_json_line_leaves_out_what_does_not_apply),
        cmocka_unit_test(a_full_json_line_has_every_key_of_the_table),
        cmocka_unit_test(json_is_valid_utf8_whatever_the_bytes),
        cmocka_unit_test(the_longest_line_fits),
        cmocka_unit_test(common_log_format),
        cmocka_unit_test(the_clock_follows_the_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
