/* The access log: a line a request, JSON or Common Log Format, to a file or stdout. Request threads only
 * copy a record into their own ring; one writer thread formats and writes. Nothing here ever blocks a
 * request: a full ring drops the record and counts it. */
#ifndef SK_OBSERVE_ACCESS_LOG_H
#define SK_OBSERVE_ACCESS_LOG_H

#include "base/time.h"
#include "http/message.h"
#include "http/reason.h"
#include "observe/metrics.h"

struct access_log;
struct access_log_ring; /* one a request thread */

enum access_log_format { ACCESS_LOG_JSON, ACCESS_LOG_COMMON };

/* PATH "-" is stdout. SK_ERR_DENIED, SK_ERR_IO. Starts the writer thread. */
sk_err access_log_open(const char *path, enum access_log_format format, struct access_log **out_log);
/* Writes what is left, ends the writer. After the rings' threads have stopped. */
void access_log_close(struct access_log *log);
/* Reopens the file under its name (after a rotation). Any thread. */
void access_log_rotate(struct access_log *log);
sk_err access_log_join(struct access_log *log, struct observe_thread *metrics, struct access_log_ring **out_ring);

/* Strings are copied, each cut to what the record allows (method 16, target 1024, host 255, user agent 255,
 * referer 255, error 128 bytes). */
struct access_log_entry {
    int64_t wall_ns; /* when the request's head was complete */
    sk_str client_ip, method, host, target, user_agent, referer, site, upstream, error;
    enum http_version version;
    enum http_reason reason;
    uint16_t status, origin_status;
    bool hit, stored, collapsed;
    uint64_t sent_bytes, body_bytes;
    int64_t duration_ns, first_byte_ns; /* since wall_ns */
    bool aborted; /* the client went away before the end */
};
void access_log_write(struct access_log_ring *ring, const struct access_log_entry *entry);

#endif
