#include "observe/access_log.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "observe/access_file.h"
#include "observe/access_format.h"
#include "observe/access_record.h"
#include "observe/access_ring.h"

enum {
    RING_BYTES = 512 * 1024,
    BATCH_BYTES = 64 * 1024, /* written at once when so much has come together */
    NAP_MS = 20,             /* how long lines may wait for company */
    CLOSE_MS = 2000,
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
    struct access_file file;
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

static void publish(struct access_log_ring *ring, size_t bytes) {
    bool hurry = access_ring_commit(&ring->bytes, bytes);
    uint32_t state = atomic_load(&ring->log->state); /* seq_cst, after the record: see enum writer_state */
    if (SK_UNLIKELY(state == ASLEEP || (hurry && state == NAPPING))) wake_writer(ring->log);
}

void access_log_write(struct access_log_ring *ring, const struct access_log_entry *entry) {
    struct access_log *log = ring->log;
    if (atomic_load_explicit(&log->off, memory_order_relaxed))
        return; /* a moment too early or late is fine */
    struct access_record record;
    size_t bytes = access_record_make(entry, &record);
    void *place = access_ring_begin(&ring->bytes, bytes);
    if (!place) {
        observe_count(ring->metrics, OBSERVE_LOG_DROPPED);
        return;
    }
    access_record_put(&record, entry, place);
    publish(ring, bytes);
}

void access_log_line(struct access_log_ring *ring, sk_str line) {
    size_t bytes = access_record_line_bytes(line);
    if (atomic_load_explicit(&ring->log->off, memory_order_relaxed)) return; /* as above */
    void *place = line.len > UINT16_MAX ? NULL : access_ring_begin(&ring->bytes, bytes);
    if (!place) {
        observe_count(ring->metrics, OBSERVE_LOG_DROPPED);
        return;
    }
    access_record_put_line(line, place);
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

static void lose(struct access_log *log, sk_str lines, const char *why) {
    uint64_t count = 0;
    for (size_t i = 0; i < lines.len; i++) count += lines.data[i] == '\n';
    observe_add(log->metrics, OBSERVE_LOG_LOST, count);
    SK_LOG_LIMITED(SK_LOG_WARN, "access log", "%s: %s; lost %llu lines", log->path, why,
                   (unsigned long long)count);
}

/* A stuck reader of stdout must hold up neither the end of the process nor a change of path. */
static bool is_patient(void *arg) {
    struct access_log *log = arg;
    if (atomic_load(&log->changing)) return false;
    if (!atomic_load(&log->closing)) return true;
    sk_time_ns now = sk_time_now();
    if (!log->give_up_at) log->give_up_at = now + CLOSE_MS * SK_NS_PER_MS;
    return now < log->give_up_at;
}

static void flush(struct access_log *log) {
    sk_str lines = sk_buf_str(&log->batch);
    int failed = access_file_write(&log->file, &lines);
    if (failed) lose(log, lines, failed == ETIMEDOUT ? "its reader is stuck" : strerrordesc_np(failed));
    sk_buf_clear(&log->batch);
}

static sk_err append(struct access_log *log, const struct access_record *record) {
    struct access_log_entry entry = {0};
    if (record->is_line) return sk_buf_append(&log->batch, access_record_line(record));
    access_record_read(record, &entry);
    return log->format == ACCESS_LOG_JSON ? access_format_json(&log->clock, &entry, &log->batch)
                                          : access_format_common(&log->clock, &entry, &log->batch);
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
            if (append(log, (const struct access_record *)(const void *)bytes.data))
                observe_count(log->metrics, OBSERVE_LOG_LOST);
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
    sk_err err = access_file_open(log->path, &fd);
    if (err)
        sk_log(SK_LOG_ERROR, "access log", "%s: cannot be opened again: %s; the old file stays in use",
               log->path, sk_err_text(err));
    else
        access_file_use(&log->file, fd);
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
        access_file_use(&log->file, fd);
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
    access_file_use(&log->file, -1);
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
    log->file = (struct access_file){.fd = -1, .is_patient = is_patient, .arg = log};
    log->new_fd = -1;
    log->format = format;
    pthread_mutex_init(&log->lock, NULL);
    sk_buf_init(&log->batch, 0);
    int fd = -1;
    sk_err err = path_copy(path, &log->path);
    if (!err) err = observe_thread_join(&log->metrics);
    if (!err) err = access_file_open(path, &fd);
    if (!err) {
        access_file_use(&log->file, fd);
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
    err = access_file_open(path, &fd);
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
