/* No-Vary-Search: draft-ietf-httpbis-no-vary-search-05. The cases of its examples and of each step of its algorithms. */
#include "http/no_vary_search.h"

#include <stdio.h>

#include "messages.h"

static struct sk_arena arena;

static int setup(void **state) {
    sk_arena_init(&arena, 4096, 0);
    (void)state;
    return 0;
}
static int teardown(void **state) {
    sk_arena_free(&arena);
    (void)state;
    return 0;
}

static sk_str rule_of(const char *value) {
    struct http_fields fields = {0};
    sk_str rule;
    assert_ok(http_fields_add_id(&fields, &arena, HTTP_FIELD_NO_VARY_SEARCH, sk_str_from_c(value)));
    assert_ok(http_no_vary_search_rule(&arena, &fields, &rule));
    return rule;
}

static const struct {
    const char *value, *rule;
} rule_cases[] = {
    {"params", "-a"},
    {"params=?1", "-a"},
    {"params=(\"a\")", "--&a"},
    {"params=(\"b\" \"a\" \"b\")", "--&a&b"},
    {"params, except=(\"x\")", "-a&x"},
    {"params, except=()", "-a"},
    {"key-order", "o-"},
    {"key-order=?1", "o-"},
    {"key-order, params, except=(\"x\")", "oa&x"},
    {"params, key-order, except=(\"x\")", "oa&x"},
    {"key-order, params=(\"a\")", "o-&a"},
    /* 4.3: names are written as in a query */
    {"params=(\"%C3%A9+%E6%B0%97\")", "--&%C3%A9%20%E6%B0%97"},
    {"params=(\"%61\" \"a\")", "--&a"},
    /* 4.1: keys that nobody knows are ignored, parameters too */
    {"unknown, params", "-a"},
    {"params;x=1", "-a"},
    /* 4.2.1: nothing said */
    {"unknown-key", ""},
    {"params=?0", ""},
    {"params=()", ""},
    {"key-order=?0", ""},
    {"", ""},
    /* 4.2.1: invalid ones */
    {"key-order=\"not a boolean\"", ""},
    {"params=\"not a boolean or inner list\"", ""},
    {"params=(not-a-string)", ""},
    {"params=(\"a\"), except=(\"x\")", ""},
    {"params=(), except=()", ""},
    {"params=?0, except=(\"x\")", ""},
    {"params, except=(not-a-string)", ""},
    {"params, except=\"not an inner list\"", ""},
    {"params, except=?1", ""},
    {"except=(\"x\")", ""},
    {"except=()", ""},
    {"params, key-order=1", ""},
    {"params, (", ""},
    {"PARAMS", ""},
};

static void section_4_a_field_is_a_rule(void **state) {
    for (size_t i = 0; i < SK_COUNT(rule_cases); i++) {
        sk_str rule = rule_of(rule_cases[i].value);
        if (!sk_str_eq(rule, sk_str_from_c(rule_cases[i].rule)))
            fail_msg("%s: \"%.*s\"", rule_cases[i].value, SK_STR_ARGS(rule));
    }
    (void)state;
}

static void several_lines_are_one_dictionary(void **state) {
    struct http_fields fields = fields_of(&arena, "No-Vary-Search: key-order\nNo-Vary-Search: params");
    sk_str rule;
    assert_ok(http_no_vary_search_rule(&arena, &fields, &rule));
    assert_str(rule, SK_STR("oa"));
    fields.count = 0;
    assert_ok(http_no_vary_search_rule(&arena, &fields, &rule));
    assert_str(rule, SK_STR(""));
    (void)state;
}

static void too_much_is_no_rule(void **state) {
    char text[4000] = "params=(";
    for (int i = 0; i < 65; i++) snprintf(text + strlen(text), 16, "\"n%d\" ", i);
    strcat(text, ")");
    assert_str(rule_of(text), SK_STR(""));
    snprintf(text, sizeof text, "params=(\"%0*d\")", 1100, 0);
    assert_str(rule_of(text), SK_STR(""));
    (void)state;
}

static const struct {
    const char *rule, *a, *b; /* NULL: no query */
    bool equivalent;
} query_cases[] = {
    /* section 5, in its order */
    {"params=(\"x\")", "a=1&x=2", "a=1&x=3", true},
    {"params=(\"x\")", "a=1&x=2", "a=1", true},
    {"params=(\"x\")", "x=2", NULL, true},
    {"params=(\"x\")", "a=1", "a=2", false},
    {"params=(\"x\")", "a=1&b=2", "b=2&a=1", false},
    {"params=(\"x\")", "a=1&a=2", "a=2&a=1", false},
    {"params=(\"x\")", "X=1", NULL, false},
    {"params", "a=1&b", NULL, true},
    {"params, except=(\"id\")", "id=1&a=2", "b&id=1", true},
    {"params, except=(\"id\")", "id=1", "id=2", false},
    {"params, except=(\"id\")", "id=1", NULL, false},
    {"params, except=(\"id\" \"p\")", "id=1&p=2", "p=2&id=1", false},
    {"key-order, params, except=(\"id\" \"p\")", "id=1&p=2", "p=2&x&id=1", true},
    {"key-order", "a=1&b=2", "b=2&a=1", true},
    {"key-order", "a=1&b=2&a=3", "b=2&a=1&a=3", true},
    {"key-order", "a=1&a=3", "a=3&a=1", false},
    {"key-order", "a=1", "a=1&b", false},
    /* 5.1 */
    {"key-order", NULL, "", true},
    {"key-order", "a=x", "%61=%78", true},
    {"key-order", "a=%C3%A9", "a=\xC3\xA9", true},
    {"key-order", "a=x&&&&", "a=x", true},
    {"key-order", "a=", "a", true},
    {"key-order", "a=%20", "a=+", true},
    {"key-order", "a=%2B", "a=+", false},
    {"key-order", "=", NULL, false},
    {"key-order", "a=b=c", "a=b%3Dc", true},
    {"key-order", "a=1%26b=2", "a=1&b=2", false},
    {"key-order", "a=%zz", "a=%25zz", true},
    {"params=(\"%C3%A9+%E6%B0%97\")", "%C3%A9+\xE6\xB0\x97=4", NULL, true},
    {"params=(\"a\")", "%61=4", NULL, true},
};

static void section_5_queries_that_are_equivalent(void **state) {
    for (size_t i = 0; i < SK_COUNT(query_cases); i++) {
        sk_str rule = rule_of(query_cases[i].rule), a, b;
        assert_ok(http_no_vary_search_query(&arena, rule, sk_str_from_c(query_cases[i].a), &a));
        assert_ok(http_no_vary_search_query(&arena, rule, sk_str_from_c(query_cases[i].b), &b));
        if (sk_str_eq(a, b) != query_cases[i].equivalent)
            fail_msg("%s: \"%.*s\", \"%.*s\"", query_cases[i].rule, SK_STR_ARGS(a), SK_STR_ARGS(b));
    }
    (void)state;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(section_4_a_field_is_a_rule),
        CASE(several_lines_are_one_dictionary),
        CASE(too_much_is_no_rule),
        CASE(section_5_queries_that_are_equivalent),
    };
    return SK_RUN_TESTS(tests);
}
