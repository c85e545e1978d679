/* Signatures of nodes, and what they are worth. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "fleet/identity_private.h"

static bool begin(EVP_MD_CTX *context, EVP_PKEY *key, const char *purpose, bool signing) {
    size_t len = strlen(purpose);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_SIGNATURE_PARAM_CONTEXT_STRING,
                                                             (void *)(uintptr_t)purpose, len),
                           OSSL_PARAM_construct_end()};
    SK_ASSERT(len > 0 && len <= FLEET_PURPOSE_MAX);
    return (signing ? EVP_DigestSignInit_ex(context, NULL, NULL, NULL, NULL, key, params)
                    : EVP_DigestVerifyInit_ex(context, NULL, NULL, NULL, NULL, key, params)) == 1;
}

sk_err fleet_sign(const struct fleet_identity *identity, const char *purpose, sk_str message,
                  struct sk_buf *out) {
    SK_CHECK_MAGIC(identity, FLEET_IDENTITY_MAGIC);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t len = FLEET_SIGNATURE_BYTES;
    sk_err err = context ? sk_buf_reserve(out, len) : SK_ERR_NO_MEMORY;
    if (!err && (!begin(context, identity->key, purpose, true) ||
                 EVP_DigestSign(context, (unsigned char *)sk_buf_space(out), &len,
                                (const unsigned char *)message.data, message.len) != 1 ||
                 len != FLEET_SIGNATURE_BYTES))
        err = fleet_crypto_failed();
    if (!err) sk_buf_commit(out, len);
    EVP_MD_CTX_free(context);
    return err;
}

sk_err fleet_identity_certificate(const struct fleet_identity *identity, struct sk_buf *out) {
    unsigned char *der = NULL;
    int len = i2d_X509(identity->certificate, &der);
    if (len <= 0) return fleet_crypto_failed();
    sk_err err = sk_buf_append(out, sk_str_make((const char *)der, (size_t)len));
    OPENSSL_free(der);
    return err;
}

static bool signature_good(X509 *certificate, const struct fleet_signed *what) {
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && fleet_key_is_ours(key) && what->signature.len == FLEET_SIGNATURE_BYTES &&
                begin(context, key, what->purpose, false) &&
                EVP_DigestVerify(context, (const unsigned char *)what->signature.data, what->signature.len,
                                 (const unsigned char *)what->message.data, what->message.len) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
}

sk_err fleet_signer_read(const struct fleet_identity *identity, sk_str certificate, sk_unix_s at,
                         struct fleet_signer *out_signer) {
    const unsigned char *der = (const unsigned char *)certificate.data, *end = der + certificate.len;
    struct fleet_signer signer = {0};
    X509 *root = NULL;
    if (certificate.len <= FLEET_PEM_MAX) signer.certificate = d2i_X509(NULL, &der, (long)certificate.len);
    sk_err err = signer.certificate && der == end ? SK_OK : SK_ERR_TLS_CERTIFICATE;
    if (!err) err = fleet_certificate_verify(signer.certificate, identity->roots, at, &root);
    if (!err) err = fleet_caller_read(signer.certificate, root, &signer.caller);
    if (err) {
        X509_free(signer.certificate);
        ERR_clear_error();
        return err;
    }
    signer.good_from = SK_MAX(fleet_time_of(X509_get0_notBefore(signer.certificate)),
                              fleet_time_of(X509_get0_notBefore(root)));
    signer.good_until = SK_MIN(fleet_time_of(X509_get0_notAfter(signer.certificate)),
                               fleet_time_of(X509_get0_notAfter(root)));
    *out_signer = signer;
    return SK_OK;
}

sk_err fleet_signer_check(const struct fleet_signer *signer, const struct fleet_identity *identity,
                          const struct fleet_signed *what, const struct fleet_expelled *expelled) {
    sk_str fleet = sk_str_from_c(identity->self.id.fleet);
    if (fleet_check(&signer->caller, fleet, what->verb, expelled) != FLEET_ALLOWED) return SK_ERR_DENIED;
    return signature_good(signer->certificate, what) ? SK_OK : SK_ERR_MALFORMED;
}

sk_err fleet_verify(const struct fleet_identity *identity, const struct fleet_signed *what,
                    const struct fleet_expelled *expelled, struct fleet_id *out_signer) {
    struct fleet_signer signer;
    SK_CHECK_MAGIC(identity, FLEET_IDENTITY_MAGIC);
    sk_err err = fleet_signer_read(identity, what->certificate, what->at, &signer);
    if (err) return err;
    err = fleet_signer_check(&signer, identity, what, expelled);
    if (!err) *out_signer = signer.caller.id;
    X509_free(signer.certificate);
    return err;
}
