/* The SSD tier's write rate: never more than the pace and a burst, and no less when it is asked for. */
#include "cache/disk_pace.h"
#include "unit.h"

#define MS (INT64_C(1000000))
#define START (INT64_C(1000) * 1000 * MS)

static void a_burst_then_the_pace(void **state) {
    struct disk_pace pace;
    disk_pace_init(&pace, 1000000, 500000);
    assert_true(disk_pace_take(&pace, 500000, START));
    assert_false(disk_pace_take(&pace, 1, START));
    assert_false(disk_pace_take(&pace, 1001, START + 1 * MS));
    assert_true(disk_pace_take(&pace, 1000, START + 1 * MS));
    assert_true(disk_pace_take(&pace, 500000, START + 1000 * MS)); /* more is not saved up */
    assert_false(disk_pace_take(&pace, 1, START + 1000 * MS));
    (void)state;
}

static void what_is_refused_is_not_counted(void **state) {
    struct disk_pace pace;
    disk_pace_init(&pace, 1000, 100);
    for (int i = 0; i < 1000; i++) assert_false(disk_pace_take(&pace, 101, START));
    assert_true(disk_pace_take(&pace, 100, START));
    (void)state;
}

static void a_charge_is_paid_back(void **state) {
    struct disk_pace pace;
    disk_pace_init(&pace, 1000, 100);
    disk_pace_charge(&pace, 1100, START);
    assert_false(disk_pace_take(&pace, 1, START + 999 * MS));
    assert_true(disk_pace_take(&pace, 1, START + 1001 * MS));
    (void)state;
}

static void no_limit_is_none(void **state) {
    struct disk_pace pace;
    disk_pace_init(&pace, 0, 0);
    for (int i = 0; i < 1000; i++) assert_true(disk_pace_take(&pace, UINT64_MAX, START));
    disk_pace_charge(&pace, UINT64_MAX, START);
    assert_true(disk_pace_take(&pace, 1, START));
    (void)state;
}

static void no_length_of_a_debt_wraps(void **state) {
    struct disk_pace pace;
    disk_pace_init(&pace, 1, UINT64_MAX);
    for (int i = 0; i < 100; i++) disk_pace_charge(&pace, UINT64_MAX, START);
    assert_false(disk_pace_take(&pace, 1, START));
    (void)state;
}

/* In any ten seconds: asked for at random, between 95 and 100 % of the pace when more than it is asked for. */
static void over_time_it_is_the_pace(void **state) {
    struct disk_pace pace;
    uint64_t taken = 0, random = 1;
    disk_pace_init(&pace, 1000000, 100000);
    for (int64_t now = START; now < START + 10000 * MS; now += MS) {
        random = random * UINT64_C(6364136223846793005) + 1;
        uint64_t bytes = 1 + (random >> 40) % 5000;
        if (disk_pace_take(&pace, bytes, now)) taken += bytes;
    }
    assert_in_range(taken, 9500000, 10100000);
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_then_the_pace),     cmocka_unit_test(what_is_refused_is_not_counted),
        cmocka_unit_test(a_charge_is_paid_back),     cmocka_unit_test(no_limit_is_none),
        cmocka_unit_test(no_length_of_a_debt_wraps), cmocka_unit_test(over_time_it_is_the_pace),
    };
    return SK_RUN_TESTS(tests);
}
