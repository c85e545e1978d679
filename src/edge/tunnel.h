/* After a 101: bytes in both directions between the client and the origin, unlooked at, until both have
 * ended, one fails, or nothing moved for too long. */
#ifndef SK_EDGE_TUNNEL_H
#define SK_EDGE_TUNNEL_H

#include "edge/exchange.h"

/* On the request's fiber, with exchange->fetch->tunnel set (taken over). Returns when the tunnel has ended; the
 * exchange is answered then. */
void edge_tunnel(struct edge_exchange *exchange);

#endif
