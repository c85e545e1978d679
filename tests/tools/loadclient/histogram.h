/* Latencies counted in buckets that are 1/32 of a power of two wide (3 % precision), from 1 us to an hour. */
#ifndef LOADCLIENT_HISTOGRAM_H
#define LOADCLIENT_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 32, HISTOGRAM_BUCKETS = 32 * HISTOGRAM_STEPS };

struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS];
    uint64_t count, max_us;
};

void histogram_add(struct histogram *histogram, uint64_t us);
/* Adds FROM's counts to INTO. */
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The q-quantile (0 to 1) in microseconds; 0 when nothing was counted. */
uint64_t histogram_quantile(const struct histogram *histogram, double q);

#endif
