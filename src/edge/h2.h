/* A client's HTTP/2 connection; private to edge/h2_conn.c but for h2_accept. Owner thread only. */
#ifndef SK_EDGE_H2_H
#define SK_EDGE_H2_H

#include "edge/mux.h"
#include "wire/h2.h"

struct h2_conn {
    struct mux_conn mux;
    struct wire_h2 *h2;
    struct io_watch watch; /* fd -1 once it is closed */
    struct io_layer *layer;
    struct io_timer timer;
    bool may_read;
    bool feeding;          /* wire_h2_receive is on the stack */
    bool dying;            /* nothing more is read; closes when OUT is sent */
    bool drained;          /* the final GOAWAY was sent */
    sk_time_ns head_at;    /* since when a head is incomplete; 0: none is */
    sk_time_ns drain_at;   /* when the final GOAWAY is due; 0: not draining */
    struct edge_pace pace; /* of OUT */
    struct sk_buf out;
    struct sk_buf unfed; /* input that a turn was too short for */
};

/* Takes FD and the LAYER of its TLS after the handshake. The caller has counted it in by edge_limits_enter. */
void h2_accept(struct edge_worker *worker, int fd, const struct io_addr *peer, struct io_layer *layer);

#endif
