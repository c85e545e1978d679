/* What an exchange holds while it lives; the story itself is origin/exchange.c, reading the head
 * origin/head.c, reading the body origin/body.c. Own thread. */
#ifndef SK_ORIGIN_EXCHANGE_H
#define SK_ORIGIN_EXCHANGE_H

#include "origin/pool.h"
#include "origin/upload.h"
#include "wire/h1.h"

#define ORIGIN_EXCHANGE_MAGIC 0x6f726578u
#define ORIGIN_READ_BYTES 16384

struct origin_exchange {
    uint32_t magic;
    struct origin_exchange *next; /* among the spare ones */
    struct origin_thread *thread;

    /* set at opening */
    const struct origin_request *request; /* the caller's; only until the head is there */
    const struct origin_group *group;
    const struct config_origin_options *options;
    enum http_method method;
    sk_time_ns
        deadline; /* until the head is there, over all tries; SK_TIME_NEVER once a body is on its way */

    /* what was tried */
    uint64_t tried; /* bits of the group's members */
    uint32_t tries, retries;
    bool was_stale; /* a stale connection was replaced already */
    bool stay;      /* the next try is for the same member */

    /* the present try */
    const struct origin_member *member;
    size_t member_index;
    struct origin_connection *connection; /* NULL: none, or given back */
    struct origin_session *session;       /* HTTP/2 instead: a place in it, not used yet; NULL: none */
    struct origin_call call;              /* ... and used; call.session NULL: none, or ended */
    bool reused;
    bool careful; /* it cannot be repeated */
    bool sent;    /* a byte of the request may have reached the origin */
    bool heard;   /* a byte of a response came */
    bool clipped; /* the deadline of all tries was nearer than the phase's own ... */
    bool strict;  /* ... by the request's wish, which every origin must meet, set at opening */
    struct origin_upload upload;
    sk_time_ns sent_at;    /* the request's head, or the last 1xx came */
    sk_time_ns head_since; /* the first byte of the head being read came */
    struct origin_failure failure;

    /* the response */
    struct wire_h1_parser parser;
    struct wire_h1_limits limits;
    struct sk_buf head; /* bytes of the head: RESPONSE borrows from it */
    struct sk_buf body; /* bytes after it that nobody has read yet */
    struct sk_arena arena;
    struct http_response response;
    struct http_fields trailers;
    uint32_t informational; /* heads of 1xx so far */
    bool tunnel;            /* 101: raw bytes from here on */
    bool body_unsent;       /* the request's body was cut short by an early response */
    sk_str piece;           /* content in `body`, to be given out ... */
    size_t piece_end;       /* ... and bytes of `body` that are done with after it */
    sk_err read_error;      /* sticky */
};

/* --- head.c */

/* Reads until a final head or 101 is there; parks. On failure exchange->failure says the phase. */
sk_err origin_head_receive(struct origin_exchange *exchange);
/* Until when the next byte of the head must come. */
sk_time_ns origin_head_deadline(struct origin_exchange *exchange);
/* The wait for it ended with ERR: the error to tell, its phase in exchange->failure. */
sk_err origin_head_failed(struct origin_exchange *exchange, sk_err err);

/* --- body.c */

/* Moves what came behind the head to where bodies are read. */
sk_err origin_body_begin(struct origin_exchange *exchange);
/* Takes the end of a chunked body that nobody has waited for, as far as it is there already. */
void origin_body_finish_quietly(struct origin_exchange *exchange);
/* What origin_exchange_read returns from now on: a failure of the body, or its end. */
sk_err origin_body_fail(struct origin_exchange *exchange, sk_err err, const char *detail);
sk_err origin_body_complete(struct origin_exchange *exchange);

/* --- call.c: the same over HTTP/2 */

/* In the place that exchange->session is: sends the request, with its CONTENT, and waits for the head. */
sk_err origin_exchange_call(struct origin_exchange *exchange, bool content);
/* origin_exchange_read. */
sk_err origin_call_read(struct origin_exchange *exchange, char *data, size_t bytes, size_t *out_n);
/* Ends the call, or gives the place back; nothing when there is neither. */
void origin_exchange_drop_call(struct origin_exchange *exchange);

/* --- exchange.c */

/* Gives the connection back, when there is one. */
void origin_exchange_settle(struct origin_exchange *exchange);
/* Counts a failure of the present try against its origin, if it is the origin's. */
void origin_exchange_blame(struct origin_exchange *exchange, enum origin_phase phase, sk_err err,
                           const char *detail);
/* Host as configured, else as the client said it, else by the url (RFC 9112 3.2: never missing). */
sk_str origin_exchange_authority(const struct origin_exchange *exchange);
/* Now, and the end of a phase that begins now. */
sk_time_ns origin_exchange_now(const struct origin_exchange *exchange);
sk_time_ns origin_exchange_within(const struct origin_exchange *exchange, int64_t ms);
void origin_exchange_free_spares(struct origin_thread *thread);

#endif
