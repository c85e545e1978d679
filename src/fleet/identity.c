#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fleet/identity_private.h"
#include "io/file.h"

/* --- files --------------------------------------------------------------------------------------------------- */

sk_err fleet_path(sk_str folder, const char *file, char out[FLEET_PATH_BYTES]) {
    int len = snprintf(out, FLEET_PATH_BYTES, "%.*s/%s", SK_STR_ARGS(folder), file);
    return len < FLEET_PATH_BYTES ? SK_OK : SK_ERR_TOO_LARGE;
}

sk_err fleet_folder(sk_str folder) {
    char path[FLEET_PATH_BYTES];
    struct stat st;
    sk_err err = fleet_path(folder, "", path);
    if (err) return err;
    if (mkdir(path, 0700) < 0 && errno != EEXIST) return sk_err_from_errno(errno);
    if (stat(path, &st) < 0) return sk_err_from_errno(errno);
    if (!S_ISDIR(st.st_mode)) return SK_ERR_INVALID;
    return st.st_mode & 077 ? SK_ERR_DENIED : SK_OK;
}

static sk_err load(sk_str folder, const char *file, struct sk_buf *out) {
    char path[FLEET_PATH_BYTES];
    sk_err err = fleet_path(folder, file, path);
    return err ? err : io_file_load(path, FLEET_PEM_MAX, out);
}

static sk_err store(sk_str folder, const char *file, sk_str text) {
    char path[FLEET_PATH_BYTES];
    sk_err err = fleet_path(folder, file, path);
    return err ? err : io_file_replace(path, text.data, text.len, 0600);
}

/* --- making one ---------------------------------------------------------------------------------------------- */

sk_err fleet_key_request(EVP_PKEY **out_key, struct sk_buf *out_request) {
    EVP_PKEY *key = fleet_key_new();
    X509_REQ *request = X509_REQ_new();
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    bool good = key && request && bio && X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
                X509_REQ_set_pubkey(request, key) == 1 && X509_REQ_sign(request, key, NULL) > 0 &&
                PEM_write_bio_X509_REQ(bio, request) == 1;
    long len = good ? BIO_get_mem_data(bio, &text) : 0;
    sk_err err = good ? sk_buf_append(out_request, sk_str_make(text, (size_t)len)) : fleet_crypto_failed();
    BIO_free(bio);
    X509_REQ_free(request);
    if (err)
        EVP_PKEY_free(key);
    else
        *out_key = key;
    return err;
}

sk_err fleet_node_pem(EVP_PKEY *key, sk_str certificate, struct sk_buf *out) {
    sk_err err = fleet_key_write(key, out);
    return err ? err : sk_buf_append(out, certificate);
}

static void release(struct fleet_identity *identity) {
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
    sk_X509_pop_free(identity->roots, X509_free);
    sk_buf_free(&identity->roots_pem);
    free(identity);
}

/* At its own beginning, so that one that has expired since still loads. */
static sk_err belong_together(struct fleet_identity *identity) {
    X509 *root = NULL;
    sk_unix_s begin = fleet_time_of(X509_get0_notBefore(identity->certificate)) + FLEET_BACKDATE_S;
    if (!fleet_key_is_ours(identity->key) ||
        X509_check_private_key(identity->certificate, identity->key) != 1 ||
        fleet_certificate_verify(identity->certificate, identity->roots, begin, &root) ||
        fleet_caller_read(identity->certificate, root, &identity->self)) {
        ERR_clear_error();
        return SK_ERR_INVALID;
    }
    return SK_OK;
}

sk_err fleet_identity_make(sk_str node_pem, sk_str roots_pem, struct fleet_identity **out_identity) {
    struct fleet_identity *identity = calloc(1, sizeof *identity);
    uint8_t digest[FLEET_DIGEST_BYTES];
    if (!identity) return SK_ERR_NO_MEMORY;
    identity->magic = FLEET_IDENTITY_MAGIC;
    identity->references = 1;
    sk_buf_init(&identity->roots_pem, FLEET_PEM_MAX);
    identity->key = fleet_key_find(node_pem);
    identity->certificate = fleet_certificate_find(node_pem);
    identity->roots = fleet_certificates_find(roots_pem);
    sk_err err = identity->key && identity->certificate && identity->roots ? SK_OK : SK_ERR_MALFORMED;
    if (!err) err = belong_together(identity);
    if (!err) err = sk_buf_append(&identity->roots_pem, roots_pem);
    fleet_digest(roots_pem, digest);
    fleet_hex(digest, identity->roots_digest);
    if (err)
        release(identity);
    else
        *out_identity = identity;
    return err;
}

sk_err fleet_identity_load(sk_str folder, struct fleet_identity **out_identity) {
    struct sk_buf node, roots;
    sk_buf_init(&node, 0); /* io_file_load bounds them */
    sk_buf_init(&roots, 0);
    sk_err err = load(folder, FLEET_FILE_NODE, &node);
    if (!err) err = load(folder, FLEET_FILE_ROOTS, &roots);
    if (!err) err = fleet_identity_make(sk_buf_str(&node), sk_buf_str(&roots), out_identity);
    OPENSSL_cleanse(node.data, node.capacity);
    sk_buf_free(&node);
    sk_buf_free(&roots);
    return err;
}

/* Roots first: a set that grew trusts the old certificate too, so that a crash between the two leaves a good pair. */
sk_err fleet_identity_save(sk_str folder, sk_str node_pem, sk_str roots_pem) {
    struct fleet_identity *identity;
    sk_err err = fleet_identity_make(node_pem, roots_pem, &identity);
    if (err) return err;
    fleet_identity_unref(identity);
    err = store(folder, FLEET_FILE_ROOTS, roots_pem);
    return err ? err : store(folder, FLEET_FILE_NODE, node_pem);
}

sk_err fleet_bus_key_save(sk_str folder, sk_str text) {
    struct fleet_bus_key key;
    sk_err err = fleet_bus_key_parse(text, &key);
    return err ? err : store(folder, FLEET_FILE_BUS_KEY, text);
}

sk_err fleet_bus_key_load(sk_str folder, struct fleet_bus_key *out_key) {
    struct sk_buf text;
    sk_buf_init(&text, 0);
    sk_err err = load(folder, FLEET_FILE_BUS_KEY, &text);
    if (!err) err = fleet_bus_key_parse(sk_buf_str(&text), out_key);
    OPENSSL_cleanse(text.data, text.capacity);
    sk_buf_free(&text);
    return err;
}

struct fleet_identity *fleet_identity_ref(struct fleet_identity *identity) {
    SK_CHECK_MAGIC(identity, FLEET_IDENTITY_MAGIC);
    /* relaxed: who takes one holds one */
    atomic_fetch_add_explicit(&identity->references, 1, memory_order_relaxed);
    return identity;
}

void fleet_identity_unref(struct fleet_identity *identity) {
    if (!identity) return;
    SK_CHECK_MAGIC(identity, FLEET_IDENTITY_MAGIC);
    /* acq_rel: all use of it comes before it is freed */
    if (atomic_fetch_sub_explicit(&identity->references, 1, memory_order_acq_rel) == 1) release(identity);
}

/* --- what it says -------------------------------------------------------------------------------------------- */

const struct fleet_caller *fleet_identity_self(const struct fleet_identity *identity) {
    return &identity->self;
}

sk_unix_s fleet_identity_renew_at(const struct fleet_identity *identity) {
    const struct fleet_caller *self = &identity->self;
    return self->issued_at + (self->not_after - self->issued_at) / 3 * 2;
}

sk_str fleet_identity_roots(const struct fleet_identity *identity) {
    return sk_buf_str(&identity->roots_pem);
}

const char *fleet_identity_roots_digest(const struct fleet_identity *identity) {
    return identity->roots_digest;
}
