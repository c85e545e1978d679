#include "edge/past.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"

#define FILE_NAME "purged"
#define MAGIC UINT64_C(0x31747361702e6b73)
#define AHEAD_NS SK_NS_PER_S
#define NEVER                                                                                                \
    INT64_MIN /* the clock counts from the machine's start, and may be asked about what lies before it */
#define PATH_BYTES 4096

/* The file, as the machine has it: it is of no use on another one. */
struct record {
    uint64_t magic, boot, writer;
    int64_t until; /* sk_time_now; NEVER */
    uint64_t spare[3], sum;
};
static_assert(sizeof(struct record) == 64, "one write");

struct edge_past {
    int fd; /* -1: nothing is remembered */
    uint64_t boot, writer;
    pthread_mutex_t lock;          /* of a write; microseconds, once a second */
    _Atomic int64_t told_until;    /* relaxed: who reads an old one writes once more */
    _Atomic int64_t unknown_until; /* relaxed: only ever raised */
};

static uint64_t sum_of(const struct record *record) {
    return sk_hash64_plain(record, offsetof(struct record, sum));
}

/* Of this boot; 0 when there is none, which equals no other. */
static uint64_t read_boot(void) {
    char id[64];
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, id, sizeof id);
    if (fd >= 0) close(fd);
    return n > 0 ? sk_hash64_plain(id, (size_t)n) : 0;
}

/* False: there is none that can be believed. */
static bool read_record(const struct edge_past *past, struct record *out) {
    if (pread(past->fd, out, sizeof *out, 0) != (ssize_t)sizeof *out) return false;
    return out->magic == MAGIC && out->sum == sum_of(out) && past->boot && out->boot == past->boot;
}

static void raise_to(_Atomic int64_t *value, int64_t to) {
    int64_t old = atomic_load_explicit(value, memory_order_relaxed);
    while (old < to && !atomic_compare_exchange_weak_explicit(value, &old, to, memory_order_relaxed,
                                                              memory_order_relaxed))
        continue;
}

/* A file that cannot be written says nothing: the next start takes it for damaged. */
static void write_record(struct edge_past *past, int64_t until) {
    struct record record = {.magic = MAGIC, .boot = past->boot, .writer = past->writer, .until = until};
    record.sum = sum_of(&record);
    if (pwrite(past->fd, &record, sizeof record, 0) == (ssize_t)sizeof record) return;
    SK_LOG_LIMITED(SK_LOG_ERROR, "peers", FILE_NAME ": cannot be written: %s", strerror(errno));
    if (ftruncate(past->fd, 0) < 0)
        SK_LOG_LIMITED(SK_LOG_ERROR, "peers", FILE_NAME ": nor emptied: %s", strerror(errno));
}

void edge_past_look(struct edge_past *past) {
    struct record record;
    if (past->fd < 0 || !read_record(past, &record) || record.writer == past->writer) return;
    raise_to(&past->unknown_until, record.until);
}

void edge_past_purged(struct edge_past *past, sk_time_ns now) {
    if (past->fd < 0 || now <= atomic_load_explicit(&past->told_until, memory_order_relaxed)) return;
    pthread_mutex_lock(&past->lock);
    if (now > atomic_load_explicit(&past->told_until, memory_order_relaxed)) {
        edge_past_look(past);
        int64_t others = atomic_load_explicit(&past->unknown_until, memory_order_relaxed);
        write_record(past, SK_MAX(now + AHEAD_NS, others));
        atomic_store_explicit(&past->told_until, now + AHEAD_NS, memory_order_relaxed);
    }
    pthread_mutex_unlock(&past->lock);
}

sk_time_ns edge_past_unknown_until(const struct edge_past *past) {
    return atomic_load_explicit(&past->unknown_until, memory_order_relaxed);
}

/* So that the file is there, though not what it says, when the machine has died. */
static void sync_new(int fd, const char *folder) {
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fsync(fd) < 0 || dir < 0 || fsync(dir) < 0)
        sk_log(SK_LOG_WARN, "peers", "%s: cannot be synced: %s", folder, strerror(errno));
    if (dir >= 0) close(dir);
}

/* What was purged before us: as the file says, everything when it does not say, nothing when it is new. */
static void begin(struct edge_past *past, const char *folder, sk_time_ns now, bool fresh) {
    struct record record;
    int64_t until = fresh ? NEVER : read_record(past, &record) ? record.until : now;
    atomic_store_explicit(&past->unknown_until, SK_MIN(until, now), memory_order_relaxed);
    atomic_store_explicit(&past->told_until, NEVER, memory_order_relaxed);
    write_record(past, until);
    if (fresh) sync_new(past->fd, folder);
}

static void open_file(struct edge_past *past, const char *folder, sk_time_ns now) {
    char path[PATH_BYTES];
    int len = snprintf(path, sizeof path, "%s/" FILE_NAME, folder);
    bool made = mkdir(folder, 0700) == 0 || errno == EEXIST, fresh = false;
    if (made && len > 0 && len < (int)sizeof path) {
        past->fd = open(path, O_RDWR | O_CLOEXEC);
        fresh = past->fd < 0 && errno == ENOENT;
        if (fresh) past->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (past->fd >= 0)
        begin(past, folder, now, fresh);
    else
        sk_log(
            SK_LOG_WARN, "peers",
            "%s: cannot be used (%s): what other nodes have held since before our start is validated first",
            folder, strerror(errno));
}

sk_err edge_past_open(const char *folder, struct edge_past **out_past) {
    struct edge_past *past = calloc(1, sizeof *past);
    sk_time_ns now = sk_time_now();
    if (!past) return SK_ERR_NO_MEMORY;
    past->fd = -1;
    past->boot = read_boot();
    past->writer = sk_random_u64();
    pthread_mutex_init(&past->lock, NULL);
    atomic_store_explicit(&past->unknown_until, now, memory_order_relaxed);
    if (folder) open_file(past, folder, now);
    *out_past = past;
    return SK_OK;
}

void edge_past_close(struct edge_past *past) {
    if (!past) return;
    if (past->fd >= 0) close(past->fd);
    pthread_mutex_destroy(&past->lock);
    free(past);
}
