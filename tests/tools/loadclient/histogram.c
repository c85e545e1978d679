#include "histogram.h"

#include <stdbit.h>
#include <stddef.h>

/* Values below HISTOGRAM_STEPS have a bucket each; above, the leading bits choose. */
static size_t bucket_of(uint64_t us) {
    if (us < HISTOGRAM_STEPS) return us;
    unsigned power = 63 - stdc_leading_zeros(us);
    size_t bucket = (size_t)(power - 4) * HISTOGRAM_STEPS + ((us >> (power - 5)) & (HISTOGRAM_STEPS - 1));
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The largest value that falls into BUCKET: a quantile is never told too small. */
static uint64_t bucket_top(size_t bucket) {
    if (bucket < HISTOGRAM_STEPS) return bucket;
    unsigned power = (unsigned)(bucket / HISTOGRAM_STEPS) + 4;
    uint64_t step = UINT64_C(1) << (power - 5);
    return (UINT64_C(1) << power) + (bucket % HISTOGRAM_STEPS + 1) * step - 1;
}

void histogram_add(struct histogram *histogram, uint64_t us) {
    histogram->buckets[bucket_of(us)]++;
    histogram->count++;
    if (us > histogram->max_us) histogram->max_us = us;
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) into->buckets[i] += from->buckets[i];
    into->count += from->count;
    if (from->max_us > into->max_us) into->max_us = from->max_us;
}

uint64_t histogram_quantile(const struct histogram *histogram, double q) {
    uint64_t wanted = (uint64_t)(q * (double)histogram->count), seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > wanted || (seen == histogram->count && seen > 0)) {
            uint64_t top = bucket_top(i);
            return top < histogram->max_us ? top : histogram->max_us;
        }
    }
    return 0;
}
