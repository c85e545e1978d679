/* QUIC packets before there is a connection for them, or when there is none any more (RFC 9000 sections 5, 6, 8, 10):
 * whose they are, and the answers that need no memory. Pure but for randomness; any thread.
 *
 * A connection id of ours says which process and which thread knows its connection, so that a packet which comes
 * to another one is handed on. */
#ifndef SK_WIRE_QUIC_PACKET_H
#define SK_WIRE_QUIC_PACKET_H

#include "base/str.h"
#include "base/time.h"
#include "io/addr.h"

#define WIRE_QUIC_ID_BYTES 16 /* of ours */
#define WIRE_QUIC_ID_MAX 20   /* RFC 9000 section 17.2 */
#define WIRE_QUIC_ANSWER_BYTES 512

struct wire_quic_id {
    uint8_t bytes;
    uint8_t data[WIRE_QUIC_ID_MAX];
};
static inline bool wire_quic_id_eq(const struct wire_quic_id *a, const struct wire_quic_id *b) {
    return a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
}

/* Secrets behind ids, tokens and resets: of an edge and of the processes that it upgrades to. */
struct wire_quic_keys {
    uint8_t secret[32];
    uint64_t mask;
};
void wire_quic_keys_make(struct wire_quic_keys *out_keys);

/* Who knows the connection of an id. */
struct wire_quic_place {
    uint8_t generation; /* of the process: one more with each upgrade */
    uint8_t thread;
};
void wire_quic_id_make(const struct wire_quic_keys *keys, struct wire_quic_place place,
                       struct wire_quic_id *out_id);
/* False: it is none of ours. */
bool wire_quic_id_read(const struct wire_quic_keys *keys, const struct wire_quic_id *id,
                       struct wire_quic_place *out_place);

enum wire_quic_kind {
    WIRE_QUIC_JUNK,    /* nothing to be answered */
    WIRE_QUIC_VERSION, /* of a version that is not spoken here, and long enough to be told so */
    WIRE_QUIC_INITIAL, /* may begin a connection */
    WIRE_QUIC_LONG,    /* another one of a handshake */
    WIRE_QUIC_SHORT,   /* of a connection that has keys */
};
struct wire_quic_packet {
    enum wire_quic_kind kind;
    uint32_t version;
    struct wire_quic_id to, from; /* FROM: empty in short ones */
    sk_str token;                 /* of an initial one, borrowed */
    size_t bytes;                 /* of the datagram */
};
/* What the first packet of DATAGRAM says of itself. */
void wire_quic_look(sk_str datagram, struct wire_quic_packet *out_packet);

enum wire_quic_token {
    WIRE_QUIC_TOKEN_NONE,  /* or one that says nothing (any more) */
    WIRE_QUIC_TOKEN_RETRY, /* the address is the client's */
    WIRE_QUIC_TOKEN_KNOWN, /* it was, on a connection not long ago (NEW_TOKEN) */
    WIRE_QUIC_TOKEN_BAD, /* a false one of a Retry: the connection is to be refused (RFC 9000 section 8.1.3) */
};
/* *out_original: with RETRY the id that the client chose first. */
enum wire_quic_token wire_quic_check_token(const struct wire_quic_keys *keys,
                                           const struct wire_quic_packet *packet, const struct io_addr *peer,
                                           sk_time_ns now, struct wire_quic_id *out_original);

/* Answers; each returns its length in OUT, 0 when there is none. */
size_t wire_quic_say_versions(const struct wire_quic_packet *packet, uint8_t out[WIRE_QUIC_ANSWER_BYTES]);
/* PLACE: where the client's next packet is to go. */
size_t wire_quic_retry(const struct wire_quic_keys *keys, struct wire_quic_place place,
                       const struct wire_quic_packet *packet, const struct io_addr *peer, sk_time_ns now,
                       uint8_t out[WIRE_QUIC_ANSWER_BYTES]);
/* Refuses an initial packet: CONNECTION_REFUSED, or INVALID_TOKEN. */
size_t wire_quic_refuse(const struct wire_quic_packet *packet, bool bad_token,
                        uint8_t out[WIRE_QUIC_ANSWER_BYTES]);
/* A stateless reset for a short packet with an id of ours; shorter than what it answers, so that two ends cannot
 * answer each other for ever (RFC 9000 section 10.3.3). */
size_t wire_quic_reset(const struct wire_quic_keys *keys, const struct wire_quic_packet *packet,
                       uint8_t out[WIRE_QUIC_ANSWER_BYTES]);

#endif
