#include "io/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/stream_private.h"

/* So much a fiber moves on one stream before others get their turn. */
#define BURST_BYTES ((size_t)512 << 10)

/* --- life --------------------------------------------------------------------------------------------- */

static void wake(struct io_stream *stream, enum io_side side) {
    if (stream->waiters[side]) io_fiber_wake(stream->waiters[side]->fiber);
}

static void on_ready(struct io_watch *watch, unsigned ready) {
    struct io_stream *stream = SK_CONTAINER_OF(watch, struct io_stream, watch);
    if (ready & IO_READABLE) stream->ready[IO_READ_SIDE] = true;
    if (ready & IO_WRITABLE) stream->ready[IO_WRITE_SIDE] = true;
    if (ready & IO_HANGUP) stream->hangup = true;
    if (stream->layer && (ready & IO_WRITABLE)) stream->layer->ops->flush(stream->layer, watch->fd);
    if (ready & (IO_READABLE | IO_HANGUP)) wake(stream, IO_READ_SIDE);
    if (ready & (IO_WRITABLE | IO_HANGUP)) wake(stream, IO_WRITE_SIDE);
    void (*on_event)(void *arg) = stream->on_idle_event;
    if (!on_event || !(ready & (IO_READABLE | IO_HANGUP)) || stream->waiters[IO_READ_SIDE]) return;
    stream->on_idle_event = NULL;
    on_event(stream->idle_arg); /* may close the stream */
}

sk_err io_stream_open(struct io_loop *loop, int fd, struct io_stream **out_stream) {
    struct io_stream *stream = calloc(1, sizeof *stream);
    if (!stream) return SK_ERR_NO_MEMORY;
    stream->loop = loop;
    stream->watch = (struct io_watch){.fd = fd, .on_ready = on_ready};
    sk_err err = io_watch_start(loop, &stream->watch);
    if (err) {
        free(stream);
        return err;
    }
    *out_stream = stream;
    return SK_OK;
}

sk_err io_stream_adopt(struct io_loop *loop, int fd, struct io_stream **out_stream) {
    struct io_stream *stream;
    sk_err err = io_stream_open(loop, fd, &stream);
    if (err) return err;
    stream->ready[IO_READ_SIDE] = stream->ready[IO_WRITE_SIDE] = true;
    *out_stream = stream;
    return SK_OK;
}

void io_stream_set_layer(struct io_stream *stream, struct io_layer *layer) { stream->layer = layer; }

void io_stream_close(struct io_stream *stream) {
    if (!stream) return;
    for (int side = 0; side < IO_SIDE_COUNT; side++) {
        struct io_stream_waiter *waiter = stream->waiters[side];
        if (!waiter) continue;
        waiter->closed = true;
        io_fiber_wake(waiter->fiber);
    }
    io_watch_stop(&stream->watch);
    io_layer_free(stream->layer);
    close(stream->watch.fd);
    free(stream);
}

int io_stream_fd(const struct io_stream *stream) { return stream->watch.fd; }

/* --- waiting ------------------------------------------------------------------------------------------ */

static void set_waiter(struct io_stream *stream, const bool wanted[IO_SIDE_COUNT],
                       struct io_stream_waiter *waiter) {
    for (int side = 0; side < IO_SIDE_COUNT; side++) {
        if (!wanted[side]) continue;
        SK_ASSERT(!waiter || !stream->waiters[side]); /* one fiber a side */
        stream->waiters[side] = waiter;
    }
}

/* As a deadline: not to wait, only to let others go first. */
#define YIELD INT64_MIN

/* Parks once, waiting on the wanted sides. SK_ERR_CANCELLED also when the stream was closed, which is then
 * not to be touched any more. */
static sk_err park_on(struct io_stream *stream, const bool wanted[IO_SIDE_COUNT], sk_time_ns deadline) {
    struct io_stream_waiter waiter = {.fiber = io_fiber_self()};
    sk_err err = SK_OK;
    set_waiter(stream, wanted, &waiter);
    if (deadline == YIELD)
        io_fiber_yield();
    else
        err = io_fiber_park(deadline);
    if (waiter.closed) return SK_ERR_CANCELLED;
    set_waiter(stream, wanted, NULL);
    return err;
}

static const bool only[IO_SIDE_COUNT][IO_SIDE_COUNT] = {
    [IO_READ_SIDE][IO_READ_SIDE] = true,
    [IO_WRITE_SIDE][IO_WRITE_SIDE] = true,
};

/* Until SIDE may be ready again; at once when it was not said to be unready. */
static sk_err await(struct io_stream *stream, enum io_side side, sk_time_ns deadline) {
    if (io_fiber_cancelled(io_fiber_self())) return SK_ERR_CANCELLED;
    if (stream->burst >= BURST_BYTES) {
        stream->burst = 0;
        if (stream->burst_at == io_loop_now(stream->loop)) return park_on(stream, only[side], YIELD);
    }
    while (!stream->ready[side] && !stream->hangup) {
        sk_err err = park_on(stream, only[side], deadline);
        if (err) return err;
    }
    return SK_OK;
}

static void count_burst(struct io_stream *stream, size_t bytes) {
    sk_time_ns now = io_loop_now(stream->loop);
    if (stream->burst_at != now) stream->burst = 0;
    stream->burst_at = now;
    stream->burst += bytes;
}

/* Asks the socket itself whether one of the wanted sides is ready, and notes when none is. */
static bool poll_now(struct io_stream *stream, const bool wanted[IO_SIDE_COUNT]) {
    int events = (wanted[IO_READ_SIDE] ? POLLIN | POLLRDHUP : 0) | (wanted[IO_WRITE_SIDE] ? POLLOUT : 0);
    struct pollfd p = {.fd = stream->watch.fd, .events = (short)events};
    if (poll(&p, 1, 0) != 0) return true;
    for (int side = 0; side < IO_SIDE_COUNT; side++)
        if (wanted[side]) stream->ready[side] = false;
    return false;
}

sk_err io_stream_wait(struct io_stream *stream, bool want_read, bool want_write, sk_time_ns deadline) {
    const bool wanted[IO_SIDE_COUNT] = {[IO_READ_SIDE] = want_read, [IO_WRITE_SIDE] = want_write};
    bool maybe = stream->hangup;
    for (int side = 0; side < IO_SIDE_COUNT; side++) maybe |= wanted[side] && stream->ready[side];
    if (maybe && poll_now(stream, wanted)) return SK_OK;
    return park_on(stream, wanted, deadline);
}

/* --- bytes -------------------------------------------------------------------------------------------- */

sk_err io_stream_try_read(struct io_stream *stream, void *data, size_t bytes, size_t *out_n) {
    size_t n = 0;
    bool drained;
    sk_err err = io_layer_recv(stream->layer, stream->watch.fd, data, bytes, &n, &drained);
    if (drained) stream->ready[IO_READ_SIDE] = false; /* an end behind it is a hang-up */
    count_burst(stream, n);
    if (!err) *out_n = n;
    return err;
}

sk_err io_stream_read(struct io_stream *stream, void *data, size_t bytes, sk_time_ns deadline,
                      size_t *out_n) {
    for (;;) {
        sk_err err = await(stream, IO_READ_SIDE, deadline);
        if (err) return err;
        err = io_stream_try_read(stream, data, bytes, out_n);
        if (err != SK_ERR_AGAIN) return err;
        /* The hang-up was of the other direction: wait for an event that tells more. */
        if (stream->hangup && (err = park_on(stream, only[IO_READ_SIDE], deadline))) return err;
    }
}

/* Drops the first BYTES of the vector, and what is empty before the rest. */
static void advance(struct iovec **iov, int *count, size_t bytes) {
    while (*count > 0 && bytes >= (*iov)->iov_len) {
        bytes -= (*iov)->iov_len;
        (*iov)++;
        (*count)--;
    }
    if (*count == 0) return;
    (*iov)->iov_base = (char *)(*iov)->iov_base + bytes;
    (*iov)->iov_len -= bytes;
}

static sk_err try_writev(struct io_stream *stream, const struct iovec *iov, int count, size_t *out_n) {
    size_t n = 0;
    sk_err err = io_layer_sendv(stream->layer, stream->watch.fd, iov, count, false, &n);
    if (err == SK_ERR_AGAIN) stream->ready[IO_WRITE_SIDE] = false;
    count_burst(stream, n);
    if (!err) *out_n = n;
    return err;
}

sk_err io_stream_writev(struct io_stream *stream, struct iovec *iov, int count, sk_time_ns deadline) {
    advance(&iov, &count, 0);
    while (count > 0) {
        sk_err err = await(stream, IO_WRITE_SIDE, deadline);
        if (err) return err;
        size_t n = 0;
        err = try_writev(stream, iov, count, &n);
        /* A peer that has closed its own direction only may still read: then wait for an event. */
        if (err == SK_ERR_AGAIN)
            err = stream->hangup ? park_on(stream, only[IO_WRITE_SIDE], deadline) : SK_OK;
        if (err) return err;
        advance(&iov, &count, n);
    }
    return SK_OK;
}

sk_err io_stream_write(struct io_stream *stream, const void *data, size_t bytes, sk_time_ns deadline) {
    struct iovec iov = {(void *)data, bytes};
    return io_stream_writev(stream, &iov, 1, deadline);
}

sk_err io_stream_try_write(struct io_stream *stream, const void *data, size_t bytes, size_t *out_n) {
    struct iovec iov = {(void *)data, bytes};
    size_t n = 0;
    sk_err err = bytes ? try_writev(stream, &iov, 1, &n) : SK_OK;
    if (err && err != SK_ERR_AGAIN) return err;
    *out_n = n;
    return SK_OK;
}

void io_stream_shutdown_write(struct io_stream *stream) {
    if (stream->layer) stream->layer->ops->finish(stream->layer, stream->watch.fd);
    shutdown(stream->watch.fd, SHUT_WR);
}

/* --- idle streams ------------------------------------------------------------------------------------- */

bool io_stream_is_stale(struct io_stream *stream) {
    char byte;
    ssize_t n;
    do n = recv(stream->watch.fd, &byte, 1, MSG_PEEK);
    while (n < 0 && errno == EINTR);
    return n >= 0 || errno != EAGAIN;
}

void io_stream_on_idle_event(struct io_stream *stream, void (*on_event)(void *arg), void *arg) {
    stream->on_idle_event = on_event;
    stream->idle_arg = arg;
}
