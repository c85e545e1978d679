#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "unit.h"

static void every_error_has_a_text_and_a_lower_case_name(void **state) {
    (void)state;
    for (int i = 0; i < SK_ERR_COUNT_; i++) {
        const char *name = sk_err_name((sk_err)i);
        assert_true(strlen(sk_err_text((sk_err)i)) > 0);
        assert_true(strlen(name) > 0);
        assert_null(strpbrk(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ "));
    }
    assert_string_equal(sk_err_name(SK_ERR_NAME_NOT_FOUND), "name_not_found");
    assert_string_equal(sk_err_name(SK_OK), "ok");
}

static void a_value_outside_of_the_table_is_unknown(void **state) {
    (void)state;
    assert_string_equal(sk_err_name(SK_ERR_COUNT_), "unknown");
    assert_string_equal(sk_err_text(SK_ERR_COUNT_), "unknown error");
}

static void errno_values_are_mapped(void **state) {
    static const struct {
        int errno_value;
        sk_err expected;
    } cases[] = {
        {0, SK_OK},
        {EAGAIN, SK_ERR_AGAIN},
        {EWOULDBLOCK, SK_ERR_AGAIN},
        {ECONNREFUSED, SK_ERR_REFUSED},
        {ECONNRESET, SK_ERR_RESET},
        {EPIPE, SK_ERR_CLOSED},
        {ENOSPC, SK_ERR_FULL},
        {EMFILE, SK_ERR_FULL},
        {ENOENT, SK_ERR_NOT_FOUND},
        {EADDRINUSE, SK_ERR_EXISTS},
        {EHOSTUNREACH, SK_ERR_UNREACHABLE},
        {EIO, SK_ERR_IO},
        {9999, SK_ERR_IO},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++)
        assert_int_equal(sk_err_from_errno(cases[i].errno_value), cases[i].expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_text_and_a_lower_case_name),
        cmocka_unit_test(a_value_outside_of_the_table_is_unknown),
        cmocka_unit_test(errno_values_are_mapped),
    };
    return SK_RUN_TESTS(tests);
}
