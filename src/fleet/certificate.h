/* X.509 as identity.c and ca.c share it. Private to the two. */
#ifndef SK_FLEET_CERTIFICATE_H
#define SK_FLEET_CERTIFICATE_H

#include <openssl/x509.h>

#include "fleet/identity.h"

#define FLEET_ALGORITHM "ML-DSA-65"

/* The one URI among the names of CERTIFICATE, as a node's id, and its times. ROOT is what it hangs from; NULL: not
 * known. SK_ERR_TLS_CERTIFICATE. */
sk_err fleet_caller_read(X509 *certificate, X509 *root, struct fleet_caller *out_caller);
/* SHA-256 of its DER. */
void fleet_certificate_digest(X509 *certificate, uint8_t out[FLEET_DIGEST_BYTES]);
sk_err fleet_certificate_write(X509 *certificate, struct sk_buf *out_pem);
sk_err fleet_key_write(EVP_PKEY *key, struct sk_buf *out_pem);
/* The first of its kind in PEM; NULL: none. */
X509 *fleet_certificate_find(sk_str pem);
EVP_PKEY *fleet_key_find(sk_str pem);
/* All certificates in PEM, at most 8, each once; NULL: none or not so. */
STACK_OF(X509) * fleet_certificates_find(sk_str pem);
EVP_PKEY *fleet_key_new(void);
bool fleet_key_is_ours(const EVP_PKEY *key);
/* The root of ROOTS that CERTIFICATE hangs from and is valid under at AT (SK_ERR_TLS_CERTIFICATE if none). */
sk_err fleet_certificate_verify(X509 *certificate, STACK_OF(X509) * roots, sk_unix_s at, X509 **out_root);
sk_unix_s fleet_time_of(const ASN1_TIME *time);
/* Forgets the library's own queue, so that nobody takes an old error for a new one. */
sk_err fleet_crypto_failed(void);

#endif
