/* What the SSD tier takes, and what goes in again. */
#include "cache/disk_policy.h"
#include "unit.h"

static void what_was_asked_for_again_goes_in(void **state) {
    struct disk_admission none = {.capacity = 1000, .percent = 0};
    assert_true(disk_admits(&none, true, 1, 99));
    assert_true(disk_admits(&none, true, 1000, 99));
    (void)state;
}

static void of_what_was_asked_for_once_a_share_goes_in(void **state) {
    struct disk_admission admission = {.capacity = 1 << 20, .percent = 67};
    uint32_t admitted = 0;
    for (uint32_t draw = 0; draw < 100; draw++) admitted += disk_admits(&admission, false, 100, draw);
    assert_int_equal(admitted, 67);
    admission.percent = 0;
    assert_false(disk_admits(&admission, false, 100, 0));
    admission.percent = 100;
    assert_true(disk_admits(&admission, false, 100, 99));
    (void)state;
}

static void what_is_large_beside_the_tier_is_not_let_in_on_a_guess(void **state) {
    struct disk_admission admission = {.capacity = 100000, .percent = 100};
    assert_true(disk_admits(&admission, false, 1000, 0));
    assert_false(disk_admits(&admission, false, 1001, 0));
    (void)state;
}

static void each_access_is_a_second_chance(void **state) {
    uint8_t accesses = 3;
    for (int rounds = 3; rounds > 0; rounds--) {
        assert_true(disk_has_second_chance(accesses, 10, 10, &accesses));
        assert_int_equal(accesses, rounds - 1);
    }
    assert_false(disk_has_second_chance(accesses, 10, 10, &accesses));
    assert_false(disk_has_second_chance(3, 11, 10, &accesses));
    (void)state;
}

static void taking_back_gains_room(void **state) {
    assert_true(disk_second_chance_bytes(8 << 20) < 8 << 20);
    assert_int_equal(disk_second_chance_bytes(0), 0);
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_asked_for_again_goes_in),
        cmocka_unit_test(of_what_was_asked_for_once_a_share_goes_in),
        cmocka_unit_test(what_is_large_beside_the_tier_is_not_let_in_on_a_guess),
        cmocka_unit_test(each_access_is_a_second_chance),
        cmocka_unit_test(taking_back_gains_room),
    };
    return SK_RUN_TESTS(tests);
}
