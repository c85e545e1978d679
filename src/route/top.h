/* Who asks most, and for what: the busiest networks (/24, /56) and names of the last one to two minutes, in a fixed amount of memory
 * (Metwally, Agrawal and El Abbadi 2005, "space-saving": every item of more than 1 in TOP_SLOTS of the queries is among those that
 * are kept, its count too high by `error` at most). Threads note a query of every few, for all since the last one. */
#ifndef SK_ROUTE_TOP_H
#define SK_ROUTE_TOP_H

#include <yyjson.h>

#include "base/time.h"
#include "io/addr.h"
#include "wire/dns.h"

#define TOP_SLOTS 256
#define TOP_SHOWN_MAX 100

struct top; /* of one thread that notes, and any that reads */

/* SK_ERR_NO_MEMORY. */
sk_err top_create(struct top **out_top);
void top_free(struct top *top); /* NULL is allowed */

/* How many of the queries until now one that is noted now would stand for; 0: not yet due. QUERIES came since the last call. The
 * noting thread. */
uint32_t top_due(struct top *top, uint32_t queries, sk_time_ns now);
/* One that stands for WEIGHT queries. Never waits: while somebody reads, it is left out. */
void top_note(struct top *top, const struct io_addr *client, const struct dns_name *name, uint32_t weight,
              sk_time_ns now);

/* {"seconds": S, "queries": N, "clients": [{"network", "queries", "error"}], "names": [{"name", "queries", "error"}]} of all COUNT
 * of TOPS together, at most SHOWN of each, the busiest first. Any thread. NULL without memory. */
yyjson_mut_val *top_json(struct top *const *tops, size_t count, size_t shown, sk_time_ns now,
                         yyjson_mut_doc *doc);

#endif
