#include "cache/tier_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "cache/disk_format.h"
#include "io/file.h"

#define FILE_MAX_BYTES (64u << 20)
#define RECORD_MAX_BYTES (CACHE_KEY_MAX_BYTES + 64)
#define RECORD_HEAD_BYTES 12 /* length 4, sum 8 */
#define FIXED_BYTES 24       /* tick 8, kind 1, soft 1, site 2, host 4, text 4, spare 4 */
#define KIND_END 255
#define KIND_AWAY 254

/* Offsets in the header. The sum covers what stands before it; the marks behind it are written alone. */
enum {
    AT_MAGIC = 0,
    AT_SEED = 8,
    AT_SECRET = 16,
    AT_FLOOR = AT_SECRET + SK_HASH_SECRET_BYTES,
    AT_BOOT = AT_FLOOR + 8,
    AT_SUM = AT_BOOT + TIER_BOOT_BYTES,
    AT_INCOMPLETE = 2048,
    AT_SEARCHES = 2049,
};
static const char magic[8] = "SKTIER\0\1";

struct tier_log {
    char *path;
    /* under the lock; microseconds */
    pthread_mutex_t lock;
    int fd;
    struct tier_log_state state;
    uint64_t bytes;
    bool unsynced;
    struct sk_buf record; /* the one that is being written */
};

static void put_u64(char *out, uint64_t value) {
    for (unsigned i = 0; i < 8; i++) out[i] = (char)(value >> 8 * i);
}
static uint64_t get_bytes(const char *in, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) value |= (uint64_t)(uint8_t)in[i] << 8 * i;
    return value;
}

/* ---- bytes ------------------------------------------------------------------------------------------------- */

static void encode_header(const struct tier_log_state *state, char out[TIER_LOG_HEADER_BYTES]) {
    memset(out, 0, TIER_LOG_HEADER_BYTES);
    memcpy(out + AT_MAGIC, magic, sizeof magic);
    put_u64(out + AT_SEED, state->seed);
    memcpy(out + AT_SECRET, state->secret, SK_HASH_SECRET_BYTES);
    put_u64(out + AT_FLOOR, state->floor);
    memcpy(out + AT_BOOT, state->boot, TIER_BOOT_BYTES);
    put_u64(out + AT_SUM, disk_checksum(out, AT_SUM, state->seed));
    out[AT_INCOMPLETE] = state->incomplete;
    out[AT_SEARCHES] = state->searches;
}

static sk_err decode_header(sk_str data, struct tier_log_state *out_state) {
    if (data.len < TIER_LOG_HEADER_BYTES || memcmp(data.data, magic, sizeof magic) != 0)
        return SK_ERR_NOT_FOUND;
    struct tier_log_state state = {.seed = get_bytes(data.data + AT_SEED, 8),
                                   .floor = get_bytes(data.data + AT_FLOOR, 8),
                                   .incomplete = data.data[AT_INCOMPLETE] != 0,
                                   .searches = data.data[AT_SEARCHES] != 0};
    if (get_bytes(data.data + AT_SUM, 8) != disk_checksum(data.data, AT_SUM, state.seed))
        return SK_ERR_NOT_FOUND;
    memcpy(state.secret, data.data + AT_SECRET, SK_HASH_SECRET_BYTES);
    memcpy(state.boot, data.data + AT_BOOT, TIER_BOOT_BYTES - 1);
    *out_state = state;
    return SK_OK;
}

static sk_err encode(uint8_t kind, const struct cache_purge *purge, uint64_t tick, uint64_t seed,
                     struct sk_buf *out) {
    size_t bytes = FIXED_BYTES + purge->site.len + purge->host.len + purge->text.len;
    if (bytes > RECORD_MAX_BYTES || purge->site.len > UINT16_MAX) return SK_ERR_TOO_LARGE;
    sk_err err = sk_buf_reserve(out, RECORD_HEAD_BYTES + bytes);
    if (err) return err;
    char *head = sk_buf_space(out), *next = head + RECORD_HEAD_BYTES;
    memset(head, 0, RECORD_HEAD_BYTES + FIXED_BYTES);
    put_u64(next, tick);
    next[8] = (char)kind;
    next[9] = purge->soft;
    next[10] = (char)purge->site.len, next[11] = (char)(purge->site.len >> 8);
    put_u64(next + 12, purge->host.len | (uint64_t)purge->text.len << 32);
    next += FIXED_BYTES;
    const sk_str *texts[] = {&purge->site, &purge->host, &purge->text};
    for (size_t i = 0; i < SK_COUNT(texts); i++) {
        if (texts[i]->len) memcpy(next, texts[i]->data, texts[i]->len);
        next += texts[i]->len;
    }
    put_u64(head, bytes);
    put_u64(head + 4, disk_checksum(head + RECORD_HEAD_BYTES, bytes, seed));
    sk_buf_commit(out, RECORD_HEAD_BYTES + bytes);
    return SK_OK;
}

sk_err tier_log_encode(const struct cache_purge *purge, uint64_t tick, uint64_t seed, struct sk_buf *out) {
    return encode((uint8_t)purge->kind, purge, tick, seed, out);
}

/* The record at AT; 0: none that is whole. */
static size_t decode(sk_str data, size_t at, uint64_t seed, uint8_t *out_kind, struct cache_purge *out_purge,
                     uint64_t *out_tick) {
    if (data.len - at < RECORD_HEAD_BYTES + FIXED_BYTES) return 0;
    const char *head = data.data + at, *next = head + RECORD_HEAD_BYTES;
    uint64_t bytes = get_bytes(head, 4);
    if (bytes < FIXED_BYTES || bytes > RECORD_MAX_BYTES || bytes > data.len - at - RECORD_HEAD_BYTES)
        return 0;
    if (get_bytes(head + 4, 8) != disk_checksum(next, bytes, seed)) return 0;
    size_t site = get_bytes(next + 10, 2), host = get_bytes(next + 12, 4), text = get_bytes(next + 16, 4);
    uint8_t kind = (uint8_t)next[8];
    if (site + host + text != bytes - FIXED_BYTES) return 0;
    if (kind >= CACHE_PURGE_COUNT_ && kind != KIND_AWAY && kind != KIND_END) return 0;
    const char *texts = next + FIXED_BYTES;
    *out_kind = kind;
    *out_tick = get_bytes(next, 8);
    *out_purge = (struct cache_purge){
        .kind = (enum cache_purge_kind)(kind < CACHE_PURGE_COUNT_ ? kind : CACHE_PURGE_ALL),
        .soft = next[9] != 0,
        .site = sk_str_make(texts, site),
        .host = sk_str_make(texts + site, host),
        .text = sk_str_make(texts + site + host, text)};
    return RECORD_HEAD_BYTES + bytes;
}

sk_err tier_log_read(sk_str data, struct tier_log_reading *out_reading) {
    struct tier_log_reading reading = {.good_bytes = TIER_LOG_HEADER_BYTES,
                                       .purge_bytes = TIER_LOG_HEADER_BYTES};
    sk_err err = decode_header(data, &reading.state);
    if (err) return err;
    for (size_t bytes = 1; bytes; reading.good_bytes += bytes) {
        struct cache_purge purge;
        uint8_t kind;
        uint64_t tick;
        bytes = decode(data, reading.good_bytes, reading.state.seed, &kind, &purge, &tick);
        if (!bytes) break;
        reading.ended = kind == KIND_END;
        if (!reading.ended) reading.purge_bytes = reading.good_bytes + bytes;
        reading.last_tick = SK_MAX(reading.last_tick, tick);
    }
    reading.damaged = reading.good_bytes != data.len;
    *out_reading = reading;
    return SK_OK;
}

bool tier_log_next(const struct tier_log_reading *reading, sk_str data, size_t *at,
                   struct cache_purge *out_purge, uint64_t *out_tick) {
    while (*at < reading->good_bytes) {
        uint8_t kind;
        size_t bytes = decode(data, *at, reading->state.seed, &kind, out_purge, out_tick);
        if (!bytes) return false;
        *at += bytes;
        if (kind < CACHE_PURGE_COUNT_) return true;
    }
    return false;
}

uint64_t tier_log_away(const struct tier_log_reading *reading, sk_str data, sk_str device) {
    uint64_t last = 0, tick;
    struct cache_purge record;
    uint8_t kind;
    size_t bytes = 1;
    for (size_t at = TIER_LOG_HEADER_BYTES; at < reading->good_bytes && bytes; at += bytes) {
        bytes = decode(data, at, reading->state.seed, &kind, &record, &tick);
        if (bytes && kind == KIND_AWAY && sk_str_eq(record.text, device)) last = SK_MAX(last, tick);
    }
    return last;
}

/* ---- the file ------------------------------------------------------------------------------------------------ */

sk_err tier_log_peek(const char *path, uint8_t out_secret[SK_HASH_SECRET_BYTES], uint64_t *out_last_tick) {
    struct sk_buf data;
    struct tier_log_reading reading;
    sk_buf_init(&data, 0);
    sk_err err = io_file_load(path, FILE_MAX_BYTES, &data);
    if (!err) err = tier_log_read(sk_buf_str(&data), &reading);
    if (!err) {
        memcpy(out_secret, reading.state.secret, SK_HASH_SECRET_BYTES);
        *out_last_tick = SK_MAX(reading.last_tick, reading.state.floor);
    }
    sk_buf_free(&data);
    return err;
}

/* The kernel's id of this boot; empty when there is none, which equals no other. */
static void read_boot(char out[TIER_BOOT_BYTES]) {
    memset(out, 0, TIER_BOOT_BYTES);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t n = read(fd, out, TIER_BOOT_BYTES - 1);
    close(fd);
    for (ssize_t i = n > 0 ? n : 0; i < TIER_BOOT_BYTES; i++) out[i] = 0;
}

static sk_err lock_file(const char *path, int *out_fd) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct stat here, there;
    if (fd < 0) return errno == EACCES || errno == EROFS ? SK_ERR_DENIED : sk_err_from_errno(errno);
    bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
    /* the one who had it may have put another file in its place */
    bool same = locked && fstat(fd, &here) == 0 && stat(path, &there) == 0 && here.st_ino == there.st_ino &&
                here.st_dev == there.st_dev;
    if (same) {
        *out_fd = fd;
        return SK_OK;
    }
    close(fd);
    return SK_ERR_BUSY;
}

static void log_free(struct tier_log *log) {
    if (log->fd >= 0) close(log->fd);
    sk_buf_free(&log->record);
    pthread_mutex_destroy(&log->lock);
    free(log->path);
    free(log);
}

sk_err tier_log_open(const char *path, const uint8_t secret[SK_HASH_SECRET_BYTES], struct tier_log **out_log,
                     struct sk_buf *out_data, struct tier_log_reading *out_reading) {
    struct tier_log *log = calloc(1, sizeof *log);
    struct tier_log_reading reading;
    struct sk_buf data;
    if (!log) return SK_ERR_NO_MEMORY;
    log->fd = -1;
    pthread_mutex_init(&log->lock, NULL);
    sk_buf_init(&log->record, 0);
    sk_buf_init(&data, 0);
    log->path = strdup(path);
    sk_err err = log->path ? lock_file(path, &log->fd) : SK_ERR_NO_MEMORY;
    if (!err) err = io_file_load(path, FILE_MAX_BYTES, &data);
    if (err && err != SK_ERR_TOO_LARGE) {
        sk_buf_free(&data);
        log_free(log);
        return err;
    }
    read_boot(log->state.boot);
    memcpy(log->state.secret, secret, SK_HASH_SECRET_BYTES);
    log->state.seed = sk_random_u64();
    bool known = !err && !tier_log_read(sk_buf_str(&data), &reading) &&
                 !memcmp(reading.state.secret, secret, SK_HASH_SECRET_BYTES);
    if (known) {
        log->state.seed = reading.state.seed; /* what is kept of it needs no other sums */
        log->state.searches = reading.state.searches;
        reading.same_boot = log->state.boot[0] && !strcmp(log->state.boot, reading.state.boot);
    } else {
        reading = (struct tier_log_reading){.state = {.incomplete = true}, .damaged = true};
    }
    *out_log = log;
    *out_data = data;
    *out_reading = reading;
    return SK_OK;
}

static sk_err write_all(int fd, sk_str data) {
    while (data.len) {
        ssize_t n = write(fd, data.data, data.len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 && errno == ENOSPC ? SK_ERR_FULL : SK_ERR_IO;
        data = sk_str_slice(data, (size_t)n, data.len);
    }
    return SK_OK;
}

/* A new file beside the old one, locked before it takes its place. */
static sk_err write_anew(struct tier_log *log, const struct tier_log_state *state, sk_str kept, int *out_fd) {
    char path[4096], header[TIER_LOG_HEADER_BYTES];
    if (snprintf(path, sizeof path, "%s.new", log->path) >= (int)sizeof path) return SK_ERR_TOO_LARGE;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return SK_ERR_IO;
    encode_header(state, header);
    sk_err err = flock(fd, LOCK_EX | LOCK_NB) ? SK_ERR_IO : write_all(fd, sk_str_make(header, sizeof header));
    if (!err) err = write_all(fd, kept);
    if (!err && fdatasync(fd)) err = SK_ERR_IO;
    if (!err && rename(path, log->path)) err = SK_ERR_IO;
    if (err) {
        close(fd);
        unlink(path);
        return err;
    }
    *out_fd = fd;
    return SK_OK;
}

sk_err tier_log_restart(struct tier_log *log, uint64_t floor, sk_str kept) {
    int fd;
    pthread_mutex_lock(&log->lock);
    struct tier_log_state state = log->state;
    state.floor = floor;
    state.incomplete = false;
    sk_err err = write_anew(log, &state, kept, &fd);
    if (!err) {
        close(log->fd);
        log->fd = fd;
        log->state = state;
        log->bytes = TIER_LOG_HEADER_BYTES + kept.len;
    }
    pthread_mutex_unlock(&log->lock);
    return err;
}

/* Under the lock. In a sector that is there already: this needs no room. The file is opened to append, which writes
 * at a place do not mind only through another descriptor. */
static void mark(struct tier_log *log, off_t at, bool sync) {
    char one = 1;
    int fd = open(log->path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    if (pwrite(fd, &one, 1, at) == 1 && sync) (void)!fdatasync(fd);
    close(fd);
}

static void say_incomplete(struct tier_log *log) {
    if (!log->state.incomplete) mark(log, AT_INCOMPLETE, true);
    log->state.incomplete = true;
}

void tier_log_searches(struct tier_log *log) {
    pthread_mutex_lock(&log->lock);
    if (!log->state.searches) mark(log, AT_SEARCHES, false);
    log->state.searches = log->unsynced = true;
    pthread_mutex_unlock(&log->lock);
}

static void append(struct tier_log *log, uint8_t kind, const struct cache_purge *purge, uint64_t tick) {
    pthread_mutex_lock(&log->lock);
    sk_buf_clear(&log->record);
    sk_err err = encode(kind, purge, tick, log->state.seed, &log->record);
    if (!err) err = write_all(log->fd, sk_buf_str(&log->record));
    if (err)
        say_incomplete(log);
    else
        log->bytes += sk_buf_len(&log->record);
    log->unsynced = true;
    pthread_mutex_unlock(&log->lock);
}

void tier_log_append(struct tier_log *log, const struct cache_purge *purge, uint64_t tick) {
    append(log, (uint8_t)purge->kind, purge, tick);
}

void tier_log_append_away(struct tier_log *log, sk_str device, uint64_t tick) {
    append(log, KIND_AWAY, &(struct cache_purge){.kind = CACHE_PURGE_ALL, .text = device}, tick);
}

void tier_log_sync(struct tier_log *log) {
    pthread_mutex_lock(&log->lock);
    bool wanted = log->unsynced;
    log->unsynced = false;
    int fd = wanted ? dup(log->fd) : -1; /* the lock is not held while the device works */
    pthread_mutex_unlock(&log->lock);
    if (fd < 0) return;
    (void)!fdatasync(fd);
    close(fd);
}

uint64_t tier_log_bytes(const struct tier_log *log) {
    struct tier_log *shared = (struct tier_log *)log;
    pthread_mutex_lock(&shared->lock);
    uint64_t bytes = shared->bytes;
    pthread_mutex_unlock(&shared->lock);
    return bytes;
}

void tier_log_close(struct tier_log *log, bool ended, uint64_t tick) {
    if (ended) append(log, KIND_END, &(struct cache_purge){.kind = CACHE_PURGE_ALL}, tick);
    tier_log_sync(log);
    log_free(log);
}
