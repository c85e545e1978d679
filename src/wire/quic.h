/* A server's QUIC connection, sans-I/O (RFC 9000, 9001, 9002, 9368, 9369): ngtcp2 under our own rules. Datagrams in by
 * wire_quic_receive, datagrams out by wire_quic_fill, the time by wire_quic_tick. Own thread.
 *
 * Address validation, amplification (RFC 9000 section 8.1), loss, congestion (CUBIC with pacing), path MTU discovery,
 * migration and key updates are the library's; who may connect, what is counted and where packets go are ours. */
#ifndef SK_WIRE_QUIC_H
#define SK_WIRE_QUIC_H

#include "io/datagram.h"
#include "wire/quic_packet.h"
#include "wire/tls_server.h"

#define WIRE_QUIC_STREAMS 100 /* requests at a time */
#define WIRE_QUIC_STREAM_WINDOW (256 * 1024)
#define WIRE_QUIC_WINDOW (1024 * 1024)

struct wire_quic;
struct wire_quic_app;

struct wire_quic_events {
    /* Packets to ID are the connection's from now on, and not any more. */
    sk_err (*id_added)(void *owner, const struct wire_quic_id *id);
    void (*id_removed)(void *owner, const struct wire_quic_id *id);
    /* The handshake is done: wire_quic_facts. */
    void (*handshaken)(void *owner);
    /* What happens, one record of qlog at a time; where options.qlog asks for it. Also from within _accept and _free. */
    void (*qlog)(void *owner, sk_str record);
};

struct wire_quic_options {
    struct wire_tls_server *tls;       /* a reference is taken */
    const struct wire_quic_keys *keys; /* outlive the connection */
    struct wire_quic_place place;
    const struct wire_quic_packet *packet; /* the initial one */
    enum wire_quic_token token;            /* as it was checked */
    struct wire_quic_id original;          /* after RETRY */
    const struct io_addr *local, *peer;
    const struct wire_quic_events *events;
    void *owner;
    const struct wire_quic_app *app; /* wire/h3.h */
    void *app_arg;
    sk_time_ns now;
    int64_t idle_ms, handshake_ms;
    bool qlog;
};

/* SK_ERR_NO_MEMORY; SK_ERR_UNSUPPORTED (the server has no QUIC). */
sk_err wire_quic_accept(const struct wire_quic_options *options, struct wire_quic **out_quic);
/* Without a word to the client. */
void wire_quic_free(struct wire_quic *quic);

/* One datagram; all of TRAIN but its data and lengths counts. SK_OK; SK_ERR_END: the client has closed, free it;
 * others: the connection has failed, and what wire_quic_fill still has tells the client so. */
sk_err wire_quic_receive(struct wire_quic *quic, const struct io_train *train, sk_str datagram,
                         sk_time_ns now);
/* Makes a train in ROOM (IO_TRAIN_BYTES). *out_train has 0 bytes when there is nothing to send now. SK_ERR_CLOSED:
 * nothing comes any more, free it (a last train may be there). */
sk_err wire_quic_fill(struct wire_quic *quic, char *room, sk_time_ns now, struct io_train *out_train);
/* When wire_quic_tick is due. */
sk_time_ns wire_quic_due(struct wire_quic *quic);
/* As wire_quic_receive; SK_ERR_END also when it was idle for too long. */
sk_err wire_quic_tick(struct wire_quic *quic, sk_time_ns now);
/* The next wire_quic_fill ends it with ERROR of the application. */
void wire_quic_close(struct wire_quic *quic, uint64_t error);
/* From within events.handshaken: then TLS is freed; or while it is early. */
void wire_quic_facts(const struct wire_quic *quic, struct wire_tls_facts *out_facts);
bool wire_quic_handshaken(const struct wire_quic *quic);
/* The client's early data came (0-RTT, RFC 9001 section 4.6), and the handshake is not over: answers go out already. */
bool wire_quic_early(const struct wire_quic *quic);
/* The client's address as it is now: it may move (RFC 9000 section 9). */
void wire_quic_peer(struct wire_quic *quic, struct io_addr *out_peer);
/* For so long a client that still has to acknowledge something may say nothing before it counts as gone. */
sk_time_ns wire_quic_patience(struct wire_quic *quic);
/* The least round trip on its present path, in microseconds; 0: not known yet. */
uint32_t wire_quic_min_rtt_us(const struct wire_quic *quic);
/* Why it failed: constant. */
const char *wire_quic_why(const struct wire_quic *quic);

#endif
