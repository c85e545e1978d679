#include "wire/dns_tsig.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

enum { CLASS_ANY = 255, HEADER_BYTES = 12, MAC_LEAST = 10, VARIABLES_MAX = 2 * DNS_NAME_MAX + 32 };

static const struct {
    const char *text, *digest;
    uint8_t wire_bytes, mac_bytes;
    const char *wire;
} algorithms[DNS_TSIG_ALGORITHMS] = {
    [DNS_TSIG_SHA256] = {"hmac-sha256", "SHA256", 13, 32, "\13hmac-sha256"},
    [DNS_TSIG_SHA512] = {"hmac-sha512", "SHA512", 13, 64, "\13hmac-sha512"},
};

sk_err dns_tsig_algorithm_parse(sk_str text, enum dns_tsig_algorithm *out_algorithm) {
    for (int i = 0; i < DNS_TSIG_ALGORITHMS; i++) {
        if (!sk_str_ieq(text, sk_str_from_c(algorithms[i].text))) continue;
        *out_algorithm = (enum dns_tsig_algorithm)i;
        return SK_OK;
    }
    return SK_ERR_UNSUPPORTED;
}

size_t dns_tsig_mac_bytes(enum dns_tsig_algorithm algorithm) { return algorithms[algorithm].mac_bytes; }

bool dns_tsig_is_of(const struct dns_tsig *tsig, const struct dns_tsig_key *key) {
    return dns_name_eq(&tsig->name, &key->name) &&
           tsig->algorithm.length == algorithms[key->algorithm].wire_bytes &&
           memcmp(tsig->algorithm.wire, algorithms[key->algorithm].wire, tsig->algorithm.length) == 0;
}

/* --- reading ------------------------------------------------------------------------------------------ */

static uint16_t get_u16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }

static uint64_t get_u48(const uint8_t *at) {
    return (uint64_t)get_u16(at) << 32 | (uint64_t)get_u16(at + 2) << 16 | get_u16(at + 4);
}

/* A name, lower-cased; *at goes behind it. The record's owner may be compressed (RFC 1035 section 4.1.4), by pointers that
 * only ever go back; names in its data are not (section 4.2). */
static bool read_name(const uint8_t *message, size_t end, size_t *at, bool compressed,
                      struct dns_name *out_name) {
    size_t used = 0, from = *at, behind = 0;
    out_name->labels = 0;
    for (;;) {
        if (from >= end) return false;
        uint8_t length = message[from++];
        if (length >= 0xc0) {
            size_t target = from < end ? (size_t)(length & 0x3f) << 8 | message[from] : end;
            if (!compressed || target + 1 >= from) return false;
            if (!behind) behind = from + 1;
            end = from - 1; /* what the pointer leads to ends before it */
            from = target;
            continue;
        }
        if (length > DNS_LABEL_MAX || used + 1 + length > DNS_NAME_MAX || end - from < length) return false;
        out_name->wire[used++] = length;
        if (length == 0) break;
        sk_ascii_lower((char *)out_name->wire + used, (const char *)message + from, length);
        used += length;
        from += length;
        out_name->labels++;
    }
    out_name->length = (uint8_t)used;
    *at = behind ? behind : from;
    return true;
}

/* A field with its length before it. */
static bool read_bytes(const uint8_t *message, size_t end, size_t *at, const uint8_t **out_data,
                       uint16_t *out_bytes) {
    if (end - *at < 2) return false;
    *out_bytes = get_u16(message + *at);
    *at += 2;
    *out_data = message + *at;
    if (end - *at < *out_bytes) return false;
    *at += *out_bytes;
    return true;
}

sk_err dns_tsig_read(const uint8_t *message, size_t bytes, size_t at, struct dns_tsig *out_tsig) {
    struct dns_tsig tsig = {.at = at};
    static const uint8_t head[8] = {0, DNS_TYPE_TSIG, 0, CLASS_ANY, 0, 0, 0, 0};
    if (at < HEADER_BYTES || at > bytes) return SK_ERR_MALFORMED;
    if (!read_name(message, bytes, &at, true, &tsig.name) || bytes - at < 10) return SK_ERR_MALFORMED;
    if (memcmp(message + at, head, sizeof head) != 0 || get_u16(message + at + 8) != bytes - at - 10)
        return SK_ERR_MALFORMED;
    at += 10;
    if (!read_name(message, bytes, &at, false, &tsig.algorithm) || bytes - at < 8) return SK_ERR_MALFORMED;
    tsig.time_s = get_u48(message + at);
    tsig.fudge_s = get_u16(message + at + 6);
    at += 8;
    if (!read_bytes(message, bytes, &at, &tsig.mac, &tsig.mac_bytes) || bytes - at < 4)
        return SK_ERR_MALFORMED;
    tsig.original_id = get_u16(message + at);
    tsig.error = get_u16(message + at + 2);
    at += 4;
    if (!read_bytes(message, bytes, &at, &tsig.other, &tsig.other_bytes) || at != bytes)
        return SK_ERR_MALFORMED;
    *out_tsig = tsig;
    return SK_OK;
}

/* --- what is signed (section 4.3) ----------------------------------------------------------------------- */

static uint8_t *put_u16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

static uint8_t *put_u48(uint8_t *at, uint64_t value) {
    at = put_u16(at, (uint16_t)(value >> 32));
    at = put_u16(at, (uint16_t)(value >> 16));
    return put_u16(at, (uint16_t)value);
}

static uint8_t *put_name(uint8_t *at, const uint8_t *wire, size_t bytes) {
    memcpy(at, wire, bytes);
    return at + bytes;
}

static uint8_t *put_algorithm(uint8_t *at, enum dns_tsig_algorithm algorithm) {
    return put_name(at, (const uint8_t *)algorithms[algorithm].wire, algorithms[algorithm].wire_bytes);
}

/* The TSIG variables, or the timers alone. */
static size_t variables(const struct dns_tsig_key *key, const struct dns_tsig *tsig, bool timers_only,
                        uint8_t out[VARIABLES_MAX]) {
    uint8_t *at = out;
    if (!timers_only) {
        at = put_name(at, key->name.wire, key->name.length);
        at = put_u16(at, CLASS_ANY);
        at = put_u16(put_u16(at, 0), 0); /* TTL */
        at = put_algorithm(at, key->algorithm);
    }
    at = put_u16(put_u48(at, tsig->time_s), tsig->fudge_s);
    if (timers_only) return (size_t)(at - out);
    at = put_u16(put_u16(at, tsig->error), tsig->other_bytes);
    return (size_t)(put_name(at, tsig->other, tsig->other_bytes) - out);
}

static bool feed(EVP_MAC_CTX *mac, const struct dns_tsig_key *key, const struct dns_tsig_chain *chain,
                 const uint8_t *message, const struct dns_tsig *tsig, bool counted) {
    uint8_t head[HEADER_BYTES], before[2], behind[VARIABLES_MAX];
    /* As it was before the record came: the sender's own id, one record less. */
    memcpy(head, message, sizeof head);
    put_u16(head, tsig->original_id);
    if (counted) put_u16(head + 10, (uint16_t)(get_u16(head + 10) - 1));
    size_t bytes = variables(key, tsig, chain->timers_only, behind);
    put_u16(before, chain->mac_bytes);
    if (chain->mac_bytes &&
        (!EVP_MAC_update(mac, before, 2) || !EVP_MAC_update(mac, chain->mac, chain->mac_bytes)))
        return false;
    return EVP_MAC_update(mac, head, sizeof head) &&
           EVP_MAC_update(mac, message + HEADER_BYTES, tsig->at - HEADER_BYTES) &&
           EVP_MAC_update(mac, behind, bytes);
}

/* COUNTED: MESSAGE's header counts the TSIG among its records. */
static sk_err digest(const struct dns_tsig_key *key, const struct dns_tsig_chain *chain,
                     const uint8_t *message, const struct dns_tsig *tsig, bool counted,
                     uint8_t out[DNS_TSIG_MAC_MAX]) {
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string("digest", (char *)(uintptr_t)algorithms[key->algorithm].digest, 0),
        OSSL_PARAM_construct_end()};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    size_t bytes;
    bool done = mac && EVP_MAC_init(mac, key->secret, key->secret_bytes, params) &&
                feed(mac, key, chain, message, tsig, counted) &&
                EVP_MAC_final(mac, out, &bytes, DNS_TSIG_MAC_MAX);
    EVP_MAC_CTX_free(mac);
    EVP_MAC_free(hmac);
    return done ? SK_OK : SK_ERR_NO_MEMORY;
}

/* --- checking (section 5.2) ------------------------------------------------------------------------------- */

/* Section 5.2.2.1: shorter than half, or than ten bytes, or longer than whole is malformed; what is only shorter than
 * whole is against our policy. */
static sk_err check_length(const struct dns_tsig *tsig, const struct dns_tsig_key *key, bool *out_whole) {
    size_t whole = algorithms[key->algorithm].mac_bytes, least = SK_MAX(MAC_LEAST, whole / 2);
    if (tsig->mac_bytes > whole || tsig->mac_bytes < least) return SK_ERR_MALFORMED;
    *out_whole = tsig->mac_bytes == whole;
    return SK_OK;
}

static bool is_timely(const struct dns_tsig *tsig, sk_unix_s now) {
    int64_t apart = (int64_t)tsig->time_s - now;
    return apart <= tsig->fudge_s && -apart <= tsig->fudge_s;
}

sk_err dns_tsig_check(const uint8_t *message, const struct dns_tsig *tsig, const struct dns_tsig_key *key,
                      const struct dns_tsig_chain *chain, sk_unix_s now, enum dns_tsig_error *out_error) {
    uint8_t expected[DNS_TSIG_MAC_MAX];
    bool whole;
    if (!key) {
        *out_error = DNS_TSIG_BADKEY;
        return SK_OK;
    }
    sk_err err = check_length(tsig, key, &whole);
    if (err) return err;
    if (!whole) {
        *out_error = DNS_TSIG_BADTRUNC;
        return SK_OK;
    }
    if (tsig->other_bytes > 6) { /* only a time is ever there */
        *out_error = DNS_TSIG_BADSIG;
        return SK_OK;
    }
    err = digest(key, chain, message, tsig, true, expected);
    if (err) return err;
    if (CRYPTO_memcmp(expected, tsig->mac, tsig->mac_bytes) != 0)
        *out_error = DNS_TSIG_BADSIG;
    else
        *out_error = is_timely(tsig, now) ? DNS_TSIG_FINE : DNS_TSIG_BADTIME;
    return SK_OK;
}

/* --- writing ------------------------------------------------------------------------------------------ */

/* The record behind the message; NAME and ALGORITHM are wire forms. */
static sk_err put_record(uint8_t *message, size_t *bytes, size_t capacity, const struct dns_name *name,
                         const uint8_t *algorithm, size_t algorithm_bytes, const struct dns_tsig *tsig) {
    size_t data = algorithm_bytes + 16 + (size_t)tsig->mac_bytes + tsig->other_bytes;
    if (capacity < *bytes || capacity - *bytes < name->length + 10 + data) return SK_ERR_FULL;
    uint8_t *at = put_name(message + *bytes, name->wire, name->length);
    at = put_u16(put_u16(at, DNS_TYPE_TSIG), CLASS_ANY);
    at = put_u16(put_u16(at, 0), 0);
    at = put_name(put_u16(at, (uint16_t)data), algorithm, algorithm_bytes);
    at = put_u16(put_u48(at, tsig->time_s), tsig->fudge_s);
    at = put_name(put_u16(at, tsig->mac_bytes), tsig->mac, tsig->mac_bytes);
    at = put_u16(put_u16(at, tsig->original_id), tsig->error);
    at = put_name(put_u16(at, tsig->other_bytes), tsig->other, tsig->other_bytes);
    *bytes = (size_t)(at - message);
    put_u16(message + 10, (uint16_t)(get_u16(message + 10) + 1));
    return SK_OK;
}

sk_err dns_tsig_sign(uint8_t *message, size_t *bytes, size_t capacity, const struct dns_tsig_key *key,
                     struct dns_tsig_chain *chain, uint64_t time_s, enum dns_tsig_error error,
                     sk_unix_s now) {
    uint8_t mac[DNS_TSIG_MAC_MAX], other[6];
    put_u48(other, (uint64_t)now);
    struct dns_tsig tsig = {.at = *bytes,
                            .time_s = time_s,
                            .fudge_s = DNS_TSIG_FUDGE_S,
                            .mac = mac,
                            .mac_bytes = algorithms[key->algorithm].mac_bytes,
                            .original_id = get_u16(message),
                            .error = (uint16_t)error,
                            .other = other,
                            .other_bytes = error == DNS_TSIG_BADTIME ? 6 : 0};
    sk_err err = digest(key, chain, message, &tsig, false, mac);
    if (!err)
        err =
            put_record(message, bytes, capacity, &key->name, (const uint8_t *)algorithms[key->algorithm].wire,
                       algorithms[key->algorithm].wire_bytes, &tsig);
    if (err) return err;
    memcpy(chain->mac, mac, tsig.mac_bytes);
    chain->mac_bytes = tsig.mac_bytes;
    chain->timers_only = true;
    return SK_OK;
}

sk_err dns_tsig_refuse(uint8_t *message, size_t *bytes, size_t capacity, const struct dns_tsig *request,
                       enum dns_tsig_error error) {
    struct dns_tsig tsig = {.time_s = request->time_s,
                            .fudge_s = request->fudge_s,
                            .mac = message,
                            .original_id = get_u16(message),
                            .error = (uint16_t)error,
                            .other = message};
    return put_record(message, bytes, capacity, &request->name, request->algorithm.wire,
                      request->algorithm.length, &tsig);
}
