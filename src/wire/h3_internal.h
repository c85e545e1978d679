/* What the sources of wire/h3 share. Nobody else includes it. */
#ifndef SK_WIRE_H3_INTERNAL_H
#define SK_WIRE_H3_INTERNAL_H

#include <nghttp3/nghttp3.h>

#include "base/list.h"
#include "wire/h3.h"
#include "wire/quic_internal.h"

#define WIRE_H3_MAGIC 0x68337777u
#define H3_CHUNK_BYTES 4000

/* Content that the client has not acknowledged. */
struct h3_chunk {
    struct h3_chunk *next;
    const char *data;
    size_t bytes;
    void *loan;  /* the owner's; NULL: DATA is ROOM */
    char room[]; /* H3_CHUNK_BYTES, of a copy */
};

/* What goes out on a stream. It outlives the owner's stream, which is over when all is written. */
struct h3_out {
    struct sk_list link, drop;  /* h3.outs; h3.dropped: closed is to be told */
    struct wire_stream *stream; /* NULL: over */
    int64_t id;
    struct h3_chunk *first, *last; /* first: the oldest that is not acknowledged */
    struct h3_chunk *given;        /* the last that the library has; NULL: none of those that are there */
    size_t first_acked;            /* bytes of FIRST that are */
    uint64_t wrote, content;       /* bytes on the stream; of these, content that was taken */
    bool eof;                      /* all content is in chunks */
    bool starved;                  /* waits for room in the connection's share */
    const struct h3_chunk *seen;   /* the oldest at wire_h3_check_loans */
    sk_time_ns seen_at;            /* since when */
    const struct http_fields *trailers;
};

struct wire_h3 {
    uint32_t magic;
    bool goaway_said, goaway_final, denied;
    nghttp3_conn *conn; /* NULL before it is ready */
    struct wire_quic *quic;
    const struct wire_stream_events *events;
    void *owner;
    struct wire_stream_rules rules;
    struct wire_h2_account account;
    sk_time_ns now;
    int64_t unseen; /* bytes of frames that came, less what they brought */
    bool head_seen; /* by the read under way */
    struct wire_h3_room *room;
    nghttp3_mem memory; /* the room's */
    struct sk_list outs, dropped;
    size_t unacked; /* bytes of copies */
    size_t loans;   /* chunks that are lent */
};

/* h3_send.c */
nghttp3_ssize h3_read_content(nghttp3_conn *conn, int64_t stream, nghttp3_vec *vector, size_t count,
                              uint32_t *flags, void *user, void *stream_user);
void h3_acknowledged(struct wire_h3 *h3, struct h3_out *out, uint64_t bytes);
void h3_free_chunks(struct wire_h3 *h3, struct h3_out *out);
/* h3.c */
/* Closed is told at the next turn, when nobody looks at the stream any more. */
void h3_drop(struct wire_h3 *h3, struct h3_out *out, uint64_t error);

#endif
