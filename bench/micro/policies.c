/* Replays a request trace (format CDT1 on standard input, as `zstd -dc --long=27 FILE` gives it) through an eviction
 * policy of the cache, at several sizes: object and byte miss ratio, decisions a second.
 *
 *   bench_policies POLICY SHARE...      SHARE: of the trace's footprint, in per mille (1, 10, 100) */
#include "cache/policy.h"
#include "trace.h"

#define MAX_OBJECT_SHARE 2 /* as the option max_object has it by default: what is larger passes through */

struct object {
    struct cache_policy_entry entry;
    _Atomic uint8_t accesses;
    bool cached;
};

struct result {
    uint64_t missed, missed_bytes, requested_bytes;
    double seconds;
};

static void miss(const struct cache_policy_ops *ops, struct cache_policy *policy, struct object *object,
                 uint64_t capacity, uint64_t *used) {
    uint64_t bytes = object->entry.bytes;
    if (bytes > capacity / MAX_OBJECT_SHARE) return;
    while (*used + bytes > capacity) {
        struct cache_policy_entry *victim = ops->evict(policy);
        if (!victim) stop("the policy has no victim");
        *used -= victim->bytes;
        SK_CONTAINER_OF(victim, struct object, entry)->cached = false;
    }
    atomic_store_explicit(&object->accesses, 0, memory_order_relaxed);
    object->cached = true;
    *used += bytes;
    ops->insert(policy, &object->entry);
}

static struct result replay(const struct trace *trace, const struct cache_policy_ops *ops,
                            uint64_t capacity) {
    struct object *objects = memory(trace->objects, sizeof *objects);
    struct cache_policy *policy;
    struct result result = {0};
    uint64_t used = 0;
    if (ops->create(capacity, &policy)) stop("out of memory");
    for (uint32_t i = 0; i < trace->objects; i++)
        objects[i].entry = (struct cache_policy_entry){
            .key_hash = mix(i), .bytes = SK_MAX(trace->bytes[i], SMALLEST), .accesses = &objects[i].accesses};
    double start = cpu_s();
    for (uint64_t i = 0; i < trace->requests; i++) {
        struct object *object = &objects[trace->ids[i]];
        result.requested_bytes += object->entry.bytes;
        if (object->cached) {
            uint8_t accesses = atomic_load_explicit(&object->accesses, memory_order_relaxed);
            if (accesses < ACCESSES_MAX)
                atomic_store_explicit(&object->accesses, accesses + 1, memory_order_relaxed);
            continue;
        }
        result.missed++;
        result.missed_bytes += object->entry.bytes;
        miss(ops, policy, object, capacity, &used);
    }
    result.seconds = cpu_s() - start;
    ops->destroy(policy);
    free(objects);
    return result;
}

int main(int argc, char **argv) {
    static const struct cache_policy_ops *const all[] = {&cache_policy_fifo, &cache_policy_clock,
                                                         &cache_policy_s3fifo, &cache_policy_gdsf};
    if (argc < 3) stop("usage: bench_policies POLICY[,POLICY...] SHARE... <TRACE");
    struct trace trace = read_trace();
    for (size_t p = 0; p < SK_COUNT(all); p++) {
        if (strcmp(argv[1], "all") != 0 && !strstr(argv[1], all[p]->name)) continue;
        for (int i = 2; i < argc; i++) {
            double share = strtod(argv[i], NULL) / 1000;
            if (share <= 0 || share > 1) stop("a share is between 0 and 1000");
            struct result r = replay(&trace, all[p], (uint64_t)((double)trace.footprint * share));
            printf("%s %s %.4f %.4f %.0f\n", all[p]->name, argv[i], (double)r.missed / (double)trace.requests,
                   (double)r.missed_bytes / (double)r.requested_bytes, (double)trace.requests / r.seconds);
        }
    }
    free(trace.bytes);
    free(trace.ids);
}
