/* What the files of signing share: keys are made in dnssec_keys.c and used in dnssec.c. */
#ifndef SK_ROUTE_DNSSEC_PRIVATE_H
#define SK_ROUTE_DNSSEC_PRIVATE_H

#include <openssl/types.h>

#include "route/dnssec.h"

struct dnssec_key {
    EVP_PKEY *pkey;
    enum dnssec_role role;
    sk_unix_s created, ds_seen;
    bool told; /* a key signing key that CDS names */
    enum dnssec_use use;
    uint16_t tag;
    uint8_t dnskey[DNSSEC_DNSKEY_BYTES];
};

struct dnssec_keys {
    struct dnssec_key items[DNSSEC_KEYS_MAX];
    size_t count;
};

struct dnssec_signer {
    struct dnssec_keys *keys; /* its own */
    const struct dnssec_key *ksks[DNSSEC_KEYS_MAX], *zsk;
    size_t ksk_count;
    struct dns_name apex;
    uint32_t inception, expiration;
    sk_unix_s expires;
    uint32_t day;
};

#endif
