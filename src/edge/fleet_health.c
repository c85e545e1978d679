#include "edge/fleet_health.h"

uint64_t edge_fleet_p99_us(const uint64_t buckets[OBSERVE_BUCKETS]) {
    uint64_t total = 0, below = 0;
    for (unsigned i = 0; i < OBSERVE_BUCKETS; i++) total += buckets[i];
    for (unsigned i = 0; i < OBSERVE_BUCKETS && total; i++) {
        below += buckets[i];
        if (below * 100 >= total * 99)
            return (uint64_t)(observe_bucket_bound_ns(SK_MIN(i, OBSERVE_BUCKETS - 2)) / 1000);
    }
    return 0;
}

void edge_fleet_health_since(struct edge_fleet_health *health, uint64_t *out_requests, uint64_t *out_errors,
                             uint64_t *out_p99_us) {
    uint64_t hits[OBSERVE_BUCKETS], misses[OBSERVE_BUCKETS], fresh[OBSERVE_BUCKETS];
    struct edge_fleet_health now = {.requests = observe_total(OBSERVE_REQUESTS),
                                    .errors = observe_total(OBSERVE_RESPONSES_5XX)};
    double sum_s;
    observe_histogram_read(OBSERVE_HIT_SECONDS, hits, &sum_s);
    observe_histogram_read(OBSERVE_MISS_SECONDS, misses, &sum_s);
    for (unsigned i = 0; i < OBSERVE_BUCKETS; i++) {
        now.buckets[i] = hits[i] + misses[i];
        fresh[i] = now.buckets[i] - health->buckets[i];
    }
    *out_requests = now.requests - health->requests;
    *out_errors = now.errors - health->errors;
    *out_p99_us = edge_fleet_p99_us(fresh);
    *health = now;
}
