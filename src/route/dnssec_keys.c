/* Keys: files in a folder, and what each does at a moment, which follows from when it was made. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "route/dnssec_private.h"

enum {
    FLAGS_ZSK = 256,
    FLAGS_KSK = 257,
    PROTOCOL = 3,
    POINT_BYTES = 64,
    PATH_BYTES = 4096,
    DIGEST_SHA256 = 2
};

/* --- one key ---------------------------------------------------------------------------------------- */

/* RFC 4034 appendix B. */
static uint16_t tag_of(const uint8_t *dnskey, size_t bytes) {
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes; i++) sum += i & 1 ? dnskey[i] : (uint32_t)dnskey[i] << 8;
    return (uint16_t)(sum + (sum >> 16));
}

static sk_err describe(struct dnssec_key *key) {
    uint8_t point[1 + POINT_BYTES];
    char group[32];
    size_t bytes, group_bytes;
    bool right = EVP_PKEY_get_group_name(key->pkey, group, sizeof group, &group_bytes) == 1 &&
                 strcmp(group, "prime256v1") == 0 &&
                 EVP_PKEY_get_octet_string_param(key->pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point,
                                                 &bytes) == 1 &&
                 bytes == sizeof point && point[0] == POINT_CONVERSION_UNCOMPRESSED;
    if (!right) return SK_ERR_CORRUPT;
    uint16_t flags = key->role == DNSSEC_KSK ? FLAGS_KSK : FLAGS_ZSK;
    uint8_t head[4] = {(uint8_t)(flags >> 8), (uint8_t)flags, PROTOCOL, DNSSEC_ALGORITHM};
    memcpy(key->dnskey, head, sizeof head);
    memcpy(key->dnskey + sizeof head, point + 1, POINT_BYTES);
    key->tag = tag_of(key->dnskey, sizeof key->dnskey);
    return SK_OK;
}

static void path_of(const char *folder, enum dnssec_role role, sk_unix_s created, const char *ending,
                    char out[PATH_BYTES]) {
    snprintf(out, PATH_BYTES, "%s/%s-%lld.%s", folder, role == DNSSEC_KSK ? "ksk" : "zsk", (long long)created,
             ending);
}

/* Whole and on the disk before it has its name: a key that has signed must not be lost. */
static sk_err save(const char *path, EVP_PKEY *pkey) {
    char temporary[PATH_BYTES + 8];
    snprintf(temporary, sizeof temporary, "%s.new", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return sk_err_from_errno(errno);
    FILE *file = fdopen(fd, "w");
    if (!file) {
        close(fd);
        return SK_ERR_NO_MEMORY;
    }
    bool written = PEM_write_PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL) == 1 && fflush(file) == 0 &&
                   fsync(fd) == 0;
    written &= fclose(file) == 0;
    if (written && rename(temporary, path) == 0) return SK_OK;
    unlink(temporary);
    return SK_ERR_IO;
}

static sk_err add(struct dnssec_keys *keys, EVP_PKEY *pkey, enum dnssec_role role, sk_unix_s created) {
    struct dnssec_key key = {.pkey = pkey, .role = role, .created = created, .use = DNSSEC_SIGNS};
    sk_err err = keys->count < DNSSEC_KEYS_MAX ? describe(&key) : SK_ERR_FULL;
    if (err)
        EVP_PKEY_free(pkey);
    else
        keys->items[keys->count++] = key;
    return err;
}

static sk_err make_key(struct dnssec_keys *keys, const char *folder, enum dnssec_role role, sk_unix_s now) {
    char path[PATH_BYTES];
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    if (!pkey) return SK_ERR_NO_MEMORY;
    path_of(folder, role, now, "pem", path);
    sk_err err = save(path, pkey);
    if (err) {
        EVP_PKEY_free(pkey);
        return err;
    }
    return add(keys, pkey, role, now);
}

static sk_err read_key(struct dnssec_keys *keys, const char *folder, enum dnssec_role role,
                       sk_unix_s created) {
    char path[PATH_BYTES];
    path_of(folder, role, created, "pem", path);
    FILE *file = fopen(path, "re");
    if (!file) return sk_err_from_errno(errno);
    EVP_PKEY *pkey = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    return pkey ? add(keys, pkey, role, created) : SK_ERR_CORRUPT;
}

/* When somebody said that the parent has its DS: a number in a file beside it. */
static sk_err read_ds_seen(struct dnssec_keys *keys, const char *folder) {
    sk_err err = SK_OK;
    for (size_t i = 0; i < keys->count && !err; i++) {
        char path[PATH_BYTES];
        uint64_t seen = 0;
        struct sk_buf text;
        sk_buf_init(&text, 64);
        path_of(folder, keys->items[i].role, keys->items[i].created, "ds", path);
        err = io_file_load(path, 32, &text);
        sk_str all = sk_buf_str(&text), line;
        if (!err && (!sk_str_cut(&all, '\n', &line) || sk_str_to_u64(line, &seen))) err = SK_ERR_CORRUPT;
        if (err == SK_ERR_NOT_FOUND) err = SK_OK;
        keys->items[i].ds_seen = (sk_unix_s)seen;
        sk_buf_free(&text);
    }
    return err;
}

/* --- a zone's keys ---------------------------------------------------------------------------------- */

static bool file_name(const char *name, enum dnssec_role *out_role, sk_unix_s *out_created) {
    sk_str text = sk_str_from_c(name);
    uint64_t created;
    bool ksk = sk_str_starts_with(text, SK_STR("ksk-")), zsk = sk_str_starts_with(text, SK_STR("zsk-"));
    if ((!ksk && !zsk) || !sk_str_ends_with(text, SK_STR(".pem"))) return false;
    if (sk_str_to_u64(sk_str_slice(text, 4, text.len - 4), &created)) return false;
    *out_role = ksk ? DNSSEC_KSK : DNSSEC_ZSK;
    *out_created = (sk_unix_s)created;
    return true;
}

static sk_err read_folder(struct dnssec_keys *keys, const char *folder) {
    enum dnssec_role role;
    sk_unix_s created;
    sk_err err = SK_OK;
    if (mkdir(folder, 0700) < 0 && errno != EEXIST) return sk_err_from_errno(errno);
    DIR *dir = opendir(folder);
    if (!dir) return sk_err_from_errno(errno);
    for (struct dirent *entry; !err && (entry = readdir(dir)) != NULL;)
        if (file_name(entry->d_name, &role, &created)) err = read_key(keys, folder, role, created);
    closedir(dir);
    return err;
}

static int compare_keys(const void *a, const void *b) {
    const struct dnssec_key *x = a, *y = b;
    if (x->role != y->role) return x->role < y->role ? -1 : 1;
    return (x->created > y->created) - (x->created < y->created);
}

static void sort(struct dnssec_keys *keys) {
    qsort(keys->items, keys->count, sizeof *keys->items, compare_keys);
}

/* Those that sign keys come first. */
static size_t ksks_of(const struct dnssec_keys *keys, struct dnssec_ksk out[DNSSEC_KEYS_MAX]) {
    size_t count = 0;
    for (; count < keys->count && keys->items[count].role == DNSSEC_KSK; count++)
        out[count] = (struct dnssec_ksk){keys->items[count].created, keys->items[count].ds_seen};
    return count;
}

static sk_err complete(struct dnssec_keys *keys, const char *folder, const struct dnssec_policy *policy,
                       sk_unix_s now) {
    struct dnssec_ksk ksks[DNSSEC_KEYS_MAX];
    sort(keys);
    size_t count = ksks_of(keys, ksks);
    bool needs_zsk =
        count == keys->count || dnssec_needs_key(keys->items[keys->count - 1].created, policy, now);
    sk_err err = dnssec_needs_ksk(ksks, count, policy, now) ? make_key(keys, folder, DNSSEC_KSK, now) : SK_OK;
    if (!err && needs_zsk) err = make_key(keys, folder, DNSSEC_ZSK, now);
    sort(keys);
    return err;
}

static void decide_uses(struct dnssec_keys *keys, const struct dnssec_policy *policy, sk_unix_s now) {
    struct dnssec_ksk ksks[DNSSEC_KEYS_MAX];
    sk_unix_s created[DNSSEC_KEYS_MAX];
    size_t first = ksks_of(keys, ksks), count = 0;
    for (size_t i = 0; i < first; i++) {
        struct dnssec_ksk_use use = dnssec_ksk_use_of(ksks, first, i, policy, now);
        keys->items[i].use = use.shown ? DNSSEC_SIGNS : DNSSEC_GONE;
        keys->items[i].told = use.told;
    }
    for (size_t i = first; i < keys->count; i++) created[count++] = keys->items[i].created;
    for (size_t i = 0; i < count; i++)
        keys->items[first + i].use = dnssec_use_of(created, count, i, policy, now);
}

/* Files of keys that nobody needs any more go. */
static void clear_away(struct dnssec_keys *keys, const char *folder) {
    size_t kept = 0;
    for (size_t i = 0; i < keys->count; i++) {
        struct dnssec_key *key = &keys->items[i];
        if (key->use != DNSSEC_GONE) {
            keys->items[kept++] = *key;
            continue;
        }
        char path[PATH_BYTES];
        path_of(folder, key->role, key->created, "pem", path);
        unlink(path);
        path_of(folder, key->role, key->created, "ds", path);
        unlink(path);
        EVP_PKEY_free(key->pkey);
    }
    keys->count = kept;
}

sk_err dnssec_keys_load(const char *folder, const struct dnssec_policy *policy, sk_unix_s now,
                        struct dnssec_keys **out_keys) {
    struct dnssec_keys *keys = calloc(1, sizeof *keys);
    if (!keys) return SK_ERR_NO_MEMORY;
    sk_err err = read_folder(keys, folder);
    if (!err) err = read_ds_seen(keys, folder);
    if (!err) err = complete(keys, folder, policy, now);
    if (err) {
        dnssec_keys_free(keys);
        return err;
    }
    decide_uses(keys, policy, now);
    clear_away(keys, folder);
    *out_keys = keys;
    return SK_OK;
}

sk_err dnssec_ds_seen(const char *folder, uint16_t tag, sk_unix_s now) {
    struct dnssec_keys *keys = calloc(1, sizeof *keys);
    char path[PATH_BYTES], text[32];
    if (!keys) return SK_ERR_NO_MEMORY;
    sk_err err = read_folder(keys, folder);
    size_t i = 0;
    while (i < keys->count && (keys->items[i].role != DNSSEC_KSK || keys->items[i].tag != tag)) i++;
    if (!err && i == keys->count) err = SK_ERR_NOT_FOUND;
    if (!err) {
        path_of(folder, DNSSEC_KSK, keys->items[i].created, "ds", path);
        int bytes = snprintf(text, sizeof text, "%lld\n", (long long)now);
        err = io_file_replace(path, text, (size_t)bytes, 0600);
    }
    dnssec_keys_free(keys);
    return err;
}

void dnssec_keys_free(struct dnssec_keys *keys) {
    if (!keys) return;
    for (size_t i = 0; i < keys->count; i++) EVP_PKEY_free(keys->items[i].pkey);
    free(keys);
}

/* RFC 4034 section 5.1.4. */
static void make_cds(const struct dnssec_key *key, const struct dns_name *apex,
                     uint8_t out[DNSSEC_DNSKEY_BYTES]) {
    uint8_t input[DNS_NAME_MAX + DNSSEC_DNSKEY_BYTES];
    memcpy(input, apex->wire, apex->length);
    memcpy(input + apex->length, key->dnskey, sizeof key->dnskey);
    uint8_t head[4] = {(uint8_t)(key->tag >> 8), (uint8_t)key->tag, DNSSEC_ALGORITHM, DIGEST_SHA256};
    memcpy(out, head, sizeof head);
    SHA256(input, apex->length + sizeof key->dnskey, out + sizeof head);
}

size_t dnssec_extras(const struct dnssec_keys *keys, const struct dns_name *apex,
                     uint8_t (*data)[DNSSEC_DNSKEY_BYTES], struct zone_extra *out_extras) {
    enum { CDS_BYTES = 4 + SHA256_DIGEST_LENGTH, TTL = 3600 };
    size_t count = 0;
    for (size_t i = 0; i < keys->count; i++) {
        const struct dnssec_key *key = &keys->items[i];
        struct dns_rdata dnskey = {key->dnskey, sizeof key->dnskey};
        out_extras[count++] = (struct zone_extra){*apex, DNS_TYPE_DNSKEY, TTL, dnskey};
        if (!key->told) continue;
        out_extras[count++] = (struct zone_extra){*apex, DNS_TYPE_CDNSKEY, TTL, dnskey};
        make_cds(key, apex, data[i]);
        out_extras[count++] = (struct zone_extra){*apex, DNS_TYPE_CDS, TTL, {data[i], CDS_BYTES}};
    }
    return count;
}

/* --- the signer ------------------------------------------------------------------------------------- */

sk_err dnssec_signer_create(struct dnssec_keys *keys, const struct dns_name *apex,
                            const struct dnssec_policy *policy, sk_unix_s now,
                            struct dnssec_signer **out_signer) {
    struct dnssec_signer *signer = calloc(1, sizeof *signer);
    if (!signer) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < keys->count; i++) {
        const struct dnssec_key *key = &keys->items[i];
        if (key->role == DNSSEC_KSK) signer->ksks[signer->ksk_count++] = key;
        if (key->role == DNSSEC_ZSK && key->use == DNSSEC_SIGNS) signer->zsk = key;
    }
    if (!signer->ksk_count || !signer->zsk) {
        free(signer);
        return SK_ERR_INVALID;
    }
    signer->keys = keys;
    signer->apex = *apex;
    signer->expires = now + policy->signature_s;
    signer->day = (uint32_t)(now / 86400);
    signer->inception = (uint32_t)(now - policy->backdate_s);
    signer->expiration = (uint32_t)signer->expires;
    *out_signer = signer;
    return SK_OK;
}

void dnssec_signer_free(struct dnssec_signer *signer) {
    if (!signer) return;
    dnssec_keys_free(signer->keys);
    free(signer);
}

sk_unix_s dnssec_signer_expires(const struct dnssec_signer *signer) { return signer->expires; }

uint32_t dnssec_signer_day(const struct dnssec_signer *signer) { return signer->day; }
