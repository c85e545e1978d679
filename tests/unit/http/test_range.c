/* RFC 9110 section 14 and If-Range of section 13.1.5. */
#include <stdio.h>

#include "http/conditional.h"
#include "messages.h"

#define NOW INT64_C(784111777)
#define AT(seconds) "Sun, 06 Nov 1994 08:49:" seconds " GMT"

/* "whole", "416", or "0-4,7-9" */
static const char *text_of(const struct http_range_answer *answer, char *out, size_t size) {
    size_t len = 0;
    if (answer->kind == HTTP_RANGE_WHOLE) return "whole";
    if (answer->kind == HTTP_RANGE_UNSATISFIABLE) return "416";
    for (uint32_t i = 0; i < answer->count; i++) {
        len += (size_t)snprintf(out + len, size - len, "%s%llu-%llu", i ? "," : "",
                                (unsigned long long)answer->ranges[i].first,
                                (unsigned long long)answer->ranges[i].last);
    }
    return out;
}

static const char *ask(struct sk_arena *arena, const char *request_lines, const char *stored_lines,
                       uint64_t length, char *out, size_t size) {
    struct http_request request = get_request(arena, request_lines);
    struct http_fields stored = fields_of(arena, stored_lines);
    struct http_validators validators;
    http_validators_of(&stored, NOW, &validators);
    struct http_range_answer answer = http_range_evaluate(&request, &validators, length);
    return text_of(&answer, out, size);
}

static void ranges(void **state) {
    static const struct {
        const char *name, *request;
        uint64_t length;
        const char *expected;
    } cases[] = {
        {"no Range", NULL, 10, "whole"},
        {"RFC 9110 14.1.2: first and last", "Range: bytes=0-4", 10, "0-4"},
        {"RFC 9110 14.1.2: one byte", "Range: bytes=9-9", 10, "9-9"},
        {"RFC 9110 14.1.2: to the end", "Range: bytes=3-", 10, "3-9"},
        {"RFC 9110 14.1.2: the whole as a range", "Range: bytes=0-", 10, "0-9"},
        {"RFC 9110 14.1.2: the last bytes", "Range: bytes=-3", 10, "7-9"},
        {"RFC 9110 14.1.2: a suffix longer than all", "Range: bytes=-30", 10, "0-9"},
        {"RFC 9110 14.1.2: a last position beyond the end", "Range: bytes=8-99", 10, "8-9"},
        {"RFC 9110 14.1: the unit is case-insensitive", "Range: Bytes=0-4", 10, "0-4"},
        {"RFC 9110 14.1.2: several", "Range: bytes=0-1,4-5,-2", 10, "0-1,4-5,8-9"},
        {"RFC 9110 14.1.2: in the order asked", "Range: bytes=8-9,0-1", 10, "8-9,0-1"},
        {"RFC 9110 5.6.1: space and empty elements", "Range: bytes= , 0-1 ,, 4-5", 10, "0-1,4-5"},
        {"RFC 9110 14.2: overlapping are joined", "Range: bytes=0-4,2-6", 10, "0-6"},
        {"RFC 9110 14.2: touching are joined", "Range: bytes=0-4,5-6", 10, "0-6"},
        {"RFC 9110 14.2: one joins two", "Range: bytes=0-1,8-9,4-5,1-8", 10, "0-9"},
        {"RFC 9110 14.2: the place of the first is kept", "Range: bytes=8-9,0-1,3-3,2-2", 10, "8-9,0-3"},
        {"RFC 9110 14.1.2: unsatisfiable ones are left out", "Range: bytes=0-1,50-60,-0", 10, "0-1"},
        {"RFC 9110 15.5.17: beyond the end", "Range: bytes=10-", 10, "416"},
        {"RFC 9110 15.5.17: a suffix of nothing", "Range: bytes=-0", 10, "416"},
        {"RFC 9110 15.5.17: none is satisfiable", "Range: bytes=10-11,20-,-0", 10, "416"},
        {"an empty representation has no ranges", "Range: bytes=0-", 0, "whole"},
        {"numbers over 64 bits", "Range: bytes=0-99999999999999999999999", 10, "0-9"},
        {"a first position over 64 bits", "Range: bytes=99999999999999999999999-", 10, "416"},
        {"a suffix over 64 bits", "Range: bytes=-99999999999999999999999", 10, "0-9"},
        {"the greatest length", "Range: bytes=18446744073709551613-,0-0", UINT64_MAX,
         "18446744073709551613-18446744073709551614,0-0"},
        {"RFC 9110 14.1.1: last before first makes the set invalid", "Range: bytes=0-1,5-4", 10, "whole"},
        {"RFC 9110 14.2: another unit is ignored", "Range: items=0-4", 10, "whole"},
        {"no unit", "Range: 0-4", 10, "whole"},
        {"nothing after the unit", "Range: bytes=", 10, "whole"},
        {"commas alone", "Range: bytes=,,", 10, "whole"},
        {"a dash alone", "Range: bytes=-", 10, "whole"},
        {"a word", "Range: bytes=a-b", 10, "whole"},
        {"a sign", "Range: bytes=+1-4", 10, "whole"},
        {"space inside", "Range: bytes=0 - 4", 10, "whole"},
        {"space before the equals sign", "Range: bytes =0-4", 10, "whole"},
        {"two dashes", "Range: bytes=0-4-5", 10, "whole"},
        {"a good and a bad one", "Range: bytes=0-1,x", 10, "whole"},
        {"two lines", "Range: bytes=0-1\nRange: bytes=4-5", 10, "whole"},
        {"RFC 9110 14.2: at the limit of ranges",
         "Range: bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,24-24,26-26,28-28,30-30",
         99, "0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,24-24,26-26,28-28,30-30"},
        {"RFC 9110 14.2: too many are ignored",
         "Range: bytes=0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-", 99, "whole"},
    };
    struct sk_arena arena;
    char out[512];
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        const char *got = ask(&arena, cases[i].request, NULL, cases[i].length, out, sizeof(out));
        if (strcmp(got, cases[i].expected) != 0) fail_msg("%s: %s", cases[i].name, got);
    }
    sk_arena_free(&arena);
}

static void if_range(void **state) {
    static const struct {
        const char *name, *if_range, *stored;
        bool partial;
    } cases[] = {
        {"RFC 9110 13.1.5: the same strong tag", "\"a\"", "ETag: \"a\"", true},
        {"RFC 9110 13.1.5: another tag", "\"b\"", "ETag: \"a\"", false},
        {"RFC 9110 13.1.5: a weak tag stored", "\"a\"", "ETag: W/\"a\"", false},
        {"RFC 9110 13.1.5: a weak tag asked", "W/\"a\"", "ETag: \"a\"", false},
        {"RFC 9110 13.1.5: weak on both sides", "W/\"a\"", "ETag: W/\"a\"", false},
        {"RFC 9110 13.1.5: no tag stored", "\"a\"", NULL, false},
        {"RFC 9110 13.1.5: the same strong date", AT("20"), "Last-Modified: " AT("20") "\nDate: " AT("30"),
         true},
        {"RFC 9110 13.1.5: a later date is not exact", AT("21"),
         "Last-Modified: " AT("20") "\nDate: " AT("30"), false},
        {"RFC 9110 13.1.5: an earlier date", AT("19"), "Last-Modified: " AT("20") "\nDate: " AT("30"), false},
        {"RFC 9110 8.8.2.2: made in the same second: weak", AT("20"),
         "Last-Modified: " AT("20") "\nDate: " AT("20"), false},
        {"RFC 9110 8.8.2.2: a second later: strong", AT("20"), "Last-Modified: " AT("20") "\nDate: " AT("21"),
         true},
        {"RFC 9110 13.1.5: a date where none is stored", AT("20"), "ETag: \"a\"", false},
        {"neither tag nor date", "a", "ETag: \"a\"", false},
        {"a list is neither", "\"a\", \"b\"", "ETag: \"a\"", false},
    };
    struct sk_arena arena;
    char out[64];
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        sk_str lines = sk_arena_printf(&arena, "Range: bytes=0-4\nIf-Range: %s", cases[i].if_range);
        const char *got = ask(&arena, lines.data, cases[i].stored, 10, out, sizeof(out));
        if (strcmp(got, cases[i].partial ? "0-4" : "whole") != 0) fail_msg("%s: %s", cases[i].name, got);
    }
    sk_arena_free(&arena);
}

/* RFC 9110 14.2: Range is defined for GET alone. */
static void only_get_has_ranges(void **state) {
    struct sk_arena arena;
    struct http_validators none = {0};
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    struct http_request request = get_request(&arena, "Range: bytes=0-4");
    request.method = HTTP_METHOD_HEAD;
    assert_int_equal(http_range_evaluate(&request, &none, 10).kind, HTTP_RANGE_WHOLE);
    request.method = HTTP_METHOD_POST;
    assert_int_equal(http_range_evaluate(&request, &none, 10).kind, HTTP_RANGE_WHOLE);
    sk_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges),
        cmocka_unit_test(if_range),
        cmocka_unit_test(only_get_has_ranges),
    };
    return SK_RUN_TESTS(tests);
}
