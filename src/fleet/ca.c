#include "fleet/ca.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fleet/certificate.h"
#include "io/file.h"

enum { ROOTS_MAX = 2, SERIAL_BYTES = 16, NUMBER_MAX = 1000000 };

struct root {
    uint32_t number;
    EVP_PKEY *key;
    X509 *certificate;
};

struct fleet_ca {
    char folder[FLEET_PATH_BYTES];
    char fleet[FLEET_WORD_BYTES];
    struct root roots[ROOTS_MAX]; /* the oldest first */
    uint32_t count, issuer;       /* index of the one that issues */
    struct sk_buf pem;
    char digest[FLEET_HEX_BYTES];
};

/* --- certificates -------------------------------------------------------------------------------------------- */

static bool set_serial(X509 *certificate) {
    unsigned char bytes[SERIAL_BYTES];
    BIGNUM *number = NULL;
    bool good = RAND_bytes(bytes, sizeof bytes) == 1;
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, and of full length */
    if (good) number = BN_bin2bn(bytes, sizeof bytes, NULL);
    good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return good;
}

static bool set_times(X509 *certificate, sk_unix_s now, int64_t life_s) {
    return ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)(now - FLEET_BACKDATE_S)) &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)(now + life_s));
}

static bool add_name(X509_NAME *name, const char *common_name) {
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1,
                                      0) == 1;
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool good = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

static bool common_parts(X509 *certificate, EVP_PKEY *key, const char *common_name, sk_unix_s now,
                         int64_t life_s) {
    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           set_times(certificate, now, life_s) && X509_set_pubkey(certificate, key) == 1 &&
           add_name(X509_get_subject_name(certificate), common_name);
}

static sk_err make_root(const char *fleet, uint32_t number, sk_unix_s now, struct root *out_root) {
    char name[FLEET_WORD_BYTES + 32];
    struct root root = {number, fleet_key_new(), X509_new()};
    X509 *x = root.certificate;
    snprintf(name, sizeof name, "%s root %u", fleet, number);
    bool good = root.key && x && common_parts(x, root.key, name, now, FLEET_ROOT_LIFE_S) &&
                X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
                add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                add_extension(x, x, NID_subject_key_identifier, "hash") && X509_sign(x, root.key, NULL) > 0;
    if (good) {
        *out_root = root;
        return SK_OK;
    }
    EVP_PKEY_free(root.key);
    X509_free(root.certificate);
    return fleet_crypto_failed();
}

/* --- files --------------------------------------------------------------------------------------------------- */

static void root_file(uint32_t number, char out[32]) { snprintf(out, 32, "root-%u.pem", number); }

static sk_err write_root(const struct fleet_ca *ca, const struct root *root) {
    char file[32], path[FLEET_PATH_BYTES];
    struct sk_buf text;
    sk_buf_init(&text, FLEET_PEM_MAX);
    root_file(root->number, file);
    sk_err err = fleet_path(sk_str_from_c(ca->folder), file, path);
    if (!err) err = fleet_key_write(root->key, &text);
    if (!err) err = fleet_certificate_write(root->certificate, &text);
    if (!err) err = io_file_replace(path, text.data, sk_buf_len(&text), 0600);
    OPENSSL_cleanse(text.data, text.capacity);
    sk_buf_free(&text);
    return err;
}

static sk_err write_issuer(const struct fleet_ca *ca, uint32_t number) {
    char path[FLEET_PATH_BYTES], text[16];
    int len = snprintf(text, sizeof text, "%u\n", number);
    sk_err err = fleet_path(sk_str_from_c(ca->folder), "issuer", path);
    return err ? err : io_file_replace(path, text, (size_t)len, 0600);
}

static sk_err read_text(const struct fleet_ca *ca, const char *file, struct sk_buf *out) {
    char path[FLEET_PATH_BYTES];
    sk_err err = fleet_path(sk_str_from_c(ca->folder), file, path);
    return err ? err : io_file_load(path, FLEET_PEM_MAX, out);
}

static sk_err read_root(const struct fleet_ca *ca, uint32_t number, struct root *out_root) {
    char file[32];
    struct sk_buf text;
    struct root root = {.number = number};
    sk_buf_init(&text, 0); /* io_file_load bounds it */
    root_file(number, file);
    sk_err err = read_text(ca, file, &text);
    if (!err) {
        root.key = fleet_key_find(sk_buf_str(&text));
        root.certificate = fleet_certificate_find(sk_buf_str(&text));
        if (!fleet_key_is_ours(root.key) || !root.certificate ||
            X509_check_private_key(root.certificate, root.key) != 1)
            err = SK_ERR_CORRUPT;
    }
    if (err) {
        EVP_PKEY_free(root.key);
        X509_free(root.certificate);
        ERR_clear_error();
    } else {
        *out_root = root;
    }
    OPENSSL_cleanse(text.data, text.capacity);
    sk_buf_free(&text);
    return err;
}

static sk_err read_issuer(const struct fleet_ca *ca, uint32_t *out_number) {
    struct sk_buf text;
    uint64_t number = 0;
    sk_buf_init(&text, 0);
    sk_err err = read_text(ca, "issuer", &text);
    sk_str line = sk_buf_str(&text);
    if (!err && (!line.len || sk_str_to_u64(sk_str_slice(line, 0, line.len - 1), &number) || !number ||
                 number > NUMBER_MAX))
        err = SK_ERR_CORRUPT;
    if (!err) *out_number = (uint32_t)number;
    sk_buf_free(&text);
    return err;
}

/* --- what is in force ---------------------------------------------------------------------------------------- */

static sk_err remake_pem(struct fleet_ca *ca) {
    uint8_t digest[FLEET_DIGEST_BYTES];
    sk_buf_clear(&ca->pem);
    sk_err err = fleet_certificate_write(ca->roots[ca->issuer].certificate, &ca->pem);
    for (uint32_t i = 0; i < ca->count && !err; i++)
        if (i != ca->issuer) err = fleet_certificate_write(ca->roots[i].certificate, &ca->pem);
    fleet_digest(sk_buf_str(&ca->pem), digest);
    fleet_hex(digest, ca->digest);
    return err;
}

/* Neighbours of the one that issues: the one before (which is to go) and the one behind (which is to come). */
static sk_err read_all(struct fleet_ca *ca, uint32_t issuer) {
    sk_err err = SK_OK;
    for (uint32_t number = issuer > 1 ? issuer - 1 : 1; number <= issuer + 1 && !err; number++) {
        if (ca->count == ROOTS_MAX) break;
        if (number == issuer) ca->issuer = ca->count;
        err = read_root(ca, number, &ca->roots[ca->count]);
        if (!err)
            ca->count++;
        else if (err == SK_ERR_NOT_FOUND && number != issuer)
            err = SK_OK;
    }
    return err == SK_ERR_NOT_FOUND ? SK_ERR_CORRUPT : err;
}

static sk_err make_first(struct fleet_ca *ca, sk_unix_s now) {
    sk_err err = make_root(ca->fleet, 1, now, &ca->roots[0]);
    if (err) return err;
    ca->count = 1;
    err = write_root(ca, &ca->roots[0]);
    return err ? err : write_issuer(ca, 1);
}

static bool is_of_fleet(const struct fleet_ca *ca) {
    char name[FLEET_WORD_BYTES + 32], wanted[FLEET_WORD_BYTES + 32];
    const struct root *root = &ca->roots[ca->issuer];
    snprintf(wanted, sizeof wanted, "%s root %u", ca->fleet, root->number);
    const X509_NAME *subject = X509_get_subject_name(root->certificate);
    int len = X509_NAME_get_text_by_NID(subject, NID_commonName, name, sizeof name);
    return len > 0 && !strcmp(name, wanted);
}

static sk_err open_folder(struct fleet_ca *ca, sk_unix_s now) {
    uint32_t issuer = 0;
    sk_err err = fleet_folder(sk_str_from_c(ca->folder));
    if (err) return err;
    err = read_issuer(ca, &issuer);
    err = err == SK_ERR_NOT_FOUND ? make_first(ca, now) : err ? err : read_all(ca, issuer);
    if (!err && !is_of_fleet(ca)) err = SK_ERR_INVALID;
    return err ? err : remake_pem(ca);
}

sk_err fleet_ca_open(sk_str folder, sk_str fleet, sk_unix_s now, struct fleet_ca **out_ca) {
    if (!fleet_word_valid(fleet) || folder.len >= FLEET_PATH_BYTES) return SK_ERR_INVALID;
    struct fleet_ca *ca = calloc(1, sizeof *ca);
    if (!ca) return SK_ERR_NO_MEMORY;
    memcpy(ca->folder, folder.data, folder.len);
    memcpy(ca->fleet, fleet.data, fleet.len);
    sk_buf_init(&ca->pem, FLEET_PEM_MAX);
    sk_err err = open_folder(ca, now);
    if (err)
        fleet_ca_free(ca);
    else
        *out_ca = ca;
    return err;
}

void fleet_ca_free(struct fleet_ca *ca) {
    if (!ca) return;
    for (uint32_t i = 0; i < ca->count; i++) {
        EVP_PKEY_free(ca->roots[i].key);
        X509_free(ca->roots[i].certificate);
    }
    sk_buf_free(&ca->pem);
    free(ca);
}

sk_str fleet_ca_roots(const struct fleet_ca *ca) { return sk_buf_str(&ca->pem); }
const char *fleet_ca_roots_digest(const struct fleet_ca *ca) { return ca->digest; }
uint32_t fleet_ca_root_count(const struct fleet_ca *ca) { return ca->count; }
bool fleet_ca_issues_by_newest(const struct fleet_ca *ca) { return ca->issuer + 1 == ca->count; }
void fleet_ca_fingerprint(const struct fleet_ca *ca, uint8_t out[FLEET_DIGEST_BYTES]) {
    fleet_certificate_digest(ca->roots[ca->issuer].certificate, out);
}

/* --- secrets made from the roots ----------------------------------------------------------------------------- */

/* A hash of PURPOSE and the private key, which no node ever sees. */
static sk_err secret_of(const struct root *root, const char *purpose, uint8_t out[FLEET_DIGEST_BYTES]) {
    enum { MOST = 8192, PURPOSE_MOST = 32 };
    unsigned char raw[PURPOSE_MOST + MOST];
    size_t len = MOST, before = strlen(purpose) + 1;
    SK_ASSERT(before <= PURPOSE_MOST);
    memcpy(raw, purpose, before);
    if (EVP_PKEY_get_raw_private_key(root->key, raw + before, &len) != 1) return fleet_crypto_failed();
    fleet_digest(sk_str_make((const char *)raw, before + len), out);
    OPENSSL_cleanse(raw, sizeof raw);
    return SK_OK;
}

/* The I-th root, the one that issues first. */
static const struct root *by_rank(const struct fleet_ca *ca, uint32_t i) {
    if (!i) return &ca->roots[ca->issuer];
    return &ca->roots[i <= ca->issuer ? i - 1 : i];
}

sk_err fleet_ca_bus_masters(const struct fleet_ca *ca, struct fleet_bus_keys *out_masters) {
    struct fleet_bus_keys masters = {.count = ca->count};
    _Static_assert(ROOTS_MAX <= FLEET_BUS_KEYS_MAX, "a key of each root");
    sk_err err = SK_OK;
    for (uint32_t i = 0; i < ca->count && !err; i++)
        err = secret_of(by_rank(ca, i), "skerry bus master 1", masters.keys[i].bytes);
    if (!err) *out_masters = masters;
    return err;
}

sk_err fleet_ca_vault_keys(const struct fleet_ca *ca, struct fleet_vault_keys *out_keys) {
    struct fleet_vault_keys keys = {.count = ca->count};
    _Static_assert(ROOTS_MAX <= FLEET_VAULT_KEYS_MAX, "a key of each root");
    sk_err err = SK_OK;
    for (uint32_t i = 0; i < ca->count && !err; i++)
        err = secret_of(by_rank(ca, i), "skerry seal 1", keys.keys[i].bytes);
    if (!err) *out_keys = keys;
    OPENSSL_cleanse(&keys, sizeof keys);
    return err;
}

/* --- issuing ------------------------------------------------------------------------------------------------- */

/* The key of a good request; the request owns it. */
static sk_err read_request(sk_str text, X509_REQ **out_request, EVP_PKEY **out_key) {
    BIO *bio = text.len <= FLEET_PEM_MAX ? BIO_new_mem_buf(text.data, (int)text.len) : NULL;
    X509_REQ *request = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = request ? X509_REQ_get0_pubkey(request) : NULL;
    sk_err err = !key                                 ? SK_ERR_MALFORMED
                 : !fleet_key_is_ours(key)            ? SK_ERR_UNSUPPORTED
                 : X509_REQ_verify(request, key) != 1 ? SK_ERR_MALFORMED
                                                      : SK_OK;
    BIO_free(bio);
    ERR_clear_error();
    if (err)
        X509_REQ_free(request);
    else {
        *out_request = request;
        *out_key = key;
    }
    return err;
}

static bool fill_node(X509 *x, const struct root *root, EVP_PKEY *key, const struct fleet_id *id,
                      sk_unix_s now, int64_t life_s) {
    char name[FLEET_ID_TEXT_BYTES + 4] = "URI:";
    fleet_id_format(id, name + 4);
    return common_parts(x, key, id->name, now, life_s) &&
           X509_set_issuer_name(x, X509_get_subject_name(root->certificate)) == 1 &&
           add_extension(x, root->certificate, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(x, root->certificate, NID_key_usage, "critical,digitalSignature") &&
           add_extension(x, root->certificate, NID_ext_key_usage, "serverAuth,clientAuth") &&
           add_extension(x, root->certificate, NID_subject_alt_name, name) &&
           add_extension(x, root->certificate, NID_authority_key_identifier, "keyid:always") &&
           X509_sign(x, root->key, NULL) > 0;
}

sk_err fleet_ca_issue(const struct fleet_ca *ca, sk_str request_pem, const struct fleet_id *id, sk_unix_s now,
                      int64_t life_s, struct sk_buf *out_certificate) {
    X509_REQ *request;
    EVP_PKEY *key;
    if (strcmp(id->fleet, ca->fleet) != 0) return SK_ERR_INVALID;
    sk_err err = read_request(request_pem, &request, &key);
    if (err) return err;
    X509 *certificate = X509_new();
    bool good = certificate && fill_node(certificate, &ca->roots[ca->issuer], key, id, now, life_s);
    err = good ? fleet_certificate_write(certificate, out_certificate) : fleet_crypto_failed();
    X509_free(certificate);
    X509_REQ_free(request);
    return err;
}

/* --- rotation ------------------------------------------------------------------------------------------------ */

enum fleet_ca_step fleet_ca_next(const struct fleet_ca_facts *facts) {
    if (facts->roots < 2) return FLEET_CA_STAY; /* it is begun by a person */
    if (facts->trust_both < facts->nodes) return FLEET_CA_STAY;
    if (!facts->newest_issues) return FLEET_CA_SWITCH;
    return facts->under_newest < facts->nodes ? FLEET_CA_STAY : FLEET_CA_DROP;
}

static sk_err add_root(struct fleet_ca *ca, sk_unix_s now) {
    struct root *fresh = &ca->roots[1];
    if (ca->count != 1) return SK_ERR_INVALID;
    sk_err err = make_root(ca->fleet, ca->roots[0].number + 1, now, fresh);
    if (err) return err;
    err = write_root(ca, fresh);
    if (!err) {
        ca->count = 2;
        return remake_pem(ca);
    }
    EVP_PKEY_free(fresh->key);
    X509_free(fresh->certificate);
    return err;
}

static sk_err switch_issuer(struct fleet_ca *ca) {
    if (ca->count != 2 || ca->issuer != 0) return SK_ERR_INVALID;
    sk_err err = write_issuer(ca, ca->roots[1].number);
    if (err) return err;
    ca->issuer = 1;
    return remake_pem(ca);
}

static sk_err drop_root(struct fleet_ca *ca) {
    char file[32], path[FLEET_PATH_BYTES];
    if (ca->count != 2 || ca->issuer != 1) return SK_ERR_INVALID;
    root_file(ca->roots[0].number, file);
    sk_err err = fleet_path(sk_str_from_c(ca->folder), file, path);
    if (err) return err;
    if (unlink(path) < 0) return SK_ERR_IO;
    EVP_PKEY_free(ca->roots[0].key);
    X509_free(ca->roots[0].certificate);
    ca->roots[0] = ca->roots[1];
    ca->count = 1;
    ca->issuer = 0;
    return remake_pem(ca);
}

sk_err fleet_ca_take(struct fleet_ca *ca, enum fleet_ca_step step, sk_unix_s now) {
    switch (step) {
    case FLEET_CA_STAY: return SK_OK;
    case FLEET_CA_ADD: return add_root(ca, now);
    case FLEET_CA_SWITCH: return switch_issuer(ca);
    case FLEET_CA_DROP: return drop_root(ca);
    }
    return SK_ERR_INVALID;
}
