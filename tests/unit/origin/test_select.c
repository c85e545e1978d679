/* Which origin gets a request. */
#include "unit.h"

#include "origin/select.h"

#define UP ORIGIN_STATE_UP
#define TRIAL ORIGIN_STATE_TRIAL
#define OUT ORIGIN_STATE_OUT
#define DOWN ORIGIN_STATE_DOWN
#define NOBODY 99

static void test_ranks(void **state) {
    static const struct {
        const char *behaviour;
        struct {
            uint32_t weight;
            enum origin_state state;
            bool tried;
        } origins[3];
        bool may_retry;
        size_t expected;
        enum origin_choice_reason reason;
    } cases[] = {
        {"none is up, none is left", {{1, DOWN}, {1, DOWN}, {0, DOWN}}, true, NOBODY, ORIGIN_CHOICE_NONE},
        {"all were tried", {{1, UP, true}, {1, UP, true}, {0, UP, true}}, true, NOBODY, ORIGIN_CHOICE_NONE},
        {"the one that is up", {{1, DOWN}, {1, OUT}, {1, UP}}, true, 2, ORIGIN_CHOICE_TURN},
        {"one that was tried is passed over", {{9, UP, true}, {1, UP}, {0, UP}}, true, 1, ORIGIN_CHOICE_TURN},
        {"a repeatable request is risked on a trial",
         {{1, UP}, {1, TRIAL}, {1, UP}},
         true,
         1,
         ORIGIN_CHOICE_TRIAL},
        {"another is not", {{1, UP}, {1, TRIAL}, {1, DOWN}}, false, 0, ORIGIN_CHOICE_TURN},
        {"unless nothing is up", {{1, OUT}, {1, TRIAL}, {0, UP}}, false, 1, ORIGIN_CHOICE_TRIAL},
        {"a spare rests while one is up", {{0, UP}, {1, UP}, {0, UP}}, true, 1, ORIGIN_CHOICE_TURN},
        {"a spare when all others are out or down",
         {{1, OUT}, {0, UP}, {1, DOWN}},
         true,
         1,
         ORIGIN_CHOICE_SPARE},
        {"a spare on trial", {{1, DOWN}, {0, TRIAL}, {1, DOWN}}, true, 1, ORIGIN_CHOICE_SPARE},
        {"all out: one is asked all the same",
         {{0, OUT}, {1, OUT}, {1, DOWN}},
         true,
         1,
         ORIGIN_CHOICE_LAST_RESORT},
        {"a spare that is out comes last",
         {{0, OUT}, {1, DOWN}, {1, OUT, true}},
         true,
         0,
         ORIGIN_CHOICE_LAST_RESORT},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct origin_candidate candidates[3];
        for (size_t j = 0; j < 3; j++)
            candidates[j] = (struct origin_candidate){.weight = cases[i].origins[j].weight,
                                                      .state = cases[i].origins[j].state,
                                                      .tried = cases[i].origins[j].tried,
                                                      .id = j};
        struct origin_wish wish = {.may_retry = cases[i].may_retry};
        struct origin_choice choice = origin_select(candidates, 3, &wish);
        if (choice.reason != cases[i].reason || (choice.reason && choice.index != cases[i].expected))
            fail_msg("%s: origin %zu, %s", cases[i].behaviour, choice.index,
                     origin_choice_text(choice.reason));
    }
}

static void test_no_origin(void **state) {
    struct origin_wish wish = {.may_retry = true};
    assert_int_equal(origin_select(NULL, 0, &wish).reason, ORIGIN_CHOICE_NONE);
}

/* --- turns ---------------------------------------------------------------------------------------------- */

static void prepare(struct origin_candidate *candidates, const uint32_t *weights, size_t count) {
    for (size_t i = 0; i < count; i++)
        candidates[i] =
            (struct origin_candidate){.weight = weights[i], .id = i, .due = origin_first_due(weights[i])};
}

static size_t take_turn(struct origin_candidate *candidates, size_t count, uint64_t *clock) {
    struct origin_wish wish = {.clock = *clock, .may_retry = true};
    struct origin_choice choice = origin_select(candidates, count, &wish);
    assert_int_equal(choice.reason, ORIGIN_CHOICE_TURN);
    candidates[choice.index].due = choice.due;
    *clock = choice.clock;
    return choice.index;
}

static void test_turns(void **state) {
    static const struct {
        uint32_t weights[3];
        const char *turns;
    } cases[] = {
        {{1, 1, 1}, "abcabcabcabc"},
        {{2, 1, 1}, "abcaabcaabca"},
        {{5, 1, 1}, "aaabcaaaaabcaa"},
        {{1, 5, 1}, "bbabcbbbbabcbb"},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct origin_candidate candidates[3];
        char turns[32] = "";
        uint64_t clock = 0;
        prepare(candidates, cases[i].weights, 3);
        for (size_t n = 0; n < strlen(cases[i].turns); n++)
            turns[n] = (char)('a' + take_turn(candidates, 3, &clock));
        assert_string_equal(turns, cases[i].turns);
    }
}

static void test_shares_follow_weights(void **state) {
    static const uint32_t weights[] = {1, 10, 100, 1000};
    struct origin_candidate candidates[4];
    uint32_t taken[4] = {0};
    uint64_t clock = 0;
    prepare(candidates, weights, 4);
    for (int n = 0; n < 11110; n++) taken[take_turn(candidates, 4, &clock)]++;
    for (size_t i = 0; i < 4; i++) assert_in_range(taken[i], weights[i] * 10 - 1, weights[i] * 10 + 1);
}

static void test_who_was_away_does_not_catch_up(void **state) {
    static const uint32_t weights[] = {1, 1};
    struct origin_candidate candidates[2];
    uint32_t taken[2] = {0};
    uint64_t clock = 0;
    prepare(candidates, weights, 2);
    candidates[1].state = DOWN;
    for (int n = 0; n < 1000; n++) take_turn(candidates, 2, &clock);
    candidates[1].state = UP;
    for (int n = 0; n < 100; n++) taken[take_turn(candidates, 2, &clock)]++;
    assert_in_range(taken[1], 49, 51);
}

/* --- affinity ------------------------------------------------------------------------------------------- */

static size_t preferred(const struct origin_candidate *candidates, size_t count, uint64_t key) {
    struct origin_wish wish = {.affinity = key, .may_retry = true};
    struct origin_choice choice = origin_select(candidates, count, &wish);
    assert_int_equal(choice.reason, ORIGIN_CHOICE_AFFINITY);
    return choice.index;
}

static void test_affinity(void **state) {
    static const uint32_t weights[] = {1, 1, 2};
    struct origin_candidate all[3], two[3];
    uint32_t taken[3] = {0};
    prepare(all, weights, 3);
    memcpy(two, all, sizeof all);
    two[0].state = DOWN;
    for (uint64_t key = 1; key <= 4000; key++) {
        size_t with = preferred(all, 3, key), without = preferred(two, 3, key);
        taken[with]++;
        assert_int_equal(preferred(all, 3, key), with);
        if (with != 0) assert_int_equal(with, without); /* only the lost one's keys move */
    }
    assert_in_range(taken[0], 900, 1100);
    assert_in_range(taken[1], 900, 1100);
    assert_in_range(taken[2], 1850, 2150);
}

/* Asks N times, with keys from 1 to KEYS in turn; counts who was asked and how often it was the preferred one. */
static uint32_t ask_by_key(struct origin_candidate *candidates, size_t count, uint32_t n, uint64_t keys,
                           uint32_t *taken) {
    struct origin_candidate fresh[3];
    uint64_t clock = 0;
    uint32_t as_preferred = 0;
    memcpy(fresh, candidates, count * sizeof *fresh);
    for (uint32_t i = 0; i < n; i++) {
        struct origin_wish wish = {
            .affinity = 1 + i * UINT64_C(7919) % keys, .clock = clock, .may_retry = true};
        struct origin_choice choice = origin_select(candidates, count, &wish);
        candidates[choice.index].due = choice.due;
        clock = choice.clock;
        taken[choice.index]++;
        as_preferred += choice.index == preferred(fresh, count, wish.affinity);
    }
    return as_preferred;
}

static void test_one_key_does_not_load_one_origin(void **state) {
    static const uint32_t weights[] = {1, 3};
    struct origin_candidate candidates[2];
    for (uint64_t key = 1; key <= 2; key++) {
        uint32_t taken[2] = {0};
        prepare(candidates, weights, 2);
        ask_by_key(candidates, 2, 400, key, taken);
        assert_in_range(taken[0], 92, 108);
    }
}

static void test_many_keys_stay_where_they_are_wanted(void **state) {
    static const uint32_t weights[] = {1, 1, 2};
    struct origin_candidate candidates[3];
    uint32_t taken[3] = {0};
    prepare(candidates, weights, 3);
    assert_in_range(ask_by_key(candidates, 3, 10000, 100003, taken), 8500, 10000);
    assert_in_range(taken[2], 4980, 5020);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_no_origin),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_shares_follow_weights),
        cmocka_unit_test(test_who_was_away_does_not_catch_up),
        cmocka_unit_test(test_affinity),
        cmocka_unit_test(test_one_key_does_not_load_one_origin),
        cmocka_unit_test(test_many_keys_stay_where_they_are_wanted),
    };
    return SK_RUN_TESTS(tests);
}
