/* Replays a request trace (format CDT1 on standard input, as `zstd -dc --long=27 FILE` gives it) through an eviction
 * policy of the cache, at several sizes: object and byte miss ratio, decisions a second.
 *
 *   bench_policies POLICY SHARE...      SHARE: of the trace's footprint, in per mille (1, 10, 100) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "cache/policy.h"

#define MAGIC 0x31544443u
#define ACCESSES_MAX 3 /* as the cache counts */
#define SMALLEST 512u  /* its smallest chunk */

struct trace {
    uint32_t objects;
    uint64_t requests;
    uint32_t *bytes; /* of each object */
    uint32_t *ids;   /* of each request */
    uint64_t footprint;
};

struct object {
    struct cache_policy_entry entry;
    _Atomic uint8_t accesses;
    bool cached;
};

static _Noreturn void stop(const char *why) {
    fprintf(stderr, "bench_policies: %s\n", why);
    exit(2);
}

static void *memory(size_t count, size_t each) {
    void *data = calloc(count ? count : 1, each);
    if (!data) stop("out of memory");
    return data;
}

static uint64_t varint(void) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        int byte = getchar_unlocked();
        if (byte == EOF) stop("the trace ends too early");
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return value;
    }
    stop("a number of the trace is too long");
}

static void read_all(void *data, size_t bytes) {
    if (fread(data, 1, bytes, stdin) != bytes) stop("the trace ends too early");
}

static struct trace read_trace(void) {
    struct trace trace = {0};
    uint32_t magic;
    read_all(&magic, sizeof magic);
    if (magic != MAGIC) stop("not a CDT1 trace");
    read_all(&trace.objects, sizeof trace.objects);
    read_all(&trace.requests, sizeof trace.requests);
    if (trace.requests > UINT32_MAX) stop("the trace is too long");
    trace.bytes = memory(trace.objects, sizeof *trace.bytes);
    trace.ids = memory(trace.requests, sizeof *trace.ids);
    read_all(trace.bytes, trace.objects * sizeof *trace.bytes);
    for (uint32_t i = 0; i < trace.objects; i++) trace.footprint += trace.bytes[i];
    for (uint64_t timed = 0; timed < trace.requests;) { /* when is of no matter here */
        (void)varint();
        timed += varint();
    }
    uint32_t seen = 0;
    for (uint64_t i = 0; i < trace.requests; i++) {
        uint64_t back = varint();
        if (back > seen || (!back && seen == trace.objects)) stop("the trace names an object it has not");
        trace.ids[i] = back ? seen - (uint32_t)back : seen++;
    }
    return trace;
}

static uint64_t mix(uint64_t id) { /* ids tell the age, hashes do not */
    id = (id ^ id >> 31) * UINT64_C(0x7fb5d329728ea185);
    id = (id ^ id >> 27) * UINT64_C(0x81dadef4bc2dd44d);
    return id ^ id >> 33;
}

struct result {
    uint64_t missed, missed_bytes, requested_bytes;
    double seconds;
};

static void miss(const struct cache_policy_ops *ops, struct cache_policy *policy, struct object *object,
                 uint64_t capacity, uint64_t *used) {
    uint64_t bytes = object->entry.bytes;
    if (bytes > capacity) return;
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
    sk_time_ns start = sk_time_now();
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
    result.seconds = (double)(sk_time_now() - start) / SK_NS_PER_S;
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
