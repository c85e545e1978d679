#include "wire/tls_store.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/hash.h"
#include "wire/tls_store_internal.h"

#define STORE_MAGIC 0x746c7373u
#define NAME_MAX_BYTES 255
#define FEATURE_STATUS 5 /* of TLS: status_request (RFC 7633 section 4) */

/* One name. Empty when NAME has no data. */
struct slot {
    sk_str name;
    struct wire_tls_pair *pairs[WIRE_TLS_KINDS];
};

struct wire_tls_store {
    uint32_t magic;
    _Atomic uint32_t references;
    struct wire_tls_pair **pairs;
    uint32_t pair_count;
    struct slot *slots; /* open addressing, at least half of them free */
    size_t slot_count, used;
    struct sk_arena arena; /* names and files */
};

/* --- life --------------------------------------------------------------------------------------------- */

sk_err wire_tls_store_create(struct wire_tls_store **out_store) {
    struct wire_tls_store *store = calloc(1, sizeof *store);
    if (!store) return SK_ERR_NO_MEMORY;
    store->magic = STORE_MAGIC;
    store->references = 1;
    sk_arena_init(&store->arena, 4096, 0);
    *out_store = store;
    return SK_OK;
}

static void pair_free(struct wire_tls_pair *pair) {
    wire_tls_staple_free(&pair->staple);
    X509_free(pair->leaf);
    OSSL_STACK_OF_X509_free(pair->chain);
    EVP_PKEY_free(pair->key);
    free(pair);
}

struct wire_tls_store *wire_tls_store_ref(struct wire_tls_store *store) {
    /* relaxed: whoever hands the pointer over holds a reference already */
    atomic_fetch_add_explicit(&store->references, 1, memory_order_relaxed);
    return store;
}

void wire_tls_store_unref(struct wire_tls_store *store) {
    /* acq_rel: the last one frees only after all others have read what they wanted to */
    if (!store || atomic_fetch_sub_explicit(&store->references, 1, memory_order_acq_rel) != 1) return;
    SK_CHECK_MAGIC(store, STORE_MAGIC);
    for (uint32_t i = 0; i < store->pair_count; i++) pair_free(store->pairs[i]);
    sk_arena_free(&store->arena);
    free(store->pairs);
    free(store->slots);
    store->magic = 0;
    free(store);
}

/* --- names -------------------------------------------------------------------------------------------- */

/* NAME is in lower case. The slot that has it, or the free one where it would be. */
static struct slot *slot_of(const struct wire_tls_store *store, sk_str name) {
    for (size_t i = sk_hash64(name.data, name.len);; i++) {
        struct slot *slot = &store->slots[i & (store->slot_count - 1)];
        if (!slot->name.data || sk_str_eq(slot->name, name)) return slot;
    }
}

static sk_err grow(struct wire_tls_store *store) {
    struct slot *old = store->slots;
    size_t count = store->slot_count;
    if (old && 2 * (store->used + 1) <= count) return SK_OK;
    struct slot *slots = calloc(count ? 2 * count : 16, sizeof *slots);
    if (!slots) return SK_ERR_NO_MEMORY;
    store->slots = slots;
    store->slot_count = count ? 2 * count : 16;
    for (size_t i = 0; i < count; i++)
        if (old[i].name.data) *slot_of(store, old[i].name) = old[i];
    free(old);
    return SK_OK;
}

static sk_err add_name(struct wire_tls_store *store, sk_str name, struct wire_tls_pair *pair) {
    sk_err err = grow(store);
    if (err) return err;
    struct slot *slot = slot_of(store, name);
    if (!slot->name.data) {
        slot->name = name;
        store->used++;
    }
    if (!slot->pairs[pair->seen.kind]) slot->pairs[pair->seen.kind] = pair;
    return SK_OK;
}

/* NAME as the table has it: lower case, without a final dot. Empty when it cannot be there. */
static sk_str plain_name(sk_str name, char out[NAME_MAX_BYTES]) {
    if (name.len && name.data[name.len - 1] == '.') name.len--;
    if (name.len > NAME_MAX_BYTES) return (sk_str){0};
    sk_ascii_lower(out, name.data, name.len);
    return (sk_str){out, name.len};
}

static const struct slot *find(const struct wire_tls_store *store, sk_str name) {
    char lower[NAME_MAX_BYTES];
    if (!store->used || !(name = plain_name(name, lower)).len) return NULL;
    const struct slot *slot = slot_of(store, name);
    if (slot->name.data) return slot;
    size_t dot = sk_str_find_byte(name, '.');
    if (dot == 0 || dot == name.len) return NULL;
    lower[dot - 1] = '*';
    slot = slot_of(store, sk_str_slice(name, dot - 1, name.len));
    return slot->name.data ? slot : NULL;
}

/* --- what a certificate covers -------------------------------------------------------------------------- */

static sk_str name_text(struct sk_arena *arena, const GENERAL_NAME *name) {
    char ip[INET6_ADDRSTRLEN];
    if (name->type == GEN_DNS) {
        sk_str text = sk_str_make((const char *)ASN1_STRING_get0_data(name->d.dNSName),
                                  (size_t)ASN1_STRING_length(name->d.dNSName));
        char lower[NAME_MAX_BYTES];
        return sk_arena_copy(arena, plain_name(text, lower));
    }
    if (name->type != GEN_IPADD) return (sk_str){0};
    int bytes = ASN1_STRING_length(name->d.iPAddress);
    if (bytes != 4 && bytes != 16) return (sk_str){0};
    inet_ntop(bytes == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress), ip, sizeof ip);
    return sk_arena_copy(arena, sk_str_from_c(ip));
}

static sk_err read_names(struct wire_tls_store *store, struct wire_tls_pair *pair) {
    GENERAL_NAMES *all = X509_get_ext_d2i(pair->leaf, NID_subject_alt_name, NULL, NULL);
    int count = all ? sk_GENERAL_NAME_num(all) : 0;
    sk_str *names = sk_arena_zalloc(&store->arena, ((size_t)count + 1) * sizeof *names);
    sk_err err = names ? SK_OK : SK_ERR_NO_MEMORY;
    pair->seen.names = names;
    for (int i = 0; i < count && !err; i++) {
        sk_str name = name_text(&store->arena, sk_GENERAL_NAME_value(all, i));
        if (!name.len) continue;
        names[pair->seen.name_count++] = name;
        err = add_name(store, name, pair);
    }
    GENERAL_NAMES_free(all);
    return err;
}

static sk_unix_s time_of(const ASN1_TIME *time) {
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) == 1 ? (sk_unix_s)timegm(&tm) : 0;
}

/* --- reading files -------------------------------------------------------------------------------------- */

static sk_err wrong(char why[WIRE_TLS_WHY_BYTES], const char *file, const char *what) {
    snprintf(why, WIRE_TLS_WHY_BYTES, "%s: %s", file, what);
    ERR_clear_error();
    return SK_ERR_INVALID;
}

/* A key with a password is refused: nobody is there to be asked for it. */
static int no_password(char *text, int bytes, int writing, void *arg) { return 0; }

/* Takes BIO over, as the next does. */
static sk_err read_chain(struct wire_tls_pair *pair, BIO *bio, const char *file,
                         char why[WIRE_TLS_WHY_BYTES]) {
    if (!bio) return wrong(why, file, "cannot be read");
    pair->leaf = PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL);
    pair->chain = sk_X509_new_null();
    X509 *next;
    while (pair->leaf && pair->chain && (next = PEM_read_bio_X509(bio, NULL, no_password, NULL)))
        if (!sk_X509_push(pair->chain, next)) X509_free(next);
    BIO_free(bio);
    ERR_clear_error();
    return pair->leaf && pair->chain ? SK_OK : wrong(why, file, "holds no certificate in PEM");
}

static sk_err read_key(struct wire_tls_pair *pair, BIO *bio, const char *cert_file, const char *file,
                       char why[WIRE_TLS_WHY_BYTES]) {
    if (!bio) return wrong(why, file, "cannot be read");
    pair->key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    if (!pair->key) return wrong(why, file, "holds no private key in PEM without a password");
    if (X509_check_private_key(pair->leaf, pair->key) != 1)
        return wrong(why, cert_file, "the key does not belong to this certificate");
    if (EVP_PKEY_is_a(pair->key, "RSA") && EVP_PKEY_get_bits(pair->key) < 2048)
        return wrong(why, cert_file, "an RSA key of less than 2048 bits");
    pair->seen.kind = EVP_PKEY_is_a(pair->key, "RSA") ? WIRE_TLS_RSA : WIRE_TLS_ECDSA;
    return SK_OK;
}

/* What it says of itself beside its names. */
static bool read_facts(struct wire_tls_pair *pair) {
    unsigned bytes = 0;
    TLS_FEATURE *features = X509_get_ext_d2i(pair->leaf, NID_tlsfeature, NULL, NULL);
    for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++)
        if (ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == FEATURE_STATUS)
            pair->seen.must_staple = true;
    TLS_FEATURE_free(features);
    pair->seen.not_before = time_of(X509_get0_notBefore(pair->leaf));
    pair->seen.not_after = time_of(X509_get0_notAfter(pair->leaf));
    return X509_digest(pair->leaf, EVP_sha256(), pair->seen.id, &bytes) == 1;
}

static sk_err keep_pair(struct wire_tls_store *store, struct wire_tls_pair *pair, const char *file) {
    struct wire_tls_pair **pairs = realloc(store->pairs, (store->pair_count + 1) * sizeof *pairs);
    if (!pairs) {
        pair_free(pair);
        return SK_ERR_NO_MEMORY;
    }
    store->pairs = pairs;
    pairs[store->pair_count++] = pair;
    pair->seen.file = sk_arena_copy(&store->arena, sk_str_from_c(file)).data;
    return pair->seen.file && read_facts(pair) ? read_names(store, pair) : SK_ERR_NO_MEMORY;
}

static sk_err add(struct wire_tls_store *store, BIO *cert, BIO *key, const char *cert_file,
                  const char *key_file, char why[WIRE_TLS_WHY_BYTES]) {
    struct wire_tls_pair *pair = calloc(1, sizeof *pair);
    sk_err err = pair ? read_chain(pair, cert, cert_file, why) : SK_ERR_NO_MEMORY;
    if (err)
        BIO_free(key);
    else
        err = read_key(pair, key, cert_file, key_file, why);
    if (!err) err = wire_tls_staple_init(&pair->staple, pair->leaf);
    if (!err) return keep_pair(store, pair, cert_file);
    if (pair)
        pair_free(pair);
    else
        BIO_free(cert);
    return err;
}

sk_err wire_tls_store_add(struct wire_tls_store *store, const char *cert_file, const char *key_file,
                          char why[WIRE_TLS_WHY_BYTES]) {
    ERR_clear_error();
    return add(store, BIO_new_file(cert_file, "r"), BIO_new_file(key_file, "r"), cert_file, key_file, why);
}

sk_err wire_tls_store_add_text(struct wire_tls_store *store, const char *name, sk_str pem,
                               char why[WIRE_TLS_WHY_BYTES]) {
    ERR_clear_error();
    if (!pem.len || pem.len > INT_MAX) return wrong(why, name, "holds no certificate in PEM");
    return add(store, BIO_new_mem_buf(pem.data, (int)pem.len), BIO_new_mem_buf(pem.data, (int)pem.len), name,
               name, why);
}

/* --- what is shown beside it ----------------------------------------------------------------------------- */

void wire_tls_store_want_status(struct wire_tls_store *store, uint32_t index) {
    store->pairs[index]->seen.wants_status = true;
}

sk_err wire_tls_store_staple(struct wire_tls_store *store, uint32_t index, sk_str response, sk_unix_s until) {
    return wire_tls_staple_set(&store->pairs[index]->staple, response, until);
}

/* --- looking -------------------------------------------------------------------------------------------- */

uint32_t wire_tls_store_count(const struct wire_tls_store *store) { return store->pair_count; }

struct wire_tls_pair *wire_tls_store_pair(const struct wire_tls_store *store, uint32_t index) {
    return store->pairs[index];
}

const struct wire_tls_certificate *wire_tls_store_at(const struct wire_tls_store *store, uint32_t index) {
    return &store->pairs[index]->seen;
}

const struct wire_tls_certificate *wire_tls_store_find(const struct wire_tls_store *store, sk_str name,
                                                       enum wire_tls_kind kind) {
    const struct slot *slot = find(store, name);
    return slot && slot->pairs[kind] ? &slot->pairs[kind]->seen : NULL;
}

static bool use(const struct wire_tls_pair *pair, SSL *ssl) {
    return SSL_use_cert_and_key(ssl, pair->leaf, pair->key, pair->chain, 1) == 1;
}

bool wire_tls_store_use(const struct wire_tls_store *store, sk_str name, void *connection) {
    const struct slot *slot = find(store, name);
    if (!store->pair_count) return false;
    const struct wire_tls_pair *first = store->pairs[0];
    if (!slot && first->seen.name_count) slot = find(store, first->seen.names[0]);
    if (!slot) return use(first, connection);
    for (int kind = 0; kind < WIRE_TLS_KINDS; kind++)
        if (slot->pairs[kind] && !use(slot->pairs[kind], connection)) return false;
    return true;
}
