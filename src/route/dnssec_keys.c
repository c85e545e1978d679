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

#include "route/dnssec_private.h"

enum {
    FLAGS_ZSK = 256,
    FLAGS_KSK = 257,
    PROTOCOL = 3,
    POINT_BYTES = 64,
    PATH_BYTES = 4096,
    DIGEST_SHA256 = 2
};

void dnssec_policy_default(struct dnssec_policy *out_policy) {
    enum { HOUR = 3600, DAY = 24 * HOUR };
    *out_policy = (struct dnssec_policy){.zsk_lifetime_s = 30 * DAY,
                                         .publish_s = 2 * DAY,
                                         .retire_s = 16 * DAY,
                                         .signature_s = 14 * DAY,
                                         .backdate_s = HOUR,
                                         .dnskey_ttl_s = HOUR};
}

/* --- life of a key (RFC 6781 section 4.1.1.1: pre-publish) ------------------------------------------- */

/* The first key signs at once; each later one when it was shown long enough. */
static sk_unix_s signs_from(const sk_unix_s *created, size_t index, const struct dnssec_policy *policy) {
    return index == 0 ? INT64_MIN : created[index] + policy->publish_s;
}

enum dnssec_use dnssec_use_of(const sk_unix_s *created, size_t count, size_t index,
                              const struct dnssec_policy *policy, sk_unix_s now) {
    bool has_next = index + 1 < count;
    if (now < signs_from(created, index, policy)) return DNSSEC_SHOWN;
    if (!has_next || now < signs_from(created, index + 1, policy)) return DNSSEC_SIGNS;
    return now < signs_from(created, index + 1, policy) + policy->retire_s ? DNSSEC_SHOWN : DNSSEC_GONE;
}

bool dnssec_needs_key(sk_unix_s newest_created, const struct dnssec_policy *policy, sk_unix_s now) {
    return now >= newest_created + policy->zsk_lifetime_s - policy->publish_s;
}

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

static void path_of(const char *folder, enum dnssec_role role, sk_unix_s created, char out[PATH_BYTES]) {
    snprintf(out, PATH_BYTES, "%s/%s-%lld.pem", folder, role == DNSSEC_KSK ? "ksk" : "zsk",
             (long long)created);
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
    path_of(folder, role, now, path);
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
    path_of(folder, role, created, path);
    FILE *file = fopen(path, "re");
    if (!file) return sk_err_from_errno(errno);
    EVP_PKEY *pkey = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    return pkey ? add(keys, pkey, role, created) : SK_ERR_CORRUPT;
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

static const struct dnssec_key *newest(const struct dnssec_keys *keys, enum dnssec_role role) {
    const struct dnssec_key *found = NULL;
    for (size_t i = 0; i < keys->count; i++)
        if (keys->items[i].role == role && (!found || keys->items[i].created > found->created))
            found = &keys->items[i];
    return found;
}

static sk_err complete(struct dnssec_keys *keys, const char *folder, const struct dnssec_policy *policy,
                       sk_unix_s now) {
    const struct dnssec_key *zsk = newest(keys, DNSSEC_ZSK);
    bool due = !zsk || dnssec_needs_key(zsk->created, policy, now);
    sk_err err = newest(keys, DNSSEC_KSK) ? SK_OK : make_key(keys, folder, DNSSEC_KSK, now);
    return !err && due ? make_key(keys, folder, DNSSEC_ZSK, now) : err;
}

static void decide_uses(struct dnssec_keys *keys, const struct dnssec_policy *policy, sk_unix_s now) {
    sk_unix_s created[DNSSEC_KEYS_MAX];
    size_t first = 0, count = 0;
    sort(keys);
    while (first < keys->count && keys->items[first].role == DNSSEC_KSK) first++;
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
        path_of(folder, key->role, key->created, path);
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
        if (key->role != DNSSEC_KSK) continue;
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
        if (key->role == DNSSEC_KSK && !signer->ksk) signer->ksk = key;
        if (key->role == DNSSEC_ZSK && key->use == DNSSEC_SIGNS) signer->zsk = key;
    }
    if (!signer->ksk || !signer->zsk) {
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
