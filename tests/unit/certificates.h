/* Certificates made while a test runs: a CA and servers under it, on P-256, in memory and as PEM files. */
#ifndef SK_TESTS_CERTIFICATES_H
#define SK_TESTS_CERTIFICATES_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

#include "unit.h"

struct certificate {
    X509 *x509;
    EVP_PKEY *key;
};

struct certificate_wish {
    const char *common_name;
    const char *names;                /* subjectAltName, "DNS:a.test,IP:127.0.0.1"; NULL: none */
    const struct certificate *issuer; /* NULL: signs itself, and may sign others */
    long valid_from_s, valid_to_s;    /* from now; both 0: a day around now */
    struct {
        int nid;
        const char *value;
    } more[3]; /* extensions, as openssl.cnf has them; nid 0: no more */
};

static inline void certificate_extension(X509 *x509, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, x509, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(x509, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static inline struct certificate certificate_make(const struct certificate_wish *wish) {
    static long serial = 1000;
    struct certificate made = {X509_new(), EVP_EC_gen("P-256")};
    const struct certificate *issuer = wish->issuer ? wish->issuer : &made;
    X509_NAME *name = X509_get_subject_name(made.x509);
    X509_set_version(made.x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.x509), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made.x509), wish->valid_from_s ? wish->valid_from_s : -3600);
    X509_gmtime_adj(X509_getm_notAfter(made.x509), wish->valid_to_s ? wish->valid_to_s : 86400);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)wish->common_name, -1, -1, 0);
    X509_set_issuer_name(made.x509, X509_get_subject_name(issuer->x509));
    X509_set_pubkey(made.x509, made.key);
    if (!wish->issuer) certificate_extension(made.x509, NID_basic_constraints, "critical,CA:TRUE");
    if (wish->names) certificate_extension(made.x509, NID_subject_alt_name, wish->names);
    for (size_t i = 0; i < SK_COUNT(wish->more) && wish->more[i].nid; i++)
        certificate_extension(made.x509, wish->more[i].nid, wish->more[i].value);
    assert_true(X509_sign(made.x509, issuer->key, EVP_sha256()) > 0);
    return made;
}

static inline void certificate_free(struct certificate *certificate) {
    X509_free(certificate->x509);
    EVP_PKEY_free(certificate->key);
}

/* Writes the certificate (not the key) as PEM. */
static inline void certificate_save(const struct certificate *certificate, const char *path) {
    FILE *file = fopen(path, "w");
    if (!file) abort();
    assert_int_equal(PEM_write_X509(file, certificate->x509), 1);
    assert_int_equal(fclose(file), 0);
}

#endif
