/* One exchange as a line of the access log. */
#ifndef SK_EDGE_ACCESS_H
#define SK_EDGE_ACCESS_H

#include "edge/exchange.h"

/* Only when an access log is wanted; the exchange is over. */
void edge_access_write(const struct edge_exchange *exchange);

#endif
