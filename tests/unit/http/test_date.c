#include "http/date.h"

#include <stdio.h>
#include <time.h>

#include "unit.h"

#define S(text) SK_STR_INIT(text)
#define NOW INT64_C(1700000000) /* Tue, 14 Nov 2023 22:13:20 GMT */

static void reading(void **state) {
    static const struct {
        const char *name;
        sk_str text;
        bool valid;
        sk_unix_s time;
    } cases[] = {
        {"RFC 9110 5.6.7: IMF-fixdate", S("Sun, 06 Nov 1994 08:49:37 GMT"), true, 784111777},
        {"RFC 9110 5.6.7: RFC 850", S("Sunday, 06-Nov-94 08:49:37 GMT"), true, 784111777},
        {"RFC 9110 5.6.7: asctime", S("Sun Nov  6 08:49:37 1994"), true, 784111777},
        {"RFC 9110 5.6.7: asctime, two digits", S("Wed Nov 16 08:49:37 1994"), true, 784975777},
        {"RFC 9110 5.6.7: asctime, a leading zero", S("Sun Nov 06 08:49:37 1994"), true, 784111777},
        {"RFC 9111 4.2: any case", S("SUN, 06 nov 1994 08:49:37 gmt"), true, 784111777},
        {"RFC 9111 4.2: any case, RFC 850", S("sunday, 06-NOV-94 08:49:37 Gmt"), true, 784111777},
        {"RFC 9110 5.6.7: a wrong weekday is redundant", S("Mon, 06 Nov 1994 08:49:37 GMT"), true, 784111777},
        {"the epoch", S("Thu, 01 Jan 1970 00:00:00 GMT"), true, 0},
        {"before the epoch", S("Wed, 31 Dec 1969 23:59:59 GMT"), true, -1},
        {"RFC 9111 1.2.2: after 2038", S("Tue, 19 Jan 2038 03:14:08 GMT"), true, INT64_C(2147483648)},
        {"the last year of four digits", S("Fri, 31 Dec 9999 23:59:59 GMT"), true, INT64_C(253402300799)},
        {"the first year", S("Sat, 01 Jan 0000 00:00:00 GMT"), true, INT64_C(-62167219200)},
        {"29 February of a leap year", S("Thu, 29 Feb 2024 00:00:00 GMT"), true, 1709164800},
        {"29 February of 2000", S("Tue, 29 Feb 2000 00:00:00 GMT"), true, 951782400},
        {"RFC 9110 5.6.7: a leap second", S("Sat, 31 Dec 2016 23:59:60 GMT"), true, 1483228800},
        {"RFC 9110 5.6.7: nearly 50 years ahead", S("Monday, 06-Nov-73 08:49:37 GMT"), true,
         INT64_C(3277183777)},
        {"RFC 9110 5.6.7: more than 50 years ahead is the past", S("Saturday, 01-Dec-73 08:49:37 GMT"), true,
         123583777},
        {"RFC 9110 5.6.7: 51 years ahead is the past", S("Wednesday, 06-Nov-74 08:49:37 GMT"), true,
         152959777},
        {"RFC 9110 5.6.7: the century's turn", S("Saturday, 01-Jan-00 00:00:00 GMT"), true, 946684800},
        {"29 February of no leap year", S("Wed, 29 Feb 2023 00:00:00 GMT"), false, 0},
        {"29 February of 1900", S("Thu, 29 Feb 1900 00:00:00 GMT"), false, 0},
        {"31 April", S("Sun, 31 Apr 2023 00:00:00 GMT"), false, 0},
        {"day zero", S("Sun, 00 Nov 1994 08:49:37 GMT"), false, 0},
        {"hour 24", S("Sun, 06 Nov 1994 24:00:00 GMT"), false, 0},
        {"minute 60", S("Sun, 06 Nov 1994 08:60:37 GMT"), false, 0},
        {"second 61", S("Sun, 06 Nov 1994 08:49:61 GMT"), false, 0},
        {"RFC 9111 4.2: UTC is no zone", S("Sun, 06 Nov 1994 08:49:37 UTC"), false, 0},
        {"RFC 9111 4.2: nor is an offset", S("Sun, 06 Nov 1994 08:49:37 +0000"), false, 0},
        {"RFC 9111 4.2: nor nothing", S("Sun, 06 Nov 1994 08:49:37"), false, 0},
        {"two-digit year", S("Sun, 06 Nov 94 08:49:37 GMT"), false, 0},
        {"no comma", S("Sun 06 Nov 1994 08:49:37 GMT"), false, 0},
        {"two spaces", S("Sun, 06  Nov  1994 08:49:37 GMT"), false, 0},
        {"dashes", S("Sun, 06-Nov-1994 08:49:37 GMT"), false, 0},
        {"periods", S("Sun, 06 Nov 1994 08.49.37 GMT"), false, 0},
        {"one-digit hour", S("Sun, 06 Nov 1994 8:49:37 GMT"), false, 0},
        {"one-digit day", S("Sun, 6 Nov 1994 08:49:37 GMT"), false, 0},
        {"no such month", S("Sun, 06 Nox 1994 08:49:37 GMT"), false, 0},
        {"no such day", S("Sux, 06 Nov 1994 08:49:37 GMT"), false, 0},
        {"more behind it", S("Sun, 06 Nov 1994 08:49:37 GMT x"), false, 0},
        {"a list", S("Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT"), false, 0},
        {"a signed day", S("Sun, +6 Nov 1994 08:49:37 GMT"), false, 0},
        {"asctime with two digits and a space", S("Sun Nov  16 08:49:37 1994"), false, 0},
        {"ISO 8601", S("1994-11-06T08:49:37Z"), false, 0},
        {"RFC 9111 5.3: zero", S("0"), false, 0},
        {"minus one", S("-1"), false, 0},
        {"empty", S(""), false, 0},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        sk_unix_s time = 0;
        sk_err err = http_date_parse(cases[i].text, NOW, &time);
        if (err != (cases[i].valid ? SK_OK : SK_ERR_MALFORMED))
            fail_msg("%s: %s", cases[i].name, sk_err_name(err));
        if (time != cases[i].time) fail_msg("%s: %lld", cases[i].name, (long long)time);
    }
}

/* The C library as oracle, over ten thousand years in steps of a prime number of seconds. */
static void writing_agrees_with_the_c_library_and_reads_back(void **state) {
    (void)state;
    for (sk_unix_s time = INT64_C(-62167219200); time <= INT64_C(253402300799); time += 104729 * 997) {
        char ours[HTTP_DATE_BYTES], theirs[64];
        time_t t = time;
        struct tm tm;
        sk_unix_s back;
        gmtime_r(&t, &tm);
        size_t len = strftime(theirs, sizeof(theirs), "%a, %d %b ", &tm);
        len += (size_t)snprintf(theirs + len, sizeof(theirs) - len, "%04d", tm.tm_year + 1900);
        len += strftime(theirs + len, sizeof(theirs) - len, " %H:%M:%S GMT", &tm);
        http_date_format(time, ours);
        assert_str(sk_str_make(ours, HTTP_DATE_BYTES), sk_str_make(theirs, len));
        assert_ok(http_date_parse(sk_str_make(ours, HTTP_DATE_BYTES), NOW, &back));
        assert_int_equal(back, time);
    }
}

static void writing_is_clamped_to_four_digits_of_year(void **state) {
    char out[HTTP_DATE_BYTES];
    (void)state;
    http_date_format(INT64_MAX, out);
    assert_str(sk_str_make(out, HTTP_DATE_BYTES), SK_STR("Fri, 31 Dec 9999 23:59:59 GMT"));
    http_date_format(INT64_MIN, out);
    assert_str(sk_str_make(out, HTTP_DATE_BYTES), SK_STR("Sat, 01 Jan 0000 00:00:00 GMT"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading),
        cmocka_unit_test(writing_agrees_with_the_c_library_and_reads_back),
        cmocka_unit_test(writing_is_clamped_to_four_digits_of_year),
    };
    return SK_RUN_TESTS(tests);
}
