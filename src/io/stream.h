/* A connected byte stream as fibers see it: calls that park until done or until a deadline. Used towards
 * origins, peers and helpers. One fiber reads and one (maybe another, same thread) writes. */
#ifndef SK_IO_STREAM_H
#define SK_IO_STREAM_H

#include "io/fiber.h"
#include "io/layer.h"

struct io_stream;

/* Connects to one address. SK_ERR_REFUSED, SK_ERR_UNREACHABLE, SK_ERR_TIMEOUT, SK_ERR_CANCELLED, ... */
sk_err io_stream_connect(struct io_loop *loop, const struct io_addr *addr, sk_time_ns deadline,
                         struct io_stream **out_stream);
/* Happy eyeballs (RFC 8305): tries ADDRS in order with families interleaved, the next one 250 ms after
 * the last (or at once when it failed); the first to connect wins, the rest are closed. out_index (may be
 * NULL) tells which. The error is that of the last failure. At most
 * 32 addresses are tried. */
sk_err io_stream_connect_any(struct io_loop *loop, const struct io_addr *addrs, size_t count,
                             sk_time_ns deadline, struct io_stream **out_stream, size_t *out_index);
/* Takes a connected non-blocking fd. */
sk_err io_stream_adopt(struct io_loop *loop, int fd, struct io_stream **out_stream);
/* From now on bytes go through LAYER, which belongs to the stream. */
void io_stream_set_layer(struct io_stream *stream, struct io_layer *layer);
/* Closes and frees; a fiber parked on it is woken with SK_ERR_CANCELLED. NULL is allowed. */
void io_stream_close(struct io_stream *stream);
int io_stream_fd(const struct io_stream *stream);

/* At least one byte. SK_ERR_END at end of stream; SK_ERR_TIMEOUT, SK_ERR_RESET, SK_ERR_CANCELLED. */
sk_err io_stream_read(struct io_stream *stream, void *data, size_t bytes, sk_time_ns deadline, size_t *out_n);
/* As io_stream_read without waiting: SK_ERR_AGAIN when nothing is there. */
sk_err io_stream_try_read(struct io_stream *stream, void *data, size_t bytes, size_t *out_n);
/* All bytes or an error; iov is changed. */
sk_err io_stream_writev(struct io_stream *stream, struct iovec *iov, int count, sk_time_ns deadline);
sk_err io_stream_write(struct io_stream *stream, const void *data, size_t bytes, sk_time_ns deadline);
/* As much as the socket takes now (may be 0). */
sk_err io_stream_try_write(struct io_stream *stream, const void *data, size_t bytes, size_t *out_n);
/* Parks until readable (want_read) and/or writable, or another fiber_wake of this fiber (spurious OK). */
sk_err io_stream_wait(struct io_stream *stream, bool want_read, bool want_write, sk_time_ns deadline);
/* Half close: the peer sees end of stream. */
void io_stream_shutdown_write(struct io_stream *stream);
/* For an idle pooled stream: true when the peer has closed it or sent something unasked. No park. */
bool io_stream_is_stale(struct io_stream *stream);
/* Called once, on this thread, when an idle stream becomes readable or closed from now on; NULL clears. Ask
 * io_stream_is_stale first: what happened before tells nothing any more. */
void io_stream_on_idle_event(struct io_stream *stream, void (*on_event)(void *arg), void *arg);

#endif
