#include "fleet/id.h"

#include "unit.h"

static void test_parse(void **state) {
    struct fleet_id id;
    char text[FLEET_ID_TEXT_BYTES];
    assert_ok(fleet_id_parse(SK_STR("spiffe://acme/fra/edge/fra-1"), &id));
    assert_string_equal(id.fleet, "acme");
    assert_string_equal(id.pop, "fra");
    assert_int_equal(id.role, FLEET_ROLE_EDGE);
    assert_string_equal(id.name, "fra-1");
    assert_str(fleet_id_format(&id, text), SK_STR("spiffe://acme/fra/edge/fra-1"));
}

static void test_refused(void **state) {
    static const char *const bad[] = {
        "",
        "spiffe://",
        "spiffe://acme/fra/edge",
        "spiffe://acme/fra/edge/",
        "spiffe://acme/fra/edge/a/b",
        "spiffe://acme/fra/edge/a/",
        "spiffe://acme/fra/king/a",
        "spiffe://acme/fra/Edge/a",
        "SPIFFE://acme/fra/edge/a",
        "spiffe://acme:443/fra/edge/a",
        "spiffe://acme/fra/edge/a?b",
        "spiffe://acme/fra/edge/%61",
        "spiffe://acme//edge/a",
        "spiffe://acme/../edge/a",
        "spiffe://acme/fra/edge/-a",
        "https://acme/fra/edge/a",
        "spiffe://acme/fra/edge/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    struct fleet_id id;
    for (size_t i = 0; i < SK_COUNT(bad); i++)
        assert_err(fleet_id_parse(sk_str_from_c(bad[i]), &id), SK_ERR_MALFORMED);
}

static struct fleet_caller caller_of(const char *text, sk_unix_s issued_at) {
    struct fleet_caller caller = {.issued_at = issued_at};
    assert_ok(fleet_id_parse(sk_str_from_c(text), &caller.id));
    return caller;
}

static void test_check(void **state) {
    static const struct {
        const char *who;
        enum fleet_verb verb;
        enum fleet_verdict verdict;
    } cases[] = {
        {"spiffe://acme/fra/edge/a", FLEET_VERB_REPORT, FLEET_ALLOWED},
        {"spiffe://acme/fra/edge/a", FLEET_VERB_RENEW, FLEET_ALLOWED},
        {"spiffe://acme/fra/edge/a", FLEET_VERB_FETCH_PEER, FLEET_ALLOWED},
        {"spiffe://acme/fra/edge/a", FLEET_VERB_SIGN_SNAPSHOT, FLEET_NOT_YOURS},
        {"spiffe://acme/fra/edge/a", FLEET_VERB_PUBLISH_PURGE, FLEET_NOT_YOURS},
        {"spiffe://acme/fra/edge/a", FLEET_VERB_SERVE_CONTROL, FLEET_NOT_YOURS},
        {"spiffe://acme/fra/route/a", FLEET_VERB_FETCH_PEER, FLEET_NOT_YOURS},
        {"spiffe://acme/fra/control/a", FLEET_VERB_SIGN_SNAPSHOT, FLEET_ALLOWED},
        {"spiffe://acme/fra/control/a", FLEET_VERB_FETCH_PEER, FLEET_NOT_YOURS},
        {"spiffe://evil/fra/control/a", FLEET_VERB_SIGN_SNAPSHOT, FLEET_FOREIGN},
        {"spiffe://acme/fra/edge/a", FLEET_VERB_COUNT_, FLEET_NOT_YOURS},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct fleet_caller caller = caller_of(cases[i].who, 1000);
        assert_int_equal(fleet_check(&caller, SK_STR("acme"), cases[i].verb, NULL), cases[i].verdict);
        assert_int_equal(fleet_check(&caller, SK_STR(""), cases[i].verb, NULL), FLEET_FOREIGN);
    }
}

static void test_expelled(void **state) {
    struct fleet_expelled expelled;
    struct fleet_caller before = caller_of("spiffe://acme/fra/edge/a", 1000),
                        after = caller_of("spiffe://acme/fra/edge/a", 1001),
                        other = caller_of("spiffe://acme/ams/edge/a", 1000);
    assert_ok(fleet_expelled_parse(SK_STR("1000 spiffe://acme/fra/edge/a\n5 spiffe://acme/fra/edge/b\n"),
                                   &expelled));
    assert_int_equal(expelled.count, 2);
    assert_int_equal(fleet_check(&before, SK_STR("acme"), FLEET_VERB_REPORT, &expelled), FLEET_EXPELLED);
    assert_int_equal(fleet_check(&after, SK_STR("acme"), FLEET_VERB_REPORT, &expelled), FLEET_ALLOWED);
    assert_int_equal(fleet_check(&other, SK_STR("acme"), FLEET_VERB_REPORT, &expelled), FLEET_ALLOWED);
    struct sk_buf text;
    sk_buf_init(&text, 0);
    assert_ok(fleet_expelled_format(&expelled, &text));
    assert_str(sk_buf_str(&text), SK_STR("1000 spiffe://acme/fra/edge/a\n5 spiffe://acme/fra/edge/b\n"));
    sk_buf_free(&text);
    fleet_expelled_free(&expelled);
}

/* Half a list would let somebody back in. */
static void test_expelled_refused(void **state) {
    static const char *const bad[] = {"1000 spiffe://acme/fra/edge/a", "spiffe://acme/fra/edge/a\n", "\n",
                                      "x spiffe://acme/fra/edge/a\n",
                                      "1 spiffe://acme/fra/edge/a\n2 spiffe://acme/fra/edge\n"};
    struct fleet_expelled expelled;
    for (size_t i = 0; i < SK_COUNT(bad); i++)
        assert_err(fleet_expelled_parse(sk_str_from_c(bad[i]), &expelled), SK_ERR_MALFORMED);
    assert_ok(fleet_expelled_parse(SK_STR(""), &expelled));
    assert_int_equal(expelled.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_expelled),
        cmocka_unit_test(test_expelled_refused),
    };
    return SK_RUN_TESTS(tests);
}
