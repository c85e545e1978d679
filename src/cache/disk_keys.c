#include "cache/disk_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/random.h"

#define MAGIC 0x59454b53u /* "SKEY" */
#define ERASED 0x80000000u
#define SLOT_BITS 13 /* of a number; above them is how often the slot was used before */
#define NUMBER_MASK 0x7fffffu
#define BUCKETS (2u * DISK_KEYS_MAX)

enum { AT_NUMBER = 4, AT_SITE = 8, AT_NONCE = 40, AT_WRAPPED = 52, AT_TAG = 84, AT_SUM = 120 };

_Static_assert(DISK_KEYS_MAX == 1 << SLOT_BITS, "a number holds its slot");

enum state {
    FREE,
    NEW,    /* not in the file yet */
    KEPT,   /* in memory and in the file */
    ERASING /* not in memory any more, perhaps in the file */
};

struct site {
    uint32_t number; /* 0: the slot was never used */
    uint8_t state;
    uint8_t name[DISK_KEYS_SITE_BYTES], key[DISK_KEY_BYTES];
};

struct disk_keys {
    /* set once */
    int fd;
    uint8_t wrapping_key[DISK_KEY_BYTES];
    EVP_CIPHER *cipher;
    pthread_mutex_t writing; /* the file, one at a time; taken before the lock */
    /* any thread, atomic: keys that were ever made in this life, and how many of these are in the file. Relaxed: whoever
     * seals with a key hands the record to its writer by the store's lock, which orders */
    _Atomic uint64_t made, saved;
    /* under the lock */
    pthread_mutex_t lock;
    struct site *sites;        /* DISK_KEYS_MAX */
    uint16_t buckets[BUCKETS]; /* by name, linear probing: 1 + the site's slot; 0: empty */
    uint32_t count, next_free;
};

/* ---- a slot ------------------------------------------------------------------------------------------------- */

static void put32(uint8_t *out, uint32_t value) {
    for (int i = 0; i < 4; i++) out[i] = (uint8_t)(value >> 8 * i);
}
static uint32_t get32(const uint8_t *data) {
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

void disk_keys_slot_encode(const struct disk_keys_slot *slot, uint8_t out[DISK_KEYS_SLOT_BYTES]) {
    memset(out, 0, DISK_KEYS_SLOT_BYTES);
    put32(out, MAGIC);
    put32(out + AT_NUMBER, slot->number | (slot->erased ? ERASED : 0));
    if (!slot->erased) {
        memcpy(out + AT_SITE, slot->site, sizeof slot->site);
        memcpy(out + AT_NONCE, slot->nonce, sizeof slot->nonce);
        memcpy(out + AT_WRAPPED, slot->wrapped, sizeof slot->wrapped);
        memcpy(out + AT_TAG, slot->tag, sizeof slot->tag);
    }
    uint64_t sum = disk_checksum(out, AT_SUM, MAGIC);
    put32(out + AT_SUM, (uint32_t)sum);
    put32(out + AT_SUM + 4, (uint32_t)(sum >> 32));
}

sk_err disk_keys_slot_decode(const uint8_t data[DISK_KEYS_SLOT_BYTES], struct disk_keys_slot *out_slot) {
    static const uint8_t nothing[DISK_KEYS_SLOT_BYTES];
    if (memcmp(data, nothing, sizeof nothing) == 0) return SK_ERR_NOT_FOUND;
    uint64_t sum = disk_checksum(data, AT_SUM, MAGIC);
    bool whole = get32(data) == MAGIC && get32(data + AT_SUM) == (uint32_t)sum &&
                 get32(data + AT_SUM + 4) == (uint32_t)(sum >> 32);
    uint32_t number = get32(data + AT_NUMBER);
    if (!whole || !(number & NUMBER_MASK) || (number & ~(ERASED | NUMBER_MASK))) return SK_ERR_CORRUPT;
    struct disk_keys_slot slot = {.number = number & NUMBER_MASK, .erased = number & ERASED};
    memcpy(slot.site, data + AT_SITE, sizeof slot.site);
    memcpy(slot.nonce, data + AT_NONCE, sizeof slot.nonce);
    memcpy(slot.wrapped, data + AT_WRAPPED, sizeof slot.wrapped);
    memcpy(slot.tag, data + AT_TAG, sizeof slot.tag);
    *out_slot = slot;
    return SK_OK;
}

/* ---- wrapping ------------------------------------------------------------------------------------------------- */

/* Number and name are authenticated with the key: a slot is of no use for another site. WRAP, or the reverse. */
static bool transform(const struct disk_keys *keys, bool wrap, struct disk_keys_slot *slot,
                      uint8_t key[DISK_KEY_BYTES]) {
    uint8_t with[4 + DISK_KEYS_SITE_BYTES], none[16];
    int n = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    put32(with, slot->number);
    memcpy(with + 4, slot->site, sizeof slot->site);
    bool done = context &&
                EVP_CipherInit_ex2(context, keys->cipher, keys->wrapping_key, slot->nonce, wrap, NULL) == 1 &&
                EVP_CipherUpdate(context, NULL, &n, with, sizeof with) == 1 &&
                EVP_CipherUpdate(context, wrap ? slot->wrapped : key, &n, wrap ? key : slot->wrapped,
                                 DISK_KEY_BYTES) == 1;
    if (done && !wrap)
        done = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, DISK_TAG_BYTES, slot->tag) == 1;
    done = done && EVP_CipherFinal_ex(context, none, &n) == 1;
    if (done && wrap)
        done = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, DISK_TAG_BYTES, slot->tag) == 1;
    EVP_CIPHER_CTX_free(context);
    return done;
}

/* ---- the table: under the lock ---------------------------------------------------------------------------------- */

static void name_of(sk_str site, uint8_t out[DISK_KEYS_SITE_BYTES]) {
    SK_ASSERT(EVP_Digest(site.data ? site.data : "", site.len, out, NULL, EVP_sha256(), NULL) == 1);
}

static uint32_t first_bucket(const uint8_t name[DISK_KEYS_SITE_BYTES]) { return get32(name) % BUCKETS; }

/* Of the name, or the empty one where it would be. There is one: at most half are taken. */
static uint32_t bucket_of(const struct disk_keys *keys, const uint8_t name[DISK_KEYS_SITE_BYTES]) {
    uint32_t at = first_bucket(name);
    while (keys->buckets[at] &&
           memcmp(keys->sites[keys->buckets[at] - 1].name, name, DISK_KEYS_SITE_BYTES) != 0)
        at = (at + 1) % BUCKETS;
    return at;
}

static void enter(struct disk_keys *keys, uint32_t slot) {
    keys->buckets[bucket_of(keys, keys->sites[slot].name)] = (uint16_t)(slot + 1);
    keys->count++;
}

/* What stands behind it moves up, where it may (Knuth, 6.4, algorithm R). */
static void forget(struct disk_keys *keys, uint32_t slot) {
    uint32_t hole = bucket_of(keys, keys->sites[slot].name);
    keys->buckets[hole] = 0;
    keys->count--;
    for (uint32_t at = (hole + 1) % BUCKETS; keys->buckets[at]; at = (at + 1) % BUCKETS) {
        uint32_t wanted = first_bucket(keys->sites[keys->buckets[at] - 1].name);
        bool stays = hole < at ? wanted > hole && wanted <= at : wanted > hole || wanted <= at;
        if (stays) continue;
        keys->buckets[hole] = keys->buckets[at];
        keys->buckets[at] = 0;
        hole = at;
    }
}

/* SK_ERR_FULL. The numbers of what used the slot before are not given again, until they have all been. */
static sk_err make_key(struct disk_keys *keys, const uint8_t name[DISK_KEYS_SITE_BYTES], uint32_t *out_slot) {
    uint32_t slot = keys->next_free;
    for (uint32_t i = 0; i < DISK_KEYS_MAX && keys->sites[slot].state != FREE; i++)
        slot = (slot + 1) % DISK_KEYS_MAX;
    struct site *site = &keys->sites[slot];
    if (site->state != FREE) return SK_ERR_FULL;
    site->number = (site->number + (1u << SLOT_BITS)) & NUMBER_MASK & ~(DISK_KEYS_MAX - 1u);
    if (!site->number) site->number = 1u << SLOT_BITS;
    site->number |= slot;
    site->state = NEW;
    memcpy(site->name, name, sizeof site->name);
    sk_random_secret(site->key, sizeof site->key);
    enter(keys, slot);
    keys->next_free = (slot + 1) % DISK_KEYS_MAX;
    atomic_fetch_add_explicit(&keys->made, 1, memory_order_relaxed); /* see the struct */
    *out_slot = slot;
    return SK_OK;
}

/* ---- using ------------------------------------------------------------------------------------------------------ */

sk_err disk_keys_for(struct disk_keys *keys, sk_str site, uint32_t *out_number) {
    uint8_t name[DISK_KEYS_SITE_BYTES];
    sk_err err = SK_OK;
    name_of(site, name);
    pthread_mutex_lock(&keys->lock);
    uint32_t slot = keys->buckets[bucket_of(keys, name)];
    if (slot)
        slot--;
    else
        err = make_key(keys, name, &slot);
    if (!err && keys->sites[slot].state == ERASING) err = SK_ERR_FULL; /* not before that is done */
    if (!err) *out_number = keys->sites[slot].number;
    pthread_mutex_unlock(&keys->lock);
    return err;
}

sk_err disk_keys_find(struct disk_keys *keys, uint32_t number, uint8_t out_key[DISK_KEY_BYTES]) {
    const struct site *site = &keys->sites[number % DISK_KEYS_MAX];
    pthread_mutex_lock(&keys->lock);
    bool there = site->number == number && (site->state == NEW || site->state == KEPT);
    if (there) memcpy(out_key, site->key, DISK_KEY_BYTES);
    pthread_mutex_unlock(&keys->lock);
    return there ? SK_OK : SK_ERR_NOT_FOUND;
}

uint32_t disk_keys_count(struct disk_keys *keys) {
    pthread_mutex_lock(&keys->lock);
    uint32_t count = keys->count;
    pthread_mutex_unlock(&keys->lock);
    return count;
}

/* ---- the file: one writer at a time -------------------------------------------------------------------------------- */

static sk_err write_slot(struct disk_keys *keys, uint32_t slot, const struct disk_keys_slot *what) {
    uint8_t data[DISK_KEYS_SLOT_BYTES];
    disk_keys_slot_encode(what, data);
    ssize_t n = pwrite(keys->fd, data, sizeof data, (off_t)slot * DISK_KEYS_SLOT_BYTES);
    if (n == (ssize_t)sizeof data) return SK_OK;
    return n < 0 && errno == ENOSPC ? SK_ERR_FULL : SK_ERR_IO;
}

/* The next that is NEW from *SLOT on, as it was. */
static bool next_new(struct disk_keys *keys, uint32_t *slot, struct site *out_site) {
    bool found = false;
    pthread_mutex_lock(&keys->lock);
    for (; *slot < DISK_KEYS_MAX && !found; *slot += !found) found = keys->sites[*slot].state == NEW;
    if (found) *out_site = keys->sites[*slot];
    pthread_mutex_unlock(&keys->lock);
    return found;
}

static sk_err save_one(struct disk_keys *keys, uint32_t slot, struct site *site) {
    struct disk_keys_slot what = {.number = site->number};
    memcpy(what.site, site->name, sizeof what.site);
    sk_random_secret(what.nonce, sizeof what.nonce);
    sk_err err = transform(keys, true, &what, site->key) ? write_slot(keys, slot, &what) : SK_ERR_NO_MEMORY;
    OPENSSL_cleanse(site->key, sizeof site->key);
    if (err) return err;
    pthread_mutex_lock(&keys->lock);
    if (keys->sites[slot].state == NEW) keys->sites[slot].state = KEPT; /* erasing waits for us */
    pthread_mutex_unlock(&keys->lock);
    return SK_OK;
}

static sk_err save_all(struct disk_keys *keys) {
    struct site site;
    sk_err err = SK_OK;
    uint64_t made = atomic_load_explicit(&keys->made, memory_order_relaxed); /* see the struct */
    for (uint32_t slot = 0; !err && next_new(keys, &slot, &site);) err = save_one(keys, slot, &site);
    if (!err && fdatasync(keys->fd)) err = SK_ERR_IO;
    if (!err) atomic_store_explicit(&keys->saved, made, memory_order_relaxed);
    return err;
}

sk_err disk_keys_sync(struct disk_keys *keys) {
    if (atomic_load_explicit(&keys->saved, memory_order_relaxed) ==
        atomic_load_explicit(&keys->made, memory_order_relaxed)) /* see the struct */
        return SK_OK;
    pthread_mutex_lock(&keys->writing);
    sk_err err = save_all(keys);
    pthread_mutex_unlock(&keys->writing);
    return err;
}

/* From memory first: at once. *out_slot stays the site's until the file is written. */
static bool erase_in_memory(struct disk_keys *keys, sk_str site, uint32_t *out_slot, uint32_t *out_number) {
    uint8_t name[DISK_KEYS_SITE_BYTES];
    name_of(site, name);
    pthread_mutex_lock(&keys->lock);
    uint32_t found = keys->buckets[bucket_of(keys, name)];
    if (found) {
        struct site *one = &keys->sites[found - 1];
        OPENSSL_cleanse(one->key, sizeof one->key);
        one->state = ERASING;
        *out_slot = found - 1;
        *out_number = one->number;
    }
    pthread_mutex_unlock(&keys->lock);
    return found;
}

static void erased(struct disk_keys *keys, uint32_t slot) {
    pthread_mutex_lock(&keys->lock);
    forget(keys, slot);
    memset(keys->sites[slot].name, 0, DISK_KEYS_SITE_BYTES);
    keys->sites[slot].state = FREE;
    pthread_mutex_unlock(&keys->lock);
}

sk_err disk_keys_erase(struct disk_keys *keys, sk_str site) {
    struct disk_keys_slot what = {.erased = true};
    uint32_t slot;
    pthread_mutex_lock(&keys->writing); /* nobody saves it just now */
    sk_err err = erase_in_memory(keys, site, &slot, &what.number) ? SK_OK : SK_ERR_NOT_FOUND;
    if (!err) {
        err = write_slot(keys, slot, &what);
        if (!err && fdatasync(keys->fd)) err = SK_ERR_IO;
        if (!err) erased(keys, slot);
    }
    pthread_mutex_unlock(&keys->writing);
    return err == SK_ERR_FULL ? SK_ERR_IO : err;
}

/* ---- life ------------------------------------------------------------------------------------------------------------ */

static sk_err open_file(const char *path, int *out_fd) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return errno == EACCES || errno == EROFS ? SK_ERR_DENIED : sk_err_from_errno(errno);
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        close(fd);
        return SK_ERR_BUSY;
    }
    *out_fd = fd;
    return SK_OK;
}

static sk_err read_file(int fd, uint8_t *out_data, size_t *out_bytes) {
    size_t bytes = 0, room = DISK_KEYS_MAX * (size_t)DISK_KEYS_SLOT_BYTES;
    for (ssize_t n = 1; n && bytes < room; bytes += (size_t)n) {
        n = pread(fd, out_data + bytes, room - bytes, (off_t)bytes);
        if (n < 0 && errno != EINTR) return SK_ERR_IO;
        if (n < 0) n = 0;
    }
    *out_bytes = bytes;
    return SK_OK;
}

struct look {
    uint32_t ours, sound, opened; /* slots that begin as ours do; whose sum holds; whose key we have */
    bool filled;
};

static void take_slot(struct disk_keys *keys, uint32_t number, const uint8_t *data, struct look *look) {
    struct site *site = &keys->sites[number];
    struct disk_keys_slot slot;
    sk_err err = disk_keys_slot_decode(data, &slot);
    look->filled = look->filled || err != SK_ERR_NOT_FOUND;
    look->ours += get32(data) == MAGIC;
    if (err || slot.number % DISK_KEYS_MAX != number) return;
    site->number = slot.number;
    if (slot.erased) return;
    look->sound++;
    if (!transform(keys, false, &slot, site->key)) return;
    memcpy(site->name, slot.site, sizeof site->name);
    if (keys->buckets[bucket_of(keys, site->name)]) return; /* twice: nobody writes that */
    site->state = KEPT;
    enter(keys, number);
    look->opened++;
}

static sk_err load(struct disk_keys *keys) {
    struct look look = {0};
    size_t bytes = 0;
    uint8_t *data = calloc(DISK_KEYS_MAX, DISK_KEYS_SLOT_BYTES);
    if (!data) return SK_ERR_NO_MEMORY;
    sk_err err = read_file(keys->fd, data, &bytes);
    for (uint32_t i = 0; !err && i * (size_t)DISK_KEYS_SLOT_BYTES < bytes; i++)
        take_slot(keys, i, data + i * (size_t)DISK_KEYS_SLOT_BYTES, &look);
    free(data);
    if (err) return err;
    if (look.filled && !look.ours) return SK_ERR_EXISTS;
    return look.sound && !look.opened ? SK_ERR_DENIED : SK_OK;
}

void disk_keys_close(struct disk_keys *keys) {
    if (!keys) return;
    if (keys->fd >= 0) close(keys->fd);
    if (keys->sites) OPENSSL_cleanse(keys->sites, DISK_KEYS_MAX * sizeof *keys->sites);
    free(keys->sites);
    EVP_CIPHER_free(keys->cipher);
    OPENSSL_cleanse(keys->wrapping_key, sizeof keys->wrapping_key);
    pthread_mutex_destroy(&keys->writing);
    pthread_mutex_destroy(&keys->lock);
    free(keys);
}

sk_err disk_keys_open(const char *path, const uint8_t node_key[DISK_KEY_BYTES], struct disk_keys **out_keys) {
    struct disk_keys *keys = calloc(1, sizeof *keys);
    if (!keys) return SK_ERR_NO_MEMORY;
    keys->fd = -1;
    pthread_mutex_init(&keys->writing, NULL);
    pthread_mutex_init(&keys->lock, NULL);
    disk_seal_wrapping_key(node_key, keys->wrapping_key);
    keys->sites = calloc(DISK_KEYS_MAX, sizeof *keys->sites);
    keys->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    sk_err err = !keys->sites ? SK_ERR_NO_MEMORY : keys->cipher ? SK_OK : SK_ERR_UNSUPPORTED;
    if (!err) err = open_file(path, &keys->fd);
    if (!err) err = load(keys);
    if (err)
        disk_keys_close(keys);
    else
        *out_keys = keys;
    return err;
}
