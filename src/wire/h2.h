/* A server's HTTP/2 connection, sans-I/O (RFC 9113, priorities of RFC 9218): nghttp2 under our own rules. Bytes
 * in by wire_h2_receive, events out by the owner's functions (wire/stream.h), bytes out by wire_h2_fill. Own
 * thread. */
#ifndef SK_WIRE_H2_H
#define SK_WIRE_H2_H

#include "base/buf.h"
#include "wire/h2_abuse.h"
#include "wire/stream.h"

#define WIRE_H2_STREAMS 100                /* at a time */
#define WIRE_H2_STREAM_WINDOW (256 * 1024) /* content received and not consumed, of one stream */
#define WIRE_H2_WINDOW (1024 * 1024)       /* the same of the connection */

struct wire_h2;

/* SK_ERR_NO_MEMORY. The server's preface is ready to be filled. */
sk_err wire_h2_create(const struct wire_stream_events *events, void *owner,
                      const struct wire_head_limits *limits, sk_str scheme, struct wire_h2 **out_h2);
/* Without telling of streams that are still there. */
void wire_h2_free(struct wire_h2 *h2);

/* Of heads that come from now on: the configuration has changed. The peer goes by what it was told first. */
void wire_h2_limit_heads(struct wire_h2 *h2, const struct wire_head_limits *limits);

/* Takes all of INPUT. SK_ERR_MALFORMED: the connection must end, after what wire_h2_fill still has (GOAWAY);
 * SK_ERR_DENIED: the same, because of abuse; SK_ERR_NO_MEMORY. Not from inside an event. */
sk_err wire_h2_receive(struct wire_h2 *h2, sk_str input, sk_time_ns now);
/* Appends frames to OUT until it has ENOUGH bytes or there are none. SK_ERR_NO_MEMORY; SK_ERR_MALFORMED. Not from
 * inside an event. */
sk_err wire_h2_fill(struct wire_h2 *h2, struct sk_buf *out, size_t enough);
/* Neither side has anything to say any more. */
bool wire_h2_over(const struct wire_h2 *h2);
/* A header section is on its way in and not complete. */
bool wire_h2_head_open(const struct wire_h2 *h2);
const char *wire_h2_why(const struct wire_h2 *h2);

/* The final response: HEADS are COUNT texts of "Name: value\r\n" lines; those that belong to a connection are left
 * out. LENGTH is added as content-length unless it is UINT64_MAX. CONTENT: it follows by events. Errors: nothing
 * was sent. SK_ERR_NO_MEMORY, SK_ERR_CLOSED. */
sk_err wire_h2_respond(struct wire_h2 *h2, struct wire_stream *stream, uint16_t status, const sk_str *heads,
                       int count, uint64_t length, bool content);
/* A 1xx; FIELDS may be NULL. */
sk_err wire_h2_inform(struct wire_h2 *h2, struct wire_stream *stream, uint16_t status,
                      const struct http_fields *fields);
/* After content said SK_ERR_AGAIN. */
void wire_h2_resume(struct wire_h2 *h2, struct wire_stream *stream);
/* The owner is done with BYTES of a stream's data: the client may send as many more. STREAM may be closed. */
void wire_h2_consumed(struct wire_h2 *h2, struct wire_stream *stream, size_t bytes);
/* Ends a stream with an error (INTERNAL_ERROR; a tunnel's is CANCEL). */
void wire_h2_reset(struct wire_h2 *h2, struct wire_stream *stream);
/* Charges the connection for what only the owner sees. False: it must end; the GOAWAY is ready. */
bool wire_h2_blame(struct wire_h2 *h2, enum wire_h2_cost cost, sk_time_ns now);
/* The client is told to open no more streams; FINAL: from now on none is taken. */
void wire_h2_goaway(struct wire_h2 *h2, bool final);

#endif
