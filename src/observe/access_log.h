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

/* NAME, key of the JSON line, whether it stands on every line (otherwise only when not empty, 0 or false),
 * help. */
#define ACCESS_LOG_FIELD_TABLE(X)                                                                            \
    X(TIME, "time", true, "when the request's head was complete: RFC 3339, UTC, milliseconds")               \
    X(CLIENT, "client", true, "IP address of the client")                                                    \
    X(METHOD, "method", true, "request method; empty when the request could not be read")                    \
    X(HOST, "host", true, "host asked for")                                                                  \
    X(TARGET, "target", true, "path and query as received, at most 1024 bytes")                              \
    X(PROTOCOL, "protocol", true, "HTTP version spoken with the client")                                     \
    X(TLS_VERSION, "tls_version", false, "version of TLS spoken with the client, if it was")                 \
    X(TLS_GROUP, "tls_group", false,                                                                         \
      "group of the key exchange; those with MLKEM withstand quantum computers")                             \
    X(TLS_CIPHER, "tls_cipher", false, "cipher suite")                                                       \
    X(TLS_RESUMED, "tls_resumed", false, "the handshake was abbreviated by a session ticket")                \
    X(EARLY_DATA, "early_data", false, "the request came before the handshake was over (0-RTT)")             \
    X(STATUS, "status", true, "status of the response")                                                      \
    X(SENT_BYTES, "sent_bytes", true, "bytes sent to the client, head included")                             \
    X(BODY_BYTES, "body_bytes", true, "bytes of content sent to the client")                                 \
    X(DURATION_US, "duration_us", true, "microseconds from `time` to the end of the response")               \
    X(FIRST_BYTE_US, "first_byte_us", true, "microseconds from `time` to the response's first byte")         \
    X(HIT, "hit", true, "whether the store answered")                                                        \
    X(REASON, "reason", true, "why the cache did what it did: see `skerry help reasons`")                    \
    X(STORED, "stored", false, "the origin's response was stored")                                           \
    X(STORE_REASON, "store_reason", false, "why it was stored, or why not: from the same table")             \
    X(COLLAPSED, "collapsed", false, "the request joined a fetch in progress")                               \
    X(SITE, "site", false, "name of the site")                                                               \
    X(ORIGIN, "origin", false, "URL of the origin asked, if one was")                                        \
    X(ORIGIN_STATUS, "origin_status", false, "status that the origin answered")                              \
    X(USER_AGENT, "user_agent", false, "User-Agent of the request, at most 255 bytes")                       \
    X(REFERER, "referer", false, "Referer of the request, at most 255 bytes")                                \
    X(ABORTED, "aborted", false, "the client went away before the end")                                      \
    X(ERROR, "error", false, "what went wrong: a phase of the origin, or what was malformed")

/* PATH "-" is stdout; NULL or "" discards everything (until access_log_change). Starts the writer thread.
 * SK_ERR_DENIED, SK_ERR_NOT_FOUND (no such folder), SK_ERR_IO, SK_ERR_NO_MEMORY. */
sk_err access_log_open(const char *path, enum access_log_format format, struct access_log **out_log);
/* Writes what is left (for two seconds at most, if a reader of stdout is stuck), ends the writer, frees the
 * rings. After the rings' threads have stopped. NULL is allowed. */
void access_log_close(struct access_log *log);
/* Reopens the file under its name (after a rotation). Any thread. */
void access_log_rotate(struct access_log *log);
/* Another path or format (a reload), rings and threads stay. On failure, as of open, nothing changes. One
 * thread at a time. */
sk_err access_log_change(struct access_log *log, const char *path, enum access_log_format format);
/* A ring for the calling thread, of 512 KiB; it lives until the log is closed. SK_ERR_NO_MEMORY. */
sk_err access_log_join(struct access_log *log, struct observe_thread *metrics,
                       struct access_log_ring **out_ring);

/* Strings are copied, each cut to what the record allows (method 16, target 1024, error 128, client 64,
 * of TLS 64, all others 255 bytes). */
struct access_log_entry {
    int64_t wall_ns; /* when the request's head was complete */
    sk_str client_ip, method, host, target, user_agent, referer, site, upstream, error;
    sk_str tls_version, tls_group, tls_cipher; /* empty: plain */
    bool tls_resumed, early_data;
    enum http_version version;
    enum http_reason reason, store_reason; /* NONE: nothing was there to be stored */
    uint16_t status, origin_status;
    bool hit, stored, collapsed;
    uint64_t sent_bytes, body_bytes;
    int64_t duration_ns, first_byte_ns; /* since wall_ns */
    bool aborted;                       /* the client went away before the end */
};
/* Copies ENTRY, never blocks: makes no system call unless the writer sleeps, which it does only after 20 ms
 * without a line. RING's thread only. */
void access_log_write(struct access_log_ring *ring, const struct access_log_entry *entry);
/* The same for a LINE that is formatted already (of 64 KiB at most, with its line break). */
void access_log_line(struct access_log_ring *ring, sk_str line);

#endif
