/* Signatures: canonical form, ECDSA, and the memory of those made before. */
#include "route/dnssec.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/hash.h"
#include "route/dnssec_private.h"

enum { HEAD_BYTES = 18, SIGNED_MAX = 256 * 1024 };

/* --- memory of signatures --------------------------------------------------------------------------- */

struct memo_entry {
    sk_hash128 key; /* both 0: free */
    uint8_t signature[DNSSEC_SIGNATURE_BYTES];
};
struct dnssec_memo {
    size_t mask;
    struct memo_entry *entries;
};

sk_err dnssec_memo_create(size_t entries, struct dnssec_memo **out_memo) {
    size_t count = 1;
    while (count < entries) count *= 2;
    struct dnssec_memo *memo = calloc(1, sizeof *memo);
    if (!memo) return SK_ERR_NO_MEMORY;
    memo->mask = count - 1;
    memo->entries = calloc(count, sizeof *memo->entries);
    if (!memo->entries) {
        free(memo);
        return SK_ERR_NO_MEMORY;
    }
    *out_memo = memo;
    return SK_OK;
}

void dnssec_memo_free(struct dnssec_memo *memo) {
    if (!memo) return;
    free(memo->entries);
    free(memo);
}

/* --- ECDSA ------------------------------------------------------------------------------------------ */

/* From DER to the two numbers of 32 bytes that RFC 6605 section 4 has. */
static sk_err plain_signature(const uint8_t *der, size_t bytes, uint8_t out[DNSSEC_SIGNATURE_BYTES]) {
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)bytes);
    if (!signature) return SK_ERR_NO_MEMORY;
    bool fits = BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, 32) == 32 &&
                BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + 32, 32) == 32;
    ECDSA_SIG_free(signature);
    return fits ? SK_OK : SK_ERR_INVALID;
}

static sk_err sign_bytes(EVP_PKEY *key, const uint8_t *data, size_t bytes,
                         uint8_t out[DNSSEC_SIGNATURE_BYTES]) {
    uint8_t der[128];
    size_t der_bytes = sizeof der;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestSign(context, der, &der_bytes, data, bytes) == 1;
    EVP_MD_CTX_free(context);
    return done ? plain_signature(der, der_bytes, out) : SK_ERR_NO_MEMORY;
}

static sk_err sign_remembered(struct dnssec_memo *memo, const struct dnssec_key *key, const uint8_t *data,
                              size_t bytes, uint8_t out[DNSSEC_SIGNATURE_BYTES]) {
    if (!memo) return sign_bytes(key->pkey, data, bytes, out);
    /* The data names the key by its tag and the zone by its name. */
    sk_hash128 hash = sk_hash128_of(data, bytes);
    struct memo_entry *entry = &memo->entries[hash.low & memo->mask];
    if (!sk_hash128_eq(entry->key, hash)) {
        sk_err err = sign_bytes(key->pkey, data, bytes, entry->signature);
        if (err) {
            entry->key = (sk_hash128){0, 0};
            return err;
        }
        entry->key = hash;
    }
    memcpy(out, entry->signature, DNSSEC_SIGNATURE_BYTES);
    return SK_OK;
}

/* --- canonical form --------------------------------------------------------------------------------- */

struct bytes {
    uint8_t *data;
    size_t used;
};

static void put(struct bytes *out, const void *data, size_t bytes) {
    memcpy(out->data + out->used, data, bytes);
    out->used += bytes;
}

static void put_number(struct bytes *out, uint32_t value, int bytes) {
    while (bytes--) out->data[out->used++] = (uint8_t)(value >> (8 * bytes));
}

static bool by_key_signing_key(uint16_t type) {
    return type == DNS_TYPE_DNSKEY || type == DNS_TYPE_CDS || type == DNS_TYPE_CDNSKEY;
}

static int compare_rdata(const void *a, const void *b) {
    const struct dns_rdata *x = a, *y = b;
    int order = memcmp(x->data, y->data, SK_MIN(x->bytes, y->bytes));
    return order ? order : x->bytes - y->bytes;
}

/* RFC 4034 section 3.1.8.1: the RRSIG data without the signature, then each record in canonical form and order. */
static void put_rrset(struct bytes *out, const struct dns_name *owner, const struct zone_rrset *rrset,
                      struct dns_rdata *sorted) {
    memcpy(sorted, rrset->records, rrset->count * sizeof *sorted);
    qsort(sorted, rrset->count, sizeof *sorted, compare_rdata);
    for (uint16_t i = 0; i < rrset->count; i++) {
        put(out, owner->wire, owner->length);
        put_number(out, rrset->type, 2);
        put_number(out, 1, 2);
        put_number(out, rrset->ttl_s, 4);
        put_number(out, sorted[i].bytes, 2);
        put(out, sorted[i].data, sorted[i].bytes);
    }
}

static void put_head(struct bytes *out, const struct dnssec_signer *signer, const struct dnssec_key *key,
                     const struct dns_name *owner, const struct zone_rrset *rrset) {
    bool star = owner->labels && owner->wire[0] == 1 && owner->wire[1] == '*';
    put_number(out, rrset->type, 2);
    put_number(out, DNSSEC_ALGORITHM, 1);
    put_number(out, (uint32_t)(owner->labels - star), 1);
    put_number(out, rrset->ttl_s, 4);
    put_number(out, signer->expiration, 4);
    put_number(out, signer->inception, 4);
    put_number(out, key->tag, 2);
    put(out, signer->apex.wire, signer->apex.length);
}

static size_t signed_bytes(const struct dns_name *owner, const struct zone_rrset *rrset) {
    size_t bytes = HEAD_BYTES + DNS_NAME_MAX;
    for (uint16_t i = 0; i < rrset->count; i++) bytes += (size_t)owner->length + 10 + rrset->records[i].bytes;
    return bytes;
}

size_t dnssec_signature_count(const struct dnssec_signer *signer, uint16_t type) {
    return by_key_signing_key(type) ? signer->ksk_count : 1;
}

sk_err dnssec_sign_by(const struct dnssec_signer *signer, size_t number, struct dnssec_memo *memo,
                      const struct dns_name *owner, const struct zone_rrset *rrset, uint8_t *out,
                      size_t *out_bytes) {
    SK_ASSERT(number < dnssec_signature_count(signer, rrset->type));
    const struct dnssec_key *key = by_key_signing_key(rrset->type) ? signer->ksks[number] : signer->zsk;
    size_t bytes = signed_bytes(owner, rrset), sorted_bytes = rrset->count * sizeof(struct dns_rdata);
    if (bytes > SIGNED_MAX) return SK_ERR_TOO_LARGE;
    uint8_t *scratch = malloc(sorted_bytes + bytes);
    if (!scratch) return SK_ERR_NO_MEMORY;
    struct bytes data = {.data = scratch + sorted_bytes};
    put_head(&data, signer, key, owner, rrset);
    size_t head_bytes = data.used;
    put_rrset(&data, owner, rrset, (struct dns_rdata *)(void *)scratch);
    sk_err err = sign_remembered(memo, key, data.data, data.used, out + head_bytes);
    if (!err) {
        memcpy(out, data.data, head_bytes);
        *out_bytes = head_bytes + DNSSEC_SIGNATURE_BYTES;
    }
    free(scratch);
    return err;
}

/* --- denial ----------------------------------------------------------------------------------------- */

/* RFC 9824 section 3: NSEC to the name right behind in canonical order, "\000" below it; where there is no room for
 * one more label, to the name itself. Bitmap as in RFC 4034 section 4.1.2. */
size_t dnssec_nsec(const struct dns_name *name, const uint16_t *types, size_t count, uint8_t *out) {
    size_t used = 0;
    uint8_t windows[256][33] = {0}; /* length, bits */
    if (name->length + 2 <= DNS_NAME_MAX) {
        out[used++] = 1;
        out[used++] = 0;
    }
    memcpy(out + used, name->wire, name->length);
    used += name->length;
    for (size_t i = 0; i < count; i++) {
        uint8_t *window = windows[types[i] >> 8], low = (uint8_t)types[i];
        window[1 + low / 8] |= (uint8_t)(0x80 >> low % 8);
        window[0] = (uint8_t)SK_MAX(window[0], low / 8 + 1);
    }
    for (size_t i = 0; i < 256; i++) {
        if (windows[i][0] == 0) continue;
        out[used++] = (uint8_t)i;
        memcpy(out + used, windows[i], 1 + (size_t)windows[i][0]);
        used += 1 + (size_t)windows[i][0];
    }
    return used;
}
