/* How failures, successes and checks move an origin in and out. Times are in seconds. */
#include "unit.h"

#include "origin/health.h"

#define S SK_NS_PER_S

static const struct config_origin_options rules = {.fail_after = 3, .fail_for_ms = 10000};
static const struct config_health_check checks = {.healthy_after = 2, .unhealthy_after = 3};

/* A story in events, "TIME EVENT" each: f a failure, s a success, + a good check, - a bad one, ? nothing; the
 * state after each is one letter of STATES: u up, t trial, o out, d down. */
struct story {
    const char *behaviour;
    struct {
        int at;
        char event;
    } events[16];
    const char *states;
};

static char letter(enum origin_state state) { return "utod"[state]; }

static struct origin_health_state after(const struct origin_health_state *state, char event, sk_time_ns now) {
    switch (event) {
    case 'f': return origin_health_after_failure(state, &rules, "failed", now);
    case 's': return origin_health_after_success(state, now);
    case '+': return origin_health_after_check(state, &checks, NULL, now);
    case '-': return origin_health_after_check(state, &checks, "refused", now);
    default: return *state;
    }
}

static void test_stories(void **state) {
    static const struct story stories[] = {
        {"failures in a row take it out", {{1, 'f'}, {2, 'f'}, {3, 'f'}}, "uuo"},
        {"a success between begins the count anew",
         {{1, 'f'}, {2, 'f'}, {3, 's'}, {4, 'f'}, {5, 'f'}, {6, 'f'}},
         "uuuuuo"},
        {"after its while it is on trial", {{1, 'f'}, {1, 'f'}, {1, 'f'}, {10, '?'}, {11, '?'}}, "uuoot"},
        {"a good trial lets it in", {{1, 'f'}, {1, 'f'}, {1, 'f'}, {11, 's'}}, "uuou"},
        {"a bad trial takes it out for twice as long",
         {{1, 'f'}, {1, 'f'}, {1, 'f'}, {11, 'f'}, {30, '?'}, {31, '?'}},
         "uuooot"},
        {"a late failure of a request from before changes nothing",
         {{1, 'f'}, {1, 'f'}, {1, 'f'}, {5, 'f'}, {11, '?'}},
         "uuoot"},
        {"a success while out is proof enough", {{1, 'f'}, {1, 'f'}, {1, 'f'}, {5, 's'}}, "uuou"},
        {"damping: soon out again, for twice as long",
         {{1, 'f'}, {1, 'f'}, {1, 'f'}, {11, 's'}, {20, 'f'}, {20, 'f'}, {20, 'f'}, {39, '?'}, {40, '?'}},
         "uuouuuoot"},
        {"damping ends with a quiet while",
         {{1, 'f'},
          {1, 'f'},
          {1, 'f'},
          {11, 's'},
          {200, 'f'},
          {200, 'f'},
          {200, 'f'},
          {209, '?'},
          {210, '?'}},
         "uuouuuoot"},
        {"bad checks in a row call it down", {{1, '-'}, {2, '-'}, {3, '-'}}, "uud"},
        {"a good one between begins the count anew",
         {{1, '-'}, {2, '-'}, {3, '+'}, {4, '-'}, {5, '-'}, {6, '-'}},
         "uuuuud"},
        {"good checks in a row call it up",
         {{1, '-'}, {1, '-'}, {1, '-'}, {2, '+'}, {3, '-'}, {4, '+'}, {5, '+'}},
         "uuddddu"},
        {"a request's success does not overrule the checks",
         {{1, '-'}, {1, '-'}, {1, '-'}, {2, 's'}},
         "uudd"},
        {"checks that call it up forgive its failures",
         {{1, 'f'}, {1, 'f'}, {1, 'f'}, {2, '-'}, {2, '-'}, {2, '-'}, {3, '+'}, {4, '+'}},
         "uuoooddu"},
    };
    for (size_t i = 0; i < SK_COUNT(stories); i++) {
        struct origin_health_state now = {0};
        for (size_t j = 0; stories[i].states[j]; j++) {
            sk_time_ns at = stories[i].events[j].at * S;
            now = after(&now, stories[i].events[j].event, at);
            char got = letter(origin_health_verdict(&now, at));
            if (got != stories[i].states[j])
                fail_msg("%s: '%c' after event %zu, not '%c'", stories[i].behaviour, got, j + 1,
                         stories[i].states[j]);
        }
    }
}

static void test_out_is_bounded(void **state) {
    struct origin_health_state now = {0};
    sk_time_ns at = 0, out = 0;
    for (int i = 0; i < 3; i++) now = after(&now, 'f', at);
    for (int i = 0; i < 40; i++) {
        out = now.out_until - at;
        at = now.out_until;
        now = after(&now, 'f', at);
    }
    assert_int_equal(out, 320 * S);
}

static void test_passive_off(void **state) {
    const struct config_origin_options off = {.fail_after = 0, .fail_for_ms = 10000};
    struct origin_health_state now = {0};
    for (int i = 0; i < 100; i++) now = origin_health_after_failure(&now, &off, "failed", S);
    assert_int_equal(origin_health_verdict(&now, S), ORIGIN_STATE_UP);
}

static void test_why(void **state) {
    struct origin_health_state now = after(&(struct origin_health_state){0}, 'f', S);
    assert_string_equal(now.why, "failed");
    now = after(&now, 's', S);
    assert_null(now.why);
}

/* --- shared ------------------------------------------------------------------------------------------- */

static void test_shared(void **state) {
    struct origin_health health;
    origin_health_init(&health);
    assert_int_equal(origin_health_state_now(&health, S), ORIGIN_STATE_UP);
    assert_false(origin_health_failed(&health, &rules, "failed", S));
    assert_false(origin_health_failed(&health, &rules, "failed", S));
    assert_true(origin_health_failed(&health, &rules, "failed", S));
    assert_int_equal(origin_health_state_now(&health, S), ORIGIN_STATE_OUT);
    assert_int_equal(origin_health_state_now(&health, 11 * S), ORIGIN_STATE_TRIAL);
    assert_true(origin_health_take_trial(&health, 11 * S));
    assert_false(origin_health_take_trial(&health, 11 * S + S / 2)); /* one a second */
    assert_true(origin_health_take_trial(&health, 12 * S));
    assert_true(origin_health_succeeded(&health, 12 * S));
    assert_false(origin_health_succeeded(&health, 12 * S));
    for (int i = 0; i < 2; i++) assert_false(origin_health_checked(&health, &checks, "refused", S));
    assert_true(origin_health_checked(&health, &checks, "refused", S));
    assert_int_equal(origin_health_state_now(&health, S), ORIGIN_STATE_DOWN);
    assert_string_equal(origin_health_copy(&health).why, "refused");
    origin_health_forget_checks(&health);
    assert_int_equal(origin_health_state_now(&health, S), ORIGIN_STATE_UP);
    origin_health_destroy(&health);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories),     cmocka_unit_test(test_out_is_bounded),
        cmocka_unit_test(test_passive_off), cmocka_unit_test(test_why),
        cmocka_unit_test(test_shared),
    };
    return SK_RUN_TESTS(tests);
}
