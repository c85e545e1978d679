/* A client's connection that carries many requests at a time, HTTP/2 or HTTP/3, as its requests see it; private to
 * edge/h2_*.c, edge/h3_*.c and edge/mux_*.c. Owner thread only.
 *
 *   h2_conn.c      HTTP/2: accept to close, bytes in and out, deadlines, drain
 *   h3_conn.c      the same of HTTP/3
 *   mux_stream.c   one request: from its head to the end of exchange and fiber; its content for the fetch
 *   mux_answer.c   its answer, piece by piece as the client's windows allow
 *   mux_tunnel.c   a WebSocket in the place of content
 *
 * A stream's memory lives until the engine has closed it and its fiber has ended; only then its place is free for
 * another one, so that a client who resets what it asked for gains nothing by it. */
#ifndef SK_EDGE_MUX_H
#define SK_EDGE_MUX_H

#include "edge/exchange.h"
#include "edge/mux_room.h"
#include "edge/pace.h"
#include "edge/worker.h"
#include "wire/h2_abuse.h"
#include "wire/stream.h"
#include "wire/tls_server.h"

struct mux_conn;

/* What the two protocols do differently. Errors as wire/h2.h says. */
struct mux_ops {
    /* Its turn (mux_queue): output, and whatever else is due. */
    void (*run)(struct mux_conn *conn);
    /* It is closed, and its last stream is over. */
    void (*free)(struct mux_conn *conn);
    /* Takes content of STREAM as far as there is room, while a borrowed object is still there. */
    void (*pull)(struct mux_conn *conn, struct wire_stream *stream);
    sk_err (*respond)(struct mux_conn *conn, struct wire_stream *stream, uint16_t status, const sk_str *heads,
                      int count, uint64_t length, bool content);
    sk_err (*inform)(struct mux_conn *conn, struct wire_stream *stream, uint16_t status,
                     const struct http_fields *fields);
    void (*resume)(struct mux_conn *conn, struct wire_stream *stream);
    void (*consumed)(struct mux_conn *conn, struct wire_stream *stream, size_t bytes);
    void (*reset)(struct mux_conn *conn, struct wire_stream *stream);
    void (*blame)(struct mux_conn *conn, enum wire_h2_cost cost, sk_time_ns now);
};

struct mux_conn {
    /* set once by the protocol */
    const struct mux_ops *ops;
    struct edge_worker *worker;
    struct io_addr peer;
    uint32_t stream_limit;
    /* its own */
    struct edge_connection connection;
    struct wire_tls_facts tls;
    bool secure;            /* TLS holds */
    bool closed;            /* nothing goes out any more */
    bool blocked;           /* the way out takes no more */
    bool asked;             /* a request was seen */
    sk_time_ns quiet_at;    /* since when no stream is there */
    struct sk_list streams; /* struct mux_stream.link */
    struct sk_list fresh;   /* struct mux_stream.work: heads complete, to be served */
    struct sk_list over;    /* struct mux_stream.work: to be freed */
    uint32_t stream_count;
    struct io_task task;
    bool task_queued;
};

struct mux_stream {
    struct wire_stream wire;
    struct edge_exchange exchange;
    struct mux_conn *conn;
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
    /* a WebSocket (wire.tunnel) */
    sk_str tunnel_key;
    bool tunnel_open, tunnel_ended; /* answered with 200; nothing more comes from the origin */
    struct io_fiber *tunnel_reader, *tunnel_writer; /* parked, or NULL */
};

static inline struct mux_stream *mux_stream_of(struct edge_exchange *exchange) {
    return SK_CONTAINER_OF(exchange, struct mux_stream, exchange);
}

/* The engine's events; the owner is a struct mux_conn. */
extern const struct wire_stream_events mux_events;

/* mux_stream.c */
void mux_conn_init(struct mux_conn *conn, const struct mux_ops *ops, struct edge_worker *worker,
                   const struct io_addr *peer, uint32_t stream_limit);
static inline sk_time_ns mux_now(const struct mux_conn *conn) { return io_loop_now(conn->worker->loop); }
static inline const struct config_timeouts *mux_timeouts(const struct mux_conn *conn) {
    return &conn->worker->snapshot->config->timeouts;
}
/* Goes on once the stack is unwound; YIELD: in the next iteration, because this connection has had its turn. */
void mux_queue(struct mux_conn *conn, bool yield);
/* What heads may be now. */
struct wire_head_limits mux_head_limits(const struct edge_worker *worker);
/* Serves the requests whose heads have come. */
void mux_serve_fresh(struct mux_conn *conn);
/* Looks for streams that are too slow. */
void mux_check_streams(struct mux_conn *conn, sk_time_ns now);
/* The connection is gone: so are its streams. */
void mux_abort_streams(struct mux_conn *conn);
/* Frees what has ended. */
void mux_free_streams(struct mux_conn *conn);
/* No stream, and no request for as long as the configuration allows. */
bool mux_idle_too_long(const struct mux_conn *conn, sk_time_ns now);
/* The answer must from now on stand on its own feet. */
void mux_stream_keep(struct mux_stream *stream);

/* mux_answer.c */
void mux_respond(struct edge_exchange *exchange, const struct edge_response *response);
void mux_inform(struct edge_exchange *exchange, uint16_t status, const struct http_fields *fields);
sk_err mux_answer_content(void *owner, struct wire_stream *wire, size_t most, size_t *out_bytes,
                          bool *out_last, const struct http_fields **out_trailers);
sk_err mux_answer_take(void *owner, struct wire_stream *wire, size_t bytes, char *room);
void mux_answer_framed(void *owner, struct wire_stream *wire, size_t bytes);
sk_err mux_answer_lend(void *owner, struct wire_stream *wire, size_t most, sk_str *out_piece, bool *out_last,
                       void **out_loan);
void mux_answer_give_back(void *owner, void *loan);

/* mux_tunnel.c */
/* Makes the request of an extended CONNECT one for HTTP/1.1. SK_ERR_NO_MEMORY. */
sk_err mux_tunnel_ask(struct mux_stream *stream);
/* The operations of edge_exchange_ops. */
sk_err mux_tunnel_open(struct edge_exchange *exchange, const struct http_response *response);
sk_err mux_tunnel_read(struct edge_exchange *exchange, struct io_fiber *reader, char *data, size_t bytes,
                       size_t *out_n);
sk_err mux_tunnel_write(struct edge_exchange *exchange, const char *data, size_t bytes, sk_time_ns deadline);
void mux_tunnel_end(struct edge_exchange *exchange);
void mux_tunnel_close(struct edge_exchange *exchange, bool well);

#endif
