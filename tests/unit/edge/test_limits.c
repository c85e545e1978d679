#include "edge/limits.h"

#include <stdio.h>

#include "unit.h"

static struct io_addr client(const char *ip) {
    char text[80];
    struct io_addr addr;
    snprintf(text, sizeof text, strchr(ip, ':') ? "[%s]:1" : "%s:1", ip);
    assert_ok(io_addr_parse(sk_str_from_c(text), &addr));
    return addr;
}

static void the_process_has_a_limit(void **state) {
    struct edge_limits *limits;
    struct io_addr a = client("192.0.2.1"), b = client("192.0.2.2"), c = client("192.0.2.3");
    assert_ok(edge_limits_create(&limits));
    edge_limits_set(limits, 2, 0);
    assert_ok(edge_limits_enter(limits, &a));
    assert_ok(edge_limits_enter(limits, &b));
    assert_err(edge_limits_enter(limits, &c), SK_ERR_FULL);
    assert_int_equal(edge_limits_count(limits), 2);
    edge_limits_leave(limits, &a);
    assert_ok(edge_limits_enter(limits, &c));
    edge_limits_destroy(limits);
}

static void a_client_has_a_limit_and_others_do_not_feel_it(void **state) {
    struct edge_limits *limits;
    struct io_addr a = client("192.0.2.1"), mapped = client("::ffff:192.0.2.1"), b = client("192.0.2.2");
    assert_ok(edge_limits_create(&limits));
    edge_limits_set(limits, 0, 2);
    assert_ok(edge_limits_enter(limits, &a));
    assert_ok(edge_limits_enter(limits, &mapped));
    assert_err(edge_limits_enter(limits, &a), SK_ERR_DENIED);
    assert_ok(edge_limits_enter(limits, &b));
    edge_limits_leave(limits, &a);
    assert_ok(edge_limits_enter(limits, &a));
    edge_limits_destroy(limits);
}

static void an_ipv6_client_is_its_64_prefix(void **state) {
    struct edge_limits *limits;
    struct io_addr a = client("2001:db8:0:1::1"), same = client("2001:db8:0:1:ffff::2"),
                   other = client("2001:db8:0:2::1");
    assert_ok(edge_limits_create(&limits));
    edge_limits_set(limits, 0, 1);
    assert_ok(edge_limits_enter(limits, &a));
    assert_err(edge_limits_enter(limits, &same), SK_ERR_DENIED);
    assert_ok(edge_limits_enter(limits, &other));
    edge_limits_destroy(limits);
}

/* Against a plain array: the open addressing must survive many arrivals and departures. */
static void counts_are_right_after_many_came_and_went(void **state) {
    enum { CLIENTS = 3000, STEPS = 60000, EACH = 3 };
    static unsigned counts[CLIENTS];
    struct edge_limits *limits;
    uint64_t random = 1, total = 0;
    assert_ok(edge_limits_create(&limits));
    edge_limits_set(limits, 0, EACH);
    for (int i = 0; i < STEPS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned n = (unsigned)(random >> 33) % CLIENTS;
        struct io_addr addr;
        uint8_t ip[4] = {10, 0, (uint8_t)(n >> 8), (uint8_t)n};
        assert_ok(io_addr_from_ip(ip, 4, 1, &addr));
        if (random >> 63 && counts[n]) {
            edge_limits_leave(limits, &addr);
            counts[n]--;
            total--;
        } else {
            sk_err err = edge_limits_enter(limits, &addr);
            assert_int_equal(err, counts[n] == EACH ? SK_ERR_DENIED : SK_OK);
            if (!err) counts[n]++, total++;
        }
        assert_int_equal(edge_limits_count(limits), total);
    }
    edge_limits_destroy(limits);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_process_has_a_limit),
        cmocka_unit_test(a_client_has_a_limit_and_others_do_not_feel_it),
        cmocka_unit_test(an_ipv6_client_is_its_64_prefix),
        cmocka_unit_test(counts_are_right_after_many_came_and_went),
    };
    return SK_RUN_TESTS(tests);
}
