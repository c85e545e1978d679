#include "control/rights.h"

#include "unit.h"

static void test_words(void **state) {
    static const char *const bad[] = {"", ",", "read,", "Read", "read apply", "all", "read,,apply"};
    unsigned rights = 0;
    assert_ok(control_rights_parse(SK_STR("read,purge"), &rights));
    assert_int_equal(rights, 1u << CONTROL_RIGHT_READ | 1u << CONTROL_RIGHT_PURGE);
    for (size_t i = 0; i < SK_COUNT(bad); i++) {
        rights = 0;
        assert_err(control_rights_parse(sk_str_from_c(bad[i]), &rights), SK_ERR_NOT_FOUND);
        assert_int_equal(rights, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words)};
    return SK_RUN_TESTS(tests);
}
