/* RFC 8446 section 8.2: the register of early data. */
#include "unit.h"

#include "wire/tls_early.h"

#define S SK_NS_PER_S

static bool first(struct wire_tls_early *early, uint32_t number, sk_time_ns now) {
    unsigned char random[WIRE_TLS_RANDOM_BYTES] = {0};
    memcpy(random + 13, &number, sizeof number);
    return wire_tls_early_first(early, random, now);
}

static void rfc8446_8_2_a_copy_is_known_for_half_a_minute(void **state) {
    static const struct {
        sk_time_ns first_at, again_at;
        bool taken;
    } cases[] = {
        {5 * S, 5 * S, false},    {5 * S, 29 * S, false}, {29 * S, 31 * S, false},
        {29 * S, 58 * S, false},  {29 * S, 95 * S, true}, /* its ticket is too old for that by far */
        {5 * S, 86400 * S, true},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct wire_tls_early *early;
        assert_ok(wire_tls_early_create(&early));
        assert_true(first(early, 1, 0)); /* the spans begin here */
        assert_true(first(early, 7, cases[i].first_at));
        assert_true(first(early, 8, cases[i].first_at));
        for (sk_time_ns at = cases[i].first_at + 10 * S; at < cases[i].again_at && at < 1000 * S;
             at += 10 * S)
            assert_true(first(early, (uint32_t)(1000 + at / S), at)); /* others come meanwhile */
        assert_int_equal(first(early, 7, cases[i].again_at), cases[i].taken);
        wire_tls_early_free(early);
    }
}

static void every_one_of_many_is_known(void **state) {
    struct wire_tls_early *early;
    assert_ok(wire_tls_early_create(&early));
    for (uint32_t i = 0; i < WIRE_TLS_EARLY_MOST; i++) assert_true(first(early, i, S));
    for (uint32_t i = 0; i < WIRE_TLS_EARLY_MOST; i++) assert_false(first(early, i, 2 * S));
    assert_false(first(early, WIRE_TLS_EARLY_MOST, 2 * S)); /* full: nobody new */
    assert_true(first(early, WIRE_TLS_EARLY_MOST, 40 * S));
    assert_false(first(early, 3, 40 * S));
    assert_true(first(early, 3, 100 * S));
    wire_tls_early_free(early);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc8446_8_2_a_copy_is_known_for_half_a_minute),
        cmocka_unit_test(every_one_of_many_is_known),
    };
    return SK_RUN_TESTS(tests);
}
