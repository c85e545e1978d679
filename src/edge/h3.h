/* A client's HTTP/3 connection; private to edge/h3_*.c and edge/quic.c. Owner thread only.
 *
 *   h3_accept.c    from its first packet to the end of the handshake
 *   h3_conn.c      datagrams in and out, deadlines, drain, the end */
#ifndef SK_EDGE_H3_H
#define SK_EDGE_H3_H

#include "edge/mux.h"
#include "edge/quic.h"

/* The one that the client chose, ours, and those that it may still use. */
#define H3_IDS 12

struct h3_conn {
    struct mux_conn mux;
    struct edge_quic *endpoint;
    struct edge_quic_socket *socket;
    struct wire_quic *quic;
    struct wire_h3 *h3;
    struct edge_quic_log *log; /* NULL: nobody wants to know */
    struct io_timer timer;
    bool dying;   /* closes with the next write */
    bool drained; /* the final GOAWAY was sent */
    bool proven;  /* the client's address is */
    bool entered; /* counted by edge_limits_enter, as ENTRANT */
    struct io_addr entrant;
    sk_time_ns drain_at;  /* when the final GOAWAY is due; 0: not draining */
    sk_time_ns heard_at;  /* when the client last said something */
    sk_time_ns check_at;  /* when streams and idleness are looked at */
    struct io_train held; /* the socket did not take it; data in memory of its own, or NULL */
    struct wire_quic_id ids[H3_IDS];
    uint8_t id_count;
    struct sk_list touched; /* endpoint.touched */
};

/* Begins a connection with its first packet, which is in TRAIN. SK_ERR_NO_MEMORY, SK_ERR_UNSUPPORTED. */
sk_err h3_accept(struct edge_quic_socket *socket, const struct io_train *train,
                 const struct wire_quic_packet *packet, enum wire_quic_token token,
                 const struct wire_quic_id *original, struct h3_conn **out_conn);
/* h3_conn.c, for the other */
/* RFC 9114 section 8.1. */
#define H3_NO_ERROR 0x100
#define H3_EXCESSIVE_LOAD 0x107
extern const struct mux_ops h3_mux_ops;
extern const struct edge_connection_ops h3_connection_ops;
/* The client's address is its own. */
void h3_prove(struct h3_conn *conn);
/* When it is to be looked at: an idle connection when it has been idle for long enough, others now and then. */
sk_time_ns h3_next_check(const struct h3_conn *conn);

/* One datagram; h3_run comes when the turn's are all in. */
void h3_receive(struct h3_conn *conn, const struct io_train *train, sk_str datagram);
/* Serves what has come and sends what there is. */
void h3_run(struct h3_conn *conn);

#endif
