#include "route/cookie.h"

enum { VERSION = 1, HEAD_BYTES = 16, RENEW_AFTER_S = 1800, OLDEST_S = 3600, NEWEST_S = 300 };

/* RFC 9018 4.4: client cookie, version, reserved, timestamp, client address; the first 16 bytes stand in the
 * cookie like that. */
static uint64_t hash(const uint8_t *key, const uint8_t head[HEAD_BYTES], const struct io_addr *client) {
    uint8_t input[HEAD_BYTES + 16], ip[16];
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(input, head, HEAD_BYTES);
    if (!io_addr_ip16(client, ip)) memset(ip, 0, sizeof ip);
    bool v4 = memcmp(ip, mapped, sizeof mapped) == 0;
    size_t ip_bytes = v4 ? 4 : 16;
    memcpy(input + HEAD_BYTES, v4 ? ip + 12 : ip, ip_bytes);
    return siphash24(key, input, HEAD_BYTES + ip_bytes);
}

/* The hash goes out in SipHash's own byte order, the least significant first. */
static void write_hash(uint64_t value, uint8_t *out) {
    for (int i = 0; i < 8; i++) out[i] = (uint8_t)(value >> (8 * i));
}

/* In a time that does not depend on where the two differ. */
static bool hash_matches(uint64_t value, const uint8_t *cookie) {
    uint8_t expected[8], difference = 0;
    write_hash(value, expected);
    for (int i = 0; i < 8; i++) difference |= (uint8_t)(expected[i] ^ cookie[HEAD_BYTES + i]);
    return difference == 0;
}

enum cookie_state cookie_check(const struct cookie_secrets *secrets, const uint8_t *cookie, size_t bytes,
                               const struct io_addr *client, sk_unix_s now) {
    if (bytes == COOKIE_CLIENT_BYTES) return COOKIE_NONE;
    if (bytes != COOKIE_BYTES || cookie[8] != VERSION) return COOKIE_FOREIGN;
    uint32_t made =
        (uint32_t)cookie[12] << 24 | (uint32_t)cookie[13] << 16 | (uint32_t)cookie[14] << 8 | cookie[15];
    /* Serial arithmetic (RFC 1982), so that it goes on after 2106. */
    int32_t age = (int32_t)((uint32_t)now - made);
    if (age > OLDEST_S || age < -NEWEST_S) return COOKIE_FOREIGN;
    if (hash_matches(hash(secrets->current, cookie, client), cookie))
        return age > RENEW_AFTER_S ? COOKIE_RENEW : COOKIE_GOOD;
    if (secrets->has_previous && hash_matches(hash(secrets->previous, cookie, client), cookie))
        return COOKIE_RENEW;
    return COOKIE_FOREIGN;
}

void cookie_make(const struct cookie_secrets *secrets, const uint8_t client_part[COOKIE_CLIENT_BYTES],
                 const struct io_addr *client, sk_unix_s now, uint8_t out[COOKIE_BYTES]) {
    memmove(out, client_part, COOKIE_CLIENT_BYTES);
    memset(out + 8, 0, 4);
    out[8] = VERSION;
    for (int i = 0; i < 4; i++) out[12 + i] = (uint8_t)((uint32_t)now >> (24 - 8 * i));
    write_hash(hash(secrets->current, out, client), out + HEAD_BYTES);
}
