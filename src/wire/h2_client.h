/* A client's HTTP/2 connection, sans-I/O (RFC 9113): nghttp2 under our own rules, many calls at a time. Bytes in by
 * wire_h2_client_receive, events out by the owner's functions, bytes out by wire_h2_client_fill. What comes from the
 * other end is bounded: heads before they are kept, content by windows, idle frames by an account. Own thread.
 *
 * A call (a request and its response) is embedded in the owner's struct. The engine knows it from
 * wire_h2_client_request until `closed`, or until wire_h2_client_cancel. */
#ifndef SK_WIRE_H2_CLIENT_H
#define SK_WIRE_H2_CLIENT_H

#include "base/buf.h"
#include "base/list.h"
#include "http/message.h"
#include "wire/h2_abuse.h"

#define WIRE_H2_CLIENT_CALLS 100                 /* at a time, if the server allows as many */
#define WIRE_H2_CLIENT_CALL_WINDOW (1024 * 1024) /* content received and not consumed, of one call */
#define WIRE_H2_CLIENT_WINDOW (4 * 1024 * 1024)  /* the same of the connection */
#define WIRE_H2_CLIENT_INFORMATIONAL 32          /* 1xx of one call */

struct wire_h2_client;

struct wire_h2_call {
    /* set by the owner before the request */
    struct sk_arena
        *arena; /* of the response's head and trailers, nothing else: each head begins with it empty */
    /* what has come; read by the owner */
    struct http_response response;
    struct http_fields trailers;
    bool final; /* the final head is there */
    bool ended; /* so is the end of the response */
    /* the engine's */
    struct sk_list link; /* of the client's calls, while it is known */
    int32_t id;
    enum http_method method;
    uint32_t head_bytes, head_fields, informational;
    bool in_trailer, invalid;
    sk_err failed;   /* why we have reset it; SK_OK: we have not */
    const char *why; /* constant, or NULL */
};

struct wire_h2_client_events {
    /* A head: 1xx, or the final one (call->final). Content follows unless call->ended. */
    void (*response)(void *owner, struct wire_h2_call *call);
    /* Content; at most a window of it comes before wire_h2_client_consumed. */
    void (*data)(void *owner, struct wire_h2_call *call, sk_str bytes);
    /* The response has ended; trailers are there. */
    void (*end)(void *owner, struct wire_h2_call *call);
    /* The engine knows it no more. SK_OK: both directions ended well; SK_ERR_REFUSED: the server has not looked at
     * it, it may be sent again whatever it is (RFC 9113 section 8.7); SK_ERR_RESET: by the server; SK_ERR_MALFORMED,
     * SK_ERR_TOO_LARGE: what came was refused by us; SK_ERR_UNSUPPORTED: the server wants HTTP/1.1 for it. */
    void (*closed)(void *owner, struct wire_h2_call *call, sk_err err);
    /* Up to MOST bytes of the request's content into DATA. *out_last: with these (maybe 0) it ends, with
     * *out_trailers (or NULL) behind it. SK_ERR_AGAIN: nothing now, wire_h2_client_resume comes; others reset it. */
    sk_err (*content)(void *owner, struct wire_h2_call *call, char *data, size_t most, size_t *out_bytes,
                      bool *out_last, const struct http_fields **out_trailers);
    /* An answer to wire_h2_client_ping. */
    void (*pong)(void *owner);
};

struct wire_h2_client_limits {
    uint32_t head_bytes, field_count;
};

/* SK_ERR_NO_MEMORY. Preface and SETTINGS are ready to be filled. */
sk_err wire_h2_client_create(const struct wire_h2_client_events *events, void *owner,
                             const struct wire_h2_client_limits *limits, struct wire_h2_client **out_client);
/* Without telling of calls that are still there. */
void wire_h2_client_free(struct wire_h2_client *client);

/* Takes all of INPUT. SK_ERR_MALFORMED: the connection must end, after what fill still has (GOAWAY);
 * SK_ERR_DENIED: the same, because of abuse; SK_ERR_NO_MEMORY. Not from inside an event. */
sk_err wire_h2_client_receive(struct wire_h2_client *client, sk_str input, sk_time_ns now);
/* Appends frames to OUT until it has ENOUGH bytes or there are none. SK_ERR_NO_MEMORY; SK_ERR_MALFORMED. Not from
 * inside an event. */
sk_err wire_h2_client_fill(struct wire_h2_client *client, struct sk_buf *out, size_t enough);
/* The connection has come to its end: all that was to be said is filled, and what comes is not looked at any more. Also
 * after an error of the other end's that was answered with GOAWAY. */
bool wire_h2_client_over(const struct wire_h2_client *client);
/* How many more calls may begin now: 0 when the server's or our limit is reached, or it has said GOAWAY. */
uint32_t wire_h2_client_room(const struct wire_h2_client *client);
uint32_t wire_h2_client_calls(const struct wire_h2_client *client);
/* No call can begin on it any more. */
bool wire_h2_client_leaving(const struct wire_h2_client *client);

/* Begins CALL: REQUEST's method, target, authority and fields, with its framing from body_kind; CONTENT: it follows
 * by events. REQUEST is copied. SK_ERR_NO_MEMORY, SK_ERR_CLOSED (leaving). */
sk_err wire_h2_client_request(struct wire_h2_client *client, struct wire_h2_call *call,
                              const struct http_request *request, sk_str scheme, bool content);
/* After content said SK_ERR_AGAIN. */
void wire_h2_client_resume(struct wire_h2_client *client, struct wire_h2_call *call);
/* The owner is done with BYTES of data: as many more may come. CALL may be closed, but not cancelled. */
void wire_h2_client_consumed(struct wire_h2_client *client, struct wire_h2_call *call, size_t bytes);
/* Forgets CALL; if the engine still knows it, it is reset. No event of it comes any more. */
void wire_h2_client_cancel(struct wire_h2_client *client, struct wire_h2_call *call);
/* The connection is over: every call is closed with ERR. */
void wire_h2_client_abandon(struct wire_h2_client *client, sk_err err);
/* SK_ERR_NO_MEMORY, SK_ERR_CLOSED. */
sk_err wire_h2_client_ping(struct wire_h2_client *client);

#endif
