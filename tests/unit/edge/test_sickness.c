/* When an edge withdraws because it is sick, and when it comes back. */
#include "edge/sickness.h"

#include "unit.h"

static struct edge_sickness sickness;
static sk_time_ns now;

static int begin(void **state) {
    sickness = (struct edge_sickness){0};
    now = 1000 * SK_NS_PER_S;
    return 0;
}

/* SECONDS looks; what the last one said. */
static bool look(const char *bad, uint32_t running, uint32_t others, int seconds) {
    const struct edge_sickness_look seen = {bad, others, running};
    bool withdrawn = sickness.withdrawn;
    for (int i = 0; i < seconds; i++) withdrawn = edge_sickness_after(&sickness, &seen, now += SK_NS_PER_S);
    return withdrawn;
}

static void a_moment_is_no_sickness(void **state) {
    for (int i = 0; i < 100; i++) {
        assert_false(look("slow", 3, 3, EDGE_SICK_LOOKS - 1));
        assert_false(look(NULL, 3, 3, 1));
    }
}

static void it_goes_and_comes_back_when_it_was_well_for_a_while(void **state) {
    assert_true(look("slow", 3, 3, EDGE_SICK_LOOKS));
    assert_string_equal(sickness.why, "slow");
    assert_true(look("slow", 3, 3, 100));
    assert_true(look(NULL, 3, 3, EDGE_SICK_REST_S - 1));
    assert_true(look("slow", 3, 3, 1)); /* the rest begins anew */
    assert_true(look(NULL, 3, 3, EDGE_SICK_REST_S - 1));
    assert_false(look(NULL, 3, 3, 1));
}

static void who_falls_ill_again_soon_rests_longer_up_to_a_bound(void **state) {
    int64_t rest_s = EDGE_SICK_REST_S;
    for (int i = 0; i < 8; i++) {
        assert_true(look("slow", 3, 3, EDGE_SICK_LOOKS));
        assert_true(look(NULL, 3, 3, (int)rest_s - 1));
        assert_false(look(NULL, 3, 3, 1));
        rest_s = SK_MIN(2 * rest_s, EDGE_SICK_REST_MOST_S);
    }
    assert_int_equal(rest_s, EDGE_SICK_REST_MOST_S);
    assert_false(look(NULL, 3, 3, EDGE_SICK_MEMORY_S)); /* that is forgotten */
    assert_true(look("slow", 3, 3, EDGE_SICK_LOOKS));
    assert_true(look(NULL, 3, 3, EDGE_SICK_REST_S - 1));
    assert_false(look(NULL, 3, 3, 1));
}

static void it_stays_where_too_few_others_take_clients(void **state) {
    static const struct {
        uint32_t running, others;
        bool goes;
    } cases[] = {{0, 0, false}, {0, 3, false}, {1, 3, false}, {1, 2, true}, {2, 3, true}, {1, 1, true}};
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        begin(NULL);
        assert_int_equal(look("slow", cases[i].running, cases[i].others, 50), cases[i].goes);
    }
}

static void it_comes_back_sick_when_the_others_go(void **state) {
    assert_true(look("slow", 2, 2, EDGE_SICK_LOOKS));
    assert_false(look("slow", 0, 2, 1));
    assert_false(look("slow", 0, 2, 100));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_moment_is_no_sickness, begin),
        cmocka_unit_test_setup(it_goes_and_comes_back_when_it_was_well_for_a_while, begin),
        cmocka_unit_test_setup(who_falls_ill_again_soon_rests_longer_up_to_a_bound, begin),
        cmocka_unit_test(it_stays_where_too_few_others_take_clients),
        cmocka_unit_test_setup(it_comes_back_sick_when_the_others_go, begin),
    };
    return SK_RUN_TESTS(tests);
}
