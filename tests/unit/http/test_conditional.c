#include "http/conditional.h"

#include "messages.h"

#define S(text) SK_STR_INIT(text)
#define NOW INT64_C(784111777)                               /* Sun, 06 Nov 1994 08:49:37 GMT */
#define AT(seconds) "Sun, 06 Nov 1994 08:49:" seconds " GMT" /* "37" is NOW */

static void entity_tags(void **state) {
    static const struct {
        const char *name;
        sk_str text;
        bool valid, weak;
    } cases[] = {
        {"RFC 9110 8.8.3: strong", S("\"a\""), true, false},
        {"RFC 9110 8.8.3: weak", S("W/\"a\""), true, true},
        {"RFC 9110 8.8.3: empty", S("\"\""), true, false},
        {"RFC 9110 8.8.3: bytes over 0x7f", S("\"\xc3\xbc\""), true, false},
        {"RFC 9110 8.8.3: a backslash means itself", S("\"a\\\""), true, false},
        {"RFC 9110 8.8.3: a comma", S("\"a,b\""), true, false},
        {"RFC 9110 8.8.3: W is case-sensitive", S("w/\"a\""), false, false},
        {"no slash", S("W\"a\""), false, false},
        {"no quotes", S("a"), false, false},
        {"one quote", S("\""), false, false},
        {"an open quote", S("\"a"), false, false},
        {"a quote inside", S("\"a\"b\""), false, false},
        {"a space inside", S("\"a b\""), false, false},
        {"DEL", S("\"\x7f\""), false, false},
        {"empty text", S(""), false, false},
        {"more behind it", S("\"a\"x"), false, false},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_etag tag;
        if (http_etag_parse(cases[i].text, &tag) != cases[i].valid) fail_msg("%s", cases[i].name);
        assert_int_equal(tag.opaque.data != NULL, cases[i].valid);
        assert_int_equal(tag.weak, cases[i].weak);
    }
}

/* RFC 9110 8.8.3.2, the table. */
static void comparison_of_entity_tags(void **state) {
    static const struct {
        sk_str a, b;
        bool strong, weak;
    } cases[] = {
        {S("W/\"1\""), S("W/\"1\""), false, true}, {S("W/\"1\""), S("W/\"2\""), false, false},
        {S("W/\"1\""), S("\"1\""), false, true},   {S("\"1\""), S("\"1\""), true, true},
        {S("\"1\""), S("x"), false, false},        {S("x"), S("x"), false, false},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_etag a, b;
        http_etag_parse(cases[i].a, &a);
        http_etag_parse(cases[i].b, &b);
        assert_int_equal(http_etag_strong_match(a, b), cases[i].strong);
        assert_int_equal(http_etag_strong_match(b, a), cases[i].strong);
        assert_int_equal(http_etag_weak_match(a, b), cases[i].weak);
    }
}

static struct http_validators validators(struct sk_arena *arena, const char *lines) {
    struct http_validators out;
    struct http_fields fields = fields_of(arena, lines);
    http_validators_of(&fields, NOW, &out);
    return out;
}

#define STRONG "ETag: \"a\"\nLast-Modified: " AT("20") "\nDate: " AT("30")
#define WEAK "ETag: W/\"a\"\nLast-Modified: " AT("20") "\nDate: " AT("30")
#define NO_TAG "Last-Modified: " AT("20") "\nDate: " AT("30")
#define NOTHING "Date: " AT("30")

static void preconditions(void **state) {
    enum {
        PASS = HTTP_PRECONDITION_PASS,
        SAME = HTTP_PRECONDITION_NOT_MODIFIED,
        FAIL = HTTP_PRECONDITION_FAILED
    };
    static const struct {
        const char *name;
        const char *stored, *request;
        int expected;
    } cases[] = {
        {"none", STRONG, NULL, PASS},
        {"RFC 9110 13.1.2: a match", STRONG, "If-None-Match: \"a\"", SAME},
        {"RFC 9110 13.1.2: no match", STRONG, "If-None-Match: \"b\"", PASS},
        {"RFC 9110 13.1.2: weak comparison", WEAK, "If-None-Match: \"a\"", SAME},
        {"RFC 9110 13.1.2: weak in the request", STRONG, "If-None-Match: W/\"a\"", SAME},
        {"RFC 9110 13.1.2: first of a list", STRONG, "If-None-Match: \"a\", \"b\"", SAME},
        {"RFC 9110 13.1.2: last of a list", STRONG, "If-None-Match: \"b\" ,\"c\",W/\"a\"", SAME},
        {"RFC 9110 13.1.2: in a second line", STRONG, "If-None-Match: \"b\"\nIf-None-Match: \"a\"", SAME},
        {"RFC 9110 13.1.2: a comma in a tag", STRONG, "If-None-Match: \"b,\", \"a\"", SAME},
        {"RFC 9110 13.1.2: a backslash ends no tag", STRONG, "If-None-Match: \"b\\\", \"a\"", SAME},
        {"RFC 9110 13.1.2: any", STRONG, "If-None-Match: *", SAME},
        {"RFC 9110 13.1.2: any, where there is no tag", NOTHING, "If-None-Match: *", SAME},
        {"RFC 9110 13.1.2: a tag where there is none", NO_TAG, "If-None-Match: \"a\"", PASS},
        {"RFC 9110 13.1.2: no tag at all", STRONG, "If-None-Match: a", PASS},
        {"RFC 9110 13.1.3: If-None-Match hides If-Modified-Since", STRONG,
         "If-None-Match: \"b\"\nIf-Modified-Since: " AT("37"), PASS},
        {"RFC 9110 13.1.3: and the other way round", STRONG,
         "If-None-Match: \"a\"\nIf-Modified-Since: " AT("00"), SAME},
        {"RFC 9110 13.1.3: the same date", STRONG, "If-Modified-Since: " AT("20"), SAME},
        {"RFC 9110 13.1.3: a later date", STRONG, "If-Modified-Since: " AT("21"), SAME},
        {"RFC 9110 13.1.3: an earlier date", STRONG, "If-Modified-Since: " AT("19"), PASS},
        {"RFC 9110 13.1.3: RFC 850 form", STRONG, "If-Modified-Since: Sunday, 06-Nov-94 08:49:20 GMT", SAME},
        {"RFC 9110 13.1.3: no date", STRONG, "If-Modified-Since: yesterday", PASS},
        {"RFC 9110 13.1.3: two lines", STRONG,
         "If-Modified-Since: " AT("20") "\nIf-Modified-Since: " AT("20"), PASS},
        {"RFC 9111 4.3.2: Date where there is no Last-Modified", NOTHING, "If-Modified-Since: " AT("30"),
         SAME},
        {"RFC 9111 4.3.2: before that Date", NOTHING, "If-Modified-Since: " AT("29"), PASS},
        {"RFC 9111 4.3.2: the time of receipt where there is none", "A: b", "If-Modified-Since: " AT("36"),
         PASS},
        {"RFC 9110 13.1.1: If-Match", STRONG, "If-Match: \"b\", \"a\"", PASS},
        {"RFC 9110 13.1.1: no match", STRONG, "If-Match: \"b\"", FAIL},
        {"RFC 9110 13.1.1: strong comparison", WEAK, "If-Match: W/\"a\"", FAIL},
        {"RFC 9110 13.1.1: any", NOTHING, "If-Match: *", PASS},
        {"RFC 9110 13.1.4: If-Unmodified-Since", STRONG, "If-Unmodified-Since: " AT("20"), PASS},
        {"RFC 9110 13.1.4: modified since", STRONG, "If-Unmodified-Since: " AT("19"), FAIL},
        {"RFC 9110 13.1.4: no date", STRONG, "If-Unmodified-Since: x", PASS},
        {"RFC 9110 13.1.4: If-Match hides it", STRONG, "If-Match: \"a\"\nIf-Unmodified-Since: " AT("19"),
         PASS},
        {"RFC 9110 13.2.2: If-Match comes first", STRONG, "If-Match: \"b\"\nIf-None-Match: \"a\"", FAIL},
        {"RFC 9110 13.2.2: then If-None-Match", STRONG, "If-Match: \"a\"\nIf-None-Match: \"a\"", SAME},
    };
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_request request = get_request(&arena, cases[i].request);
        struct http_validators stored = validators(&arena, cases[i].stored);
        int got = (int)http_precondition_evaluate(&request, &stored, NOW);
        if (got != cases[i].expected) fail_msg("%s: %d", cases[i].name, got);
        assert_int_equal(http_request_is_conditional(&request), cases[i].request != NULL);
        request.method = HTTP_METHOD_HEAD;
        assert_int_equal(http_precondition_evaluate(&request, &stored, NOW), cases[i].expected);
        request.method = HTTP_METHOD_POST; /* RFC 9110 13.2.1: not ours to judge */
        assert_int_equal(http_precondition_evaluate(&request, &stored, NOW), PASS);
    }
    sk_arena_free(&arena);
}

static void validators_that_are_none_count_for_nothing(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    struct http_validators v = validators(&arena, "ETag: a\nLast-Modified: x\nDate: y");
    assert_null(v.etag.opaque.data);
    assert_false(v.has_last_modified);
    assert_int_equal(v.date, NOW);
    v = validators(&arena, STRONG);
    assert_str(v.etag.opaque, SK_STR("\"a\""));
    assert_int_equal(v.last_modified, NOW - 17);
    assert_int_equal(v.date, NOW - 7);
    sk_arena_free(&arena);
}

/* RFC 9111 4.3.4. */
static void which_stored_response_a_304_means(void **state) {
    static const struct {
        const char *name, *stored, *of_304;
        bool means;
    } cases[] = {
        {"RFC 9111 4.3.4: the same strong tag", "ETag: \"a\"", "ETag: \"a\"", true},
        {"RFC 9111 4.3.4: another strong tag", "ETag: \"a\"", "ETag: \"b\"", false},
        {"RFC 9111 4.3.4: a strong tag where a weak one is stored", "ETag: W/\"a\"", "ETag: \"a\"", false},
        {"RFC 9111 4.3.4: a strong tag where none is stored", "Last-Modified: " AT("20"), "ETag: \"a\"",
         false},
        {"RFC 9111 4.3.4: a weak tag and a strong one stored", "ETag: \"a\"", "ETag: W/\"a\"", true},
        {"RFC 9111 4.3.4: the same weak tag", "ETag: W/\"a\"", "ETag: W/\"a\"", true},
        {"RFC 9111 4.3.4: another weak tag", "ETag: W/\"a\"", "ETag: W/\"b\"", false},
        {"RFC 9111 4.3.4: the same date", "Last-Modified: " AT("20"), "Last-Modified: " AT("20"), true},
        {"RFC 9111 4.3.4: another date", "Last-Modified: " AT("20"), "Last-Modified: " AT("21"), false},
        {"RFC 9111 4.3.4: the tag decides, not the date", "ETag: \"a\"\nLast-Modified: " AT("20"),
         "ETag: \"a\"\nLast-Modified: " AT("21"), true},
        {"RFC 9111 4.3.4: no validator, and one response was asked about", "ETag: \"a\"", "A: b", true},
        {"a date where none is stored", "ETag: \"a\"", "Last-Modified: " AT("20"), true},
        {"a tag that is none counts for nothing", "ETag: \"a\"", "ETag: b", true},
    };
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_validators stored = validators(&arena, cases[i].stored);
        struct http_validators of_304 = validators(&arena, cases[i].of_304);
        if (http_not_modified_means(&of_304, &stored) != cases[i].means) fail_msg("%s", cases[i].name);
    }
    sk_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entity_tags),
        cmocka_unit_test(comparison_of_entity_tags),
        cmocka_unit_test(preconditions),
        cmocka_unit_test(validators_that_are_none_count_for_nothing),
        cmocka_unit_test(which_stored_response_a_304_means),
    };
    return SK_RUN_TESTS(tests);
}
