#include "observe/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "observe/access_format.h"
#include "observe/access_ring.h"

enum {
    RING_BYTES = 512 * 1024,
    BATCH_BYTES = 64 * 1024, /* written at once when so much has come together */
    NAP_MS = 20,             /* how long lines may wait for company */
    CLOSE_MS = 2000,
    POLL_MS = 100,
};

/* What the writer is doing, for producers: only a sleeping writer must be woken for a line, a napping one
 * only when a ring fills up. Each end of the handshake first publishes (a record, or its own state) and then
 * looks (at the state, or the rings), all sequentially consistent, so one of the two always sees the other. */
enum writer_state { AWAKE, NAPPING, ASLEEP };

struct access_log {
    _Atomic uint32_t state; /* enum writer_state; the futex */
    _Atomic bool closing, rotating, changing, off;
    struct access_log_ring *_Atomic rings; /* only ever added, at the front */
    pthread_t thread;

    /* what access_log_change wants; protected by LOCK, which is held for moments, never across I/O */
    pthread_mutex_t lock;
    char *new_path;
    int new_fd;
    enum access_log_format new_format;

    /* writer thread only */
    char *path; /* NULL: discard */
    int fd;     /* -1: none */
    bool regular_file, mid_line;
    enum access_log_format format;
    struct access_format_clock clock;
    struct sk_buf batch;
    struct observe_thread *metrics;
    sk_time_ns give_up_at; /* set when closing */
};

struct access_log_ring {
    struct access_ring bytes;
    struct access_log *log;
    struct observe_thread *metrics;
    struct access_log_ring *next;
    _Atomic uint64_t
        cut; /* while `changing`: what was there before belongs into the old file, the rest into the new */
};

/* The texts of a record, in their order, and how much of each is kept. */
#define RECORD_TEXT_TABLE(X)                                                                                 \
    X(client_ip, 64)                                                                                         \
    X(method, 16)                                                                                            \
    X(host, 255)                                                                                             \
    X(target, 1024)                                                                                          \
    X(user_agent, 255)                                                                                       \
    X(referer, 255)                                                                                          \
    X(site, 255)                                                                                             \
    X(upstream, 255)                                                                                         \
    X(error, 128)                                                                                            \
    X(tls_version, 64)                                                                                       \
    X(tls_group, 64)                                                                                         \
    X(tls_cipher, 64)

/* An entry as it lies in a ring, its texts behind it. */
struct record {
    int64_t wall_ns, duration_ns, first_byte_ns;
    uint64_t sent_bytes, body_bytes;
    uint16_t status, origin_status;
    uint8_t version, reason, store_reason;
    bool hit, stored, collapsed, aborted, tls_resumed, early_data;
    bool is_line; /* formatted already: nothing but `line_bytes` of text */
    uint16_t line_bytes;
#define X(name, max) uint16_t name##_bytes;
    RECORD_TEXT_TABLE(X)
#undef X
};
static_assert(HTTP_REASON_COUNT_ <= 256);

static void futex_wait(_Atomic uint32_t *word, uint32_t value, int timeout_ms) {
    struct timespec timeout = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * SK_NS_PER_MS};
    /* Interrupted, timed out or woken: the caller looks again in any case. */
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout_ms < 0 ? NULL : &timeout, NULL, 0);
}

static void wake_writer(struct access_log *log) {
    if (atomic_exchange(&log->state, AWAKE) != AWAKE)
        syscall(SYS_futex, &log->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* ---- the request threads' side ---- */

/* Cut to MAX bytes, but not inside a UTF-8 sequence. */
static uint16_t cut(sk_str s, size_t max) {
    if (s.len <= max) return (uint16_t)s.len;
    size_t len = max;
    while (len > max - 3 && ((unsigned char)s.data[len] & 0xc0) == 0x80) len--;
    return (uint16_t)len;
}

static void record_fill(struct record *record, const struct access_log_entry *entry) {
    record->wall_ns = entry->wall_ns;
    record->duration_ns = entry->duration_ns;
    record->first_byte_ns = entry->first_byte_ns;
    record->sent_bytes = entry->sent_bytes;
    record->body_bytes = entry->body_bytes;
    record->status = entry->status;
    record->origin_status = entry->origin_status;
    record->version = (uint8_t)entry->version;
    record->reason = (uint8_t)entry->reason;
    record->store_reason = (uint8_t)entry->store_reason;
    record->hit = entry->hit;
    record->stored = entry->stored;
    record->collapsed = entry->collapsed;
    record->aborted = entry->aborted;
    record->tls_resumed = entry->tls_resumed;
    record->early_data = entry->early_data;
}

static void publish(struct access_log_ring *ring, size_t bytes) {
    bool hurry = access_ring_commit(&ring->bytes, bytes);
    uint32_t state = atomic_load(&ring->log->state); /* seq_cst, after the record: see enum writer_state */
    if (SK_UNLIKELY(state == ASLEEP || (hurry && state == NAPPING))) wake_writer(ring->log);
}

void access_log_write(struct access_log_ring *ring, const struct access_log_entry *entry) {
    struct access_log *log = ring->log;
    if (atomic_load_explicit(&log->off, memory_order_relaxed))
        return; /* a moment too early or late is fine */
    struct record lengths;
    size_t bytes = sizeof(struct record);
#define X(name, max) bytes += lengths.name##_bytes = cut(entry->name, max);
    RECORD_TEXT_TABLE(X)
#undef X
    struct record *record = access_ring_begin(&ring->bytes, bytes);
    if (!record) {
        observe_count(ring->metrics, OBSERVE_LOG_DROPPED);
        return;
    }
    *record = lengths;
    record->is_line = false;
    record_fill(record, entry);
    char *text = (char *)(record + 1);
#define X(name, max)                                                                                         \
    if (record->name##_bytes) memcpy(text, entry->name.data, record->name##_bytes);                          \
    text += record->name##_bytes;
    RECORD_TEXT_TABLE(X)
#undef X
    publish(ring, bytes);
}

void access_log_line(struct access_log_ring *ring, sk_str line) {
    size_t bytes = sizeof(struct record) + line.len;
    if (atomic_load_explicit(&ring->log->off, memory_order_relaxed)) return; /* as above */
    struct record *record = line.len > UINT16_MAX ? NULL : access_ring_begin(&ring->bytes, bytes);
    if (!record) {
        observe_count(ring->metrics, OBSERVE_LOG_DROPPED);
        return;
    }
    record->is_line = true;
    record->line_bytes = (uint16_t)line.len;
    memcpy(record + 1, line.data, line.len);
    publish(ring, bytes);
}

sk_err access_log_join(struct access_log *log, struct observe_thread *metrics,
                       struct access_log_ring **out_ring) {
    struct access_log_ring *ring = aligned_alloc(alignof(struct access_log_ring), sizeof(*ring));
    if (!ring) return SK_ERR_NO_MEMORY;
    *ring = (struct access_log_ring){.log = log, .metrics = metrics};
    sk_err err = access_ring_init(&ring->bytes, RING_BYTES);
    if (err) {
        free(ring);
        return err;
    }
    ring->next = atomic_load(&log->rings);
    while (!atomic_compare_exchange_weak(&log->rings, &ring->next, ring)) {
    }
    *out_ring = ring;
    return SK_OK;
}

/* ---- the writer's side ---- */

/* O_NONBLOCK matters for named pipes only: opening one without a reader must not hang. */
static sk_err open_path(const char *path, int *out_fd) {
    *out_fd = -1;
    if (!path || !*path) return SK_OK;
    if (!strcmp(path, "-"))
        *out_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    else
        *out_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    return *out_fd < 0 ? sk_err_from_errno(errno) : SK_OK;
}

static void use_fd(struct access_log *log, int fd) {
    struct stat st;
    if (log->fd >= 0) close(log->fd);
    log->fd = fd;
    log->regular_file = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    log->mid_line = false;
}

static void lose(struct access_log *log, sk_str lines, const char *why) {
    uint64_t count = 0;
    for (size_t i = 0; i < lines.len; i++) count += lines.data[i] == '\n';
    observe_add(log->metrics, OBSERVE_LOG_LOST, count);
    SK_LOG_LIMITED(SK_LOG_WARN, "access log", "%s: %s; lost %llu lines", log->path, why,
                   (unsigned long long)count);
}

/* Whether the file takes PIPE_BUF bytes without blocking; waits for it. A stuck reader of stdout must hold up
 * neither the end of the process nor a change of path. */
static bool wait_writable(struct access_log *log) {
    for (;;) {
        if (atomic_load(&log->changing)) return false;
        if (atomic_load(&log->closing)) {
            sk_time_ns now = sk_time_now();
            if (!log->give_up_at) log->give_up_at = now + CLOSE_MS * SK_NS_PER_MS;
            if (now >= log->give_up_at) return false;
        }
        struct pollfd poll_fd = {.fd = log->fd, .events = POLLOUT};
        if (poll(&poll_fd, 1, POLL_MS) > 0) return true;
    }
}

/* What to hand to one write: all for a file; for pipes and terminals what never blocks, in whole lines if one
 * ends there, so that lines of others on the same stdout do not land inside ours. */
static size_t portion(const struct access_log *log, sk_str bytes) {
    if (log->regular_file || bytes.len <= PIPE_BUF) return bytes.len;
    const char *line_end = memrchr(bytes.data, '\n', PIPE_BUF);
    return line_end ? (size_t)(line_end - bytes.data) + 1 : PIPE_BUF;
}

/* 0 or an errno value; *bytes keeps what was not written. */
static int write_bytes(struct access_log *log, sk_str *bytes) {
    while (bytes->len) {
        if (!log->regular_file && !wait_writable(log)) return ETIMEDOUT;
        ssize_t n = write(log->fd, bytes->data, portion(log, *bytes));
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n < 0) return errno;
        if (n == 0) return EIO;
        log->mid_line = bytes->data[n - 1] != '\n';
        *bytes = sk_str_slice(*bytes, (size_t)n, bytes->len);
    }
    return 0;
}

static void flush(struct access_log *log) {
    sk_str bytes = sk_buf_str(&log->batch), newline = SK_STR("\n");
    if (log->fd >= 0 && bytes.len) {
        /* A full disk may have cut a line short: the next one does not continue it. */
        int failed = log->mid_line ? write_bytes(log, &newline) : 0;
        if (!failed) failed = write_bytes(log, &bytes);
        if (failed) lose(log, bytes, failed == ETIMEDOUT ? "its reader is stuck" : strerrordesc_np(failed));
    }
    sk_buf_clear(&log->batch);
}

static void append(struct access_log *log, const struct record *record) {
    if (record->is_line) {
        sk_str line = sk_str_make((const char *)(record + 1), record->line_bytes);
        if (sk_buf_append(&log->batch, line)) observe_count(log->metrics, OBSERVE_LOG_LOST);
        return;
    }
    struct access_log_entry entry = {
        .wall_ns = record->wall_ns,
        .duration_ns = record->duration_ns,
        .first_byte_ns = record->first_byte_ns,
        .sent_bytes = record->sent_bytes,
        .body_bytes = record->body_bytes,
        .status = record->status,
        .origin_status = record->origin_status,
        .version = record->version,
        .reason = record->reason,
        .store_reason = record->store_reason,
        .hit = record->hit,
        .stored = record->stored,
        .collapsed = record->collapsed,
        .aborted = record->aborted,
        .tls_resumed = record->tls_resumed,
        .early_data = record->early_data,
    };
    const char *text = (const char *)(record + 1);
#define X(name, max)                                                                                         \
    entry.name = sk_str_make(text, record->name##_bytes);                                                    \
    text += record->name##_bytes;
    RECORD_TEXT_TABLE(X)
#undef X
    sk_err err = log->format == ACCESS_LOG_JSON ? access_format_json(&log->clock, &entry, &log->batch)
                                                : access_format_common(&log->clock, &entry, &log->batch);
    if (err) observe_count(log->metrics, OBSERVE_LOG_LOST);
}

static bool is_for_this_file(struct access_log *log, struct access_log_ring *ring) {
    return !atomic_load(&log->changing) || access_ring_before(&ring->bytes, atomic_load(&ring->cut));
}

/* True when there was anything. */
static bool drain(struct access_log *log) {
    bool any = false;
    for (struct access_log_ring *ring = atomic_load(&log->rings); ring; ring = ring->next) {
        sk_str bytes;
        /* The record first, then the order: a record that came after the order shows it. */
        while ((bytes = access_ring_peek(&ring->bytes)).data && is_for_this_file(log, ring)) {
            append(log, (const struct record *)(const void *)bytes.data);
            access_ring_pop(&ring->bytes);
            any = true;
            if (sk_buf_len(&log->batch) >= BATCH_BYTES) flush(log);
        }
    }
    flush(log);
    return any;
}

static void reopen(struct access_log *log) {
    int fd;
    if (!log->path || !strcmp(log->path, "-")) return;
    sk_err err = open_path(log->path, &fd);
    if (err)
        sk_log(SK_LOG_ERROR, "access log", "%s: cannot be opened again: %s; the old file stays in use",
               log->path, sk_err_text(err));
    else
        use_fd(log, fd);
}

/* CHANGING: seen before the drain, so that all rings are drained up to the change. */
static void obey_orders(struct access_log *log, bool changing) {
    if (changing) {
        pthread_mutex_lock(&log->lock);
        atomic_store(&log->changing, false);
        char *old_path = log->path;
        log->path = log->new_path;
        log->new_path = NULL;
        int fd = log->new_fd;
        log->new_fd = -1;
        log->format = log->new_format;
        pthread_mutex_unlock(&log->lock);
        use_fd(log, fd);
        free(old_path);
    }
    if (atomic_exchange(&log->rotating, false)) reopen(log);
}

/* Whether there is something that must not wait for the end of this kind of rest. */
static bool must_not_rest(struct access_log *log, enum writer_state kind) {
    if (atomic_load(&log->closing) || atomic_load(&log->rotating) || atomic_load(&log->changing)) return true;
    for (struct access_log_ring *ring = atomic_load(&log->rings); ring; ring = ring->next)
        if (kind == ASLEEP ? !access_ring_empty(&ring->bytes) : access_ring_half_full(&ring->bytes))
            return true;
    return false;
}

static void rest(struct access_log *log, enum writer_state kind) {
    atomic_store(&log->state, kind);
    if (!must_not_rest(log, kind)) futex_wait(&log->state, kind, kind == NAPPING ? NAP_MS : -1);
    atomic_store(&log->state, AWAKE);
}

static void *writer_main(void *arg) {
    struct access_log *log = arg;
    for (;;) {
        bool closing = atomic_load(&log->closing); /* before the drain: what came earlier is still written */
        bool changing = atomic_load(&log->changing);
        bool any = drain(log);
        obey_orders(log, changing);
        if (closing && !any && !changing) return NULL;
        if (!closing) rest(log, any ? NAPPING : ASLEEP);
    }
}

/* Signals are for other threads, and SIGPIPE for none: a closed stdout is an error like others. */
static sk_err start_writer(struct access_log *log) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&log->thread, NULL, writer_main, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed) pthread_setname_np(log->thread, "access-log");
    return failed ? sk_err_from_errno(failed) : SK_OK;
}

static void destroy(struct access_log *log) {
    if (log->fd >= 0) close(log->fd);
    if (log->new_fd >= 0) close(log->new_fd);
    struct access_log_ring *ring = atomic_load(&log->rings);
    while (ring) {
        struct access_log_ring *next = ring->next;
        access_ring_free(&ring->bytes);
        free(ring);
        ring = next;
    }
    sk_buf_free(&log->batch);
    pthread_mutex_destroy(&log->lock);
    free(log->path);
    free(log->new_path);
    free(log);
}

static sk_err path_copy(const char *path, char **out_copy) {
    *out_copy = path && *path ? strdup(path) : NULL;
    return path && *path && !*out_copy ? SK_ERR_NO_MEMORY : SK_OK;
}

sk_err access_log_open(const char *path, enum access_log_format format, struct access_log **out_log) {
    struct access_log *log = calloc(1, sizeof(*log));
    if (!log) return SK_ERR_NO_MEMORY;
    log->fd = log->new_fd = -1;
    log->format = format;
    pthread_mutex_init(&log->lock, NULL);
    sk_buf_init(&log->batch, 0);
    int fd = -1;
    sk_err err = path_copy(path, &log->path);
    if (!err) err = observe_thread_join(&log->metrics);
    if (!err) err = open_path(path, &fd);
    if (!err) {
        use_fd(log, fd);
        log->off = fd < 0;
        err = start_writer(log);
    }
    if (err) {
        destroy(log);
        return err;
    }
    *out_log = log;
    return SK_OK;
}

sk_err access_log_change(struct access_log *log, const char *path, enum access_log_format format) {
    char *copy;
    int fd;
    sk_err err = path_copy(path, &copy);
    if (err) return err;
    err = open_path(path, &fd);
    if (err) {
        free(copy);
        return err;
    }
    pthread_mutex_lock(&log->lock);
    free(log->new_path); /* an earlier change that the writer did not get to */
    if (log->new_fd >= 0) close(log->new_fd);
    log->new_path = copy;
    log->new_fd = fd;
    log->new_format = format;
    if (!atomic_load(&log->changing))
        for (struct access_log_ring *ring = atomic_load(&log->rings); ring; ring = ring->next)
            atomic_store(&ring->cut, access_ring_place(&ring->bytes));
    atomic_store(&log->changing, true);
    pthread_mutex_unlock(&log->lock);
    atomic_store(&log->off, fd < 0);
    wake_writer(log);
    return SK_OK;
}

void access_log_rotate(struct access_log *log) {
    atomic_store(&log->rotating, true);
    wake_writer(log);
}

void access_log_close(struct access_log *log) {
    if (!log) return;
    atomic_store(&log->closing, true);
    wake_writer(log);
    pthread_join(log->thread, NULL);
    destroy(log);
}
