/* A server's HTTP/3 connection over wire/quic (RFC 9114, QPACK of RFC 9204, priorities of RFC 9218): nghttp3 under our
 * own rules, telling its owner of requests by the events of wire/stream.h. Own thread.
 *
 * Content that goes out stays until the client has acknowledged it: lent by its owner where it lies, or copied into
 * chunks, whose sum is bounded for a connection. What the client does not read is not asked for. */
#ifndef SK_WIRE_H3_H
#define SK_WIRE_H3_H

#include "base/pool.h"
#include "wire/h2_abuse.h"
#include "wire/memory.h"
#include "wire/quic.h"
#include "wire/stream.h"

/* Copies of content sent and not acknowledged, of a connection. */
#define WIRE_H3_UNACKED_BYTES (4 * 1024 * 1024)

struct wire_h3;

/* What the connections of a thread share. */
struct wire_h3_room {
    struct sk_pool chunks, loans, outs;
    struct wire_memory memory; /* the library's */
};
void wire_h3_room_init(struct wire_h3_room *room);
/* No connection is left. */
void wire_h3_room_free(struct wire_h3_room *room);

/* For wire_quic_options. */
extern const struct wire_quic_app wire_h3_app;

/* SK_ERR_NO_MEMORY. The application argument of the connection's wire_quic_options. */
sk_err wire_h3_create(const struct wire_stream_events *events, void *owner,
                      const struct wire_head_limits *limits, struct wire_h3_room *room,
                      struct wire_h3 **out_h3);
/* QUIC carries it from now on. */
void wire_h3_attach(struct wire_h3 *h3, struct wire_quic *quic);
/* Before wire_quic_free; without telling of streams that are still there. */
void wire_h3_free(struct wire_h3 *h3);

/* As wire/h2.h says of the same. */
void wire_h3_limit_heads(struct wire_h3 *h3, const struct wire_head_limits *limits);
sk_err wire_h3_respond(struct wire_h3 *h3, struct wire_stream *stream, uint16_t status, const sk_str *heads,
                       int count, uint64_t length, bool content);
sk_err wire_h3_inform(struct wire_h3 *h3, struct wire_stream *stream, uint16_t status,
                      const struct http_fields *fields);
/* Takes content of STREAM ahead of its being sent, as far as a chunk or so goes. */
void wire_h3_pull(struct wire_h3 *h3, struct wire_stream *stream);
void wire_h3_resume(struct wire_h3 *h3, struct wire_stream *stream);
void wire_h3_consumed(struct wire_h3 *h3, struct wire_stream *stream, size_t bytes);
void wire_h3_reset(struct wire_h3 *h3, struct wire_stream *stream);
/* False: the account is overdrawn; the connection is told so by the next wire_quic_fill. */
bool wire_h3_blame(struct wire_h3 *h3, enum wire_h2_cost cost, sk_time_ns now);
/* RFC 9114 section 5.2. */
void wire_h3_goaway(struct wire_h3 *h3, bool final);
/* The final GOAWAY is out and every request is answered. */
bool wire_h3_over(const struct wire_h3 *h3);
/* Content of others is lent to it: wire_h3_check_loans, now and then. */
bool wire_h3_borrows(const struct wire_h3 *h3);
/* False: a client has the whole of an answer for PATIENCE, has not acknowledged what comes next of it, and so keeps what
 * is lent. */
bool wire_h3_check_loans(struct wire_h3 *h3, sk_time_ns now, sk_time_ns patience);
/* The client was cut off because of abuse, and why; NULL: it was not. */
const char *wire_h3_abuse(const struct wire_h3 *h3);

#endif
