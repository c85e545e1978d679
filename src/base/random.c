#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

void sk_random_secret(void *out, size_t bytes) {
    char *at = out;
    while (bytes > 0) {
        ssize_t n = getrandom(at, bytes, 0);
        SK_ASSERT(n > 0 || errno == EINTR);
        if (n < 0) continue;
        at += n;
        bytes -= (size_t)n;
    }
}

/* xoshiro256++ of Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2019. */
static _Thread_local struct {
    uint64_t s[4]; /* all zero: not seeded yet (the generator never reaches that state) */
} generator;

static uint64_t rotate_left(uint64_t x, int k) { return x << k | x >> (64 - k); }

static void seed_if_needed(void) {
    while (SK_UNLIKELY((generator.s[0] | generator.s[1] | generator.s[2] | generator.s[3]) == 0))
        sk_random_secret(generator.s, sizeof generator.s);
}

uint64_t sk_random_u64(void) {
    seed_if_needed();
    uint64_t *s = generator.s;
    uint64_t result = rotate_left(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* Lemire, "Fast random integer generation in an interval", 2019: the high half of a product, with the
 * few biased low halves rejected. */
uint64_t sk_random_below(uint64_t bound) {
    SK_ASSERT(bound > 0);
    sk_u128 product = (sk_u128)sk_random_u64() * bound;
    if ((uint64_t)product < bound) {
        uint64_t threshold = -bound % bound;
        while ((uint64_t)product < threshold) product = (sk_u128)sk_random_u64() * bound;
    }
    return (uint64_t)(product >> 64);
}
