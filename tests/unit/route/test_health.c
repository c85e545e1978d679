#include "route/health.h"

#include "unit.h"

static const struct health_rules rules = {.down_after = 2, .up_after = 3};
#define SECOND SK_NS_PER_S

/* Feeds COUNT equal results a second apart, from *NOW. */
static void feed(struct health_state *state, enum health_result result, unsigned count, sk_time_ns *now) {
    for (; count > 0; count--, *now += SECOND) *state = health_after(state, &rules, result, *now);
}

static void one_bad_result_is_none(void **state) {
    struct health_state health = {0};
    sk_time_ns now = SECOND;
    (void)state;
    feed(&health, HEALTH_BAD, 1, &now);
    assert_false(health.down);
    feed(&health, HEALTH_GOOD, 1, &now);
    feed(&health, HEALTH_BAD, 1, &now);
    assert_false(health.down);
    feed(&health, HEALTH_BAD, 1, &now);
    assert_true(health.down);
}

static void an_edge_that_says_it_is_sick_is_down_at_once(void **state) {
    struct health_state health = {0};
    sk_time_ns now = SECOND;
    (void)state;
    feed(&health, HEALTH_SICK, 1, &now);
    assert_true(health.down);
}

static void each_fall_makes_the_way_back_longer(void **state) {
    static const unsigned needed[] = {3, 6, 12, 24, 48, 48};
    struct health_state health = {0};
    sk_time_ns now = SECOND;
    (void)state;
    for (size_t i = 0; i < SK_COUNT(needed); i++) {
        feed(&health, HEALTH_BAD, 2, &now);
        assert_true(health.down);
        assert_int_equal(health_needs(&health, &rules), needed[i]);
        feed(&health, HEALTH_GOOD, needed[i] - 1, &now);
        assert_true(health.down);
        feed(&health, HEALTH_GOOD, 1, &now);
        assert_false(health.down);
    }
}

static void a_bad_result_on_the_way_back_begins_it_anew(void **state) {
    struct health_state health = {0};
    sk_time_ns now = SECOND;
    (void)state;
    feed(&health, HEALTH_BAD, 2, &now);
    feed(&health, HEALTH_GOOD, 2, &now);
    feed(&health, HEALTH_BAD, 1, &now);
    feed(&health, HEALTH_GOOD, 2, &now);
    assert_true(health.down);
    feed(&health, HEALTH_GOOD, 1, &now);
    assert_false(health.down);
}

static void falls_are_forgotten(void **state) {
    struct health_state health = {0};
    sk_time_ns now = SECOND;
    (void)state;
    feed(&health, HEALTH_BAD, 2, &now);
    feed(&health, HEALTH_GOOD, 3, &now);
    now += HEALTH_MEMORY_NS;
    feed(&health, HEALTH_BAD, 2, &now);
    assert_int_equal(health.falls, 1);
}

static void most_voices_decide(void **state) {
    static const struct {
        bool has_own, own_down;
        int up, down; /* reports of others */
        bool verdict;
    } cases[] = {{false, false, 0, 0, true}, {true, true, 0, 0, false},  {true, false, 0, 0, true},
                 {true, true, 1, 0, true},   {true, false, 0, 1, true},  {true, false, 0, 2, false},
                 {true, true, 1, 1, false},  {true, true, 2, 1, true},   {false, false, 0, 1, false},
                 {false, false, 1, 1, true}, {false, false, 1, 2, false}};
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct health_state own = {.down = cases[i].own_down};
        struct health_votes votes = {0};
        uint64_t observer = 1;
        for (int k = 0; k < cases[i].up; k++) health_report(&votes, observer++, true, SECOND);
        for (int k = 0; k < cases[i].down; k++) health_report(&votes, observer++, false, SECOND);
        if (health_verdict(cases[i].has_own ? &own : NULL, &votes, SECOND) != cases[i].verdict)
            fail_msg("case %zu", i);
    }
}

static void old_reports_do_not_count_and_new_ones_replace(void **state) {
    struct health_votes votes = {0};
    (void)state;
    health_report(&votes, 1, false, SECOND);
    assert_false(health_verdict(NULL, &votes, SECOND + HEALTH_REPORT_NS));
    assert_true(health_verdict(NULL, &votes, SECOND + HEALTH_REPORT_NS + 1));
    health_report(&votes, 1, true, 2 * SECOND);
    assert_int_equal(votes.count, 1);
    assert_true(health_verdict(NULL, &votes, 2 * SECOND));
}

static void the_oldest_observer_gives_way(void **state) {
    struct health_votes votes = {0};
    (void)state;
    for (uint64_t i = 0; i < HEALTH_OBSERVERS_MAX + 3; i++) health_report(&votes, i, true, (sk_time_ns)i);
    assert_int_equal(votes.count, HEALTH_OBSERVERS_MAX);
    for (uint32_t i = 0; i < votes.count; i++) assert_true(votes.items[i].observer >= 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_bad_result_is_none),
        cmocka_unit_test(an_edge_that_says_it_is_sick_is_down_at_once),
        cmocka_unit_test(each_fall_makes_the_way_back_longer),
        cmocka_unit_test(a_bad_result_on_the_way_back_begins_it_anew),
        cmocka_unit_test(falls_are_forgotten),
        cmocka_unit_test(most_voices_decide),
        cmocka_unit_test(old_reports_do_not_count_and_new_ones_replace),
        cmocka_unit_test(the_oldest_observer_gives_way),
    };
    return SK_RUN_TESTS(tests);
}
