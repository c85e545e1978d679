#include "route/cookie.h"

#include "route/siphash.h"
#include "unit.h"

static void from_hex(const char *text, uint8_t *out, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        uint64_t value;
        assert_ok(sk_str_hex_to_u64(sk_str_make(text + 2 * i, 2), &value));
        out[i] = (uint8_t)value;
    }
}

static struct io_addr client_of(const char *text) {
    struct io_addr addr;
    assert_ok(io_addr_parse(sk_str_from_c(text), &addr));
    return addr;
}

static void siphash_of_its_authors(void **state) {
    /* Aumasson and Bernstein 2012, appendix A */
    uint8_t key[16], data[15];
    (void)state;
    for (uint8_t i = 0; i < 16; i++) key[i] = i;
    for (uint8_t i = 0; i < 15; i++) data[i] = i;
    assert_true(siphash24(key, data, 15) == UINT64_C(0xa129ca6149be45e5));
}

static void rfc9018_appendix_a(void **state) {
    static const struct {
        const char *what, *client, *client_part, *secret;
        sk_unix_s at;
        const char *server_part;
    } cases[] = {
        {"A.1 learning a new server cookie", "198.51.100.100:53", "2464c4abcf10c957",
         "e5e973e5a6b2a43f48e7dc849e37bfcf", 1559731985, "010000005cf79f111f8130c3eee29480"},
        {"A.2 the same client learning a renewed one", "198.51.100.100:53", "2464c4abcf10c957",
         "e5e973e5a6b2a43f48e7dc849e37bfcf", 1559734385, "010000005cf7a871d4a564a1442aca77"},
        {"A.4 IPv6, the new secret", "[2001:db8:220:1:59de:d0f4:8769:82b8]:53", "22681ab97d52c298",
         "445536bcd2513298075a5d379663c962", 1559741961, "010000005cf7c609a6bb79d16625507a"},
        {"A.4 IPv6, the old secret", "[2001:db8:220:1:59de:d0f4:8769:82b8]:53", "22681ab97d52c298",
         "dd3bdf9344b678b185a6f5cb60fca715", 1559741817, "010000005cf7c57926556bd0934c72f8"},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct cookie_secrets secrets = {.has_previous = false};
        uint8_t client_part[8], expected[16], cookie[COOKIE_BYTES];
        struct io_addr client = client_of(cases[i].client);
        from_hex(cases[i].client_part, client_part, 8);
        from_hex(cases[i].secret, secrets.current, 16);
        from_hex(cases[i].server_part, expected, 16);
        cookie_make(&secrets, client_part, &client, cases[i].at, cookie);
        if (memcmp(cookie + 8, expected, 16)) fail_msg("%s", cases[i].what);
        assert_int_equal(cookie_check(&secrets, cookie, COOKIE_BYTES, &client, cases[i].at), COOKIE_GOOD);
    }
}

static void what_is_accepted(void **state) {
    static const sk_unix_s made = 1700000000;
    static const struct {
        const char *what;
        sk_unix_s now;
        int change; /* index of a byte to flip, -1: none */
        size_t bytes;
        const char *client;
        bool rolled;
        enum cookie_state expected;
    } cases[] = {
        {"as made", made, -1, 24, "192.0.2.1:1", false, COOKIE_GOOD},
        {"another port of the client", made, -1, 24, "192.0.2.1:2", false, COOKIE_GOOD},
        {"another address", made, -1, 24, "192.0.2.2:1", false, COOKIE_FOREIGN},
        {"RFC 9018 4.3: renewed after half an hour", made + 1801, -1, 24, "192.0.2.1:1", false, COOKIE_RENEW},
        {"RFC 9018 4.3: not after an hour", made + 3601, -1, 24, "192.0.2.1:1", false, COOKIE_FOREIGN},
        {"RFC 9018 4.3: five minutes ahead may be", made - 300, -1, 24, "192.0.2.1:1", false, COOKIE_GOOD},
        {"RFC 9018 4.3: more may not", made - 301, -1, 24, "192.0.2.1:1", false, COOKIE_FOREIGN},
        {"the secret was rolled", made, -1, 24, "192.0.2.1:1", true, COOKIE_RENEW},
        {"another client part", made, 0, 24, "192.0.2.1:1", false, COOKIE_FOREIGN},
        {"another hash", made, 23, 24, "192.0.2.1:1", false, COOKIE_FOREIGN},
        {"another version", made, 8, 24, "192.0.2.1:1", false, COOKIE_FOREIGN},
        {"the client part alone", made, -1, 8, "192.0.2.1:1", false, COOKIE_NONE},
        {"another server's length", made, -1, 16, "192.0.2.1:1", false, COOKIE_FOREIGN},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct cookie_secrets secrets = {.current = {1, 2, 3}};
        struct io_addr maker = client_of("192.0.2.1:1"), client = client_of(cases[i].client);
        uint8_t cookie[COOKIE_BYTES] = {9, 9, 9};
        cookie_make(&secrets, cookie, &maker, made, cookie);
        if (cases[i].change >= 0) cookie[cases[i].change] ^= 0x80;
        if (cases[i].rolled) {
            memcpy(secrets.previous, secrets.current, sizeof secrets.previous);
            secrets.current[0] = 77;
            secrets.has_previous = true;
        }
        enum cookie_state got = cookie_check(&secrets, cookie, cases[i].bytes, &client, cases[i].now);
        if (got != cases[i].expected) fail_msg("%s: %d", cases[i].what, got);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_of_its_authors),
        cmocka_unit_test(rfc9018_appendix_a),
        cmocka_unit_test(what_is_accepted),
    };
    return SK_RUN_TESTS(tests);
}
