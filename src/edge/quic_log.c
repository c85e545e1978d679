#include "edge/quic_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

#define ENOUGH (16 * 1024) /* bytes that are worth a call */

struct edge_quic_log {
    struct edge_snapshot *snapshot; /* a reference: the budget is there */
    int fd;
    bool full;
    struct sk_buf out;
};

static bool is_wanted(const struct config_qlog *qlog, const struct io_addr *client) {
    for (uint32_t i = 0; i < qlog->client_count; i++)
        if (io_prefix_match(&qlog->clients[i], client)) return true;
    return false;
}

static int open_file(const struct config_qlog *qlog, const struct wire_quic_id *original) {
    char path[4096], hex[2 * sizeof original->data + 1] = "";
    for (size_t i = 0; i < original->bytes; i++) snprintf(hex + 2 * i, 3, "%02x", original->data[i]);
    int n = snprintf(path, sizeof path, "%.*s/%lld-%s.sqlog", SK_STR_ARGS(qlog->folder),
                     (long long)(sk_wall_now_ns() / SK_NS_PER_MS), hex);
    if (n >= (int)sizeof path) return -1;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) SK_LOG_LIMITED(SK_LOG_WARN, "edge", "%s: %m", path);
    return fd;
}

struct edge_quic_log *edge_quic_log_open(struct edge_snapshot *snapshot, const struct io_addr *client,
                                         const struct wire_quic_id *original) {
    const struct config_qlog *qlog = &snapshot->config->qlog;
    if (SK_LIKELY(!qlog->folder.len) || !is_wanted(qlog, client)) return NULL;
    /* relaxed: a number that other memory does not hang on */
    if (!atomic_load_explicit(&snapshot->qlog_left, memory_order_relaxed)) return NULL;
    struct edge_quic_log *log = calloc(1, sizeof *log);
    int fd = log ? open_file(qlog, original) : -1;
    if (fd < 0) {
        free(log);
        return NULL;
    }
    log->fd = fd;
    log->snapshot = edge_snapshot_ref(snapshot);
    sk_buf_init(&log->out, 0);
    return log;
}

/* What does not fit is the end, of this file and of all others. */
static bool take_budget(struct edge_quic_log *log, size_t bytes) {
    _Atomic uint64_t *left = &log->snapshot->qlog_left;
    uint64_t seen = atomic_load_explicit(left, memory_order_relaxed); /* relaxed: as above */
    do {
        log->full = seen < bytes;
    } while (!atomic_compare_exchange_weak_explicit(left, &seen, log->full ? 0 : seen - bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    if (log->full) SK_LOG_LIMITED(SK_LOG_WARN, "edge", "qlog: the files have reached their size");
    return !log->full;
}

static void flush(struct edge_quic_log *log) {
    sk_str text = sk_buf_str(&log->out);
    while (text.len) {
        ssize_t n = write(log->fd, text.data, text.len);
        if (n <= 0) {
            SK_LOG_LIMITED(SK_LOG_WARN, "edge", "qlog: cannot be written: %m");
            log->full = true;
            break;
        }
        text = sk_str_slice(text, (size_t)n, text.len);
    }
    sk_buf_clear(&log->out);
}

void edge_quic_log_write(struct edge_quic_log *log, sk_str record) {
    if (!log || log->full || !record.len || !take_budget(log, record.len)) return;
    if (sk_buf_append(&log->out, record) != SK_OK) log->full = true;
    if (sk_buf_len(&log->out) >= ENOUGH) flush(log);
}

void edge_quic_log_close(struct edge_quic_log *log) {
    if (!log) return;
    flush(log);
    close(log->fd);
    sk_buf_free(&log->out);
    edge_snapshot_unref(log->snapshot);
    free(log);
}
