#include "base/units.h"
#include "unit.h"

static void sizes_are_read_as_people_write_them(void **state) {
    static const struct {
        sk_str text;
        sk_err err;
        uint64_t bytes;
    } cases[] = {
        {SK_STR_INIT("0"), SK_OK, 0},
        {SK_STR_INIT("512"), SK_OK, 512},
        {SK_STR_INIT("512B"), SK_OK, 512},
        {SK_STR_INIT("1kB"), SK_OK, 1000},
        {SK_STR_INIT("1KB"), SK_OK, 1000},
        {SK_STR_INIT("1KiB"), SK_OK, 1024},
        {SK_STR_INIT("4k"), SK_OK, 4096},
        {SK_STR_INIT("256MiB"), SK_OK, UINT64_C(256) << 20},
        {SK_STR_INIT("256 MiB"), SK_OK, UINT64_C(256) << 20},
        {SK_STR_INIT("10MB"), SK_OK, 10000000},
        {SK_STR_INIT("1.5GiB"), SK_OK, UINT64_C(3) << 29},
        {SK_STR_INIT("2G"), SK_OK, UINT64_C(2) << 30},
        {SK_STR_INIT("2GB"), SK_OK, 2000000000},
        {SK_STR_INIT("100TiB"), SK_OK, UINT64_C(100) << 40},
        {SK_STR_INIT("1TB"), SK_OK, UINT64_C(1000000000000)},
        {SK_STR_INIT("0.999999999T"), SK_OK, UINT64_C(1099511626676)},
        {SK_STR_INIT("9223372036854775807"), SK_OK, INT64_MAX},
        {SK_STR_INIT("9223372036854775808"), SK_ERR_TOO_LARGE, 0},
        {SK_STR_INIT("8388608TiB"), SK_ERR_TOO_LARGE, 0},
        {SK_STR_INIT("99999999999999999999"), SK_ERR_TOO_LARGE, 0},
        {SK_STR_INIT(""), SK_ERR_MALFORMED, 0},
        {SK_STR_INIT("MiB"), SK_ERR_MALFORMED, 0},
        {SK_STR_INIT("1XB"), SK_ERR_MALFORMED, 0},
        {SK_STR_INIT("-1MiB"), SK_ERR_MALFORMED, 0},
        {SK_STR_INIT("1.MiB"), SK_ERR_MALFORMED, 0},
        {SK_STR_INIT(".5MiB"), SK_ERR_MALFORMED, 0},
        {SK_STR_INIT("1  MiB"), SK_ERR_MALFORMED, 0},
        {SK_STR_INIT("1 "), SK_ERR_MALFORMED, 0},
        {SK_STR_INIT("1MiB "), SK_ERR_MALFORMED, 0},
        {SK_STR_INIT("0.1234567890MiB"), SK_ERR_MALFORMED, 0},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        uint64_t bytes = 42;
        assert_err(sk_size_parse(cases[i].text, &bytes), cases[i].err);
        if (bytes != (cases[i].err ? 42 : cases[i].bytes))
            fail_msg("%.*s: %llu", SK_STR_ARGS(cases[i].text), (unsigned long long)bytes);
    }
}

static void durations_are_sums_and_a_bare_number_is_seconds(void **state) {
    static const struct {
        sk_str text;
        sk_err err;
        int64_t ms;
    } cases[] = {
        {SK_STR_INIT("0"), SK_OK, 0},
        {SK_STR_INIT("90"), SK_OK, 90000},
        {SK_STR_INIT("90s"), SK_OK, 90000},
        {SK_STR_INIT("1h30m"), SK_OK, 5400000},
        {SK_STR_INIT("250ms"), SK_OK, 250},
        {SK_STR_INIT("1.5s"), SK_OK, 1500},
        {SK_STR_INIT("1m1ms"), SK_OK, 60001},
        {SK_STR_INIT("2d"), SK_OK, 172800000},
        {SK_STR_INIT("1w"), SK_OK, 604800000},
        {SK_STR_INIT("9223372036854775807ms"), SK_OK, INT64_MAX},
        {SK_STR_INIT("9223372036854775807ms1ms"), SK_ERR_TOO_LARGE, 0},
        {SK_STR_INIT("9223372036854775807"), SK_ERR_TOO_LARGE, 0},
        {SK_STR_INIT("1h30"), SK_ERR_MALFORMED, 0},
        {SK_STR_INIT("30 s"), SK_ERR_MALFORMED, 0},
        {SK_STR_INIT("-1s"), SK_ERR_MALFORMED, 0},
        {SK_STR_INIT("s"), SK_ERR_MALFORMED, 0},
        {SK_STR_INIT("1y"), SK_ERR_MALFORMED, 0},
        {SK_STR_INIT(""), SK_ERR_MALFORMED, 0},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        int64_t ms = 42;
        assert_err(sk_duration_parse(cases[i].text, &ms), cases[i].err);
        assert_true(ms == (cases[i].err ? 42 : cases[i].ms));
    }
}

static void sizes_are_written_with_at_most_one_decimal(void **state) {
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1 KiB"},
        {1536, "1.5 KiB"},
        {1024 * 1024 - 1, "1 MiB"},
        {UINT64_C(256) << 20, "256 MiB"},
        {1503238554, "1.4 GiB"},
        {UINT64_MAX, "16 EiB"},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        char out[24];
        sk_size_format(cases[i].bytes, out);
        assert_string_equal(out, cases[i].text);
    }
}

static void durations_are_written_so_that_they_can_be_read_back(void **state) {
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {250, "250ms"},
        {5400000, "1h30m"},
        {90061001, "1d1h1m1s1ms"},
        {-1500, "-1s500ms"},
        {INT64_MAX, "106751991167d7h12m55s"},
        {INT64_MIN, "-106751991167d7h12m55s"},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        char out[24];
        int64_t back;
        sk_duration_format(cases[i].ms, out);
        assert_string_equal(out, cases[i].text);
        if (cases[i].ms < 0 || cases[i].ms == INT64_MAX) continue;
        assert_ok(sk_duration_parse(sk_str_from_c(out), &back));
        assert_true(back == cases[i].ms);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_read_as_people_write_them),
        cmocka_unit_test(durations_are_sums_and_a_bare_number_is_seconds),
        cmocka_unit_test(sizes_are_written_with_at_most_one_decimal),
        cmocka_unit_test(durations_are_written_so_that_they_can_be_read_back),
    };
    return SK_RUN_TESTS(tests);
}
