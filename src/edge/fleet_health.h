/* How the edge fared since the last look, from its metrics. One thread. */
#ifndef SK_EDGE_FLEET_HEALTH_H
#define SK_EDGE_FLEET_HEALTH_H

#include "observe/metrics.h"

struct edge_fleet_health {
    uint64_t requests, errors;
    uint64_t buckets[OBSERVE_BUCKETS]; /* of hits and misses together */
};

/* Requests, those answered with 5xx, and the 99th percentile of the time to their first byte, since the last call. */
void edge_fleet_health_since(struct edge_fleet_health *health, uint64_t *out_requests, uint64_t *out_errors,
                             uint64_t *out_p99_us);
/* The bucket's bound below which 99 of 100 are; 0 when there are none. Pure. */
uint64_t edge_fleet_p99_us(const uint64_t buckets[OBSERVE_BUCKETS]);

#endif
