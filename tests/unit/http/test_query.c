/* The normal form of a query under a site's rules. */
#include "http/query.h"

#include "unit.h"

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

struct query_case {
    const char *name;
    enum http_query_mode mode;
    const char *keep, *drop;    /* separated by blanks */
    const char *query, *normal; /* NULL: none */
};

static const struct query_case query_cases[] = {
    {"as it is", HTTP_QUERY_AS_IS, "", "", "b=2&a=1&&", "b=2&a=1&&"},
    {"no query", HTTP_QUERY_SORTED, "", "", NULL, NULL},
    {"an empty query is not none", HTTP_QUERY_SORTED, "", "", "", ""},
    {"none", HTTP_QUERY_NONE, "", "", "a=1", NULL},
    {"sorted by name", HTTP_QUERY_SORTED, "", "", "b=2&a=1&c", "a=1&b=2&c"},
    {"sorting keeps the order of one name", HTTP_QUERY_SORTED, "", "", "b=2&a=9&b=1&a=3", "a=9&a=3&b=2&b=1"},
    {"sorted by what the name means", HTTP_QUERY_SORTED, "", "", "%62=2&a=1&%61=0", "a=1&%61=0&%62=2"},
    {"dropped", HTTP_QUERY_AS_IS, "", "utm_* fbclid", "id=1&utm_source=x&fbclid=y&page=2&utm=z",
     "id=1&page=2&utm=z"},
    {"dropped though it is written in escapes", HTTP_QUERY_AS_IS, "", "utm_*", "%75tm_source=x&id=1", "id=1"},
    {"a broken escape is no other name", HTTP_QUERY_AS_IS, "", "utm", "%7=1&utm%=2&utm=3", "%7=1&utm%=2"},
    {"a plus in a name is a blank", HTTP_QUERY_AS_IS, "", "a?b", "a+b=1&c", "c"},
    {"names are case-sensitive", HTTP_QUERY_AS_IS, "", "id", "ID=1&id=2", "ID=1"},
    {"nothing left is no query", HTTP_QUERY_AS_IS, "", "*", "a&b", NULL},
    {"kept", HTTP_QUERY_AS_IS, "id page", "", "page=2&x=1&id=3", "page=2&id=3"},
    {"kept, but dropped", HTTP_QUERY_SORTED, "p*", "page", "page=2&q=1&pic=3&path=4", "path=4&pic=3"},
    {"a value may hold an equals sign", HTTP_QUERY_SORTED, "", "", "b==&a=b=c", "a=b=c&b=="},
};

static uint32_t split(const char *text, sk_str out[8]) {
    sk_str rest = sk_str_from_c(text);
    uint32_t count = 0;
    while (rest.len && sk_str_cut(&rest, ' ', &out[count])) count++;
    return count;
}

static void queries_have_a_normal_form(void **state) {
    for (size_t i = 0; i < SK_COUNT(query_cases); i++) {
        const struct query_case *c = &query_cases[i];
        sk_str keep[8], drop[8], got = {0}, again = {0};
        struct http_key_rules rules = {.query = c->mode, .query_keep = keep, .query_drop = drop};
        rules.query_keep_count = split(c->keep, keep);
        rules.query_drop_count = split(c->drop, drop);
        assert_ok(http_query_normalise(&arena, sk_str_from_c(c->query), &rules, &got));
        if (!sk_str_eq(got, sk_str_from_c(c->normal)) || !got.data != !c->normal)
            fail_msg("%s: \"%.*s\"", c->name, SK_STR_ARGS(got));
        assert_ok(http_query_normalise(&arena, got, &rules, &again));
        assert_str(again, got);
    }
    (void)state;
}

static void without_rules_a_query_stays(void **state) {
    sk_str query = SK_STR("b&a"), got;
    assert_ok(http_query_normalise(&arena, query, NULL, &got));
    assert_ptr_equal(got.data, query.data);
    (void)state;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(queries_have_a_normal_form),
        CASE(without_rules_a_query_stays),
    };
    return SK_RUN_TESTS(tests);
}
