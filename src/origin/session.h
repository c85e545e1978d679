/* An HTTP/2 connection to an origin, shared by all exchanges of its thread: calls go out and their answers come in
 * on one fiber, the pump, that lives while there is a call. Without one it lies idle like any pooled connection.
 * Own thread. */
#ifndef SK_ORIGIN_SESSION_H
#define SK_ORIGIN_SESSION_H

#include "origin/connection.h"
#include "wire/h2_client.h"

#define ORIGIN_SESSION_MAGIC 0x6f727373u

struct origin_pool;
struct origin_session;

/* One request and its response. The owner's, who waits for it on one fiber. */
struct origin_call {
    struct wire_h2_call wire;
    struct origin_session *session; /* NULL: not attached */
    struct io_fiber *owner;         /* woken by whatever comes */
    struct sk_buf *content;         /* of the response: the owner's, appended to */
    /* 1xx other than 100, on the pump's fiber; may be NULL */
    void (*on_informational)(void *arg, const struct http_response *response);
    void *informational_arg;
    bool closed;    /* nothing comes any more; `error` says how it ended */
    bool refused;   /* the origin has not looked at it: it can be sent again, whatever it is */
    bool timed_out; /* the owner's: it has waited too long */
    sk_err error;
    const char *detail; /* constant, or NULL */
    sk_time_ns begun_at;
    sk_time_ns heard_at; /* a head came: the last one */
    /* the upload's */
    struct io_fiber *sender; /* parked until the piece is taken */
    sk_str piece;
    bool last_piece;
    const struct http_fields *trailers;
};

/* Takes CONNECTION over, a new one that speaks HTTP/2. POOL may be NULL: then the session is the caller's alone and
 * ends with its last call. On failure the connection is still the caller's. SK_ERR_NO_MEMORY. */
sk_err origin_session_create(struct origin_pool *pool, struct origin_connection *connection,
                             const struct config_origin_options *options,
                             struct origin_session **out_session);
/* The session that has LINK in its pool's list. */
struct origin_session *origin_session_of(struct sk_list *link);
/* How many calls could begin now. */
uint32_t origin_session_room(const struct origin_session *session);
/* It has failed, with all calls of it. */
bool origin_session_dead(const struct origin_session *session);
/* When the origin said anything last, on any call. */
sk_time_ns origin_session_heard_at(const struct origin_session *session);
/* It lies in its pool without a call. */
bool origin_session_idle(const struct origin_session *session);
/* Nothing was heard of it for a while: before something that cannot be repeated it is better asked. */
bool origin_session_quiet(const struct origin_session *session);
/* A place for a call, which origin_call_begin or origin_session_leave ends. There must be room. */
void origin_session_join(struct origin_session *session);
void origin_session_leave(struct origin_session *session);
/* Parks until the origin has answered a PING. SK_ERR_TIMEOUT and others: it will not be used again. Within a
 * place. */
sk_err origin_session_probe(struct origin_session *session, sk_time_ns deadline);
/* Closes an idle session, at once. */
void origin_session_close_idle(struct origin_session *session);
/* The calling fiber waits until no pump runs on the sessions of LIST. No call may be open. */
void origin_sessions_settle(const struct sk_list *list);

/* Sends REQUEST within a place of SESSION, which now belongs to CALL (arena, content set, all else zero). CONTENT: it
 * follows by origin_call_send. On failure the place is free again. SK_ERR_CLOSED, SK_ERR_NO_MEMORY. */
sk_err origin_call_begin(struct origin_call *call, struct origin_session *session,
                         const struct http_request *request, bool content);
/* All of PIECE, as the origin makes room; parks. After `closed`: SK_ERR_CLOSED. */
sk_err origin_call_send(struct origin_call *call, sk_str piece, sk_time_ns deadline);
/* The content ends; TRAILERS (or NULL) stay until the call ends. */
void origin_call_finish(struct origin_call *call, const struct http_fields *trailers);
/* BYTES of content were used up. */
void origin_call_consumed(struct origin_call *call, size_t bytes);
/* Ends it, also before its time; nothing is touched any more. */
void origin_call_end(struct origin_call *call);

#endif
