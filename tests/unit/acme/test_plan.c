/* When a certificate is ordered, how long is waited, what is remembered. */
#include "unit.h"

#include "acme/plan.h"

#define DAY 86400
#define BORN 1000000000 /* of the certificate in most cases, with ninety days to live */

static const struct acme_held held = {true, BORN, BORN + 90 * DAY};
static const struct acme_pace pace = {.check_s = 6 * 3600, .retry_s = 300};

static void test_when(void **state) {
    static const struct {
        const char *behaviour;
        struct acme_state state;
        struct acme_held held;
        sk_unix_s now;
        enum acme_step step;
        uint32_t days_left;
    } cases[] = {
        {"no certificate: one is ordered", {0}, {0}, BORN, ACME_ORDER, 0},
        {"one that cannot be used is none", {0}, {false, BORN, BORN + 90 * DAY}, BORN, ACME_ORDER, 0},
        {"a young one: only if the authority wants it",
         {0},
         {true, BORN, BORN + 90 * DAY},
         BORN + DAY,
         ACME_ASK,
         89},
        {"a second before two thirds of its life",
         {0},
         {true, BORN, BORN + 90 * DAY},
         BORN + 60 * DAY - 1,
         ACME_ASK,
         31},
        {"at two thirds of its life", {0}, {true, BORN, BORN + 90 * DAY}, BORN + 60 * DAY, ACME_RENEW, 30},
        {"its jitter brings it forward, by a twentieth of the life at most",
         {.jitter = 65535},
         {true, BORN, BORN + 90 * DAY},
         BORN + 56 * DAY,
         ACME_RENEW,
         34},
        {"and not further", {.jitter = 65535}, {true, BORN, BORN + 90 * DAY}, BORN + 55 * DAY, ACME_ASK, 35},
        {"the last tenth of its life: whatever the authority suggests",
         {0},
         {true, BORN, BORN + 90 * DAY},
         BORN + 81 * DAY,
         ACME_ORDER,
         9},
        {"expired", {0}, {true, BORN, BORN + 90 * DAY}, BORN + 91 * DAY, ACME_ORDER, 0},
        {"six days of life: the same shares",
         {0},
         {true, BORN, BORN + 6 * DAY},
         BORN + 4 * DAY,
         ACME_RENEW,
         2},
        {"hours of life: only by its age, since the client counts in days",
         {0},
         {true, BORN, BORN + 3600},
         BORN + 2399,
         ACME_WAIT,
         0},
        {"and then at two thirds too", {0}, {true, BORN, BORN + 3600}, BORN + 2400, ACME_RENEW, 1},
        {"after a failure nothing before its time", {.next = BORN + 5}, {0}, BORN + 4, ACME_WAIT, 0},
        {"and then again",
         {.next = BORN + 5, .last = ACME_FAILED, .failures = 1},
         {0},
         BORN + 5,
         ACME_ORDER,
         0},
        {"what came could not be used: another one, though the authority calls the bad one young",
         {.last = ACME_REFUSED, .failures = 1},
         {true, BORN, BORN + 90 * DAY},
         BORN + DAY,
         ACME_ORDER,
         0},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct acme_decision decision = acme_decide(&cases[i].state, &cases[i].held, cases[i].now);
        if (decision.step != cases[i].step || decision.days_left != cases[i].days_left)
            fail_msg("%s: %d, %u days", cases[i].behaviour, decision.step, decision.days_left);
        if (decision.step == ACME_WAIT) assert_true(decision.at > cases[i].now);
    }
}

static int64_t wait_after(struct acme_state *memory, enum acme_outcome outcome, uint32_t chance,
                          sk_unix_s now) {
    acme_note(memory, &held, outcome, &pace, chance, now);
    assert_int_equal(memory->last, outcome);
    assert_int_equal(memory->last_at, now);
    return memory->next - now;
}

static void test_back_off(void **state) {
    static const int64_t expected[] = {300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 43200, 43200};
    struct acme_state memory = {0};
    for (size_t i = 0; i < SK_COUNT(expected); i++) {
        assert_int_equal(wait_after(&memory, ACME_FAILED, 0, BORN), expected[i]);
        assert_int_equal(memory.failures, i + 1);
    }
    memory.failures = UINT32_MAX;
    assert_int_equal(wait_after(&memory, ACME_TIMED_OUT, 0, BORN), 43200);
    assert_int_equal(memory.failures, UINT32_MAX);
    assert_int_equal(wait_after(&memory, ACME_CURRENT, 0, BORN), pace.check_s);
    assert_int_equal(memory.failures, 0);
}

static void test_chance_spreads(void **state) {
    int64_t least = INT64_MAX, most = 0;
    for (uint32_t chance = 0; chance < 4096; chance++) {
        struct acme_state memory = {0};
        int64_t wait = wait_after(&memory, ACME_FAILED, chance, BORN);
        least = SK_MIN(least, wait);
        most = SK_MAX(most, wait);
    }
    assert_int_equal(least, 300);
    assert_in_range(most, 370, 375);
}

static void test_slow_retries(void **state) {
    static const enum acme_outcome slow[] = {ACME_LIMITED, ACME_REFUSED};
    for (size_t i = 0; i < SK_COUNT(slow); i++) {
        struct acme_state memory = {0};
        assert_int_equal(wait_after(&memory, slow[i], 0, BORN), 3600);
        assert_int_equal(wait_after(&memory, slow[i], 0, BORN), 7200);
        for (int n = 0; n < 60; n++) (void)wait_after(&memory, slow[i], 0, BORN);
        assert_int_equal(wait_after(&memory, slow[i], 0, BORN), 43200);
    }
}

static void test_next_question(void **state) {
    struct acme_state memory = {0};
    assert_int_equal(wait_after(&memory, ACME_ISSUED, 0, BORN), pace.check_s);
    memory = (struct acme_state){0};
    assert_int_equal(wait_after(&memory, ACME_CURRENT, 0, BORN + 60 * DAY - 100), 100); /* two thirds */
    assert_int_equal(wait_after(&memory, ACME_CURRENT, 0, BORN + 81 * DAY - 100), 100); /* the last tenth */
    /* an authority that calls a certificate young which is not there is of no help */
    struct acme_held none = {0};
    acme_note(&memory, &none, ACME_CURRENT, &pace, 0, BORN);
    assert_int_equal(memory.failures, 1);
    assert_int_equal(memory.next, BORN + 300);
}

/* From birth to renewal by the plan alone: the renewal comes, and comes once. */
static void test_a_life(void **state) {
    for (uint32_t chance = 7; chance < 0xf0000000u; chance += 0x01234567u) {
        struct acme_state memory = {0};
        sk_unix_s now = BORN;
        acme_note(&memory, &held, ACME_ISSUED, &pace, chance, now);
        struct acme_decision decision = acme_decide(&memory, &held, memory.next);
        for (int n = 0; n < 1000 && decision.step == ACME_ASK; n++) {
            now = memory.next;
            acme_note(&memory, &held, ACME_CURRENT, &pace, chance + (uint32_t)n, now);
            decision = acme_decide(&memory, &held, memory.next);
        }
        assert_int_equal(decision.step, ACME_RENEW);
        assert_in_range(memory.next, BORN + 90 * DAY * 61 / 100, BORN + 60 * DAY);
    }
}

static void test_memory(void **state) {
    static const struct acme_state cases[] = {
        {0},
        {.failures = 3, .last = ACME_LIMITED, .last_at = BORN, .next = BORN + 3600, .jitter = 65535},
        {.failures = UINT32_MAX, .last = ACME_NO_CLIENT, .last_at = 1, .next = 2, .jitter = 1},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct acme_state read;
        struct sk_buf text;
        sk_buf_init(&text, 0);
        assert_ok(acme_state_format(&cases[i], &text));
        assert_ok(acme_state_parse(sk_buf_str(&text), BORN, &read));
        assert_int_equal(read.failures, cases[i].failures);
        assert_int_equal(read.last, cases[i].last);
        assert_int_equal(read.last_at, cases[i].last_at);
        assert_int_equal(read.next, cases[i].next);
        assert_int_equal(read.jitter, cases[i].jitter);
        sk_buf_free(&text);
    }
}

static void test_bad_memory(void **state) {
    static const char *const bad[] = {"",
                                      "\n",
                                      "last=",
                                      "last=later",
                                      "next=-1",
                                      "next=x",
                                      "next=99999999999999999999",
                                      "failures=4294967296",
                                      "jitter=65536",
                                      "last=failed  at=1",
                                      "last=failed other=1",
                                      "last=failed\nat=1"};
    struct acme_state read = {.failures = 77};
    for (size_t i = 0; i < SK_COUNT(bad); i++)
        assert_err(acme_state_parse(sk_str_from_c(bad[i]), BORN, &read), SK_ERR_MALFORMED);
    assert_int_equal(read.failures, 77);
    assert_ok(acme_state_parse(SK_STR("last=failed next=4000000000 failures=1"), BORN, &read));
    assert_in_range(read.next, BORN + ACME_RETRY_MAX_S, BORN + 2 * ACME_RETRY_MAX_S);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_when),           cmocka_unit_test(test_back_off),
        cmocka_unit_test(test_chance_spreads), cmocka_unit_test(test_slow_retries),
        cmocka_unit_test(test_next_question),  cmocka_unit_test(test_a_life),
        cmocka_unit_test(test_memory),         cmocka_unit_test(test_bad_memory),
    };
    return SK_RUN_TESTS(tests);
}
