/* From a request's JSON to purges of the cache. What is refused stands in tests/e2e/test_purge.py. */
#include "config/load.h"
#include "edge/purge.h"
#include "unit.h"

static struct config *config;

static int setup(void **state) {
    struct config_problems problems;
    config_problems_init(&problems);
    sk_err err =
        config_parse(SK_STR("sites:\n"
                            "  - {name: s, hosts: [a.example, '*.a.example'], origin: 'http://127.0.0.1:1'}\n"
                            "  - {name: t, origin: 'http://127.0.0.1:2'}\n"),
                     "f", &config, &problems);
    config_problems_free(&problems);
    (void)state;
    return (int)err;
}

static int teardown(void **state) {
    config_unref(config);
    (void)state;
    return 0;
}

/* "kind soft|hard site host text" of each, a line a purge; or the problem. */
static void describe(const char *json, struct sk_buf *out) {
    struct sk_arena arena;
    struct fleet_purge_request request = {0};
    struct edge_purge_list list = {0};
    struct fleet_purge_problem problem;
    sk_arena_init(&arena, 1024, 0);
    sk_err err = fleet_purge_parse(sk_str_from_c(json), &arena, &request, &problem);
    if (!err) err = edge_purge_resolve(config, &request, &arena, &list, &problem);
    if (err) assert_ok(sk_buf_printf(out, "%s\n", problem.text));
    for (uint32_t i = 0; i < list.count; i++) {
        const struct cache_purge *purge = &list.items[i];
        assert_ok(sk_buf_printf(out, "%s %s [%.*s] [%.*s] [%.*s]\n", fleet_purge_kind_key(purge->kind),
                                purge->soft ? "soft" : "hard", SK_STR_ARGS(purge->site),
                                SK_STR_ARGS(purge->host), SK_STR_ARGS(purge->text)));
    }
    edge_purge_list_free(&list);
    fleet_purge_request_free(&request);
    sk_arena_free(&arena);
}

static const char *const cases[][2] = {
    {"{\"url\":\"http://A.example/%7ea/./b?Q=%41\"}", "url hard [] [] [s|a.example|/~a/b?Q=%41]\n"},
    {"{\"url\":\"https://a.example:443\",\"soft\":true}", "url soft [] [] [s|a.example|/]\n"},
    {"{\"url\":\"http://a.example:443/#x\"}", "url hard [] [] [s|a.example:443|/]\n"},
    {"{\"url\":[\"http://b.a.example/?\",\"http://[::1]/\"]}",
     "url hard [] [] [s|b.a.example|/?]\nurl hard [] [] [t|[::1]|/]\n"},
    {"{\"prefix\":\"a.example/x/../i%6Dg\"}", "prefix hard [s] [a.example] [/img]\n"},
    {"{\"prefix\":\"https://a.example:443/a?b=%41\"}", "prefix hard [s] [a.example] [/a?b=%41]\n"},
    {"{\"prefix\":\"a.example:8080/\"}", "prefix hard [s] [a.example:8080] [/]\n"},
    {"{\"host\":\"A.Example\"}", "host hard [s] [a.example] []\n"},
    {"{\"host\":\"https://a.example:443/\"}", "host hard [s] [a.example] []\n"},
    {"{\"site\":\"t\"}", "site hard [t] [] []\n"},
    {"{\"tag\":\"x\"}", "tag hard [s] [] [x]\ntag hard [t] [] [x]\n"},
    {"{\"tags\":[\"x\",\"y\"],\"site\":\"t\"}", "tag hard [t] [] [x]\ntag hard [t] [] [y]\n"},
    {"{\"glob\":\"http://A.example/A*\"}", "glob hard [s] [] [a.example/A*]\n"},
    {"{\"glob\":\"*.A.example/A*\"}",
     "glob hard [s] [] [*.a.example/A*]\nglob hard [t] [] [*.a.example/A*]\n"},
    {"{\"glob\":\"/A*\",\"site\":\"s\"}", "glob hard [s] [] [/A*]\n"},
    {"{\"all\":true}", "all hard [] [] []\n"},
    {"{\"soft\":true,\"purges\":[{\"site\":\"s\"},{\"site\":\"t\",\"soft\":false}]}",
     "site soft [s] [] []\nsite hard [t] [] []\n"},
    {"{\"tag\":\"x\",\"tags\":\"y\"}", "found \"tags\" twice\n"},
    {"{\"tag\":\"\\u0001\"}", "tag: found \"?\", expected a text without control bytes\n"},
    {"{\"url\":\"http://a.example/\\u0000x\"}",
     "url: found \"http://a.example/?x\", expected a text without control bytes\n"},
};

static void each_kind_becomes_what_the_cache_knows(void **state) {
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct sk_buf text;
        sk_buf_init(&text, 0);
        describe(cases[i][0], &text);
        if (!sk_str_eq(sk_buf_str(&text), sk_str_from_c(cases[i][1])))
            fail_msg("%s:\n%.*s---- is not ----\n%s", cases[i][0], SK_STR_ARGS(sk_buf_str(&text)),
                     cases[i][1]);
        sk_buf_free(&text);
    }
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_kind_becomes_what_the_cache_knows)};
    return cmocka_run_group_tests_name(__FILE__, tests, setup, teardown);
}
