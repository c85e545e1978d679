/* One request and its answer as the request path sees it, whatever protocol brought it. A protocol's
 * connection (edge/h1_conn.c now, HTTP/2 and 3 later) embeds struct edge_exchange, fills the request, calls
 * edge_serve, and gives the operations by which the answer goes out. All on the connection's thread.
 *
 *   h1_conn: head parsed --> edge_serve --hit--> ops->respond            [no fiber, same callback]
 *                                 \----miss---> request fiber ---> ops->respond ---> fiber ends
 *
 * Two things keep an exchange alive: its answer (until the last byte is sent or the client is gone) and its
 * request fiber. The connection may begin the next exchange when both have ended; the fiber touches nothing
 * of the exchange after it has called respond, except through edge_fiber_end. */
#ifndef SK_EDGE_EXCHANGE_H
#define SK_EDGE_EXCHANGE_H

#include "cache/fill.h"
#include "config/config.h"
#include "io/stream.h"
#include "origin/origin.h"

struct edge_worker;
struct wire_tls_facts;
struct edge_snapshot;
struct edge_fetch;
struct edge_exchange;

/* A piece of an answer's body: text made for this answer (a multipart boundary), then bytes of the object. */
struct edge_part {
    sk_str text;
    uint64_t first, end; /* of the object, END exclusive; CACHE_LENGTH_UNKNOWN: to the object's end */
};

/* A final response as the request path decides it; the connection adds framing and Connection. Everything it
 * points to outside of the object lives until the call of respond returns, but PARTS and their texts live
 * until the exchange ends (they are in its arena or in the exchange). */
struct edge_response {
    uint16_t status;
    sk_str head;          /* flat "Name: value\r\n" lines, of a stored object for instance; may be empty */
    sk_str extra_head;    /* more of them, made for this answer: Age, Cache-Status, Content-Range */
    uint64_t body_length; /* or CACHE_LENGTH_UNKNOWN: framing by chunks or by the connection's end */
    bool head_only;       /* answer to HEAD, 204, 304: no body follows */
    bool own_length;      /* the head has a Content-Length already, or none is due */
    bool close;           /* the connection must end after it */
    sk_str small_body;    /* instead of an object; copied when it must outlive the call */
    struct cache_object *object; /* NULL: none */
    bool borrowed; /* true: OBJECT is only held by the cache section that the caller is in; false: its
                             reference goes to the connection */
    const struct edge_part *parts;
    uint32_t part_count;
};

struct edge_exchange_ops {
    /* Sends the head and then the body. Returns at once; called once, unless the client is gone. */
    void (*respond)(struct edge_exchange *exchange, const struct edge_response *response);
    /* A 1xx before it, with FIELDS as they are. Silently nothing where the client cannot take one. */
    void (*inform)(struct edge_exchange *exchange, uint16_t status, const struct http_fields *fields);
    /* The next piece of the request's body, valid until the next call; never parks. SK_ERR_AGAIN: later,
     * edge_fetch_wake comes when there is more. SK_ERR_END, SK_ERR_CLOSED (client left), SK_ERR_TIMEOUT,
     * SK_ERR_TOO_LARGE, SK_ERR_MALFORMED. Sends 100 Continue at the first call if it is awaited. */
    sk_err (*read_body)(struct edge_exchange *exchange, sk_str *out_piece);
    /* After SK_ERR_END: the request's trailer fields, or NULL. */
    const struct http_fields *(*body_trailers)(struct edge_exchange *exchange);
    /* After the 101 of a tunnel: answers it with RESPONSE's fields and gives the raw stream and what was read
     * of it already (in the exchange's arena). SK_ERR_UNSUPPORTED where the protocol has none. */
    sk_err (*take_stream)(struct edge_exchange *exchange, const struct http_response *response,
                          struct io_stream **out_stream, sk_str *out_read_already);
    /* Instead of take_stream where the tunnel is a part of the connection (NULL where it takes all of it): answers, and
     * the four below work. SK_ERR_UNSUPPORTED: no tunnel was asked for; SK_ERR_MALFORMED: RESPONSE does not fit. */
    sk_err (*tunnel_open)(struct edge_exchange *exchange, const struct http_response *response);
    /* What the client has sent. SK_ERR_AGAIN: READER is woken when there is more (NULL, with 0 BYTES: nobody waits now);
     * SK_ERR_END, SK_ERR_CLOSED. */
    sk_err (*tunnel_read)(struct edge_exchange *exchange, struct io_fiber *reader, char *data, size_t bytes,
                          size_t *out_n);
    /* All of it, parking. SK_ERR_CLOSED, SK_ERR_TIMEOUT, SK_ERR_CANCELLED, SK_ERR_NO_MEMORY. */
    sk_err (*tunnel_write)(struct edge_exchange *exchange, const char *data, size_t bytes,
                           sk_time_ns deadline);
    /* Nothing more comes. */
    void (*tunnel_end)(struct edge_exchange *exchange);
    /* Nobody reads or writes any more; WELL: it was ended by both. */
    void (*tunnel_close)(struct edge_exchange *exchange, bool well);
    /* The request fiber has ended, or an answer without a fiber is complete: maybe the exchange is over. */
    void (*fiber_ended)(struct edge_exchange *exchange);
};

/* What was decided and what came of it, for Cache-Status, the access log and the metrics. */
struct edge_outcome {
    enum http_reason reason, store_reason;
    uint16_t status, origin_status;
    bool hit, stored, collapsed, forwarded;
    bool aborted;
    uint64_t sent_bytes, body_bytes; /* all bytes, content bytes */
    sk_time_ns first_byte_at;
    sk_str upstream; /* url of the origin, lives with the snapshot */
    sk_str error;    /* constant, or in the exchange's arena */
};

struct edge_exchange {
    const struct edge_exchange_ops *ops;
    struct edge_worker *worker;
    const struct io_addr *client;     /* the connection's */
    const struct wire_tls_facts *tls; /* the connection's; NULL: plain */
    /* from the head's completion on */
    struct edge_snapshot *snapshot; /* the worker's; referenced when kept */
    const struct config_site *site; /* NULL: none serves this host */
    const struct config_rule *rule; /* of the site; never NULL with a site */
    struct http_request request;    /* borrowed from the connection until kept */
    struct sk_arena *arena;         /* the worker's scratch until kept, then own_arena; or see LASTING */
    struct cache_key key;           /* text empty when not made */
    uint32_t traits;                /* enum edge_trait */
    sk_time_ns started;
    bool kept;
    bool
        lasting; /* set by the connection: request and arena live as long as the exchange, nothing is copied to keep it */
    bool responded;            /* respond was called */
    bool must_revalidate;      /* what is stored is stale, and may answer only when the origin agrees */
    bool client_gone;          /* respond must not be called any more */
    struct io_fiber *fiber;    /* the request fiber, while there is one */
    struct edge_fetch *fetch;  /* the fetch that this exchange leads; a reference */
    const char *body_problem;  /* what is malformed in the request's body; constant, or NULL */
    struct edge_part part;     /* the usual only part */
    struct sk_arena own_arena; /* no memory until kept */
    struct edge_outcome outcome;
};

/* What the request's fields hold, found in one pass, so that the hit's way looks no further. */
enum edge_trait {
    EDGE_TRAIT_CONDITIONAL = 1, /* any If-* */
    EDGE_TRAIT_RANGE = 2,
    EDGE_TRAIT_CACHE_CONTROL = 4, /* or Pragma */
    EDGE_TRAIT_TRAILERS = 16,     /* TE names trailers */
    EDGE_TRAIT_ACCEPT_ENCODING = 32,
    EDGE_TRAIT_DICTIONARY = 64, /* Available-Dictionary */
    EDGE_TRAIT_NODE = 128,      /* another node asks, and may (edge/node.h) */
    EDGE_TRAIT_EARLY = 256,     /* it came before the handshake was over (edge/early.h) */
    EDGE_TRAIT_MAYBE_LOOP = 8,  /* CDN-Loop or Via is there: look closer before forwarding */
};

/* Prepares an exchange for a request whose head is complete. */
void edge_exchange_begin(struct edge_exchange *exchange, struct edge_worker *worker);
/* Makes the exchange independent of the connection's buffer and the worker's scratch: copies the request,
 * takes a reference to the snapshot. Idempotent. SK_ERR_NO_MEMORY. */
sk_err edge_exchange_keep(struct edge_exchange *exchange);
/* The answer is over (sent, or the client is gone): writes the log entry, counts. Before _end. */
void edge_exchange_account(struct edge_exchange *exchange);
/* Gives back everything. After answer and fiber have ended. */
void edge_exchange_end(struct edge_exchange *exchange);

/* Decides and answers (hit, refusal), or starts the fiber that will. */
void edge_serve(struct edge_exchange *exchange);
/* The host that the request names, brackets kept, without the port; empty when there is none. Pure. */
sk_str edge_host_of(const struct http_request *request);
/* False also for "Content-Length: 0". Pure. */
bool edge_has_content(const struct http_request *request);
/* enum edge_trait bits of a request. Pure. */
uint32_t edge_traits_of(const struct http_fields *fields);

#endif
