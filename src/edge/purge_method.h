/* The PURGE method: a request that is answered here and never goes to an origin. */
#ifndef SK_EDGE_PURGE_METHOD_H
#define SK_EDGE_PURGE_METHOD_H

#include "edge/exchange.h"

/* Purges the URL that EXCHANGE asks for, with all its variants, or the tags of its site that its Surrogate-Key,
 * Cache-Tag, xkey or xkey-purge name, if its client is in a network of the site's purge.allow; else 405. Soft by
 * Skerry-Soft-Purge: 1, Fastly-Soft-Purge: 1, or xkey-softpurge. Answers. The exchange's site and key are there. */
void edge_purge_method(struct edge_exchange *exchange);

#endif
