/* The fetch fiber: one request to an origin, and its response into a fill. It belongs to the fill and not to
 * the client: it goes on when its client leaves, as long as that makes sense. */
#ifndef SK_EDGE_FETCH_H
#define SK_EDGE_FETCH_H

#include "edge/exchange.h"
#include "edge/peers.h"
#include "edge/snapshot.h"
#include "http/content_range.h"

struct edge_fetch {
    uint32_t references;          /* the fiber's and the leading exchange's; own thread */
    struct sk_list link;          /* worker.fetches, while the fiber lives */
    struct io_fiber *fiber;       /* NULL before and after */
    struct io_fiber *body_reader; /* parked for the client's next body bytes */
    struct edge_worker *worker;
    struct edge_snapshot *snapshot; /* a reference */
    const struct config_site *site;
    const struct config_rule *rule;
    struct cache_fill *fill;
    struct edge_exchange *leader; /* NULL: a refresh, or the client has left */
    struct sk_arena arena;
    /* the request */
    bool pass; /* alone for its client, never stored */
    bool has_body;
    sk_str first_piece; /* of the body: read before the origin was asked */
    bool client_trusted;
    sk_str client_ip;
    bool by_node;                      /* another node asks, not a client */
    bool passes_peers;                 /* goes to an origin at once */
    struct edge_peers *peers;          /* a reference; NULL: there are none */
    const struct edge_peer_step *step; /* while a node is asked */
    struct grid_ask node_ask;          /* what the node that asks us says */
    enum grid_fresh fresh;             /* what we ask of an owner that is behind */
    const struct edge_peer *peer;      /* who has answered; NULL: an origin */
    struct grid_word *word;            /* what it has said */
    bool foreign;                      /* what came is another node's */
    bool resuming;                     /* only what follows resume_at is asked for */
    uint64_t resume_at;
    struct origin_exchange *rest; /* where the rest of a body comes from; NULL: where its beginning does */
    uint32_t resumes;
    struct http_request client_request; /* as the client sent it: what is stored is judged by it */
    struct http_request request;        /* as it goes to the origin */
    bool conditional;                   /* asks with the stored validators */
    /* of partial objects (slices.h) */
    struct http_range_wish wish; /* what is asked for; not wanted: the whole */
    struct cache_object *head; /* the partial object that this fetch brings slices of; a reference, or NULL */
    struct cache_key head_key; /* its primary key */
    uint64_t slice, slice_end; /* which ones; the fill is that of the first */
    const struct edge_part *parts; /* to be put together from slices, instead of asking an origin; or NULL */
    uint32_t part_count;
    uint64_t parts_bytes;
    /* what came of it, for the leader */
    struct origin_result result;
    uint16_t origin_status;      /* 0: no response head came */
    struct http_fields trailers; /* of the response, once its body is complete */
    sk_str trailer_names;        /* that it has announced; empty: none */
    bool published;              /* the fill knows the head, whatever came of it */
    bool stored, validated;      /* validated: 304, the stored response is good */
    bool from_tier;              /* no origin was asked: the SSD tier had it */
    enum http_reason store_reason;
    sk_err error;
    struct origin_exchange *tunnel; /* after 101; whoever takes it sets NULL */
    const struct http_response *tunnel_response;
};

struct edge_fetch_plan {
    struct edge_worker *worker;
    struct edge_snapshot *snapshot;
    const struct config_site *site;
    const struct config_rule *rule;
    const struct http_request *request; /* copied */
    const struct io_addr *client;
    struct cache_fill *fill;      /* the fetch's reference is taken over */
    struct edge_exchange *leader; /* NULL: nobody waits (a refresh) */
    bool pass;
    bool by_node; /* EDGE_TRAIT_NODE */
    bool passes_peers;
    const struct edge_fetch *client_of; /* instead of CLIENT: the same one as this fetch's */
    struct http_range_wish wish;
    struct cache_object *head;        /* borrowed */
    const struct cache_key *head_key; /* copied; of a fetch of slices */
    uint64_t slice, slice_end;
    const struct edge_part *parts; /* copied */
    uint32_t part_count;
    uint64_t parts_bytes;
};
/* Starts the fiber; it runs at once until its first park. When it cannot be started the fill fails, so the
 * caller waits for the fill in every case. Sets leader->fetch. */
void edge_fetch_start(const struct edge_fetch_plan *plan);
/* The leading exchange ends: drops its reference. What nobody else wants is given up. */
void edge_fetch_leave(struct edge_fetch *fetch);
/* More of the client's body, or its end or failure, can be read. */
void edge_fetch_wake(struct edge_fetch *fetch);
/* The edge stops: ends the fetch at its next park. */
void edge_fetch_cancel(struct edge_fetch *fetch);

#endif
