/* Keyed hashing (XXH3 with a per-installation secret, so that nobody outside can choose collisions).
 * The secret is set once at start, before any thread; then read-only. */
#ifndef SK_BASE_HASH_H
#define SK_BASE_HASH_H

#include "base/str.h"

typedef struct sk_hash128 {
    uint64_t high, low;
} sk_hash128;

#define SK_HASH_SECRET_BYTES 192

/* Copies SK_HASH_SECRET_BYTES bytes. Without a call a fixed test secret is in force. */
void sk_hash_set_secret(const uint8_t secret[SK_HASH_SECRET_BYTES]);
uint64_t sk_hash64(const void *data, size_t bytes);
/* Without the secret: the same in every process of a fleet. Whoever chooses the bytes can choose collisions. */
uint64_t sk_hash64_plain(const void *data, size_t bytes);
sk_hash128 sk_hash128_of(const void *data, size_t bytes);
static inline bool sk_hash128_eq(sk_hash128 a, sk_hash128 b) { return a.high == b.high && a.low == b.low; }

#endif
