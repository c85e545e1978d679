/* A client's HTTP/2 connection; private to edge/h2_*.c but for h2_accept. Owner thread only.
 *
 *   h2_conn.c     accept to close, bytes in and out, deadlines, drain
 *   h2_stream.c   one request: from its head to the end of exchange and fiber; its content for the fetch
 *   h2_answer.c   its answer, piece by piece as the client's windows allow
 *
 * A stream's memory lives until the engine has closed it and its fiber has ended; only then its place is free for
 * another one, so that a client who resets what it asked for gains nothing by it. */
#ifndef SK_EDGE_H2_H
#define SK_EDGE_H2_H

#include "edge/exchange.h"
#include "edge/pace.h"
#include "edge/worker.h"
#include "wire/h2.h"
#include "wire/tls_server.h"

struct h2_conn {
    struct edge_worker *worker;
    struct io_addr peer;
    struct edge_connection connection;
    struct wire_h2 *h2;
    struct wire_tls_facts tls;
    struct io_watch watch; /* fd -1 once it is closed */
    struct io_layer *layer;
    struct io_timer timer;
    struct io_task task;
    bool task_queued, task_soon;
    bool may_read;
    bool blocked; /* the socket takes no more */
    bool feeding; /* wire_h2_receive is on the stack */
    bool dying;   /* nothing more is read; closes when OUT is sent */
    bool closed;
    bool asked;            /* a request was seen */
    bool drained;          /* the final GOAWAY was sent */
    sk_time_ns quiet_at;   /* since when no stream is there */
    sk_time_ns head_at;    /* since when a head is incomplete; 0: none is */
    sk_time_ns drain_at;   /* when the final GOAWAY is due; 0: not draining */
    struct edge_pace pace; /* of OUT */
    struct sk_buf out;
    struct sk_list streams; /* struct h2_stream.link */
    struct sk_list fresh;   /* struct h2_stream.work: heads complete, to be served */
    struct sk_list over;    /* struct h2_stream.work: to be freed */
    uint32_t stream_count;
};

struct h2_stream {
    struct wire_h2_stream wire;
    struct edge_exchange exchange;
    struct h2_conn *conn;
    struct sk_list link, work;
    bool served;   /* the exchange has begun */
    bool gone;     /* the engine knows it no more */
    bool released; /* in conn.over */
    /* the request's content */
    struct sk_buf body; /* received and not asked for */
    struct sk_buf lent; /* the last piece given to the fetch */
    uint64_t body_bytes;
    sk_err body_error;
    bool body_wanted, continue_due;
    struct edge_pace body_pace;
    /* the answer */
    struct sk_buf text; /* goes out before anything else */
    struct cache_reader reader;
    const struct edge_part *parts;
    uint32_t part_count, part_at;
    uint64_t promised; /* content still due; CACHE_LENGTH_UNKNOWN: not promised */
    bool waiting;      /* for the fill */
    bool at_end;       /* all content was given to the engine */
    sk_time_ns moved_at;
};

static inline struct h2_stream *h2_stream_of(struct edge_exchange *exchange) {
    return SK_CONTAINER_OF(exchange, struct h2_stream, exchange);
}

/* Takes FD and the LAYER of its TLS after the handshake. The caller has counted it in by edge_limits_enter. */
void h2_accept(struct edge_worker *worker, int fd, const struct io_addr *peer, struct io_layer *layer);

/* h2_conn.c */
/* Goes on with output (and, YIELD, in the next iteration) once the stack is unwound. */
void h2_queue(struct h2_conn *conn, bool yield);
/* Frames from the engine into OUT, as far as there is room. */
void h2_pull(struct h2_conn *conn);

/* h2_stream.c */
struct wire_h2_stream *h2_stream_open(void *owner);
void h2_stream_request(void *owner, struct wire_h2_stream *wire);
void h2_stream_data(void *owner, struct wire_h2_stream *wire, sk_str bytes);
void h2_stream_end(void *owner, struct wire_h2_stream *wire);
void h2_stream_closed(void *owner, struct wire_h2_stream *wire, bool whole);
/* Serves a request whose head is complete. */
void h2_stream_serve(struct h2_stream *stream);
/* The answer must from now on stand on its own feet. */
void h2_stream_keep(struct h2_stream *stream);
/* The connection is gone. */
void h2_stream_abort(struct h2_stream *stream);
void h2_stream_free(struct h2_stream *stream);
/* False: it has been too slow with its content, and was ended. */
void h2_stream_check(struct h2_stream *stream, sk_time_ns now);

/* h2_answer.c */
void h2_respond(struct edge_exchange *exchange, const struct edge_response *response);
void h2_inform(struct edge_exchange *exchange, uint16_t status, const struct http_fields *fields);
sk_err h2_answer_content(void *owner, struct wire_h2_stream *wire, size_t most, size_t *out_bytes,
                         bool *out_last, const struct http_fields **out_trailers);
sk_err h2_answer_take(void *owner, struct wire_h2_stream *wire, size_t bytes, struct sk_buf *out);
void h2_answer_framed(void *owner, struct wire_h2_stream *wire, size_t bytes);

#endif
