#include "wire/dns_tsig.h"

#include "unit.h"

enum { NOW = 1700000000 };

static struct dns_tsig_key key_of(const char *name, enum dns_tsig_algorithm algorithm) {
    struct dns_tsig_key key = {.algorithm = algorithm, .secret_bytes = 32};
    assert_ok(dns_name_parse(sk_str_from_c(name), NULL, &key.name));
    memset(key.secret, 0x5a, 32);
    return key;
}

/* A message that is signed, and the record as it is read again. */
struct signed_message {
    uint8_t data[1024];
    size_t bytes, plain;
    struct dns_tsig tsig;
    struct dns_tsig_chain chain;
};

static void make(struct signed_message *m, const struct dns_tsig_key *key, sk_unix_s at) {
    static const uint8_t query[] = {0x12, 0x34, 1,   0,   0,   1, 0, 0, 0, 0, 0,
                                    0,    3,    'w', 'w', 'w', 0, 0, 1, 0, 1};
    *m = (struct signed_message){.bytes = sizeof query, .plain = sizeof query};
    memcpy(m->data, query, sizeof query);
    assert_ok(
        dns_tsig_sign(m->data, &m->bytes, sizeof m->data, key, &m->chain, (uint64_t)at, DNS_TSIG_FINE, at));
    assert_ok(dns_tsig_read(m->data, m->bytes, m->plain, &m->tsig));
}

static enum dns_tsig_error check(const struct signed_message *m, const struct dns_tsig_key *key,
                                 sk_unix_s now) {
    struct dns_tsig_chain none = {0};
    enum dns_tsig_error error = DNS_TSIG_FINE;
    assert_ok(dns_tsig_check(m->data, &m->tsig, key, &none, now, &error));
    return error;
}

static void rfc8945_what_was_signed_is_right_in_its_time_only(void **state) {
    for (int algorithm = 0; algorithm < DNS_TSIG_ALGORITHMS; algorithm++) {
        struct dns_tsig_key key = key_of("key.example", (enum dns_tsig_algorithm)algorithm);
        struct signed_message m;
        make(&m, &key, NOW);
        assert_int_equal(m.data[11], 1); /* one additional record */
        assert_true(dns_tsig_is_of(&m.tsig, &key));
        assert_int_equal(check(&m, &key, NOW), DNS_TSIG_FINE);
        assert_int_equal(check(&m, &key, NOW + DNS_TSIG_FUDGE_S), DNS_TSIG_FINE);
        assert_int_equal(check(&m, &key, NOW - DNS_TSIG_FUDGE_S), DNS_TSIG_FINE);
        assert_int_equal(check(&m, &key, NOW + DNS_TSIG_FUDGE_S + 1), DNS_TSIG_BADTIME);
        assert_int_equal(check(&m, &key, NOW - DNS_TSIG_FUDGE_S - 1), DNS_TSIG_BADTIME);
        assert_int_equal(check(&m, NULL, NOW), DNS_TSIG_BADKEY);
    }
}

static void rfc8945_5_2_any_changed_bit_is_seen(void **state) {
    struct dns_tsig_key key = key_of("key.example", DNS_TSIG_SHA256), other = key;
    struct signed_message m;
    make(&m, &key, NOW);
    for (size_t bit = 0; bit < m.bytes * 8; bit++) {
        struct signed_message changed = m;
        if (bit / 8 == 0 || bit / 8 == 1) continue; /* the id: the record has the one that was signed */
        changed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (dns_tsig_read(changed.data, changed.bytes, changed.plain, &changed.tsig)) continue;
        if (!dns_tsig_is_of(&changed.tsig, &key)) continue; /* another name or algorithm: no such key */
        struct dns_tsig_chain none = {0};
        enum dns_tsig_error error = DNS_TSIG_FINE;
        sk_err err = dns_tsig_check(changed.data, &changed.tsig, &key, &none, NOW, &error);
        /* Names are compared, and signed, in lower case (section 4.3.3). */
        bool only_case =
            bit / 8 >= m.plain && memcmp(&changed.tsig.name, &m.tsig.name, 2 + m.tsig.name.length) == 0 &&
            memcmp(&changed.tsig.algorithm, &m.tsig.algorithm, 2 + m.tsig.algorithm.length) == 0 &&
            changed.tsig.time_s == m.tsig.time_s && changed.tsig.fudge_s == m.tsig.fudge_s &&
            changed.tsig.error == m.tsig.error && changed.tsig.original_id == m.tsig.original_id &&
            memcmp(changed.tsig.mac, m.tsig.mac, m.tsig.mac_bytes) == 0;
        if (!err && error == DNS_TSIG_FINE && !only_case) fail_msg("bit %zu was not seen", bit);
    }
    other.secret[0] ^= 1;
    assert_int_equal(check(&m, &other, NOW), DNS_TSIG_BADSIG);
}

static void rfc8945_5_2_2_1_truncated_macs_are_refused(void **state) {
    struct dns_tsig_key key = key_of("key.example", DNS_TSIG_SHA256);
    struct dns_tsig_chain none = {0};
    static const struct {
        uint16_t bytes;
        sk_err err;
        enum dns_tsig_error error;
    } cases[] = {{0, SK_ERR_MALFORMED, 0},       {9, SK_ERR_MALFORMED, 0},       {15, SK_ERR_MALFORMED, 0},
                 {16, SK_OK, DNS_TSIG_BADTRUNC}, {31, SK_OK, DNS_TSIG_BADTRUNC}, {32, SK_OK, DNS_TSIG_FINE},
                 {33, SK_ERR_MALFORMED, 0}};
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct signed_message m;
        enum dns_tsig_error error = DNS_TSIG_FINE;
        make(&m, &key, NOW);
        m.tsig.mac_bytes = cases[i].bytes;
        assert_int_equal(dns_tsig_check(m.data, &m.tsig, &key, &none, NOW, &error), cases[i].err);
        assert_int_equal(error, cases[i].error);
    }
}

static void rfc8945_5_3_1_each_message_of_a_chain_is_signed_over_the_one_before(void **state) {
    struct dns_tsig_key key = key_of("key.example", DNS_TSIG_SHA512);
    struct signed_message request, answers[3];
    make(&request, &key, NOW);
    struct dns_tsig_chain server = {.mac_bytes = request.tsig.mac_bytes}, client = server;
    memcpy(server.mac, request.tsig.mac, request.tsig.mac_bytes);
    memcpy(client.mac, request.tsig.mac, request.tsig.mac_bytes);
    for (int i = 0; i < 3; i++) {
        struct signed_message *m = &answers[i];
        enum dns_tsig_error error = DNS_TSIG_BADSIG;
        make(m, &key, NOW);
        m->bytes = m->plain;
        m->data[11] = 0;
        assert_ok(dns_tsig_sign(m->data, &m->bytes, sizeof m->data, &key, &server, NOW, DNS_TSIG_FINE, NOW));
        assert_ok(dns_tsig_read(m->data, m->bytes, m->plain, &m->tsig));
        if (i == 2) { /* one that is left out is seen */
            struct dns_tsig_chain skipped = {.mac_bytes = answers[0].tsig.mac_bytes, .timers_only = true};
            memcpy(skipped.mac, answers[0].tsig.mac, skipped.mac_bytes);
            assert_ok(dns_tsig_check(m->data, &m->tsig, &key, &skipped, NOW, &error));
            assert_int_equal(error, DNS_TSIG_BADSIG);
        }
        assert_ok(dns_tsig_check(m->data, &m->tsig, &key, &client, NOW, &error));
        assert_int_equal(error, DNS_TSIG_FINE);
        client.mac_bytes = m->tsig.mac_bytes;
        client.timers_only = true;
        memcpy(client.mac, m->tsig.mac, m->tsig.mac_bytes);
    }
}

static void a_record_that_is_cut_or_goes_on_is_malformed(void **state) {
    struct dns_tsig_key key = key_of("key.example", DNS_TSIG_SHA256);
    struct signed_message m;
    struct dns_tsig tsig;
    make(&m, &key, NOW);
    for (size_t bytes = 0; bytes < m.bytes; bytes++)
        assert_int_equal(dns_tsig_read(m.data, bytes, m.plain, &tsig), SK_ERR_MALFORMED);
    assert_int_equal(dns_tsig_read(m.data, m.bytes + 1, m.plain, &tsig), SK_ERR_MALFORMED);
    assert_int_equal(dns_tsig_sign(m.data, &m.bytes, m.bytes + 10, &key, &m.chain, NOW, DNS_TSIG_FINE, NOW),
                     SK_ERR_FULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc8945_what_was_signed_is_right_in_its_time_only),
        cmocka_unit_test(rfc8945_5_2_any_changed_bit_is_seen),
        cmocka_unit_test(rfc8945_5_2_2_1_truncated_macs_are_refused),
        cmocka_unit_test(rfc8945_5_3_1_each_message_of_a_chain_is_signed_over_the_one_before),
        cmocka_unit_test(a_record_that_is_cut_or_goes_on_is_malformed),
    };
    return SK_RUN_TESTS(tests);
}
