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

static sk_err check_signer(const struct fleet_identity *identity, X509 *certificate,
                           const struct fleet_signed *what, const struct fleet_expelled *expelled,
                           struct fleet_id *out_signer) {
    struct fleet_caller signer;
    X509 *root = NULL;
    sk_err err = fleet_certificate_verify(certificate, identity->roots, what->at, &root);
    if (!err) err = fleet_caller_read(certificate, root, &signer);
    if (err) return err;
    if (fleet_check(&signer, sk_str_from_c(identity->self.id.fleet), what->verb, expelled) != FLEET_ALLOWED)
        return SK_ERR_DENIED;
    *out_signer = signer.id;
    return SK_OK;
}

sk_err fleet_verify(const struct fleet_identity *identity, const struct fleet_signed *what,
                    const struct fleet_expelled *expelled, struct fleet_id *out_signer) {
    SK_CHECK_MAGIC(identity, FLEET_IDENTITY_MAGIC);
    const unsigned char *der = (const unsigned char *)what->certificate.data,
                        *end = der + what->certificate.len;
    struct fleet_id signer;
    X509 *certificate =
        what->certificate.len <= FLEET_PEM_MAX ? d2i_X509(NULL, &der, (long)what->certificate.len) : NULL;
    sk_err err = certificate && der == end ? SK_OK : SK_ERR_TLS_CERTIFICATE;
    if (!err) err = check_signer(identity, certificate, what, expelled, &signer);
    if (!err && !signature_good(certificate, what)) err = SK_ERR_MALFORMED;
    if (!err) *out_signer = signer;
    X509_free(certificate);
    ERR_clear_error();
    return err;
}
