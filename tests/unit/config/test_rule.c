/* Rules of paths: which one holds, and what it takes over from its site. */
#include "config/load.h"
#include "unit.h"

static struct config *parsed(const char *site) {
    struct config_problems problems;
    struct config *config = NULL;
    struct sk_buf text;
    config_problems_init(&problems);
    sk_buf_init(&text, 0);
    assert_ok(sk_buf_printf(&text, "sites:\n  - origin: http://o\n%s", site));
    sk_err err = config_parse(sk_buf_str(&text), "test", &config, &problems);
    if (err) fail_msg("%.*s", SK_STR_ARGS(sk_buf_str(&problems.text)));
    sk_buf_free(&text);
    config_problems_free(&problems);
    return config;
}

static void the_first_rule_that_matches_holds(void **state) {
    static const struct {
        const char *host, *path;
        int rule; /* -1: the site's own */
    } cases[] = {
        {"a", "/", -1},         {"a", "/static/", 0},      {"a", "/static/x/y.css", 0},
        {"a", "/static", -1},   {"a", "/Static/x", -1},    {"img.a", "/x", 1},
        {"IMG.A", "/x", 1},     {"img.a", "/static/x", 0}, {"b.img.a", "/x", 2},
        {"img2.a", "/x", -1},   {"a", "/exact", 3},        {"a", "/exact/", -1},
        {"a", "/x/y.png", 4},   {"a", "/y.png", 4},        {"a", "/y.pngx", -1},
        {"a", "/v1/items/", 5}, {"a", "/v12/items/", -1},  {"a", "/late", 6},
        {"", "*", -1},
    };
    struct config *c = parsed("    hosts: [a, img.a, \"*.img.a\"]\n"
                              "    rules:\n"
                              "      - path: /static/*\n"
                              "      - {host: Img.a, path: \"*\"}\n"
                              "      - {host: \"*.img.a\", path: \"*\"}\n"
                              "      - path: /exact\n"
                              "      - path: \"*.png\"\n"
                              "      - path: /v?/items/*\n"
                              "      - {path: /early, paths: [/later, /late]}\n");
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        const struct config_site *site = &c->sites[0];
        const struct config_rule *rule =
            config_rule_for(site, sk_str_from_c(cases[i].host), sk_str_from_c(cases[i].path), SK_STR("GET"));
        const struct config_rule *wanted = cases[i].rule < 0 ? &site->base : &site->rules[cases[i].rule];
        if (rule != wanted) fail_msg("%s%s", cases[i].host, cases[i].path);
    }
    assert_int_equal(c->sites[0].rules[6].index, 6);
    config_unref(c);
}

static void a_rule_may_be_for_some_methods(void **state) {
    struct config *c = parsed("    rules:\n"
                              "      - {path: /a, methods: [POST, PUT]}\n"
                              "      - {path: /a, methods: [GET]}\n"
                              "      - {path: /b, methods: [get]}\n"
                              "      - {path: /b}\n");
    static const struct {
        const char *path, *method;
        int rule; /* -1: the site's own */
    } cases[] = {
        {"/a", "POST", 0}, {"/a", "PUT", 0}, {"/a", "GET", 1}, {"/a", "DELETE", -1}, {"/b", "GET", 3}};
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        const struct config_site *site = &c->sites[0];
        const struct config_rule *rule =
            config_rule_for(site, SK_STR("h"), sk_str_from_c(cases[i].path), sk_str_from_c(cases[i].method));
        if (rule != (cases[i].rule < 0 ? &site->base : &site->rules[cases[i].rule]))
            fail_msg("%s %s", cases[i].method, cases[i].path);
    }
    config_unref(c);
    (void)state;
}

static void a_rule_is_as_its_site_but_for_what_it_says(void **state) {
    struct config *c =
        parsed("    cache: {default_ttl: 5m, max_ttl: 1h, negative_ttl: 404=1m, deception_armor: false}\n"
               "    key: {query: sorted, query_drop: [a, \"b*\"], scheme: true}\n"
               "    rules:\n"
               "      - path: /a\n"
               "      - path: /b\n"
               "        cache: {enabled: false, default_ttl: none, ttl_by_status: 301-302=1h 5xx=1s}\n"
               "        key: {query: none, query_keep: [id], headers: [B, a, A], cookies: [x]}\n");
    const struct config_rule *base = &c->sites[0].base, *a = &c->sites[0].rules[0],
                             *b = &c->sites[0].rules[1];
    (void)state;
    assert_true(base->enabled && a->enabled);
    assert_int_equal(a->cache.default_ttl_s, 300);
    assert_int_equal(a->cache.max_ttl_s, 3600);
    assert_false(a->cache.deception_armor);
    assert_true(a->cache.no_vary_search);
    assert_int_equal(a->cache.negative.count, 1);
    assert_int_equal(a->key.query, HTTP_QUERY_SORTED);
    assert_int_equal(a->key.query_drop_count, 2);
    assert_str(a->key.query_drop[1], SK_STR("b*"));
    assert_true(a->key.scheme);
    assert_false(b->enabled);
    assert_int_equal(b->cache.default_ttl_s, HTTP_SECONDS_NONE);
    assert_int_equal(b->cache.max_ttl_s, 3600);
    assert_int_equal(b->cache.default_by_status.count, 2);
    assert_int_equal(b->cache.default_by_status.items[0].first, 301);
    assert_int_equal(b->cache.default_by_status.items[0].last, 302);
    assert_int_equal(b->cache.default_by_status.items[0].ttl_s, 3600);
    assert_int_equal(b->cache.default_by_status.items[1].first, 500);
    assert_int_equal(b->cache.default_by_status.items[1].last, 599);
    assert_int_equal(b->key.query, HTTP_QUERY_NONE);
    assert_int_equal(b->key.query_drop_count, 2);
    assert_int_equal(b->key.query_keep_count, 1);
    assert_str(b->key.headers, SK_STR("a,b"));
    assert_int_equal(b->key.cookie_count, 1);
    config_unref(c);
}

static void errors_have_a_lifetime_by_default(void **state) {
    struct config *c = parsed("");
    const struct http_status_ttls *negative = &c->sites[0].base.cache.negative;
    (void)state;
    assert_int_equal(negative->count, 4);
    assert_int_equal(negative->items[0].first, 404);
    assert_int_equal(negative->items[0].ttl_s, 10);
    assert_int_equal(negative->items[2].first, 410);
    assert_int_equal(negative->items[2].ttl_s, 60);
    config_unref(c);
    c = parsed("    cache: {negative_ttl: none}\n");
    assert_int_equal(c->sites[0].base.cache.negative.count, 0);
    config_unref(c);
}

static void fields_are_cut_in_two(void **state) {
    struct config *c = parsed("    rules:\n"
                              "      - path: \"*\"\n"
                              "        strip_request_fields: [Cookie]\n"
                              "        set_request_fields: [\"X-A:  b: c \", \"Accept:\"]\n"
                              "        strip_response_fields: [Set-Cookie, X-B]\n"
                              "        add_response_fields: [\"Cache-Control: max-age=60\"]\n");
    const struct config_rule *rule = &c->sites[0].rules[0];
    (void)state;
    assert_int_equal(rule->request.strip_count, 1);
    assert_int_equal(rule->request.add_count, 2);
    assert_str(rule->request.add[0].name, SK_STR("X-A"));
    assert_str(rule->request.add[0].value, SK_STR("b: c"));
    assert_int_equal(rule->request.add[1].id, HTTP_FIELD_ACCEPT);
    assert_str(rule->request.add[1].value, SK_STR(""));
    assert_int_equal(rule->response.strip_count, 2);
    assert_int_equal(rule->response.add[0].id, HTTP_FIELD_CACHE_CONTROL);
    config_unref(c);
}

static const struct {
    const char *site, *problem; /* the problem with its place */
} bad_cases[] = {
    {"    rules: [{path: static/*}]\n", "test:3:20: sites[0].rules[0].path: found \"static/*\""},
    {"    rules: [{path: /a/../b}]\n", "test:3:20: sites[0].rules[0].path"},
    {"    rules: [{path: /a%2fb}]\n", "test:3:20: sites[0].rules[0].path"},
    {"    rules: [{path: /%7Ea}]\n", "test:3:20: sites[0].rules[0].path"},
    {"    rules: [{path: \"/*a*b*c*d*e*f*g*h*i*j*k*l*m*n*o*p*q\"}]\n", "test:3:20: sites[0].rules[0].path"},
    {"    rules: [{path: /a b}]\n", "test:3:20: sites[0].rules[0].path"},
    {"    rules:\n      - paths: [/a, b]\n", "test:4:21: sites[0].rules[0].paths[1]: found \"b\""},
    {"    rules:\n      - cache: {enabled: false}\n", "test:4:9: sites[0].rules[0]: found no path"},
    {"    rules: [{path: /, strip_response_fields: [content-length]}]\n", "strip_response_fields[0]: found"},
    {"    rules: [{path: /, set_request_fields: [\"Host: x\"]}]\n", "set_request_fields[0]: found"},
    {"    rules: [{path: /, set_request_fields: [X-A]}]\n", "set_request_fields[0]: found"},
    {"    rules: [{path: /, add_response_fields: [\"X A: b\"]}]\n", "add_response_fields[0]: found"},
    {"    cache: {negative_ttl: 404}\n", "test:3:27: sites[0].cache.negative_ttl: found \"404\""},
    {"    cache: {negative_ttl: 404=1s 500}\n", "sites[0].cache.negative_ttl: found"},
    {"    cache: {negative_ttl: 199=1s}\n", "sites[0].cache.negative_ttl: found"},
    {"    cache: {negative_ttl: 6xx=1s}\n", "sites[0].cache.negative_ttl: found"},
    {"    cache: {negative_ttl: \"\"}\n", "sites[0].cache.negative_ttl: found"},
    {"    key: {query: random}\n",
     "test:3:18: sites[0].key.query: found \"random\", expected as-is, sorted or none"},
    {"    key: {cookies: [\"a b\"]}\n", "test:3:21: sites[0].key.cookies[0]: found"},
    {"    key: {query_drop: [\"\"]}\n", "sites[0].key.query_drop[0]: found"},
};

static void what_is_wrong_is_told_with_its_place(void **state) {
    (void)state;
    for (size_t i = 0; i < SK_COUNT(bad_cases); i++) {
        struct config_problems problems;
        struct config *config;
        struct sk_buf text;
        config_problems_init(&problems);
        sk_buf_init(&text, 0);
        assert_ok(sk_buf_printf(&text, "sites:\n  - origin: http://o\n%s", bad_cases[i].site));
        sk_err err = config_parse(sk_buf_str(&text), "test", &config, &problems);
        sk_str told = sk_buf_str(&problems.text);
        if (err != SK_ERR_INVALID || sk_str_find(told, sk_str_from_c(bad_cases[i].problem)) == told.len)
            fail_msg("%s: %.*s", bad_cases[i].site, SK_STR_ARGS(told));
        sk_buf_free(&text);
        config_problems_free(&problems);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_may_be_for_some_methods),
        cmocka_unit_test(the_first_rule_that_matches_holds),
        cmocka_unit_test(a_rule_is_as_its_site_but_for_what_it_says),
        cmocka_unit_test(errors_have_a_lifetime_by_default),
        cmocka_unit_test(fields_are_cut_in_two),
        cmocka_unit_test(what_is_wrong_is_told_with_its_place),
    };
    return SK_RUN_TESTS(tests);
}
