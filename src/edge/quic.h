/* QUIC of one worker: its datagram sockets, the connections by their ids, and who gets what comes.
 *
 *   socket --> train of datagrams --> quic.c: whose? --ours--> h3_conn.c --> wire/quic, wire/h3 --> mux_stream.c
 *                                       |  \--new--> retry, refuse, or a connection
 *                                       \--another thread's: a copy to its loop
 *
 * A connection stays on its thread: its ids name it. The kernel spreads clients over the sockets by their addresses;
 * one that moves may come to another socket from then on. Own thread, but for edge_quic_hand_to. */
#ifndef SK_EDGE_QUIC_H
#define SK_EDGE_QUIC_H

#include "edge/quic_ids.h"
#include "edge/worker.h"
#include "io/datagram.h"
#include "wire/h3.h"

struct edge_quic;

/* A datagram socket that this worker alone reads. */
struct edge_quic_socket {
    struct io_watch watch;
    struct edge_quic *quic;
    struct io_task again; /* more wait than one turn takes */
    bool queued, closed, deaf;
    bool unwanted;        /* closes with its last connection */
    struct io_addr addr;  /* as configured: by it the configuration in force tells what is spoken here */
    struct io_addr bound; /* as it is */
    struct wire_tls_server *tls; /* the snapshot's; NULL: no new connections */
    int source_fd;
    uint32_t connections;
    struct sk_list link; /* quic.sockets */
};

/* What one receive brought and no turn has come to: trains in the room, the first from AT on. */
struct edge_quic_batch {
    struct edge_quic_socket *socket;
    const struct io_train *trains;
    size_t count, at;
};

struct edge_quic {
    struct edge_worker *worker;
    const struct wire_quic_keys *keys; /* the process's */
    struct wire_quic_place place;
    struct io_datagrams *room;
    struct edge_quic_batch batch;
    char *train; /* IO_TRAIN_BYTES: what goes out, made and sent within one call */
    struct wire_h3_room h3;
    struct edge_quic_ids ids;
    struct sk_list sockets; /* struct edge_quic_socket.link */
    struct sk_list touched; /* struct h3_conn.touched: have received in this turn */
    uint32_t handshakes;    /* that are not done */
    uint32_t unproven;      /* of these, from addresses that have proved nothing */
};

/* SK_ERR_NO_MEMORY. */
sk_err edge_quic_create(struct edge_worker *worker, struct edge_quic **out_quic);
/* After its last connection. NULL is allowed. */
void edge_quic_free(struct edge_quic *quic);

/* Reads FD, a socket's duplicate that belongs to it from now on. */
void edge_quic_listen(struct edge_quic *quic, int fd, int source_fd, const struct io_addr *addr);
/* Another process reads the sockets from now on. */
void edge_quic_stop_reading(struct edge_quic *quic);
/* Any thread: DATAGRAM is for the connection of THREAD that it names; it came to the listener at LISTENER. */
void edge_quic_hand_to(struct edge_process *process, unsigned thread, const struct io_addr *listener,
                       const struct io_train *train, sk_str datagram);
/* No new connections by SOURCE_FD's duplicate, or (-1) by any. */
void edge_quic_refuse_from(struct edge_quic *quic, int source_fd);
/* Another configuration is in force. */
void edge_quic_use_snapshot(struct edge_quic *quic);
/* A connection on SOCKET is gone. */
void edge_quic_left(struct edge_quic_socket *socket);

#endif
