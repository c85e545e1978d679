#include "cache/disk_pace.h"

#define NS_PER_S UINT64_C(1000000000)
#define COST_MAX ((uint64_t)INT64_MAX / 4) /* a debt of 73 years: no sum of it and a time wraps */

static sk_time_ns cost_of(const struct disk_pace *pace, uint64_t bytes) {
    sk_u128 cost = (sk_u128)bytes * NS_PER_S / pace->bytes_s;
    return (sk_time_ns)(cost > COST_MAX ? COST_MAX : cost);
}

void disk_pace_init(struct disk_pace *pace, uint64_t bytes_s, uint64_t burst_bytes) {
    *pace = (struct disk_pace){.bytes_s = bytes_s};
    if (bytes_s) pace->burst_ns = cost_of(pace, burst_bytes);
}

/* relaxed throughout: the number is all that is shared */
static bool add(struct disk_pace *pace, uint64_t bytes, sk_time_ns now, bool always) {
    if (!pace->bytes_s) return true;
    sk_time_ns cost = cost_of(pace, bytes);
    int64_t before = atomic_load_explicit(&pace->full_at, memory_order_relaxed), after;
    do {
        after = SK_MIN(SK_MAX(before, (int64_t)now), INT64_MAX / 2) + (int64_t)cost;
        if (!always && after - (int64_t)now > (int64_t)pace->burst_ns) return false;
    } while (!atomic_compare_exchange_weak_explicit(&pace->full_at, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

bool disk_pace_take(struct disk_pace *pace, uint64_t bytes, sk_time_ns now) {
    return add(pace, bytes, now, false);
}

void disk_pace_charge(struct disk_pace *pace, uint64_t bytes, sk_time_ns now) {
    (void)add(pace, bytes, now, true);
}
