/* The gauges of the router for /metrics: its table, and each site as it is now. Main thread, which is also where
 * metrics are asked for. */
#ifndef SK_ROUTE_GAUGES_H
#define SK_ROUTE_GAUGES_H

#include "route/process.h"

struct sites;

/* NAME of the reader, metric, help. */
#define ROUTE_GAUGE_TABLE(X)                                                                                 \
    X(table_version, "skerry_route_table_version", "Number of the routing table in force")                   \
    X(table_lists, "skerry_route_table_lists", "Different lists of sites in it")                             \
    X(sites_up, "skerry_route_sites_up", "Sites that clients may be sent to; 0 is an alarm")                 \
    X(alarms, "skerry_route_alarms", "What an operator has to look at; /health says what")
#define ROUTE_SITE_GAUGE_TABLE(X)                                                                            \
    X(up, "skerry_route_site_up", "1 when a site can serve, by site")                                        \
    X(load, "skerry_route_site_load", "Load of a site, 1 is its capacity, by site")

struct route_gauges;
/* Of SITES, which outlive them. SK_ERR_NO_MEMORY. */
sk_err route_gauges_create(struct route_process *process, const struct sites *sites,
                           struct route_gauges **out_gauges);
void route_gauges_show(struct route_gauges *gauges);
/* NULL is allowed. */
void route_gauges_free(struct route_gauges *gauges);

#endif
