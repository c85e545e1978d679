/* The question of /explain. */
#include "edge/explain_query.h"

#include "unit.h"

static struct sk_arena arena;
static struct http_request request;
static const char *problem;

static sk_err ask(const char *query) {
    struct wire_h1_limits limits;
    wire_h1_limits_default(&limits);
    problem = NULL;
    return edge_explain_query(&arena, sk_str_from_c(query), &limits, &request, &problem);
}

static void makes_the_request_that_a_client_would_send(void **state) {
    assert_ok(
        ask("url=https%3A%2F%2FExample.com%3A8443%2Fa%3Fb%3Dc%23d&method=HEAD&header=A:%20b&header=c:+d"));
    assert_int_equal(request.method, HTTP_METHOD_HEAD);
    assert_str(request.scheme, SK_STR("https"));
    assert_str(request.authority, SK_STR("Example.com:8443"));
    assert_str(request.path, SK_STR("/a"));
    assert_str(request.query, SK_STR("b=c"));
    assert_str(http_fields_find_name(&request.fields, SK_STR("a"), NULL)->value, SK_STR("b"));
    assert_str(http_fields_find_name(&request.fields, SK_STR("c"), NULL)->value, SK_STR("d"));
}

static void fills_in_what_people_leave_out(void **state) {
    assert_ok(ask("url=example.com"));
    assert_int_equal(request.method, HTTP_METHOD_GET);
    assert_str(request.scheme, SK_STR("http"));
    assert_str(request.path, SK_STR("/"));
    assert_ok(ask("url=/a&header=Host:%20b.test"));
    assert_str(request.authority, SK_STR("b.test"));
    assert_ok(ask("url=http://a.test/&header=Host:%20b.test")); /* the field is what a client would send */
    assert_str(request.authority, SK_STR("b.test"));
}

static void says_what_is_wrong(void **state) {
    static const char *const wrong[] = {"",
                                        "url",
                                        "url=",
                                        "url=ftp://a/",
                                        "url=http:///a",
                                        "x=y&url=http://a/",
                                        "url=http://a/&method=G%20T",
                                        "url=http://a/&header=",
                                        "url=http://a/&header=none",
                                        "url=http://a/&header=A:%0aB:c",
                                        "url=http://a/%0d%0aA:b",
                                        "url=http://a/&header=Content-Length:x",
                                        "url=/a"};
    for (size_t i = 0; i < SK_COUNT(wrong); i++) {
        if (ask(wrong[i]) != SK_ERR_INVALID) fail_msg("%s", wrong[i]);
        if (!problem || !*problem) fail_msg("%s: no word about it", wrong[i]);
    }
}

static int set_up(void **state) {
    sk_arena_init(&arena, 4096, 0);
    return 0;
}
static int tear_down(void **state) {
    sk_arena_free(&arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(makes_the_request_that_a_client_would_send, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fills_in_what_people_leave_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_what_is_wrong, set_up, tear_down),
    };
    return SK_RUN_TESTS(tests);
}
