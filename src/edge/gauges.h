/* The gauges of the edge for /metrics: connections and the cache's fill. */
#ifndef SK_EDGE_GAUGES_H
#define SK_EDGE_GAUGES_H

#include "edge/process.h"

/* NAME of the reader, metric, help. */
#define EDGE_GAUGE_TABLE(X)                                                                                  \
    X(connections, "skerry_connections", "Client connections open now")                                      \
    X(objects, "skerry_cache_objects", "Objects in the index")                                               \
    X(fills, "skerry_cache_fills", "Fetches in progress")                                                    \
    X(used_bytes, "skerry_cache_used_bytes", "Bytes of the memory budget in use")                            \
    X(budget_bytes, "skerry_cache_budget_bytes", "The memory budget")                                        \
    X(evicted_objects, "skerry_cache_evicted_objects", "Objects evicted since the start")                    \
    X(evicted_bytes, "skerry_cache_evicted_bytes", "Bytes evicted since the start")                          \
    X(rejected_objects, "skerry_cache_rejected_objects", "Objects for which no room could be made")          \
    X(bus_silent, "skerry_bus_silent", "1 while nobody is heard on the fleet's purge bus")                   \
    X(bus_heard, "skerry_bus_heard_seconds", "How long ago somebody was heard on it")                        \
    X(variant_bounds, "skerry_cache_variant_bounds",                                                         \
      "Times that a URL had too many variants and its list was begun anew")

void edge_gauges_register(struct edge_process *process);
void edge_gauges_remove(struct edge_process *process);

#endif
