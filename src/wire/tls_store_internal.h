/* A store's certificates as src/wire itself sees them; nobody else includes it. */
#ifndef SK_WIRE_TLS_STORE_INTERNAL_H
#define SK_WIRE_TLS_STORE_INTERNAL_H

#include <openssl/ssl.h>

#include "wire/tls_staple.h"
#include "wire/tls_store.h"

struct wire_tls_pair {
    struct wire_tls_certificate seen;
    X509 *leaf;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
    struct wire_tls_staple staple;
};

/* Lives with its store. */
struct wire_tls_pair *wire_tls_store_pair(const struct wire_tls_store *store, uint32_t index);

#endif
