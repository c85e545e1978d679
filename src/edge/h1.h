/* A client's HTTP/1.1 connection; private to edge/h1_*.c. Owner thread only.
 *
 *   h1_conn.c    accept to close, one exchange after the other, deadlines
 *   h1_read.c    bytes in: heads and pipelining, what is refused
 *   h1_head.c    an answer's head
 *   h1_write.c   an answer onto the socket, now and whenever it takes more
 *   h1_body.c    the request's body for the fetch, 100-continue, the hand-over to a tunnel
 *
 * States:  HEAD --request complete--> EXCHANGE --answer sent, fiber ended--> HEAD ... --> CLOSED */
#ifndef SK_EDGE_H1_H
#define SK_EDGE_H1_H

#include "edge/exchange.h"
#include "edge/pace.h"
#include "edge/worker.h"
#include "wire/h1.h"
#include "wire/tls_server.h"

enum h1_state { H1_HEAD, H1_EXCHANGE, H1_CLOSED };

/* What of an answer is still to be sent. */
struct h1_writer {
    struct sk_buf text;         /* goes out before anything else */
    struct cache_reader reader; /* of the present part; object NULL: no more content */
    const struct edge_part *parts;
    uint32_t part_count, part_at;
    uint64_t promised; /* content bytes still due by Content-Length; CACHE_LENGTH_UNKNOWN: not promised */
    uint64_t chunk_left;
    bool chunked, last_chunk_sent;
    bool active;  /* an answer is going out */
    bool blocked; /* the socket takes no more */
    bool waiting; /* for the fill to bring more */
    struct edge_pace pace;
};

struct h1_conn {
    struct edge_exchange exchange;
    struct edge_worker *worker;
    struct io_addr peer;
    struct edge_connection connection;
    /* socket */
    struct io_watch watch;     /* fd -1 once it is closed or handed over */
    struct io_layer *layer;    /* TLS; NULL: plain. Goes with the socket */
    struct wire_tls_facts tls; /* the last exchange is accounted after the layer is gone */
    struct io_timer timer;     /* fires at or before the deadline; armed lazily */
    sk_time_ns deadline;
    struct io_task task;
    bool task_queued;
    bool may_read; /* the socket was readable and has not said EAGAIN since */
    bool ended;    /* the peer's end of stream was read */
    /* requests */
    enum h1_state state;
    struct wire_h1_parser parser;
    struct sk_buf in; /* bytes read and not used: a head's beginning, a body, pipelined requests */
    uint32_t in_row;  /* answered without a pause */
    bool feeding;     /* h1_feed is on the stack */
    bool head_begun;  /* the header deadline runs */
    bool answered;    /* the answer is complete or the client is gone */
    bool close_after; /* no request after this one */
    bool linger;      /* the peer may still be sending */
    bool reset;       /* nothing more is to reach the peer, not even what the kernel holds already */
    /* the request's body */
    size_t body_piece; /* bytes of IN that the last piece covers */
    uint64_t body_bytes;
    sk_err body_error;
    bool body_wanted, body_seen, continue_due;
    struct edge_pace body_pace;
    struct http_fields body_trailers; /* in the exchange's arena */
    /* the answer */
    struct h1_writer writer;
};

static inline struct h1_conn *h1_of(struct edge_exchange *exchange) {
    return SK_CONTAINER_OF(exchange, struct h1_conn, exchange);
}
static inline const struct config *h1_config(const struct h1_conn *conn) {
    return conn->worker->snapshot->config;
}
/* MS from now on; 0: never. */
static inline sk_time_ns h1_after_ms(const struct h1_conn *conn, int64_t ms) {
    return ms ? io_loop_now(conn->worker->loop) + ms * SK_NS_PER_MS : SK_TIME_NEVER;
}
/* True while the request's body has not been read to its end. */
static inline bool h1_body_unread(const struct h1_conn *conn) { return !wire_h1_message_done(&conn->parser); }

/* Takes FD, and the LAYER of its TLS after the handshake (NULL: plain). The caller has counted it in by
 * edge_limits_enter. */
void h1_accept(struct edge_worker *worker, int fd, const struct io_addr *peer, struct io_layer *layer);
/* At once: the client is gone as far as the exchange sees. */
void h1_abort(struct h1_conn *conn);

/* h1_conn.c, for the others */
extern const struct edge_exchange_ops h1_exchange_ops;
/* The answer is sent (or, ABORTED, never will be): the next request or the end. */
void h1_answered(struct h1_conn *conn, bool aborted);
/* Goes on at the end of the iteration; YIELD: of the next one, because this connection has had its turn. */
void h1_queue(struct h1_conn *conn, bool yield);
void h1_set_deadline(struct h1_conn *conn, sk_time_ns deadline);
/* Between exchanges. The memory goes at the end of the iteration, when nobody on the stack looks at it any more. */
void h1_close(struct h1_conn *conn);

/* h1_read.c */
/* Reads until nothing more is there, or the connection has had its turn, and serves each request whose head is complete. */
void h1_read_heads(struct h1_conn *conn);
/* The same of what was read before. */
void h1_serve_kept(struct h1_conn *conn);
/* The header deadline has come: 408. */
void h1_slow_head(struct h1_conn *conn);
/* Counts and logs what was malformed. */
void h1_note_refusal(struct h1_conn *conn, enum wire_h1_refusal refusal);
/* One recv. SK_OK; SK_ERR_AGAIN: nothing now; SK_ERR_END, SK_ERR_RESET and others: no more ever. */
sk_err h1_receive(struct h1_conn *conn, char *data, size_t capacity, size_t *out_n);

/* h1_head.c */
void h1_respond(struct edge_exchange *exchange, const struct edge_response *response);
void h1_inform(struct edge_exchange *exchange, uint16_t status, const struct http_fields *fields);

/* h1_write.c */
#define H1_HEAD_PIECES 6
/* The answer begins with these pieces, at most H1_HEAD_PIECES; its body has been opened. */
void h1_send_head(struct h1_conn *conn, const sk_str *head, int count);
/* The trailers that have come so far, where the client wants them; else NULL. */
const struct http_fields *h1_wanted_trailers(const struct edge_exchange *exchange);
/* Goes on sending. */
void h1_pump(struct h1_conn *conn);
/* The write deadline has come. False: the client is too slow. */
bool h1_write_pace_ok(struct h1_conn *conn);
void h1_slow_reader(struct h1_conn *conn);
void h1_writer_reset(struct h1_writer *writer);

/* h1_body.c */
sk_err h1_read_body(struct edge_exchange *exchange, sk_str *out_piece);
const struct http_fields *h1_body_trailers(struct edge_exchange *exchange);
sk_err h1_take_stream(struct edge_exchange *exchange, const struct http_response *response,
                      struct io_stream **out_stream, sk_str *out_read_already);
/* Readable, or a deadline has come, while the fetch waits for the body. */
void h1_body_ready(struct h1_conn *conn);
void h1_body_deadline(struct h1_conn *conn);
/* What is left of the body and has been received already is thrown away. True: it was all of it. */
bool h1_body_discard(struct h1_conn *conn);

#endif
