#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static_assert(SK_HASH_SECRET_BYTES >= XXH3_SECRET_SIZE_MIN, "XXH3 wants that much");

static uint8_t installed[SK_HASH_SECRET_BYTES];
/* Until an installation's own is set: XXH3's published one, good for tests. */
static const uint8_t *secret = XXH3_kSecret;
static size_t secret_bytes = sizeof XXH3_kSecret;

void sk_hash_set_secret(const uint8_t new_secret[SK_HASH_SECRET_BYTES]) {
    memcpy(installed, new_secret, sizeof installed);
    secret = installed;
    secret_bytes = sizeof installed;
}

uint64_t sk_hash64(const void *data, size_t bytes) {
    return XXH3_64bits_withSecret(data, bytes, secret, secret_bytes);
}

uint64_t sk_hash64_plain(const void *data, size_t bytes) { return XXH3_64bits(data, bytes); }

sk_hash128 sk_hash128_of(const void *data, size_t bytes) {
    XXH128_hash_t hash = XXH3_128bits_withSecret(data, bytes, secret, secret_bytes);
    return (sk_hash128){hash.high64, hash.low64};
}
