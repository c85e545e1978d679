#include "origin/connection.h"

#include <stdlib.h>

#include "origin/pool.h"
#include "origin/tls_count.h"

#define TLS_PIECE 16384 /* plaintext of one record at most (RFC 8446 5.1) */
#define PIECES_MOST 8

/* --- TLS: ciphertext between engine and socket ------------------------------------------------------- */

/* Ciphertext that has come, into the engine. SK_ERR_AGAIN when none has. The buffer is the thread's:
 * nothing parks between filling and emptying it. */
static sk_err feed(struct origin_connection *connection) {
    char *cipher = connection->thread->scratch;
    size_t n;
    sk_err err = io_stream_try_read(connection->stream, cipher, ORIGIN_SCRATCH_BYTES, &n);
    return err ? err : wire_tls_feed(connection->tls, cipher, n);
}

/* Sends what the engine has for the peer. One fiber at a time: a second one leaves its bytes to the first,
 * which goes on until there are none. */
static sk_err flush(struct origin_connection *connection, sk_time_ns deadline) {
    struct sk_buf *cipher = &connection->cipher;
    sk_err err = SK_OK;
    if (connection->flushing) return SK_OK;
    connection->flushing = true;
    while (!err) {
        err = sk_buf_reserve(cipher, TLS_PIECE);
        size_t n = err ? 0 : wire_tls_drain(connection->tls, sk_buf_space(cipher), sk_buf_space_len(cipher));
        if (n == 0) break;
        err = io_stream_write(connection->stream, sk_buf_space(cipher), n, deadline);
    }
    connection->flushing = false;
    return err;
}

/* The stream's own reading parks only before it fills the thread's buffer, never after. */
static sk_err feed_waiting(struct origin_connection *connection, sk_time_ns deadline) {
    char *cipher = connection->thread->scratch;
    size_t n;
    sk_err err = flush(connection, deadline);
    if (!err) err = io_stream_read(connection->stream, cipher, ORIGIN_SCRATCH_BYTES, deadline, &n);
    return err ? err : wire_tls_feed(connection->tls, cipher, n);
}

static sk_err shake_hands(struct origin_connection *connection, sk_time_ns deadline) {
    for (;;) {
        sk_err result = wire_tls_handshake(connection->tls);
        /* Also a refusal has something to say to the peer: the alert. */
        sk_err err = flush(connection, deadline);
        if (result != SK_ERR_AGAIN) return result ? result : err;
        if (!err) err = feed_waiting(connection, deadline);
        if (err) return err == SK_ERR_END ? SK_ERR_CLOSED : err;
    }
}

static sk_err note_protocol(struct origin_connection *connection, enum wire_tls_protocols protocols,
                            const char **out_detail) {
    struct wire_tls_facts facts;
    wire_tls_facts(connection->tls, &facts);
    connection->http2 = facts.http2;
    if (protocols != WIRE_TLS_HTTP_2 || facts.http2) return SK_OK;
    *out_detail = "the origin does not speak HTTP/2, which `http2: on` asks for";
    return SK_ERR_UNSUPPORTED;
}

static sk_err start_tls(struct origin_connection *connection, enum wire_tls_protocols protocols,
                        const struct wire_tls_session *session, sk_time_ns deadline,
                        const char **out_detail) {
    struct origin *origin = connection->origin;
    sk_err err = wire_tls_client(origin->trust->context, sk_str_from_c(origin->peer), &connection->tls);
    if (err) return err;
    if (origin->expected[0]) err = wire_tls_expect(connection->tls, sk_str_from_c(origin->expected));
    if (!err) err = wire_tls_offer_protocols(connection->tls, protocols);
    if (err) return err;
    wire_tls_offer(connection->tls, session);
    err = shake_hands(connection, deadline);
    if (err == SK_ERR_TLS || err == SK_ERR_TLS_CERTIFICATE) *out_detail = wire_tls_error(connection->tls);
    origin_count_handshake(connection->thread->metrics, connection->tls, err);
    if (!err) err = note_protocol(connection, protocols, out_detail);
    return err;
}

/* --- opening and closing ----------------------------------------------------------------------------- */

static sk_err connect_stream(struct origin_connection *connection, sk_time_ns deadline,
                             enum origin_phase *out_phase) {
    struct io_addr addrs[IO_RESOLVE_MAX];
    struct origin_thread *thread = connection->thread;
    size_t count;
    *out_phase = ORIGIN_PHASE_RESOLVE;
    sk_err err = io_resolve(thread->resolver, sk_str_from_c(connection->origin->host),
                            connection->origin->port, deadline, addrs, &count);
    if (err) return err;
    *out_phase = ORIGIN_PHASE_CONNECT;
    return io_stream_connect_any(thread->loop, addrs, count, deadline, &connection->stream, NULL);
}

static enum wire_tls_protocols protocols_for(const struct origin *origin, bool only_http_1) {
    if (only_http_1 || origin->http2 == CONFIG_HTTP2_OFF) return WIRE_TLS_HTTP_1;
    return origin->http2 == CONFIG_HTTP2_ON ? WIRE_TLS_HTTP_2 : WIRE_TLS_HTTP_1_AND_2;
}

static sk_err set_up(struct origin_connection *connection, bool only_http_1,
                     const struct wire_tls_session *session, sk_time_ns deadline,
                     struct origin_failure *failure) {
    const struct origin *origin = connection->origin;
    bool always = origin->http2 == CONFIG_HTTP2_ON;
    if (only_http_1 && always) {
        *failure =
            (struct origin_failure){ORIGIN_PHASE_CONNECT, "an upgrade needs HTTP/1.1, but `http2` is on"};
        return SK_ERR_UNSUPPORTED;
    }
    sk_err err = connect_stream(connection, deadline, &failure->phase);
    connection->http2 = always;
    if (err || !origin->trust) return err;
    failure->phase = ORIGIN_PHASE_TLS;
    return start_tls(connection, protocols_for(origin, only_http_1), session, deadline, &failure->detail);
}

sk_err origin_connection_open(struct origin_thread *thread, struct origin *origin, bool only_http_1,
                              const struct wire_tls_session *session, sk_time_ns deadline,
                              struct origin_connection **out_connection, struct origin_failure *out_failure) {
    struct origin_connection *connection = sk_pool_get(&thread->connections);
    if (!connection) {
        *out_failure = (struct origin_failure){.phase = ORIGIN_PHASE_CONNECT};
        return SK_ERR_NO_MEMORY;
    }
    connection->magic = ORIGIN_CONNECTION_MAGIC;
    connection->thread = thread;
    connection->origin = origin_ref(origin);
    sk_list_init(&connection->link);
    sk_buf_init(&connection->cipher, 0);
    atomic_fetch_add_explicit(&origin->connections, 1, memory_order_relaxed); /* a figure for people */
    struct origin_failure failure = {0};
    sk_err err = set_up(connection, only_http_1, session, deadline, &failure);
    if (err) {
        *out_failure = failure;
        origin_connection_close(connection);
        return err;
    }
    observe_count(thread->metrics, OBSERVE_ORIGIN_CONNECTIONS);
    *out_connection = connection;
    return SK_OK;
}

void origin_connection_close(struct origin_connection *connection) {
    SK_CHECK_MAGIC(connection, ORIGIN_CONNECTION_MAGIC);
    SK_ASSERT(!io_timer_armed(&connection->idle_timer) && !sk_list_linked(&connection->link));
    io_stream_close(connection->stream);
    wire_tls_free(connection->tls);
    sk_buf_free(&connection->cipher);
    atomic_fetch_sub_explicit(&connection->origin->connections, 1, memory_order_relaxed);
    origin_unref(connection->origin);
    connection->magic = 0;
    sk_pool_put(&connection->thread->connections, connection);
}

/* --- bytes ------------------------------------------------------------------------------------------- */

static sk_err try_read_tls(struct origin_connection *connection, char *data, size_t bytes, size_t *out_n) {
    for (;;) {
        sk_err err = wire_tls_read(connection->tls, data, bytes, out_n);
        if (err != SK_ERR_AGAIN) return err;
        err = feed(connection);
        if (err) return err == SK_ERR_END ? SK_ERR_CLOSED : err;
    }
}

sk_err origin_connection_try_read(struct origin_connection *connection, char *data, size_t bytes,
                                  size_t *out_n) {
    sk_err err = connection->tls ? try_read_tls(connection, data, bytes, out_n)
                                 : io_stream_try_read(connection->stream, data, bytes, out_n);
    if (!err) observe_add(connection->thread->metrics, OBSERVE_ORIGIN_BYTES_RECEIVED, *out_n);
    return err;
}

sk_err origin_connection_wait(struct origin_connection *connection, sk_time_ns deadline) {
    /* Reading may have made something to say (a key update's answer). */
    sk_err err = connection->tls ? flush(connection, deadline) : SK_OK;
    return err ? err : io_stream_wait(connection->stream, true, false, deadline);
}

static sk_err read_tls(struct origin_connection *connection, char *data, size_t bytes, sk_time_ns deadline,
                       size_t *out_n) {
    for (;;) {
        sk_err err = wire_tls_read(connection->tls, data, bytes, out_n);
        if (err != SK_ERR_AGAIN) return err;
        err = feed_waiting(connection, deadline);
        if (err) return err == SK_ERR_END ? SK_ERR_CLOSED : err;
    }
}

sk_err origin_connection_read(struct origin_connection *connection, char *data, size_t bytes,
                              sk_time_ns deadline, size_t *out_n) {
    sk_err err = connection->tls ? read_tls(connection, data, bytes, deadline, out_n)
                                 : io_stream_read(connection->stream, data, bytes, deadline, out_n);
    if (!err) observe_add(connection->thread->metrics, OBSERVE_ORIGIN_BYTES_RECEIVED, *out_n);
    return err;
}

static sk_err write_tls(struct origin_connection *connection, sk_str data, sk_time_ns deadline) {
    sk_err err = SK_OK;
    while (data.len && !err) {
        sk_str piece = sk_str_slice(data, 0, TLS_PIECE);
        err = wire_tls_write(connection->tls, piece.data, piece.len);
        if (!err) err = flush(connection, deadline);
        data = sk_str_slice(data, piece.len, data.len);
    }
    return err;
}

sk_err origin_connection_write(struct origin_connection *connection, const sk_str *pieces, size_t count,
                               sk_time_ns deadline) {
    struct iovec iov[PIECES_MOST];
    sk_err err = SK_OK;
    SK_ASSERT(count <= PIECES_MOST);
    for (size_t i = 0; i < count && !err; i++) {
        iov[i] = (struct iovec){(char *)pieces[i].data, pieces[i].len};
        if (connection->tls) err = write_tls(connection, pieces[i], deadline);
    }
    return connection->tls ? err : io_stream_writev(connection->stream, iov, (int)count, deadline);
}

/* Ciphertext on its way, and what the engine has to say. */
static sk_err try_flush(struct origin_connection *connection) {
    struct sk_buf *cipher = &connection->cipher;
    for (;;) {
        sk_err err = sk_buf_reserve(cipher, TLS_PIECE);
        if (err) return err;
        sk_buf_commit(cipher,
                      wire_tls_drain(connection->tls, sk_buf_space(cipher), sk_buf_space_len(cipher)));
        size_t bytes = sk_buf_len(cipher), n = 0;
        if (!bytes) return SK_OK;
        err = io_stream_try_write(connection->stream, sk_buf_str(cipher).data, bytes, &n);
        if (err) return err;
        sk_buf_consume(cipher, n);
        if (n < bytes) return SK_OK;
    }
}

static sk_err try_write_tls(struct origin_connection *connection, struct sk_buf *data) {
    sk_err err = try_flush(connection);
    while (!err && sk_buf_len(data) && !sk_buf_len(&connection->cipher)) {
        sk_str piece = sk_str_slice(sk_buf_str(data), 0, TLS_PIECE);
        err = wire_tls_write(connection->tls, piece.data, piece.len);
        if (!err) sk_buf_consume(data, piece.len);
        if (!err) err = try_flush(connection);
    }
    return err;
}

sk_err origin_connection_try_write(struct origin_connection *connection, struct sk_buf *data) {
    size_t n = 0;
    if (connection->tls) return try_write_tls(connection, data);
    sk_err err = io_stream_try_write(connection->stream, sk_buf_str(data).data, sk_buf_len(data), &n);
    if (!err) sk_buf_consume(data, n);
    return err;
}

void origin_connection_shutdown(struct origin_connection *connection) {
    if (connection->tls) {
        wire_tls_close_notify(connection->tls);
        /* On its way to a close: whatever the socket does not take now is lost, which is allowed. */
        (void)!flush(connection, io_loop_now(connection->thread->loop));
    }
    io_stream_shutdown_write(connection->stream);
}

bool origin_connection_is_stale(struct origin_connection *connection) {
    char byte;
    size_t n;
    if (!connection->tls) return io_stream_is_stale(connection->stream);
    /* TLS 1.3 sends tickets when it likes: only what is no content leaves the connection usable. */
    return try_read_tls(connection, &byte, 1, &n) != SK_ERR_AGAIN;
}
