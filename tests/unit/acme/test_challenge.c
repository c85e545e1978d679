/* Answers to http-01 (RFC 8555 section 8.3). */
#include "unit.h"

#include <stdio.h>

#include "acme/challenge.h"

static enum acme_found found(const char *host, const char *token, const char *expected) {
    char answer[ACME_ANSWER_MAX];
    size_t bytes = 0;
    enum acme_found found = acme_challenge_find(sk_str_from_c(host), sk_str_from_c(token), answer, &bytes);
    if (found == ACME_FOUND) assert_str(sk_str_make(answer, bytes), sk_str_from_c(expected));
    return found;
}

static sk_err add(const char *host, const char *token, const char *answer) {
    return acme_challenge_add(sk_str_from_c(host), sk_str_from_c(token), sk_str_from_c(answer));
}

static void test_table(void **state) {
    assert_false(acme_challenges_there());
    assert_int_equal(found("a.test", "t1", ""), ACME_NOT_OURS);
    assert_ok(add("a.test", "t1", "t1.x"));
    assert_ok(add("a.test", "t2", "t2.x"));
    assert_ok(add("B.test", "t1", "t1.y"));
    assert_true(acme_challenges_there());
    assert_int_equal(found("a.test", "t1", "t1.x"), ACME_FOUND);
    assert_int_equal(found("A.TEST:80", "t2", "t2.x"), ACME_FOUND);
    assert_int_equal(found("b.test.", "t1", "t1.y"), ACME_FOUND);
    assert_int_equal(found("b.test", "t2", ""), ACME_UNKNOWN);
    assert_int_equal(found("b.test", "T1", ""), ACME_UNKNOWN);
    assert_int_equal(found("b.test", "", ""), ACME_UNKNOWN);
    assert_int_equal(found("c.test", "t1", ""), ACME_NOT_OURS);
    assert_ok(add("a.test", "t1", "t1.z"));
    assert_int_equal(found("a.test", "t1", "t1.z"), ACME_FOUND);
    acme_challenge_remove(SK_STR("a.test"), SK_STR("t1"));
    acme_challenge_remove(SK_STR("a.test"), SK_STR("t1"));
    assert_int_equal(found("a.test", "t1", ""), ACME_UNKNOWN);
    acme_challenge_remove(SK_STR("a.test"), SK_STR("t2"));
    assert_int_equal(found("a.test", "t2", ""), ACME_NOT_OURS);
    acme_challenge_clear();
    assert_false(acme_challenges_there());
    assert_int_equal(found("b.test", "t1", ""), ACME_NOT_OURS);
}

static void test_forms(void **state) {
    char long_token[ACME_TOKEN_MAX + 2] = {0};
    memset(long_token, 'a', ACME_TOKEN_MAX + 1);
    static const char *const bad[][3] = {
        {"", "t", "t.x"},
        {"a.test", "", ".x"},
        {"a.test", "../t", "t.x"},
        {"a.test", "t/", "t.x"},
        {"a.test", "t", "t"},
        {"a.test", "t", "t.x.y"},
        {"a.test", "t", "t.x\r\nA: b"},
        {"a.test", "t t", "t.x"},
        {"a.test", "t", ""},
        {"a.test", "t\xc3\xa9", "t.x"},
    };
    for (size_t i = 0; i < SK_COUNT(bad); i++)
        assert_err(add(bad[i][0], bad[i][1], bad[i][2]), SK_ERR_MALFORMED);
    assert_err(add("a.test", long_token, "t.x"), SK_ERR_MALFORMED);
    assert_false(acme_challenges_there());
}

static void test_bound(void **state) {
    char host[32];
    for (int i = 0; i < ACME_CHALLENGES_MAX; i++) {
        snprintf(host, sizeof host, "h%d.test", i);
        assert_ok(add(host, "t", "t.x"));
    }
    assert_err(add("one.more", "t", "t.x"), SK_ERR_FULL);
    assert_ok(add("h0.test", "t", "t.y"));
    acme_challenge_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_bound),
    };
    return SK_RUN_TESTS(tests);
}
