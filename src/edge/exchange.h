/* One request and its answer as the request path sees it, whatever protocol brought it. A protocol's
 * connection (edge/h1_conn.c now, HTTP/2 and 3 later) embeds struct edge_exchange, fills the request, calls
 * edge_serve, and gives the operations by which the answer goes out. All on the connection's thread.
 *
 *   h1_conn: head parsed --> edge_serve --hit--> respond(head, reader)            [no fiber, same callback]
 *                                 \----miss---> request fiber --> respond(...)   [later]
 */
#ifndef SK_EDGE_EXCHANGE_H
#define SK_EDGE_EXCHANGE_H

#include "cache/fill.h"
#include "config/config.h"
#include "origin/origin.h"
#include "observe/access_log.h"

struct edge_worker;
struct edge_exchange;

/* A final response head as the request path decides it; the connection adds framing, Connection and Date. */
struct edge_response {
    uint16_t status;
    sk_str stored_head;              /* flat "Name: value\r\n" lines of a stored object; may be empty */
    const struct http_fields *fields; /* the same as a list (HTTP/2 and 3), or the only ones; may be NULL */
    sk_str extra_head;               /* flat lines made for this answer: Age, Cache-Status, Via, Content-Range */
    uint64_t body_length;            /* or CACHE_LENGTH_UNKNOWN */
    bool head_only;                  /* HEAD, 304, 204: no body follows */
    bool close;                      /* the connection must end after it */
};

struct edge_exchange_ops {
    /* Sends the head and then the body that READER follows (its reference is taken over; NULL: no body or
     * SMALL_BODY). Returns at once; completion is edge_exchange_done. Called once. */
    void (*respond)(struct edge_exchange *exchange, const struct edge_response *response, struct cache_reader *reader,
                    sk_str small_body);
    /* A 1xx before it. */
    void (*inform)(struct edge_exchange *exchange, uint16_t status, const struct http_fields *fields);
    /* Request body, for the fetch's fiber: parks. SK_ERR_END at the end, SK_ERR_CLOSED when the client left,
     * SK_ERR_TIMEOUT, SK_ERR_TOO_LARGE, SK_ERR_MALFORMED. Sends 100 Continue at the first call if expected. */
    sk_err (*read_body)(struct edge_exchange *exchange, sk_time_ns deadline, sk_str *out_piece);
    /* Hands the raw connection to a tunnel after a 101; NULL when the protocol has none. */
    sk_err (*tunnel)(struct edge_exchange *exchange, struct origin_exchange *origin,
                     const struct http_response *response);
};

struct edge_exchange {
    const struct edge_exchange_ops *ops;
    struct edge_worker *worker;
    struct config *config; /* referenced when the exchange outlives its callback */
    const struct config_site *site;
    struct http_request request; /* borrowed from the connection, deep-copied before anything parks */
    struct sk_arena *arena;      /* of this exchange */
    struct io_addr client;
    struct cache_key key;
    sk_time_ns started;   /* head complete */
    int64_t started_wall_ns;
    struct io_fiber *fiber; /* the request fiber, when there is one */
    bool client_gone;       /* respond must not be called any more */
    struct access_log_entry log; /* filled on the way */
};

/* Decides and answers (hit) or starts the fiber that will. */
void edge_serve(struct edge_exchange *exchange);

#endif
