/* What may stand between a connected socket and its owner: TLS, say. Reading and writing through it have the
 * results of io_recv and io_sendv, so that an owner does the same with it as without. Own thread. */
#ifndef SK_IO_LAYER_H
#define SK_IO_LAYER_H

#include "io/socket.h"

struct io_layer;

struct io_layer_ops {
    sk_err (*recv)(struct io_layer *layer, int fd, void *data, size_t bytes, size_t *out_n);
    /* Bytes count as taken only when the socket has taken all that they became. What was not taken must be
     * offered again, first. */
    sk_err (*sendv)(struct io_layer *layer, int fd, const struct iovec *iov, int count, bool more,
                    size_t *out_n);
    /* The socket is writable: goes on with what the layer itself has to say. */
    void (*flush)(struct io_layer *layer, int fd);
    /* Tells the peer that nothing more is written. */
    void (*finish)(struct io_layer *layer, int fd);
    void (*free)(struct io_layer *layer);
};

struct io_layer {
    const struct io_layer_ops *ops;
    bool drained; /* by the last recv: neither the layer nor (edge-triggered) the socket has more */
};

/* LAYER may be NULL. *OUT_DRAINED as of the layer's, or a short read's. */
static inline sk_err io_layer_recv(struct io_layer *layer, int fd, void *data, size_t bytes, size_t *out_n,
                                   bool *out_drained) {
    sk_err err = layer ? layer->ops->recv(layer, fd, data, bytes, out_n) : io_recv(fd, data, bytes, out_n);
    /* A short read has emptied the socket; the next bytes raise a new event (epoll(7), "edge-triggered"). */
    *out_drained = err == SK_ERR_AGAIN || (!err && (layer ? layer->drained : *out_n < bytes));
    return err;
}
static inline sk_err io_layer_sendv(struct io_layer *layer, int fd, const struct iovec *iov, int count,
                                    bool more, size_t *out_n) {
    return layer ? layer->ops->sendv(layer, fd, iov, count, more, out_n)
                 : io_sendv(fd, iov, count, more, out_n);
}
static inline void io_layer_free(struct io_layer *layer) {
    if (layer) layer->ops->free(layer);
}

#endif
