/* A request of another node: who may ask (default deny), what it may ask for, and the word that goes with the answer
 * (grid/peer_field.h). Own thread. */
#ifndef SK_EDGE_NODE_H
#define SK_EDGE_NODE_H

#include "edge/exchange.h"
#include "grid/peer_field.h"

/* The exchange came by a listener for nodes: true when it may go on, as a node's (EDGE_TRAIT_NODE); false: it is
 * answered. */
bool edge_node_admit(struct edge_exchange *exchange);
/* A PURGE of a node that was admitted: an unsafe request that came to it has changed what is stored for this URI, whose owner
 * we are to it. Answers. */
void edge_node_forget(struct edge_exchange *exchange);
/* What the node that asks says; only of a request that edge_node_admit has admitted. SK_ERR_MALFORMED. */
sk_err edge_node_ask(const struct http_request *request, struct grid_ask *out_ask);
/* For OBJECT as the answer: "Skerry-Peer: ...\r\n" at AT (GRID_WORD_BYTES + 20); returns the end. */
char *edge_node_word(const struct edge_exchange *exchange, const struct cache_object *object, char *at);
#define EDGE_NODE_FAILED "Skerry-Peer: failed\r\n"

#endif
