/* One request of a connection that carries many at a time: HTTP/2 and HTTP/3 meet here, below what frames and
 * packets are. An engine (wire/h2, wire/h3) tells its owner of streams by the events and gets the answers' content
 * by them; the rules for a request's head are the same for both (RFC 9113 section 8, RFC 9114 section 4).
 *
 * A stream is embedded in the owner's struct: it exists from open until closed, both told by the engine. */
#ifndef SK_WIRE_STREAM_H
#define SK_WIRE_STREAM_H

#include "http/message.h"

struct wire_stream {
    int64_t id;
    uint16_t refusal;      /* status to answer with instead of serving; 0: none */
    const char *refused;   /* why; constant */
    struct sk_arena arena; /* head, trailers; freed by the owner once the stream is closed */
    struct http_request request;
    struct http_fields trailers;
    /* the engine's */
    uint32_t head_bytes, head_fields;
    bool begun;      /* the head is complete and was told */
    bool ended;      /* so is the request */
    bool in_trailer; /* a second header section is coming */
    bool answering, answered;
    bool reset; /* by us: what comes is of no interest */
    bool
        tunnel; /* an extended CONNECT (RFC 8441, RFC 9220): REQUEST is the upgrade that it stands for, its content
                  * the tunnel */
    bool host_seen, mismatch, expect_other;
    sk_str method, scheme, path, protocol;
    uint32_t cookies; /* crumbs (RFC 9113 section 8.2.3) */
    void *sent;       /* wire/h3: content that the client has not acknowledged */
};

/* The tunnel was answered: what comes and goes is not HTTP's. */
static inline bool wire_stream_in_tunnel(const struct wire_stream *stream) {
    return stream->tunnel && stream->answering;
}

struct wire_stream_events {
    /* A stream begins: memory for it, with ARENA initialised, or NULL (it is refused then). */
    struct wire_stream *(*open)(void *owner);
    /* Its head is complete; content follows unless stream->ended. */
    void (*request)(void *owner, struct wire_stream *stream);
    /* Content; at most a window of it comes before it was told as consumed. */
    void (*data)(void *owner, struct wire_stream *stream, sk_str bytes);
    /* The request has ended (stream->ended); TRAILERS are there. */
    void (*end)(void *owner, struct wire_stream *stream);
    /* The engine knows it no more; WHOLE: the answer went out to its end. The owner frees the arena. */
    void (*closed)(void *owner, struct wire_stream *stream, bool whole);
    /* How much content may go out now, at most MOST. *out_last: with these bytes (maybe 0) it ends, with
     * *out_trailers (or NULL) behind it. SK_ERR_AGAIN: nothing now, a resume comes; others: the stream is
     * reset. */
    sk_err (*content)(void *owner, struct wire_stream *stream, size_t most, size_t *out_bytes, bool *out_last,
                      const struct http_fields **out_trailers);
    /* Writes BYTES of it to ROOM, as was just said. */
    sk_err (*take)(void *owner, struct wire_stream *stream, size_t bytes, char *room);
    /* BYTES of framing went out for it. */
    void (*framed)(void *owner, struct wire_stream *stream, size_t bytes);
    /* Instead of content and take, where the next content (of MOST bytes at most) lies in memory that stays as it is
     * until *out_loan is given back, be it after closed. *out_last as in content. SK_ERR_UNSUPPORTED: ask for it in the
     * other way. */
    sk_err (*lend)(void *owner, struct wire_stream *stream, size_t most, sk_str *out_piece, bool *out_last,
                   void **out_loan);
    void (*give_back)(void *owner, void *loan);
};

/* Of a header section. */
struct wire_head_limits {
    uint32_t head_bytes, field_count, target_bytes;
};

/* What a connection is, for the heads that come on it. */
struct wire_stream_rules {
    struct wire_head_limits limits;
    enum http_version version;
    sk_str scheme; /* constant: what the connection really is */
};

/* One field of a request's head or trailer section, in its order. Sets refusal where it breaks a rule, before
 * anything of it is kept. SK_ERR_NO_MEMORY. */
sk_err wire_stream_field(const struct wire_stream_rules *rules, struct wire_stream *stream, sk_str name,
                         sk_str value);
/* The head is complete; END: so is the request. Sets request, or refusal. SK_ERR_NO_MEMORY. */
sk_err wire_stream_head_end(const struct wire_stream_rules *rules, struct wire_stream *stream, bool end);

/* --- heads that go out ------------------------------------------------------------------------------------ */

/* A field as both libraries want it (nghttp2_nv, nghttp3_nv have the same members in the same order). */
struct wire_nv {
    const uint8_t *name, *value;
    size_t name_bytes, value_bytes;
    uint8_t flags;
};
struct wire_nv_list {
    struct wire_nv *items;
    size_t count, capacity;
};

/* A response's head in STREAM's arena: HEADS are COUNT texts of "Name: value\r\n" lines, whose values are borrowed;
 * fields that belong to a connection are left out (RFC 9113 section 8.2.2). LENGTH is added as content-length
 * unless it is UINT64_MAX. SK_ERR_NO_MEMORY. */
sk_err wire_nv_response(struct wire_nv_list *out_list, struct wire_stream *stream, uint16_t status,
                        const sk_str *heads, int count, uint64_t length);
/* The same of a 1xx; STATUS 0: of a trailer section. FIELDS may be NULL. */
sk_err wire_nv_fields(struct wire_nv_list *out_list, struct wire_stream *stream, uint16_t status,
                      const struct http_fields *fields);

#endif
