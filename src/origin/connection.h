/* One connection to an origin, plain or TLS, as fibers see it. Owned by whoever has the pointer (an
 * exchange, a check, or the idle list of its pool). Own thread. */
#ifndef SK_ORIGIN_CONNECTION_H
#define SK_ORIGIN_CONNECTION_H

#include "io/stream.h"
#include "origin/registry.h"

#define ORIGIN_CONNECTION_MAGIC 0x6f72636fu

struct origin_thread;

struct origin_connection {
    uint32_t magic;
    uint32_t exchanges; /* begun on it */
    struct origin_thread *thread;
    struct origin *origin; /* referenced */
    struct io_stream *stream;
    struct wire_tls *tls; /* NULL: plain */
    bool http2;           /* agreed on by ALPN, or known before */
    struct sk_buf cipher; /* TLS: ciphertext on its way out */
    bool flushing;        /* a fiber is sending ciphertext and will go on until there is none */
    /* the pool's, while idle */
    struct sk_list link;
    struct io_timer idle_timer;
    sk_time_ns idle_since;
};

/* How opening failed. */
struct origin_failure {
    enum origin_phase phase;
    const char *detail; /* constant text or NULL */
};

/* Resolves, connects and shakes hands; parks. Offers SESSION (may be NULL) for resumption, and HTTP/2 as the origin
 * is configured, unless ONLY_HTTP_1. On failure OUT_FAILURE says where; it is untouched otherwise.
 * SK_ERR_UNSUPPORTED: the origin speaks HTTP/2 only. */
sk_err origin_connection_open(struct origin_thread *thread, struct origin *origin, bool only_http_1,
                              const struct wire_tls_session *session, sk_time_ns deadline,
                              struct origin_connection **out_connection, struct origin_failure *out_failure);
/* Closes and frees; parks nobody. */
void origin_connection_close(struct origin_connection *connection);

/* At least one byte. SK_ERR_END at a clean end of stream; SK_ERR_CLOSED when TLS was cut off without
 * close_notify (RFC 9112 9.8); SK_ERR_TIMEOUT, SK_ERR_RESET, SK_ERR_TLS, SK_ERR_CANCELLED. */
sk_err origin_connection_read(struct origin_connection *connection, char *data, size_t bytes,
                              sk_time_ns deadline, size_t *out_n);
/* The same without waiting: SK_ERR_AGAIN. */
sk_err origin_connection_try_read(struct origin_connection *connection, char *data, size_t bytes,
                                  size_t *out_n);
/* Parks until try_read may give something, or somebody wakes the fiber. */
sk_err origin_connection_wait(struct origin_connection *connection, sk_time_ns deadline);
/* All pieces or an error. */
sk_err origin_connection_write(struct origin_connection *connection, const sk_str *pieces, size_t count,
                               sk_time_ns deadline);
/* As much of DATA as goes without waiting, which is taken from it; ciphertext that did not go stays in `cipher`. Not
 * beside origin_connection_write and _wait. */
sk_err origin_connection_try_write(struct origin_connection *connection, struct sk_buf *data);
/* The peer sees the end of our bytes. */
void origin_connection_shutdown(struct origin_connection *connection);
/* True when an idle connection cannot be used again: closed, or the peer said something unasked. */
bool origin_connection_is_stale(struct origin_connection *connection);

#endif
