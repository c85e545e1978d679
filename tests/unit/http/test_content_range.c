/* RFC 9110 sections 14.4, 15.3.7 and 8.8.2.2; RFC 9111 sections 3.3 and 3.4; what is asked of origins. */
#include <stdio.h>

#include "http/content_range.h"
#include "messages.h"

#define NOW INT64_C(784111777) /* Sun, 06 Nov 1994 08:49:37 GMT */
#define MODIFIED "Last-Modified: Sun, 06 Nov 1994 08:49:20 GMT\n"
#define JUST_NOW "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\n"
#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\n"
#define S HTTP_SLICE_BYTES

static void content_range(void **state) {
    static const struct {
        const char *name, *value;
        bool valid;
        struct http_content_range expected;
    } cases[] = {
        {"RFC 9110 14.4: a part", "bytes 42-1233/1234", true, {false, 42, 1233, 1234}},
        {"RFC 9110 14.4: of unknown length", "bytes 42-1233/*", true, {false, 42, 1233, HTTP_LENGTH_UNKNOWN}},
        {"RFC 9110 14.4: unsatisfied", "bytes */1234", true, {true, 0, 0, 1234}},
        {"RFC 9110 14.1: the unit is case-insensitive", "Bytes 0-0/1", true, {false, 0, 0, 1}},
        {"RFC 9110 14.4: an end before the start", "bytes 5-4/10", false, {0}},
        {"RFC 9110 14.4: an end at the length", "bytes 0-10/10", false, {0}},
        {"RFC 9110 14.4: unsatisfied of unknown length", "bytes */*", false, {0}},
        {"RFC 9110 14.1: another unit", "seconds 0-4/10", false, {0}},
        {"no slash", "bytes 0-4", false, {0}},
        {"no dash", "bytes 4/10", false, {0}},
        {"a suffix is no part", "bytes -4/10", false, {0}},
        {"an open end", "bytes 4-/10", false, {0}},
        {"no unit", "0-4/10", false, {0}},
        {"a sign", "bytes +0-4/10", false, {0}},
        {"over 64 bits", "bytes 0-4/99999999999999999999999", false, {0}},
        {"an equals sign, as in Range", "bytes=0-4/10", false, {0}},
        {"empty", "", false, {0}},
        {"more behind it", "bytes 0-4/10, 6-7/10", false, {0}},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_content_range range = {0};
        bool valid = http_content_range_parse(sk_str_from_c(cases[i].value), &range);
        if (valid != cases[i].valid) fail_msg("%s", cases[i].name);
        if (!valid) continue;
        assert_int_equal(range.unsatisfied, cases[i].expected.unsatisfied);
        assert_int_equal(range.length, cases[i].expected.length);
        if (range.unsatisfied) continue;
        assert_int_equal(range.first, cases[i].expected.first);
        assert_int_equal(range.last, cases[i].expected.last);
    }
}

static void one_part(void **state) {
    static const struct {
        const char *name, *lines;
        enum http_body_kind kind;
        uint64_t length;
        bool valid;
    } cases[] = {
        {"RFC 9110 15.3.7.1: one part", "Content-Range: bytes 0-4/10", HTTP_BODY_LENGTH, 5, true},
        {"RFC 9110 15.3.7.1: one part, in chunks", "Content-Range: bytes 0-4/10", HTTP_BODY_CHUNKED, 0, true},
        {"RFC 9110 15.3.7.2: several parts",
         "Content-Type: multipart/byteranges; boundary=b\nContent-Range: bytes 0-4/10", HTTP_BODY_LENGTH, 5,
         false},
        {"RFC 9110 15.3.7: no word of which part", "Content-Type: text/plain", HTTP_BODY_LENGTH, 5, false},
        {"RFC 9110 14.4: two words of it", "Content-Range: bytes 0-4/10\nContent-Range: bytes 0-4/10",
         HTTP_BODY_LENGTH, 5, false},
        {"RFC 9110 8.6: the lengths contradict each other", "Content-Range: bytes 0-4/10", HTTP_BODY_LENGTH,
         6, false},
        {"RFC 9110 15.3.7: unsatisfied is no part", "Content-Range: bytes */10", HTTP_BODY_LENGTH, 5, false},
        {"no content at all", "Content-Range: bytes 0-4/10", HTTP_BODY_NONE, 0, false},
    };
    struct sk_arena arena;
    sk_arena_init(&arena, 1024, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_response response = response_of(&arena, 206, cases[i].lines);
        struct http_content_range range;
        response.body_kind = cases[i].kind;
        response.content_length = cases[i].length;
        if (http_partial_parse(&response, &range) != cases[i].valid) fail_msg("%s", cases[i].name);
    }
    sk_arena_free(&arena);
}

static struct http_validators validators_of(struct sk_arena *arena, const char *lines) {
    struct http_fields fields = fields_of(arena, lines);
    struct http_validators validators;
    http_validators_of(&fields, NOW, &validators);
    return validators;
}

static void strong_validators(void **state) {
    static const struct {
        const char *name, *lines;
        bool strong;
    } cases[] = {
        {"RFC 9110 8.8.1: a strong entity-tag", "ETag: \"a\"\n", true},
        {"RFC 9110 8.8.1: a weak entity-tag", "ETag: W/\"a\"\n", false},
        {"RFC 9110 8.8.1: a weak entity-tag, whatever the date", "ETag: W/\"a\"\n" MODIFIED DATE, false},
        {"RFC 9110 8.8.2.2: a date at least a second old", MODIFIED DATE, true},
        {"RFC 9110 8.8.2.2: a date of this very second", JUST_NOW DATE, false},
        {"nothing", DATE, false},
    };
    struct sk_arena arena;
    sk_arena_init(&arena, 1024, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_validators validators = validators_of(&arena, cases[i].lines);
        if (http_validators_strong(&validators) != cases[i].strong) fail_msg("%s", cases[i].name);
    }
    sk_arena_free(&arena);
}

static void combining(void **state) {
    static const struct {
        const char *name, *stored, *fresh;
        bool combine;
    } cases[] = {
        {"RFC 9110 15.3.7.3: the same strong entity-tag", "ETag: \"a\"\n", "ETag: \"a\"\n", true},
        {"RFC 9110 15.3.7.3: another one", "ETag: \"a\"\n", "ETag: \"b\"\n", false},
        {"RFC 9110 15.3.7.3: the same weak one", "ETag: W/\"a\"\n", "ETag: W/\"a\"\n", false},
        {"RFC 9110 15.3.7.3: a weak one against a strong", "ETag: \"a\"\n", "ETag: W/\"a\"\n", false},
        {"RFC 9110 15.3.7.3: none any more", "ETag: \"a\"\n", DATE, false},
        {"RFC 9110 15.3.7.3: a date is not enough where there was a tag", "ETag: \"a\"\n" MODIFIED DATE,
         MODIFIED DATE, false},
        {"RFC 9110 15.3.7.3: the same strong date", MODIFIED DATE, MODIFIED DATE, true},
        {"RFC 9110 15.3.7.3: another date", MODIFIED DATE, JUST_NOW DATE, false},
        {"RFC 9110 15.3.7.3: the same weak date", JUST_NOW DATE, JUST_NOW DATE, false},
        {"RFC 9111 3.4: no validator", DATE, DATE, false},
    };
    struct sk_arena arena;
    sk_arena_init(&arena, 1024, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_validators stored = validators_of(&arena, cases[i].stored);
        struct http_validators fresh = validators_of(&arena, cases[i].fresh);
        if (http_validators_combine(&stored, &fresh) != cases[i].combine) fail_msg("%s", cases[i].name);
    }
    sk_arena_free(&arena);
}

static void if_range_value(void **state) {
    struct sk_arena arena;
    sk_arena_init(&arena, 1024, 0);
    struct http_validators tag = validators_of(&arena, "ETag: \"a\"\n" MODIFIED DATE);
    struct http_validators date = validators_of(&arena, MODIFIED DATE),
                           weak = validators_of(&arena, "ETag: W/\"a\"");
    assert_str(http_if_range_value(&tag, SK_STR("then")), SK_STR("\"a\""));
    assert_str(http_if_range_value(&date, SK_STR("then")), SK_STR("then"));
    assert_null(http_if_range_value(&weak, SK_STR("then")).data);
    sk_arena_free(&arena);
}

static void wishes(void **state) {
    static const struct {
        const char *name, *request, *expected;
    } cases[] = {
        {"no Range", NULL, "whole"},
        {"RFC 9110 14.2: another unit", "Range: lines=0-4", "whole"},
        {"RFC 9110 14.2: malformed", "Range: bytes=4-2", "whole"},
        {"widened to slices", "Range: bytes=100-199", "bytes=0-262143"},
        {"over a border", "Range: bytes=262143-262144", "bytes=0-524287"},
        {"the second slice", "Range: bytes=262144-262144", "bytes=262144-524287"},
        {"an open end asks for a run", "Range: bytes=0-", "bytes=0-16777215"},
        {"a far end asks for a run", "Range: bytes=300000-99999999999", "bytes=262144-17039359"},
        {"only the first of several", "Range: bytes=0-1,900000-900001", "bytes=0-262143"},
        {"a suffix and a slice", "Range: bytes=-500", "bytes=-262644"},
        {"numbers over 64 bits", "Range: bytes=99999999999999999999999-",
         "bytes=18446744073709289472-18446744073709551615"},
        {"a suffix over 64 bits", "Range: bytes=-99999999999999999999999", "bytes=-18446744073709551615"},
    };
    struct sk_arena arena;
    sk_arena_init(&arena, 1024, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_request request = get_request(&arena, cases[i].request);
        struct http_range_wish wish = http_range_wish_of(&request);
        char text[HTTP_RANGE_WISH_BYTES];
        sk_str got = wish.wanted ? sk_str_make(text, http_range_wish_format(&wish, text)) : SK_STR("whole");
        if (!sk_str_eq(got, sk_str_from_c(cases[i].expected)))
            fail_msg("%s: %.*s", cases[i].name, SK_STR_ARGS(got));
    }
    sk_arena_free(&arena);
}

static void the_slice_that_answers(void **state) {
    static const struct {
        const char *name, *request;
        struct http_content_range part;
        int64_t slice; /* -1: none */
    } cases[] = {
        {"as asked", "Range: bytes=100-199", {false, 0, S - 1, 4 * S}, 0},
        {"a later one", "Range: bytes=524300-", {false, 2 * S, 4 * S - 1, 4 * S}, 2},
        {"more than asked, from before it", "Range: bytes=524300-", {false, 5, 4 * S - 1, 4 * S}, 2},
        {"begins behind the slice's beginning", "Range: bytes=100-199", {false, 1, S - 1, 4 * S}, -1},
        {"ends before it", "Range: bytes=524300-", {false, 0, S - 1, 4 * S}, -1},
        {"the last bytes", "Range: bytes=-500", {false, 3 * S - 1000, 4 * S - 1, 4 * S}, 3},
        {"the last bytes, of which too few came",
         "Range: bytes=-500",
         {false, 4 * S - 500, 4 * S - 1, 4 * S},
         -1},
        {"a suffix longer than all", "Range: bytes=-99999999", {false, 0, 4 * S - 1, 4 * S}, 0},
        {"ends within it", "Range: bytes=100-199", {false, 0, S - 2, 4 * S}, -1},
        {"a short last one", "Range: bytes=786440-", {false, 3 * S, 3 * S + 99, 3 * S + 100}, 3},
        {"beyond the end", "Range: bytes=1048576-", {false, 0, 4 * S - 1, 4 * S}, -1},
        {"of unknown length", "Range: bytes=0-", {false, 0, S - 1, HTTP_LENGTH_UNKNOWN}, -1},
    };
    struct sk_arena arena;
    sk_arena_init(&arena, 1024, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_request request = get_request(&arena, cases[i].request);
        uint64_t slice = 0;
        bool found = http_wish_slice(&request, &cases[i].part, &slice);
        if (found != (cases[i].slice >= 0) || (found && slice != (uint64_t)cases[i].slice))
            fail_msg("%s", cases[i].name);
    }
    sk_arena_free(&arena);
}

static void slices(void **state) {
    assert_int_equal(http_slice_of(0), 0);
    assert_int_equal(http_slice_of(S - 1), 0);
    assert_int_equal(http_slice_of(S), 1);
    assert_int_equal(http_slice_bytes(0, 10), 10);
    assert_int_equal(http_slice_bytes(0, S), S);
    assert_int_equal(http_slice_bytes(1, S), 0);
    assert_int_equal(http_slice_bytes(1, S + 1), 1);
    assert_int_equal(http_slice_bytes(7, UINT64_C(8) * S), S);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_range),          cmocka_unit_test(one_part),
        cmocka_unit_test(strong_validators),      cmocka_unit_test(combining),
        cmocka_unit_test(if_range_value),         cmocka_unit_test(wishes),
        cmocka_unit_test(the_slice_that_answers), cmocka_unit_test(slices),
    };
    return SK_RUN_TESTS(tests);
}
