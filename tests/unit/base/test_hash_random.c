#include "base/hash.h"
#include "base/random.h"
#include "base/time.h"
#include "unit.h"

static const size_t lengths[] = {0, 1, 8, 16, 17, 128, 129, 240, 241, 1000};

static void the_secret_decides_the_hash(void **state) {
    uint8_t data[1000], secret[SK_HASH_SECRET_BYTES];
    sk_hash128 before[SK_COUNT(lengths)];
    uint64_t before64[SK_COUNT(lengths)];
    (void)state;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < SK_COUNT(lengths); i++) {
        before[i] = sk_hash128_of(data, lengths[i]);
        before64[i] = sk_hash64(data, lengths[i]);
        assert_true(sk_hash128_eq(before[i], sk_hash128_of(data, lengths[i])));
    }
    sk_random_secret(secret, sizeof secret);
    sk_hash_set_secret(secret);
    for (size_t i = 0; i < SK_COUNT(lengths); i++) {
        assert_false(sk_hash128_eq(before[i], sk_hash128_of(data, lengths[i])));
        assert_true(before64[i] != sk_hash64(data, lengths[i]));
    }
}

static void every_byte_counts(void **state) {
    uint8_t data[300] = {0};
    (void)state;
    for (size_t len = 1; len < sizeof data; len += 37) {
        sk_hash128 all_zero = sk_hash128_of(data, len);
        for (size_t i = 0; i < len; i++) {
            data[i] = 1;
            assert_false(sk_hash128_eq(all_zero, sk_hash128_of(data, len)));
            data[i] = 0;
        }
    }
}

static void secrets_differ_and_are_filled_whole(void **state) {
    uint8_t a[64] = {0}, b[64] = {0};
    (void)state;
    sk_random_secret(a, sizeof a);
    sk_random_secret(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + 32, b + 32, 32);
}

static void below_stays_below_and_reaches_every_value(void **state) {
    static const uint64_t bounds[] = {1, 2, 3, 7, 10};
    (void)state;
    for (size_t i = 0; i < SK_COUNT(bounds); i++) {
        unsigned seen[10] = {0};
        for (int k = 0; k < 10000; k++) {
            uint64_t value = sk_random_below(bounds[i]);
            assert_true(value < bounds[i]);
            seen[value]++;
        }
        /* A fair count is off by more than a quarter with a chance under 1e-12. */
        for (size_t v = 0; v < bounds[i]; v++) {
            assert_true(seen[v] > 10000 / bounds[i] * 3 / 4);
            assert_true(seen[v] <= 10000 / bounds[i] * 5 / 4 + 1);
        }
    }
    for (int k = 0; k < 1000; k++) assert_true(sk_random_below(UINT64_MAX) < UINT64_MAX);
}

static void clocks_run_forward_and_agree_on_the_unit(void **state) {
    (void)state;
    sk_time_ns before = sk_time_now();
    assert_true(sk_time_now() >= before);
    sk_unix_s wall = sk_wall_now_s();
    assert_true(sk_wall_now_ns() / SK_NS_PER_S - wall <= 1);
    assert_true(wall > 1700000000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_secret_decides_the_hash),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(secrets_differ_and_are_filled_whole),
        cmocka_unit_test(below_stays_below_and_reaches_every_value),
        cmocka_unit_test(clocks_run_forward_and_agree_on_the_unit),
    };
    return SK_RUN_TESTS(tests);
}
