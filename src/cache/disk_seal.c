#include "cache/disk_seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/random.h"

struct disk_seal {
    EVP_CIPHER *cipher;
    uint8_t node_key[DISK_KEY_BYTES];
};

/* ---- keys ------------------------------------------------------------------------------------------------ */

static sk_err write_key(const char *path, uint8_t out_key[DISK_KEY_BYTES]) {
    uint8_t key[DISK_KEY_BYTES];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return errno == EEXIST ? SK_ERR_EXISTS : sk_err_from_errno(errno);
    sk_random_secret(key, sizeof key);
    bool written = write(fd, key, sizeof key) == (ssize_t)sizeof key && fsync(fd) == 0;
    written = close(fd) == 0 && written;
    if (written) memcpy(out_key, key, sizeof key);
    if (!written) unlink(path);
    OPENSSL_cleanse(key, sizeof key);
    return written ? SK_OK : SK_ERR_IO;
}

static sk_err read_key(int fd, uint8_t out_key[DISK_KEY_BYTES]) {
    struct stat status;
    uint8_t key[DISK_KEY_BYTES + 1];
    if (fstat(fd, &status)) return SK_ERR_IO;
    if (status.st_mode & (S_IRWXG | S_IRWXO)) return SK_ERR_DENIED;
    ssize_t n = read(fd, key, sizeof key);
    if (n == DISK_KEY_BYTES) memcpy(out_key, key, DISK_KEY_BYTES);
    OPENSSL_cleanse(key, sizeof key);
    return n == DISK_KEY_BYTES ? SK_OK : n < 0 ? SK_ERR_IO : SK_ERR_INVALID;
}

sk_err disk_key_load(const char *path, bool make, uint8_t out_key[DISK_KEY_BYTES]) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && make) {
        sk_err err = write_key(path, out_key);
        if (err != SK_ERR_EXISTS) return err;
        fd = open(path, O_RDONLY | O_CLOEXEC); /* somebody was quicker */
    }
    if (fd < 0) return errno == ENOENT ? SK_ERR_NOT_FOUND : sk_err_from_errno(errno);
    sk_err err = read_key(fd, out_key);
    close(fd);
    return err;
}

/* HKDF with SHA-256 (RFC 5869), for one block of output: extract, then T(1). */
static void derive(const uint8_t node_key[DISK_KEY_BYTES], const uint8_t *salt, size_t salt_bytes,
                   const uint8_t *info, size_t info_bytes, uint8_t out[32]) {
    uint8_t secret[32], last[128];
    unsigned length = 0;
    SK_ASSERT(info_bytes < sizeof last);
    memcpy(last, info, info_bytes);
    last[info_bytes] = 1;
    SK_ASSERT(HMAC(EVP_sha256(), salt, (int)salt_bytes, node_key, DISK_KEY_BYTES, secret, &length));
    SK_ASSERT(HMAC(EVP_sha256(), secret, sizeof secret, last, info_bytes + 1, out, &length));
    OPENSSL_cleanse(secret, sizeof secret);
}

static void put64(uint8_t *out, uint64_t value) {
    for (int i = 0; i < 8; i++) out[i] = (uint8_t)(value >> 8 * i);
}

void disk_seal_check(const struct disk_seal *seal, uint64_t store_id, uint8_t out[DISK_KEY_CHECK_BYTES]) {
    static const char info[] = "skerry disk key check";
    uint8_t salt[8], key[32];
    put64(salt, store_id);
    derive(seal->node_key, salt, sizeof salt, (const uint8_t *)info, sizeof info, key);
    memcpy(out, key, DISK_KEY_CHECK_BYTES);
}

void disk_seal_segment_key(const struct disk_seal *seal, uint64_t store_id,
                           const struct disk_segment_head *head, uint8_t out_key[DISK_KEY_BYTES]) {
    static const char purpose[] = "skerry disk segment";
    uint8_t info[sizeof purpose + 24];
    memcpy(info, purpose, sizeof purpose);
    put64(info + sizeof purpose, store_id);
    put64(info + sizeof purpose + 8, head->index);
    put64(info + sizeof purpose + 16, head->sequence);
    derive(seal->node_key, head->salt, sizeof head->salt, info, sizeof info, out_key);
}

void disk_seal_wrapping_key(const uint8_t node_key[DISK_KEY_BYTES], uint8_t out_key[DISK_KEY_BYTES]) {
    static const char purpose[] = "skerry disk site keys";
    static const uint8_t salt[DISK_KEY_BYTES]; /* RFC 5869 2.2: zeroes when there is none */
    derive(node_key, salt, sizeof salt, (const uint8_t *)purpose, sizeof purpose, out_key);
}

void disk_seal_record_key(const uint8_t segment_key[DISK_KEY_BYTES], const uint8_t site_key[DISK_KEY_BYTES],
                          uint8_t out_key[DISK_KEY_BYTES]) {
    unsigned length = 0;
    SK_ASSERT(HMAC(EVP_sha256(), site_key, DISK_KEY_BYTES, segment_key, DISK_KEY_BYTES, out_key, &length));
}

sk_err disk_seal_create(const uint8_t node_key[DISK_KEY_BYTES], struct disk_seal **out_seal) {
    struct disk_seal *seal = calloc(1, sizeof *seal);
    if (!seal) return SK_ERR_NO_MEMORY;
    seal->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    if (!seal->cipher) {
        free(seal);
        return SK_ERR_UNSUPPORTED;
    }
    memcpy(seal->node_key, node_key, DISK_KEY_BYTES);
    *out_seal = seal;
    return SK_OK;
}

void disk_seal_destroy(struct disk_seal *seal) {
    if (!seal) return;
    EVP_CIPHER_free(seal->cipher);
    OPENSSL_cleanse(seal, sizeof *seal);
    free(seal);
}

/* ---- parts of a record ------------------------------------------------------------------------------------- */

struct part {
    uint64_t number;
    const uint8_t *with; /* authenticated beside the data; NULL: nothing */
    size_t with_bytes;
    uint8_t *tag; /* DISK_TAG_BYTES, made or compared */
};

static bool prepare(EVP_CIPHER_CTX *context, const struct disk_seal *seal,
                    const struct disk_seal_place *place, const struct part *part, bool sealing) {
    uint8_t nonce[12];
    int n;
    for (int i = 0; i < 4; i++) nonce[i] = (uint8_t)(place->place >> 8 * i);
    put64(nonce + 4, part->number);
    if (EVP_CipherInit_ex2(context, seal->cipher, place->key, nonce, sealing, NULL) != 1) return false;
    return !part->with || EVP_CipherUpdate(context, NULL, &n, part->with, (int)part->with_bytes) == 1;
}

/* From DATA to OUT, which may be the same. */
static sk_err transform(const struct disk_seal *seal, const struct disk_seal_place *place,
                        const struct part *part, bool sealing, const uint8_t *data, size_t bytes,
                        uint8_t *out) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    uint8_t none[16];
    int n = 0;
    if (!context) return SK_ERR_NO_MEMORY;
    bool done = prepare(context, seal, place, part, sealing);
    if (done && bytes) done = EVP_CipherUpdate(context, out, &n, data, (int)bytes) == 1;
    if (done && !sealing)
        done = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, DISK_TAG_BYTES, part->tag) == 1;
    sk_err err = done ? SK_OK : SK_ERR_NO_MEMORY;
    if (!err && EVP_CipherFinal_ex(context, none, &n) != 1) err = sealing ? SK_ERR_NO_MEMORY : SK_ERR_CORRUPT;
    if (!err && sealing &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, DISK_TAG_BYTES, part->tag) != 1)
        err = SK_ERR_NO_MEMORY;
    EVP_CIPHER_CTX_free(context);
    return err;
}

/* What of the header goes with key and head: all but the sums. */
#define WITH_BYTES 48

static struct part meta_part(const uint8_t *header, const struct disk_record *record) {
    return (struct part){.with = header, .with_bytes = WITH_BYTES, .tag = (uint8_t *)record->tags};
}
static struct part block_part(const struct disk_record *record, uint64_t number) {
    return (struct part){.number = number + 1,
                         .tag = (uint8_t *)record->tags + (number + 1) * (size_t)DISK_TAG_BYTES};
}

static sk_err transform_all(const struct disk_seal *seal, const struct disk_seal_place *place, bool sealing,
                            uint8_t *data, const struct disk_record *record) {
    uint8_t *meta = data + DISK_RECORD_HEADER_BYTES, *body = data + disk_record_meta_size(record);
    struct part part = meta_part(data, record);
    sk_err err = transform(seal, place, &part, sealing, meta, record->key.len + record->head.len, meta);
    for (uint64_t done = 0; !err && done < record->body_bytes; done += DISK_BLOCK_BYTES) {
        size_t n = (size_t)SK_MIN(record->body_bytes - done, (uint64_t)DISK_BLOCK_BYTES);
        part = block_part(record, done / DISK_BLOCK_BYTES);
        err = transform(seal, place, &part, sealing, body + done, n, body + done);
    }
    return err;
}

static sk_err whole_record(const struct disk_seal *seal, const struct disk_seal_place *place, bool sealing,
                           uint8_t *data) {
    struct disk_record record;
    sk_err err = disk_record_decode(data, SIZE_MAX, place->seed, &record);
    if (err || !record.sealed) return SK_ERR_CORRUPT;
    err = transform_all(seal, place, sealing, data, &record);
    if (!err) disk_record_resum(data, &record, place->seed);
    return err;
}

sk_err disk_seal_record(const struct disk_seal *seal, const struct disk_seal_place *place, uint8_t *data) {
    return whole_record(seal, place, true, data);
}

sk_err disk_seal_open_record(const struct disk_seal *seal, const struct disk_seal_place *place,
                             uint8_t *data) {
    return whole_record(seal, place, false, data);
}

sk_err disk_seal_open_meta(const struct disk_seal *seal, const struct disk_seal_place *place,
                           const struct disk_record *record, uint8_t *out) {
    const uint8_t *meta = (const uint8_t *)record->key.data;
    struct part part = meta_part(meta - DISK_RECORD_HEADER_BYTES, record);
    return transform(seal, place, &part, false, meta, record->key.len + record->head.len, out);
}

sk_err disk_seal_open_block(const struct disk_seal *seal, const struct disk_seal_place *place,
                            const struct disk_record *record, uint64_t number, const uint8_t *data,
                            size_t bytes, uint8_t *out) {
    struct part part = block_part(record, number);
    return transform(seal, place, &part, false, data, bytes, out);
}
