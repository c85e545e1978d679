#include "http/structured.h"

#include "unit.h"

static struct sk_arena arena;
static int set_up(void **state) {
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    return 0;
}
static int tear_down(void **state) {
    (void)state;
    sk_arena_free(&arena);
    return 0;
}

static void items(void **state) {
    static const struct {
        const char *text;
        sk_err err;
        enum http_sf_type type;
        int64_t number;
        const char *string;
    } cases[] = {
        {"42", SK_OK, HTTP_SF_INTEGER, 42, NULL},
        {" -0 ", SK_OK, HTTP_SF_INTEGER, 0, NULL},
        {"999999999999999", SK_OK, HTTP_SF_INTEGER, 999999999999999, NULL},
        {"9999999999999999", SK_ERR_MALFORMED, 0, 0, NULL},
        {"-", SK_ERR_MALFORMED, 0, 0, NULL},
        {"--1", SK_ERR_MALFORMED, 0, 0, NULL},
        {"+1", SK_ERR_MALFORMED, 0, 0, NULL},
        {"1.5", SK_OK, HTTP_SF_DECIMAL, 1500, NULL},
        {"-1.025", SK_OK, HTTP_SF_DECIMAL, -1025, NULL},
        {"1.", SK_ERR_MALFORMED, 0, 0, NULL},
        {"1.2345", SK_ERR_MALFORMED, 0, 0, NULL},
        {"1234567890123.1", SK_ERR_MALFORMED, 0, 0, NULL},
        {"\"a b\"", SK_OK, HTTP_SF_STRING, 0, "a b"},
        {"\"a\\\"b\\\\\"", SK_OK, HTTP_SF_STRING, 0, "a\"b\\"},
        {"\"a\\n\"", SK_ERR_MALFORMED, 0, 0, NULL},
        {"\"open", SK_ERR_MALFORMED, 0, 0, NULL},
        {"\"\x7f\"", SK_ERR_MALFORMED, 0, 0, NULL},
        {"a/b:c*", SK_OK, HTTP_SF_TOKEN, 0, "a/b:c*"},
        {"*x", SK_OK, HTTP_SF_TOKEN, 0, "*x"},
        {":aGVsbG8=:", SK_OK, HTTP_SF_BYTES, 0, "hello"},
        {":aGVsbG8:", SK_OK, HTTP_SF_BYTES, 0, "hello"},
        {"::", SK_OK, HTTP_SF_BYTES, 0, ""},
        {":aGVsbG8", SK_ERR_MALFORMED, 0, 0, NULL},
        {":a:", SK_ERR_MALFORMED, 0, 0, NULL},
        {":a_b=:", SK_ERR_MALFORMED, 0, 0, NULL},
        {"?1", SK_OK, HTTP_SF_BOOLEAN, 1, NULL},
        {"?0", SK_OK, HTTP_SF_BOOLEAN, 0, NULL},
        {"?2", SK_ERR_MALFORMED, 0, 0, NULL},
        {"@1659578233", SK_OK, HTTP_SF_DATE, 1659578233, NULL},
        {"@1.5", SK_ERR_MALFORMED, 0, 0, NULL},
        {"%\"f%c3%bc\"", SK_OK, HTTP_SF_DISPLAY_STRING, 0, "f\xc3\xbc"},
        {"%\"f%C3%BC\"", SK_ERR_MALFORMED, 0, 0, NULL},
        {"%\"%c3\"", SK_ERR_MALFORMED, 0, 0, NULL},
        {"%\"%ed%a0%80\"", SK_ERR_MALFORMED, 0, 0, NULL},
        {"", SK_ERR_MALFORMED, 0, 0, NULL},
        {"a b", SK_ERR_MALFORMED, 0, 0, NULL},
        {"a,b", SK_ERR_MALFORMED, 0, 0, NULL},
        {"(a)", SK_ERR_MALFORMED, 0, 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_sf_member item;
        sk_err err = http_sf_parse_item(&arena, sk_str_from_c(cases[i].text), &item);
        if (err != cases[i].err) fail_msg("%s: %s", cases[i].text, sk_err_text(err));
        if (err) continue;
        if (item.value.type != cases[i].type) fail_msg("%s: type %d", cases[i].text, item.value.type);
        if (cases[i].string)
            assert_str(item.value.text, sk_str_from_c(cases[i].string));
        else
            assert_true(item.value.number == cases[i].number);
    }
}

static void parameters_and_lists(void **state) {
    struct http_sf_member *members;
    uint32_t count;
    (void)state;
    assert_ok(http_sf_parse_list(&arena, SK_STR("a;q=0.5;x , (\"b\" c;y);z=?0,\t3"), &members, &count));
    assert_int_equal(count, 3);
    assert_int_equal(http_sf_param(&members[0], SK_STR("q"))->number, 500);
    assert_int_equal(http_sf_param(&members[0], SK_STR("x"))->number, 1);
    assert_null(http_sf_param(&members[0], SK_STR("y")));
    assert_int_equal(members[1].value.type, HTTP_SF_INNER_LIST);
    assert_int_equal(members[1].value.member_count, 2);
    assert_str(members[1].value.members[1].value.text, SK_STR("c"));
    assert_non_null(http_sf_param(&members[1].value.members[1], SK_STR("y")));
    assert_int_equal(http_sf_param(&members[1], SK_STR("z"))->number, 0);
    assert_int_equal(members[2].value.number, 3);
    assert_ok(http_sf_parse_list(&arena, SK_STR("  "), &members, &count));
    assert_int_equal(count, 0);
}

static void dictionaries(void **state) {
    struct http_sf_member *members;
    uint32_t count;
    (void)state;
    assert_ok(http_sf_parse_dictionary(&arena, SK_STR("max-age=60, a, b;p=1, c=(1 2), max-age=7"), &members,
                                       &count));
    assert_int_equal(count, 4);
    /* RFC 9651 3.2: the last one counts. */
    assert_int_equal(http_sf_find(members, count, SK_STR("max-age"))->value.number, 7);
    assert_int_equal(http_sf_find(members, count, SK_STR("a"))->value.number, 1);
    assert_int_equal(http_sf_param(http_sf_find(members, count, SK_STR("b")), SK_STR("p"))->number, 1);
    assert_int_equal(http_sf_find(members, count, SK_STR("c"))->value.member_count, 2);
    assert_null(http_sf_find(members, count, SK_STR("d")));
}

static void malformed_lists_and_dictionaries(void **state) {
    static const char *const lists[] = {"a,",       ",a", "a b",   "(a",   "(a(b))",
                                        "(a\"b\")", "a;", "a;A=1", "a;=1", "a, ,b"};
    static const char *const dictionaries[] = {"A=1", "a=", "a=1,", "a==1", "1=a", "a=1 b=2", "a =1"};
    struct http_sf_member *members;
    uint32_t count;
    (void)state;
    for (size_t i = 0; i < SK_COUNT(lists); i++)
        if (http_sf_parse_list(&arena, sk_str_from_c(lists[i]), &members, &count) != SK_ERR_MALFORMED)
            fail_msg("%s", lists[i]);
    for (size_t i = 0; i < SK_COUNT(dictionaries); i++)
        if (http_sf_parse_dictionary(&arena, sk_str_from_c(dictionaries[i]), &members, &count) !=
            SK_ERR_MALFORMED)
            fail_msg("%s", dictionaries[i]);
}

static void members_are_bounded(void **state) {
    static char text[4 * HTTP_SF_MEMBERS_MAX];
    struct http_sf_member *members;
    uint32_t count;
    (void)state;
    for (size_t i = 0; i < sizeof text; i += 2) memcpy(text + i, "1,", 2);
    assert_ok(http_sf_parse_list(&arena, sk_str_make(text, 2 * HTTP_SF_MEMBERS_MAX - 1), &members, &count));
    assert_int_equal(count, HTTP_SF_MEMBERS_MAX);
    assert_err(http_sf_parse_list(&arena, sk_str_make(text, 2 * HTTP_SF_MEMBERS_MAX + 1), &members, &count),
               SK_ERR_TOO_LARGE);
    struct sk_arena small;
    sk_arena_init(&small, 64, 200);
    assert_err(http_sf_parse_list(&small, sk_str_make(text, 99), &members, &count), SK_ERR_NO_MEMORY);
    sk_arena_free(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(items, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parameters_and_lists, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dictionaries, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed_lists_and_dictionaries, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_are_bounded, set_up, tear_down),
    };
    return SK_RUN_TESTS(tests);
}
