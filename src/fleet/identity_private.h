/* An identity's inside, for identity*.c and signers.c. */
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

/* Who has signed, and between which times the certificate and its root are both valid. Owns the certificate. */
struct fleet_signer {
    X509 *certificate;
    struct fleet_caller caller;
    sk_unix_s good_from, good_until;
};
/* CERTIFICATE (DER) hangs from IDENTITY's roots and is valid AT. SK_ERR_TLS_CERTIFICATE. */
sk_err fleet_signer_read(const struct fleet_identity *identity, sk_str certificate, sk_unix_s at,
                         struct fleet_signer *out_signer);
/* The rest of fleet_verify, which a certificate does not settle once and for all. */
sk_err fleet_signer_check(const struct fleet_signer *signer, const struct fleet_identity *identity,
                          const struct fleet_signed *what, const struct fleet_expelled *expelled);

#endif
