/* Which keys are hot. */
#include "unit.h"

#include "grid/heat.h"

#define S SK_NS_PER_S
#define HASH(tag, place) ((uint64_t)(tag) << 32 | (place))

static struct grid_heat heat;

static int begin(void **state) {
    heat = (struct grid_heat){0};
    return 0;
}

static void requests_of_a_window_add_up(void **state) {
    for (uint32_t i = 1; i <= 20; i++) assert_int_equal(grid_heat_count(&heat, HASH(7, 3), 100 * S), i);
    assert_int_equal(grid_heat_count(&heat, HASH(7, 4), 100 * S), 1);
}

static void a_window_later_half_counts_and_then_nothing(void **state) {
    for (int i = 0; i < 20; i++) grid_heat_count(&heat, HASH(7, 3), 101 * S);
    assert_int_equal(grid_heat_count(&heat, HASH(7, 3), 111 * S), 11);
    assert_int_equal(grid_heat_count(&heat, HASH(7, 3), 131 * S), 1);
}

static void who_comes_more_often_takes_the_place(void **state) {
    grid_heat_count(&heat, HASH(7, 3), 100 * S);
    grid_heat_count(&heat, HASH(7, 3), 100 * S);
    assert_int_equal(grid_heat_count(&heat, HASH(8, 3), 100 * S), 0);
    assert_int_equal(grid_heat_count(&heat, HASH(8, 3), 100 * S), 0);
    assert_int_equal(grid_heat_count(&heat, HASH(8, 3), 100 * S), 1);
    assert_int_equal(grid_heat_count(&heat, HASH(7, 3), 100 * S), 0);
}

static void what_is_asked_for_once_is_never_hot(void **state) {
    uint32_t most = 0;
    for (uint32_t i = 1; i < 200000; i++) {
        uint32_t count = grid_heat_count(&heat, HASH(i, i * 2654435761u), 100 * S);
        most = SK_MAX(most, count);
    }
    assert_int_equal(most, 1);
}

static void counts_end_where_their_room_does(void **state) {
    uint32_t count = 0;
    for (int i = 0; i < 70000; i++) count = grid_heat_count(&heat, HASH(7, 3), 100 * S);
    assert_int_equal(count, 0xffff);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(requests_of_a_window_add_up, begin),
        cmocka_unit_test_setup(a_window_later_half_counts_and_then_nothing, begin),
        cmocka_unit_test_setup(who_comes_more_often_takes_the_place, begin),
        cmocka_unit_test_setup(what_is_asked_for_once_is_never_hot, begin),
        cmocka_unit_test_setup(counts_end_where_their_room_does, begin),
    };
    return SK_RUN_TESTS(tests);
}
