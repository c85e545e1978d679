/* TLS between nodes, and from people and joiners to control. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>

#include "fleet/identity_private.h"

/* Hybrid ones only: what is recorded today stays secret when one of the two is broken. */
#define GROUPS "X25519MLKEM768:SecP256r1MLKEM768"

static SSL_CTX *plain_context(void) {
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    if (!context) return NULL;
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
        SSL_CTX_set_num_tickets(context, 0) == 1 && SSL_CTX_set1_groups_list(context, GROUPS) == 1)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

static bool show(SSL_CTX *context, const struct fleet_identity *identity) {
    if (SSL_CTX_use_certificate(context, identity->certificate) != 1 ||
        SSL_CTX_use_PrivateKey(context, identity->key) != 1)
        return false;
    /* With the roots: who has only a fingerprint finds what it belongs to. */
    for (int i = 0; i < sk_X509_num(identity->roots); i++)
        if (SSL_CTX_add1_chain_cert(context, sk_X509_value(identity->roots, i)) != 1) return false;
    return true;
}

static bool trust(SSL_CTX *context, const struct fleet_identity *identity) {
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    for (int i = 0; i < sk_X509_num(identity->roots); i++)
        if (X509_STORE_add_cert(store, sk_X509_value(identity->roots, i)) != 1) return false;
    return true;
}

sk_err fleet_identity_context(const struct fleet_identity *identity, enum fleet_side side,
                              SSL_CTX **out_context) {
    SSL_CTX *context = plain_context();
    int verify = SSL_VERIFY_PEER | (side == FLEET_ANSWERING ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    SK_CHECK_MAGIC(identity, FLEET_IDENTITY_MAGIC);
    if (!context) return SK_ERR_NO_MEMORY;
    SSL_CTX_set_verify(context, verify, NULL);
    if (!show(context, identity) || !trust(context, identity)) {
        SSL_CTX_free(context);
        return fleet_crypto_failed();
    }
    *out_context = context;
    return SK_OK;
}

sk_err fleet_identity_use(struct fleet_identity *identity, enum fleet_side side,
                          struct fleet_identity **current, SSL_CTX **context) {
    SSL_CTX *fresh;
    sk_err err = fleet_identity_context(identity, side, &fresh);
    if (err) {
        fleet_identity_unref(identity);
        return err;
    }
    fleet_identity_unref(*current);
    SSL_CTX_free(*context);
    *current = identity;
    *context = fresh;
    return SK_OK;
}

sk_err fleet_caller_of(SSL *tls, struct fleet_caller *out_caller) {
    X509 *certificate = SSL_get0_peer_certificate(tls);
    STACK_OF(X509) *chain = SSL_get0_verified_chain(tls);
    if (!certificate) return SK_ERR_NOT_FOUND;
    if (SSL_get_verify_result(tls) != X509_V_OK || !chain) return SK_ERR_TLS_CERTIFICATE;
    return fleet_caller_read(certificate, sk_X509_value(chain, sk_X509_num(chain) - 1), out_caller);
}

/* --- strangers: they know a fingerprint ---------------------------------------------------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int fingerprint_index = -1;

static void free_fingerprint(void *parent, void *fingerprint, CRYPTO_EX_DATA *data, int index, long argl,
                             void *argp) {
    free(fingerprint);
}
static void make_index(void) {
    fingerprint_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_fingerprint);
}

static X509 *with_digest(STACK_OF(X509) * certificates, const uint8_t fingerprint[FLEET_DIGEST_BYTES]) {
    for (int i = 0; certificates && i < sk_X509_num(certificates); i++) {
        uint8_t digest[FLEET_DIGEST_BYTES];
        fleet_certificate_digest(sk_X509_value(certificates, i), digest);
        if (CRYPTO_memcmp(digest, fingerprint, sizeof digest) == 0) return sk_X509_value(certificates, i);
    }
    return NULL;
}

static bool is_control(X509_STORE_CTX *store) {
    struct fleet_caller caller;
    X509 *leaf = X509_STORE_CTX_get0_cert(store);
    return leaf && fleet_caller_read(leaf, NULL, &caller) == SK_OK && caller.id.role == FLEET_ROLE_CONTROL;
}

static int verify_stranger(X509_STORE_CTX *store, void *fingerprint) {
    X509 *root = with_digest(X509_STORE_CTX_get0_untrusted(store), fingerprint);
    STACK_OF(X509) *trusted = sk_X509_new_null();
    bool good = false;
    if (root && trusted && sk_X509_push(trusted, root) > 0) {
        X509_STORE_CTX_set0_trusted_stack(store, trusted);
        good = X509_verify_cert(store) == 1 && is_control(store);
    }
    if (!good && X509_STORE_CTX_get_error(store) == X509_V_OK)
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    sk_X509_free(trusted);
    return good;
}

sk_err fleet_stranger_context(const uint8_t root[FLEET_DIGEST_BYTES], SSL_CTX **out_context) {
    uint8_t *copy = malloc(FLEET_DIGEST_BYTES);
    SSL_CTX *context = plain_context();
    pthread_once(&once, make_index);
    if (!copy || !context || fingerprint_index < 0 ||
        SSL_CTX_set_ex_data(context, fingerprint_index, copy) != 1) {
        free(copy);
        SSL_CTX_free(context);
        return SK_ERR_NO_MEMORY;
    }
    memcpy(copy, root, FLEET_DIGEST_BYTES);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context, verify_stranger, copy);
    *out_context = context;
    return SK_OK;
}
