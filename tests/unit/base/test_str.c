#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>

#include "unit.h"

static const sk_str none = {NULL, 0};

static void equality_ignores_case_only_when_asked_and_only_in_ascii(void **state) {
    static const struct {
        sk_str a, b;
        bool eq, ieq;
    } cases[] = {
        {SK_STR_INIT("abc"), SK_STR_INIT("abc"), true, true},
        {SK_STR_INIT("abc"), SK_STR_INIT("ABC"), false, true},
        {SK_STR_INIT("abc"), SK_STR_INIT("abcd"), false, false},
        {SK_STR_INIT("["), SK_STR_INIT("{"), false, false},
        {SK_STR_INIT("@"), SK_STR_INIT("`"), false, false},
        {SK_STR_INIT("\xc4"), SK_STR_INIT("\xe4"), false, false},
        {SK_STR_INIT("a\0b"), SK_STR_INIT("a\0c"), false, false},
        {SK_STR_INIT(""), SK_STR_INIT(""), true, true},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        assert_int_equal(sk_str_eq(cases[i].a, cases[i].b), cases[i].eq);
        assert_int_equal(sk_str_ieq(cases[i].a, cases[i].b), cases[i].ieq);
    }
    assert_true(sk_str_eq(none, SK_STR("")));
}

static void prefixes_and_suffixes(void **state) {
    (void)state;
    assert_true(sk_str_starts_with(SK_STR("gzip"), SK_STR("gz")));
    assert_false(sk_str_starts_with(SK_STR("gzip"), SK_STR("GZ")));
    assert_true(sk_str_istarts_with(SK_STR("gzip"), SK_STR("GZ")));
    assert_false(sk_str_istarts_with(SK_STR("g"), SK_STR("gz")));
    assert_true(sk_str_starts_with(none, none));
    assert_true(sk_str_ends_with(SK_STR("a.css"), SK_STR(".css")));
    assert_false(sk_str_ends_with(SK_STR("css"), SK_STR(".css")));
    assert_true(sk_str_ends_with(SK_STR("x"), none));
}

static void comparison_is_bytewise_and_shorter_first(void **state) {
    static const struct {
        sk_str a, b;
        int sign;
    } cases[] = {
        {SK_STR_INIT("a"), SK_STR_INIT("b"), -1},    {SK_STR_INIT("b"), SK_STR_INIT("abc"), 1},
        {SK_STR_INIT("ab"), SK_STR_INIT("abc"), -1}, {SK_STR_INIT("abc"), SK_STR_INIT("abc"), 0},
        {SK_STR_INIT("\xff"), SK_STR_INIT("a"), 1},  {SK_STR_INIT(""), SK_STR_INIT("a"), -1},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        int order = sk_str_compare(cases[i].a, cases[i].b), back = sk_str_compare(cases[i].b, cases[i].a);
        assert_int_equal((order > 0) - (order < 0), cases[i].sign);
        assert_int_equal((back > 0) - (back < 0), -cases[i].sign);
    }
    assert_int_equal(sk_str_compare(none, none), 0);
}

static void finding_gives_the_length_when_absent(void **state) {
    (void)state;
    assert_int_equal(sk_str_find_byte(SK_STR("a:b:c"), ':'), 1);
    assert_int_equal(sk_str_find_byte(SK_STR("abc"), ':'), 3);
    assert_int_equal(sk_str_find_byte(none, ':'), 0);
    assert_int_equal(sk_str_find(SK_STR("xaab"), SK_STR("ab")), 2);
    assert_int_equal(sk_str_find(SK_STR("xaa"), SK_STR("ab")), 3);
    assert_int_equal(sk_str_find(SK_STR("x"), SK_STR("")), 0);
    assert_int_equal(sk_str_find(none, SK_STR("x")), 0);
}

static void slices_are_clamped(void **state) {
    (void)state;
    assert_str(sk_str_slice(SK_STR("hello"), 1, 3), SK_STR("el"));
    assert_str(sk_str_slice(SK_STR("hello"), 3, 99), SK_STR("lo"));
    assert_str(sk_str_slice(SK_STR("hello"), 4, 2), SK_STR(""));
    assert_str(sk_str_slice(SK_STR("hello"), 9, 12), SK_STR(""));
    assert_str(sk_str_slice(none, 1, 2), SK_STR(""));
}

static void trim_takes_space_and_tab_only(void **state) {
    (void)state;
    assert_str(sk_str_trim(SK_STR(" \t a b\t ")), SK_STR("a b"));
    assert_str(sk_str_trim(SK_STR("\ra\n")), SK_STR("\ra\n"));
    assert_str(sk_str_trim(SK_STR(" \t")), SK_STR(""));
    assert_str(sk_str_trim(none), SK_STR(""));
}

static void cut_gives_every_piece_also_empty_ones(void **state) {
    static const struct {
        sk_str text;
        size_t count;
        sk_str pieces[4];
    } cases[] = {
        {SK_STR_INIT("a,,b"), 3, {SK_STR_INIT("a"), SK_STR_INIT(""), SK_STR_INIT("b")}},
        {SK_STR_INIT("a"), 1, {SK_STR_INIT("a")}},
        {SK_STR_INIT(""), 1, {SK_STR_INIT("")}},
        {SK_STR_INIT("a,"), 2, {SK_STR_INIT("a"), SK_STR_INIT("")}},
        {SK_STR_INIT(","), 2, {SK_STR_INIT(""), SK_STR_INIT("")}},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        sk_str rest = cases[i].text, piece;
        size_t n = 0;
        for (; sk_str_cut(&rest, ',', &piece); n++) {
            assert_true(n < cases[i].count);
            assert_str(piece, cases[i].pieces[n]);
        }
        assert_int_equal(n, cases[i].count);
    }
    sk_str exhausted = none, piece;
    assert_false(sk_str_cut(&exhausted, ',', &piece));
}

static void numbers_are_whole_strings_of_digits(void **state) {
    static const struct {
        sk_str text;
        sk_err err;
        uint64_t value;
    } decimal[] =
        {
            {SK_STR_INIT("0"), SK_OK, 0},
            {SK_STR_INIT("007"), SK_OK, 7},
            {SK_STR_INIT("18446744073709551615"), SK_OK, UINT64_MAX},
            {SK_STR_INIT("18446744073709551616"), SK_ERR_TOO_LARGE, 0},
            {SK_STR_INIT("99999999999999999999999999999999"), SK_ERR_TOO_LARGE, 0},
            {SK_STR_INIT(""), SK_ERR_MALFORMED, 0},
            {SK_STR_INIT("-1"), SK_ERR_MALFORMED, 0},
            {SK_STR_INIT("+1"), SK_ERR_MALFORMED, 0},
            {SK_STR_INIT(" 1"), SK_ERR_MALFORMED, 0},
            {SK_STR_INIT("1 "), SK_ERR_MALFORMED, 0},
            {SK_STR_INIT("1\0"), SK_ERR_MALFORMED, 0},
            {SK_STR_INIT("99999999999999999999x"), SK_ERR_MALFORMED, 0},
        },
      hex[] = {
          {SK_STR_INIT("0"), SK_OK, 0},
          {SK_STR_INIT("fF"), SK_OK, 255},
          {SK_STR_INIT("ffffffffffffffff"), SK_OK, UINT64_MAX},
          {SK_STR_INIT("00000000000000001"), SK_ERR_TOO_LARGE, 0},
          {SK_STR_INIT("0x1"), SK_ERR_MALFORMED, 0},
          {SK_STR_INIT("g"), SK_ERR_MALFORMED, 0},
          {SK_STR_INIT(""), SK_ERR_MALFORMED, 0},
      };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(decimal); i++) {
        uint64_t value = 42;
        assert_err(sk_str_to_u64(decimal[i].text, &value), decimal[i].err);
        assert_true(value == (decimal[i].err ? 42 : decimal[i].value));
    }
    for (size_t i = 0; i < SK_COUNT(hex); i++) {
        uint64_t value = 42;
        assert_err(sk_str_hex_to_u64(hex[i].text, &value), hex[i].err);
        assert_true(value == (hex[i].err ? 42 : hex[i].value));
    }
}

static void bytes_are_pairs_of_hexadecimal_digits(void **state) {
    static const uint8_t bytes[] = {0x00, 0x09, 0xa0, 0xff, 0x7c};
    static const struct {
        sk_str text;
        sk_err err;
    } cases[] = {
        {SK_STR_INIT("0009a0ff7c"), SK_OK},
        {SK_STR_INIT("0009A0Ff7C"), SK_OK},
        {SK_STR_INIT("0009a0ff7"), SK_ERR_MALFORMED},
        {SK_STR_INIT("0009a0ff7c0"), SK_ERR_MALFORMED},
        {SK_STR_INIT("0009a0ff7c00"), SK_ERR_MALFORMED},
        {SK_STR_INIT("0009a0ff"), SK_ERR_MALFORMED},
        {SK_STR_INIT("0009a0ff7g"), SK_ERR_MALFORMED},
        {SK_STR_INIT("0009a0ff7:"), SK_ERR_MALFORMED},
        {SK_STR_INIT("0009a0ff+c"), SK_ERR_MALFORMED},
        {SK_STR_INIT("0x0009a0ff"), SK_ERR_MALFORMED},
        {SK_STR_INIT("0009a0ff7\0"), SK_ERR_MALFORMED},
        {SK_STR_INIT(""), SK_ERR_MALFORMED},
    };
    char text[2 * sizeof bytes + 1];
    (void)state;
    memset(text, '!', sizeof text);
    sk_hex_write(bytes, sizeof bytes, text);
    assert_str(sk_str_make(text, sizeof text), SK_STR("0009a0ff7c!"));
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        static const uint8_t untouched[sizeof bytes] = {1, 2, 3, 4, 5};
        uint8_t out[sizeof bytes];
        memcpy(out, untouched, sizeof out);
        assert_err(sk_str_hex_to_bytes(cases[i].text, out, sizeof out), cases[i].err);
        assert_memory_equal(out, cases[i].err ? untouched : bytes, sizeof out);
    }
}

static void numbers_are_written_in_decimal(void **state) {
    static const struct {
        uint64_t value;
        sk_str text;
    } cases[] = {
        {0, SK_STR_INIT("0")},
        {9, SK_STR_INIT("9")},
        {10, SK_STR_INIT("10")},
        {99, SK_STR_INIT("99")},
        {100, SK_STR_INIT("100")},
        {109, SK_STR_INIT("109")},
        {1024, SK_STR_INIT("1024")},
        {90807, SK_STR_INIT("90807")},
        {1234567890, SK_STR_INIT("1234567890")},
        {UINT64_MAX, SK_STR_INIT("18446744073709551615")},
    };
    (void)state;
    for (uint64_t power = 1; power < UINT64_MAX / 10; power *= 10) { /* where one more digit begins */
        char out[20], want[24];
        for (uint64_t value = power - 1; value <= power + 1; value++) {
            int len = snprintf(want, sizeof want, "%" PRIu64, value);
            assert_str(sk_str_make(out, sk_u64_to_text(value, out)), sk_str_make(want, (size_t)len));
        }
    }
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        char out[20];
        size_t len = sk_u64_to_text(cases[i].value, out);
        assert_str(sk_str_make(out, len), cases[i].text);
    }
}

static void lower_casing_leaves_other_bytes_alone(void **state) {
    (void)state;
    for (int c = 0; c < 256; c++) {
        char in = (char)c, out;
        sk_ascii_lower(&out, &in, 1);
        assert_int_equal((unsigned char)out, c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    /* every byte at every place of a longer text, among neighbours that would carry into it */
    for (int c = 0; c < 256; c++) {
        for (size_t place = 0; place < 19; place++) {
            char in[19], out[19], want[19];
            memset(in, place % 2 ? 0xff : 'Z', sizeof in);
            in[place] = (char)c;
            for (size_t i = 0; i < sizeof in; i++) want[i] = sk_ascii_lower_byte(in[i]);
            sk_ascii_lower(out, in, sizeof in);
            assert_memory_equal(out, want, sizeof want);
        }
    }
    char text[] = "Content-LENGTH";
    sk_ascii_lower(text, text, sizeof text - 1);
    assert_string_equal(text, "content-length");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_ignores_case_only_when_asked_and_only_in_ascii),
        cmocka_unit_test(prefixes_and_suffixes),
        cmocka_unit_test(comparison_is_bytewise_and_shorter_first),
        cmocka_unit_test(finding_gives_the_length_when_absent),
        cmocka_unit_test(slices_are_clamped),
        cmocka_unit_test(trim_takes_space_and_tab_only),
        cmocka_unit_test(cut_gives_every_piece_also_empty_ones),
        cmocka_unit_test(numbers_are_whole_strings_of_digits),
        cmocka_unit_test(bytes_are_pairs_of_hexadecimal_digits),
        cmocka_unit_test(numbers_are_written_in_decimal),
        cmocka_unit_test(lower_casing_leaves_other_bytes_alone),
    };
    return SK_RUN_TESTS(tests);
}
