/* What an edge says when it leaves, and to whom it is believed. */
#include "fleet/farewell.h"

#include "unit.h"

#define EDGE SK_STR("spiffe://acme/fra/edge/a")
#define MADE (INT64_C(1000000) * SK_NS_PER_S)

static const struct fleet_bus_key master = {{1, 2, 3}}, other_master = {{4}};
static struct sk_arena arena;

static int begin(void **state) {
    sk_arena_init(&arena, 1024, 0);
    return 0;
}
static int end(void **state) {
    sk_arena_free(&arena);
    return 0;
}

static sk_str said(const struct fleet_bus_key *by) {
    const struct fleet_bus_key key = fleet_bus_key_of(by, EDGE);
    return fleet_farewell_text(EDGE, MADE, &key, &arena);
}

static bool good(sk_str text, sk_str edge, int64_t seen_ns, int64_t now_ns) {
    const struct fleet_bus_keys masters = {{master}, 1}, keys = fleet_bus_keys_of(&masters, edge);
    return fleet_farewell_good(text, edge, &keys, seen_ns, now_ns);
}

static void it_counts_when_it_is_newer_than_the_last_sign_of_life(void **state) {
    assert_true(good(said(&master), EDGE, MADE - 1, MADE));
    assert_false(good(said(&master), EDGE, MADE, MADE));
    assert_false(good(said(&master), EDGE, MADE + 5000, MADE + 6000));
}

static void it_may_be_a_little_ahead_of_our_clock(void **state) {
    assert_true(good(said(&master), EDGE, 0, MADE - FLEET_FAREWELL_GOOD_S * SK_NS_PER_S));
    assert_false(good(said(&master), EDGE, 0, MADE - FLEET_FAREWELL_GOOD_S * SK_NS_PER_S - 1));
}

static void nobody_says_it_for_another(void **state) {
    assert_false(good(said(&other_master), EDGE, 0, MADE));
    assert_false(good(said(&master), SK_STR("spiffe://acme/fra/edge/b"), 0, MADE));
}

static void who_has_no_key_says_nothing(void **state) {
    assert_int_equal(fleet_farewell_text(EDGE, MADE, NULL, &arena).len, 0);
}

static void what_is_no_farewell_counts_for_nothing(void **state) {
    sk_str text = said(&master), later = sk_arena_printf(&arena, "1000000000000001%.*s",
                                                         SK_STR_ARGS(sk_str_slice(text, 16, text.len)));
    const sk_str bad[] = {SK_STR(""),
                          SK_STR(":"),
                          SK_STR("1000000"),
                          SK_STR("1000000:"),
                          SK_STR("-1:00"),
                          SK_STR("18446744073709551615:00"),
                          sk_str_slice(text, 0, text.len - 1),
                          later,
                          sk_arena_printf(&arena, "%.*s0", SK_STR_ARGS(text))};
    for (size_t i = 0; i < SK_COUNT(bad); i++) assert_false(good(bad[i], EDGE, 0, MADE));
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(it_counts_when_it_is_newer_than_the_last_sign_of_life),
        CASE(it_may_be_a_little_ahead_of_our_clock),
        CASE(nobody_says_it_for_another),
        CASE(who_has_no_key_says_nothing),
        CASE(what_is_no_farewell_counts_for_nothing),
    };
    return SK_RUN_TESTS(tests);
}
