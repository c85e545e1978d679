#include "fleet/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "fleet/ca.h"

enum { CERTIFICATES_MAX = 8 };

sk_err fleet_crypto_failed(void) {
    ERR_clear_error();
    return SK_ERR_TLS;
}

/* --- reading ------------------------------------------------------------------------------------------------- */

sk_unix_s fleet_time_of(const ASN1_TIME *time) {
    struct tm tm;
    return time && ASN1_TIME_to_tm(time, &tm) ? (sk_unix_s)timegm(&tm) : 0;
}

/* SPIFFE X509-SVID 2: exactly one URI. */
static sk_err only_uri(const GENERAL_NAMES *names, sk_str *out_uri) {
    unsigned found = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI) continue;
        const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
        *out_uri = sk_str_make((const char *)ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri));
        found++;
    }
    return found == 1 ? SK_OK : SK_ERR_TLS_CERTIFICATE;
}

static sk_err read_id(const X509 *certificate, struct fleet_id *out_id) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    sk_str uri = {0};
    sk_err err = names ? only_uri(names, &uri) : SK_ERR_TLS_CERTIFICATE;
    if (!err && fleet_id_parse(uri, out_id)) err = SK_ERR_TLS_CERTIFICATE;
    GENERAL_NAMES_free(names);
    return err;
}

sk_err fleet_caller_read(X509 *certificate, X509 *root, struct fleet_caller *out_caller) {
    struct fleet_caller caller = {0};
    sk_err err = read_id(certificate, &caller.id);
    if (err) return err;
    caller.issued_at = fleet_time_of(X509_get0_notBefore(certificate)) + FLEET_BACKDATE_S;
    caller.not_after = fleet_time_of(X509_get0_notAfter(certificate));
    if (root) {
        uint8_t digest[FLEET_DIGEST_BYTES];
        fleet_certificate_digest(root, digest);
        fleet_hex(digest, caller.issuer);
    }
    *out_caller = caller;
    return SK_OK;
}

void fleet_certificate_digest(X509 *certificate, uint8_t out[FLEET_DIGEST_BYTES]) {
    unsigned len = FLEET_DIGEST_BYTES;
    SK_ASSERT(X509_digest(certificate, EVP_sha256(), out, &len) == 1);
}

/* A key with a passphrase is none of ours, and nobody is to be asked on the terminal. */
static int no_passphrase(char *out, int bytes, int writing, void *arg) { return 0; }

static BIO *reader(sk_str text) {
    return text.len <= INT32_MAX ? BIO_new_mem_buf(text.data, (int)text.len) : NULL;
}

X509 *fleet_certificate_find(sk_str pem) {
    BIO *bio = reader(pem);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return certificate;
}

EVP_PKEY *fleet_key_find(sk_str pem) {
    BIO *bio = reader(pem);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

STACK_OF(X509) * fleet_certificates_find(sk_str pem) {
    BIO *bio = reader(pem);
    STACK_OF(X509) *all = sk_X509_new_null();
    X509 *certificate;
    bool good = bio && all;
    while (good && (certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
        good = sk_X509_num(all) < CERTIFICATES_MAX && sk_X509_push(all, certificate) > 0;
        if (!good) X509_free(certificate);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (good && sk_X509_num(all) > 0) return all;
    sk_X509_pop_free(all, X509_free);
    return NULL;
}

/* --- writing ------------------------------------------------------------------------------------------------- */

static sk_err take_bio(BIO *bio, bool good, struct sk_buf *out) {
    char *text = NULL;
    long len = good ? BIO_get_mem_data(bio, &text) : 0;
    sk_err err = good && len > 0 ? sk_buf_append(out, sk_str_make(text, (size_t)len)) : fleet_crypto_failed();
    BIO_free(bio);
    return err;
}

sk_err fleet_certificate_write(X509 *certificate, struct sk_buf *out_pem) {
    BIO *bio = BIO_new(BIO_s_mem());
    return take_bio(bio, bio && PEM_write_bio_X509(bio, certificate) == 1, out_pem);
}

sk_err fleet_key_write(EVP_PKEY *key, struct sk_buf *out_pem) {
    BIO *bio = BIO_new(BIO_s_secmem());
    return take_bio(bio, bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1,
                    out_pem);
}

/* --- keys and chains ----------------------------------------------------------------------------------------- */

EVP_PKEY *fleet_key_new(void) {
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, FLEET_ALGORITHM);
    if (!key) ERR_clear_error();
    return key;
}

bool fleet_key_is_ours(const EVP_PKEY *key) { return key && EVP_PKEY_is_a(key, FLEET_ALGORITHM) == 1; }

static X509 *root_of(X509_STORE_CTX *context) {
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(context);
    return chain ? sk_X509_value(chain, sk_X509_num(chain) - 1) : NULL;
}

sk_err fleet_certificate_verify(X509 *certificate, STACK_OF(X509) * roots, sk_unix_s at, X509 **out_root) {
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    sk_err err = SK_ERR_NO_MEMORY;
    if (context && X509_STORE_CTX_init(context, NULL, certificate, NULL) == 1) {
        X509_STORE_CTX_set0_trusted_stack(context, roots);
        X509_STORE_CTX_set_time(context, 0, (time_t)at);
        err = X509_verify_cert(context) == 1 ? SK_OK : SK_ERR_TLS_CERTIFICATE;
        X509 *root = err ? NULL : root_of(context);
        for (int i = 0; root && i < sk_X509_num(roots); i++) /* ours, which lives on */
            if (X509_cmp(sk_X509_value(roots, i), root) == 0) *out_root = sk_X509_value(roots, i);
    }
    X509_STORE_CTX_free(context);
    ERR_clear_error();
    return err;
}
