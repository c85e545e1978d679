#include "observe/metrics.h"

#include <stdlib.h>

/* Threads are only ever added, at the front. Pushing is a release, so a reader that sees a thread sees its
 * zeroed counters. */
static struct observe_thread *_Atomic all_threads;

#define CACHE_LINE 64

sk_err observe_thread_join(struct observe_thread **out_thread) {
    size_t bytes = (sizeof(struct observe_thread) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    struct observe_thread *thread = aligned_alloc(CACHE_LINE, bytes);
    if (!thread) return SK_ERR_NO_MEMORY;
    memset(thread, 0, bytes);
    thread->next = atomic_load_explicit(&all_threads, memory_order_relaxed); /* checked by the exchange */
    while (!atomic_compare_exchange_weak_explicit(&all_threads, &thread->next, thread, memory_order_release,
                                                  memory_order_relaxed)) {
    }
    *out_thread = thread;
    return SK_OK;
}

/* Relaxed, as observe_add: each cell has one writer, and readers want no order between cells. */
static void bump(_Atomic uint64_t *cell, uint64_t n) {
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n, memory_order_relaxed);
}

void observe_reason(struct observe_thread *thread, enum http_reason reason) {
    SK_ASSERT((unsigned)reason < HTTP_REASON_COUNT_);
    bump(&thread->reasons[reason], 1);
}

/* In quarters of a microsecond the buckets' bounds are integers: (4 + sub) << octave. */
#define QUARTER_NS 250

static unsigned bucket_of(int64_t ns) {
    if (ns <= 4 * QUARTER_NS) return 0;
    uint64_t quarters =
        (uint64_t)(ns - 1) / QUARTER_NS; /* 4 or more; -1: a bound belongs to the bucket below */
    unsigned octave = 61 - (unsigned)__builtin_clzll(quarters);
    if (octave >= OBSERVE_BUCKET_OCTAVES) return OBSERVE_BUCKETS - 1;
    return 1 + 4 * octave + (unsigned)((quarters >> octave) & 3);
}

int64_t observe_bucket_bound_ns(unsigned bucket) {
    if (bucket >= OBSERVE_BUCKETS - 1) return INT64_MAX;
    /* The upper bound of a bucket is the lower one of the next: octave and sub-bucket of BUCKET itself. */
    return (int64_t)(4 + bucket % 4) * QUARTER_NS << (bucket / 4);
}

void observe_duration(struct observe_thread *thread, enum observe_histogram histogram, int64_t ns) {
    if (ns < 0) ns = 0;
    bump(&thread->buckets[histogram][bucket_of(ns)], 1);
    bump(&thread->sums_ns[histogram], (uint64_t)ns);
}

/* The sum over all threads of the cell at this offset of struct observe_thread. */
static uint64_t total_at(size_t offset) {
    uint64_t sum = 0;
    /* acquire: pairs with the push in observe_thread_join */
    struct observe_thread *thread = atomic_load_explicit(&all_threads, memory_order_acquire);
    for (; thread; thread = thread->next) {
        const _Atomic uint64_t *cell = (const void *)((const char *)thread + offset);
        sum += atomic_load_explicit(cell, memory_order_relaxed);
    }
    return sum;
}

uint64_t observe_total(enum observe_counter counter) {
    return total_at(offsetof(struct observe_thread, counters) + counter * sizeof(uint64_t));
}

uint64_t observe_reason_total(enum http_reason reason) {
    return total_at(offsetof(struct observe_thread, reasons) + reason * sizeof(uint64_t));
}

uint64_t observe_histogram_read(enum observe_histogram histogram, uint64_t out_buckets[OBSERVE_BUCKETS],
                                double *out_sum_s) {
    size_t row = offsetof(struct observe_thread, buckets) + histogram * sizeof(uint64_t[OBSERVE_BUCKETS]);
    uint64_t count = 0;
    for (unsigned i = 0; i < OBSERVE_BUCKETS; i++) {
        out_buckets[i] = total_at(row + i * sizeof(uint64_t));
        count += out_buckets[i];
    }
    *out_sum_s =
        (double)total_at(offsetof(struct observe_thread, sums_ns) + histogram * sizeof(uint64_t)) / 1e9;
    return count;
}

double observe_quantile(enum observe_histogram histogram, double q) {
    uint64_t buckets[OBSERVE_BUCKETS], seen = 0;
    double sum_s;
    uint64_t count = observe_histogram_read(histogram, buckets, &sum_s);
    if (count == 0) return 0;
    double rank = SK_MIN(SK_MAX(q, 0), 1) * (double)count;
    unsigned bucket = 0;
    while (bucket < OBSERVE_BUCKETS - 1 && (double)(seen + buckets[bucket]) < rank) seen += buckets[bucket++];
    double low = bucket == 0 ? 0 : (double)observe_bucket_bound_ns(bucket - 1) / 1e9;
    if (bucket == OBSERVE_BUCKETS - 1) return low;
    double high = (double)observe_bucket_bound_ns(bucket) / 1e9;
    double within = buckets[bucket] ? (rank - (double)seen) / (double)buckets[bucket] : 0;
    return low + (high - low) * within;
}
