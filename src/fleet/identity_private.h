/* An identity's inside, for identity*.c. */
#ifndef SK_FLEET_IDENTITY_PRIVATE_H
#define SK_FLEET_IDENTITY_PRIVATE_H

#include <stdatomic.h>

#include "fleet/ca.h"
#include "fleet/certificate.h"

#define FLEET_IDENTITY_MAGIC 0x666c6964u

struct fleet_identity {
    uint32_t magic;
    _Atomic uint32_t references;
    /* immutable after creation */
    EVP_PKEY *key;
    X509 *certificate;
    STACK_OF(X509) * roots;
    struct sk_buf roots_pem;
    char roots_digest[FLEET_HEX_BYTES];
    struct fleet_caller self;
};

#endif
