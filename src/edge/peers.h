/* The other nodes, as one immutable, counted view: who we are, which nodes share which keys, and how each is asked
 * (over HTTP/2 with both certificates, by origin/). A view is made by the main thread when the configuration, the files
 * of our identity or the living members change; a fetch holds on to the one that it began with. */
#ifndef SK_EDGE_PEERS_H
#define SK_EDGE_PEERS_H

#include "config/config.h"
#include "edge/past.h"
#include "fleet/id.h"
#include "grid/heat.h"
#include "grid/peer_field.h"
#include "grid/ring.h"
#include "origin/origin.h"

/* A node that can be asked. */
struct edge_peer {
    sk_str label; /* POP/NAME: its name in hops and logs */
    sk_str pop;
    bool self;
    struct config_origin origin;
    struct config_site site;    /* so that origin/ can ask it */
    struct origin_group *group; /* NULL: ourselves */
};

/* The nodes of one PoP. */
struct edge_peer_ring {
    sk_str pop;
    struct grid_ring *ring;
    struct edge_peer *peers[GRID_NODES_MAX]; /* as the ring counts them */
};

/* How it is with ourselves. */
struct edge_peers_self {
    sk_time_ns warm_until; /* then we have been here long enough */
    bool out;              /* we take no part: every key is another's */
    /* both outlive all views */
    struct edge_past *past;
    struct grid_heat *heat;
};

struct edge_peers {
    _Atomic uint32_t references;
    struct sk_arena arena;
    struct config *config; /* a reference */
    struct fleet_id self;
    sk_str label; /* ours */
    struct fleet_expelled expelled;
    struct edge_peer *peers;
    uint32_t peer_count;
    struct edge_peer_ring *rings; /* the first is that of our own PoP */
    uint32_t ring_count;
    struct edge_peers_self how;
};

/* One that was heard of: from the configuration, or from the members of the fleet. */
struct edge_peer_heard {
    sk_str name, pop, address;
};
/* Reads our identity and builds the rings of HEARD and ourselves. What is logged tells why it failed.
 * SK_ERR_INVALID (a file, a name), SK_ERR_NO_MEMORY, SK_ERR_TOO_LARGE. */
sk_err edge_peers_make(struct config *config, struct origin_registry *registry,
                       const struct edge_peer_heard *heard, size_t count, const struct edge_peers_self *how,
                       struct edge_peers **out_peers);
struct edge_peers *edge_peers_ref(struct edge_peers *peers);
void edge_peers_unref(struct edge_peers *peers); /* NULL is allowed; the last one frees, on any thread */
/* The nodes of POP; NULL: none is known. */
const struct edge_peer_ring *edge_peers_ring_of(const struct edge_peers *peers, sk_str pop);
/* Who owns a key of PRIMARY's text in our PoP; NULL: nobody is known. */
const struct edge_peer *edge_peers_owner(const struct edge_peers *peers, sk_str primary, uint32_t choice);

/* --- whom to ask ---------------------------------------------------------------------------------------------- */

struct edge_peer_step {
    const struct edge_peer *peer;
    bool only_stored; /* it may have been the owner: what it has, and nothing else */
};
#define EDGE_PEER_STEPS 5
/* Whom to ask for a key before an origin, in order; returns how many. BY_NODE: what the node that asks us says; NULL: a
 * client asks. NOW decides whether we are still warming up. Pure. */
uint32_t edge_peers_steps(const struct edge_peers *peers, const struct config_site *site, sk_str primary,
                          const struct grid_ask *by_node, sk_time_ns now,
                          struct edge_peer_step steps[EDGE_PEER_STEPS]);
/* True when a client's request for the key belongs to another node. */
bool edge_peers_elsewhere(const struct edge_peers *peers, sk_str primary);

#endif
