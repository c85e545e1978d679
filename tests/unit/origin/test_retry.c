/* The retry budget, and which failures are tried again. */
#include "unit.h"

#include "base/random.h"
#include "origin/budget.h"
#include "origin/retry.h"

static void test_budget_is_a_share(void **state) {
    static const struct {
        const char *behaviour;
        uint32_t percent;
        int requests, expected;
    } cases[] = {
        {"a start of ten", 20, 0, 10},     {"a fifth of the requests on top", 20, 100, 30},
        {"one in a hundred", 1, 1000, 20}, {"never more than a hundred saved up", 100, 1000, 100},
        {"none at all", 0, 1000, 0},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct origin_budget budget;
        int retries = 0;
        origin_budget_init(&budget, cases[i].percent);
        for (int n = 0; n < cases[i].requests; n++) origin_budget_deposit(&budget, cases[i].percent);
        while (origin_budget_withdraw(&budget)) retries++;
        if (retries != cases[i].expected)
            fail_msg("%s: %d, not %d", cases[i].behaviour, retries, cases[i].expected);
    }
}

#define NO ORIGIN_RETRY_NO
#define FRESH ORIGIN_RETRY_FRESH
#define OTHER ORIGIN_RETRY_OTHER
#define SAME ORIGIN_RETRY_SAME

static void test_decisions(void **state) {
    static const struct {
        const char *behaviour;
        struct origin_retry_question question;
        enum origin_retry expected;
    } cases[] = {
        {"refused: another origin",
         {ORIGIN_PHASE_CONNECT, SK_ERR_REFUSED, .idempotent = true, .other_left = true},
         OTHER},
        {"refused, the only one: again after a pause",
         {ORIGIN_PHASE_CONNECT, SK_ERR_REFUSED, .idempotent = true},
         SAME},
        {"RFC 9110 9.2.2: a POST that never left is safe",
         {ORIGIN_PHASE_CONNECT, SK_ERR_REFUSED, .other_left = true},
         OTHER},
        {"RFC 9110 9.2.2: a POST that did is not",
         {ORIGIN_PHASE_FIRST_BYTE, SK_ERR_RESET, .sent = true, .other_left = true},
         NO},
        {"a GET that left is",
         {ORIGIN_PHASE_FIRST_BYTE, SK_ERR_RESET, .idempotent = true, .sent = true, .other_left = true},
         OTHER},
        {"not once a piece of the body was taken",
         {ORIGIN_PHASE_SEND, SK_ERR_RESET, .idempotent = true, .sent = true, .body_begun = true,
          .other_left = true},
         NO},
        {"a stale connection: the same origin afresh",
         {ORIGIN_PHASE_FIRST_BYTE, SK_ERR_CLOSED, .idempotent = true, .sent = true, .stale = true,
          .other_left = true},
         FRESH},
        {"also when no retry is left",
         {ORIGIN_PHASE_FIRST_BYTE, SK_ERR_CLOSED, .idempotent = true, .sent = true, .stale = true,
          .retries = 2},
         FRESH},
        {"RFC 9110 9.2.2: but not a POST",
         {ORIGIN_PHASE_FIRST_BYTE, SK_ERR_CLOSED, .sent = true, .stale = true},
         NO},
        {"as many as are allowed",
         {ORIGIN_PHASE_CONNECT, SK_ERR_REFUSED, .idempotent = true, .other_left = true, .retries = 2},
         NO},
        {"not after the deadline",
         {ORIGIN_PHASE_CONNECT, SK_ERR_REFUSED, .idempotent = true, .other_left = true, .now = 100,
          .deadline = 100},
         NO},
        {"not when the caller stops",
         {ORIGIN_PHASE_CONNECT, SK_ERR_CANCELLED, .idempotent = true, .other_left = true},
         NO},
        {"not for the client's fault",
         {ORIGIN_PHASE_BODY_READ, SK_ERR_RESET, .idempotent = true, .other_left = true},
         NO},
        {"slow: another origin",
         {ORIGIN_PHASE_FIRST_BYTE, SK_ERR_TIMEOUT, .idempotent = true, .sent = true, .other_left = true},
         OTHER},
        {"slow: not the same again",
         {ORIGIN_PHASE_FIRST_BYTE, SK_ERR_TIMEOUT, .idempotent = true, .sent = true},
         NO},
        {"a certificate does not mend", {ORIGIN_PHASE_TLS, SK_ERR_TLS_CERTIFICATE, .idempotent = true}, NO},
        {"another's may be good",
         {ORIGIN_PHASE_TLS, SK_ERR_TLS_CERTIFICATE, .idempotent = true, .other_left = true},
         OTHER},
        {"all its connections are in use: another origin",
         {ORIGIN_PHASE_CONNECT, SK_ERR_BUSY, .idempotent = true, .other_left = true},
         OTHER},
        {"all its connections are in use: the wait was long enough",
         {ORIGIN_PHASE_CONNECT, SK_ERR_BUSY, .idempotent = true},
         NO},
        {"garbage: another origin",
         {ORIGIN_PHASE_HEAD, SK_ERR_MALFORMED, .idempotent = true, .sent = true, .other_left = true},
         OTHER},
        {"garbage: not the same again",
         {ORIGIN_PHASE_HEAD, SK_ERR_MALFORMED, .idempotent = true, .sent = true},
         NO},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct origin_retry_question question = cases[i].question;
        question.retries_allowed = 2;
        if (!question.deadline) question.deadline = 1000;
        enum origin_retry got = origin_retry_decide(&question);
        if (got != cases[i].expected) fail_msg("%s: %d", cases[i].behaviour, got);
    }
}

static void test_pauses(void **state) {
    static const struct {
        uint32_t retry;
        int64_t least_ms, most_ms;
    } cases[] = {{1, 25, 50}, {2, 50, 100}, {5, 400, 800}, {6, 500, 1000}, {1000, 500, 1000}};
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        for (int n = 0; n < 100; n++) {
            sk_time_ns pause = origin_retry_pause(cases[i].retry, sk_random_u64());
            assert_in_range(pause, cases[i].least_ms * SK_NS_PER_MS, cases[i].most_ms * SK_NS_PER_MS);
        }
        assert_true(origin_retry_pause(cases[i].retry, 1) != origin_retry_pause(cases[i].retry, 2));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget_is_a_share),
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_pauses),
    };
    return SK_RUN_TESTS(tests);
}
