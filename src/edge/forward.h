/* A client's request as it goes on to the origin. */
#ifndef SK_EDGE_FORWARD_H
#define SK_EDGE_FORWARD_H

#include "edge/fetch.h"

/* Makes fetch->request from fetch->client_request: hop-by-hop fields gone, Via, Forwarded and their like set;
 * for the store, without the client's own conditions and range but with the stored validators (when
 * fetch->conditional). SK_ERR_NO_MEMORY. */
sk_err edge_forward_request(struct edge_fetch *fetch);
/* The request has passed through this process already (RFC 8586). */
bool edge_is_loop(const struct edge_exchange *exchange);
/* CLIENT is in a configured network of trusted proxies. */
bool edge_is_trusted(const struct config *config, const struct io_addr *client);

#endif
