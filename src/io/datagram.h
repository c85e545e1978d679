/* Datagram sockets for protocols that carry many connections over one (QUIC): received in batches and in trains of
 * equal datagrams (GRO), sent in such trains (GSO), each with the local address and the congestion mark (RFC 3168)
 * it came or goes with. Never waits. Own thread. */
#ifndef SK_IO_DATAGRAM_H
#define SK_IO_DATAGRAM_H

#include "io/addr.h"

/* The longest train that one call sends. */
#define IO_TRAIN_BYTES 65000
/* So many one call receives. */
#define IO_TRAINS 8

/* What one receive found: BYTES from one peer, datagrams of SEGMENT bytes, of which the last may be shorter. */
struct io_train {
    struct io_addr peer, local;
    const char *data; /* in the room until the next receive */
    size_t bytes, segment;
    uint8_t ecn; /* the two bits */
    bool cut;    /* longer than any datagram may be: to be dropped */
};

/* Memory that one receive fills. */
struct io_datagrams;
sk_err io_datagrams_create(struct io_datagrams **out_room);
void io_datagrams_free(struct io_datagrams *room); /* NULL is allowed */

/* A datagram socket bound to ADDR, one of several with REUSE_PORT, which tells of each datagram what struct io_train
 * has. SK_ERR_EXISTS, SK_ERR_DENIED, SK_ERR_INVALID, SK_ERR_IO. */
sk_err io_datagram_open(const struct io_addr *addr, bool reuse_port, int *out_fd);
/* Fills ROOM from FD, which is bound to BOUND. SK_OK with *out_trains; fewer than IO_TRAINS: no more waited.
 * SK_ERR_AGAIN: none waits; SK_ERR_IO. */
sk_err io_datagrams_receive(struct io_datagrams *room, int fd, const struct io_addr *bound,
                            const struct io_train **out_trains, size_t *out_count);
/* Sends TRAIN from its local address to its peer, as one train where the kernel can do so. SK_ERR_AGAIN: not now,
 * and nothing went; SK_ERR_TOO_LARGE: over what the path takes; SK_ERR_IO: lost, as datagrams may be. */
sk_err io_datagram_send(int fd, const struct io_train *train);

#endif
