/* Replays a request trace (trace.h) through both tiers of the cache, with the code that decides in each: GDSF in RAM,
 * disk_policy.h for what goes down and what goes in again. The SSD holds a share of the trace's footprint, RAM a tenth
 * of the SSD.
 *
 *   bench_tiers ADMIT SHARE...      ADMIT: per cent of what was asked for once; SHARE: per mille
 *
 * A line for each: share, RAM's object misses, byte misses of both together, bytes written to the SSD per byte served,
 * decisions a second. */
#include "base/random.h"
#include "cache/disk_policy.h"
#include "cache/policy.h"
#include "trace.h"

#define RAM_SHARE 10
#define SEGMENTS 100 /* as many as a small store has */
#define SLICE_BYTES (UINT64_C(256) << 10)

struct object {
    struct cache_policy_entry entry;
    _Atomic uint8_t accesses;
    bool in_ram, on_disk;
    uint8_t disk_accesses;
    uint64_t asked_at; /* by the bytes that were written until then, plus 1 */
};

/* The log: what was put, in this order, in a ring. */
struct log {
    uint32_t *ring;
    uint64_t mask, first, end;
    uint64_t bytes, capacity, segment_bytes;
    int64_t
        left; /* what may go in again of what is taken back; a large object, whose slices the store takes one by
                   * one, may overdraw it */
    uint64_t written;
};

struct tiers {
    struct object *objects;
    struct log log;
    struct cache_policy *policy;
    uint64_t ram_capacity, ram_used;
    struct disk_admission admission;
};

static void append(struct tiers *tiers, uint32_t id) {
    struct log *log = &tiers->log;
    log->ring[log->end++ & log->mask] = id;
    log->bytes += tiers->objects[id].entry.bytes;
    log->written += tiers->objects[id].entry.bytes;
}

/* The oldest record: goes, or goes in again. */
static void take_back(struct tiers *tiers) {
    struct log *log = &tiers->log;
    uint32_t id = log->ring[log->first++ & log->mask];
    struct object *object = &tiers->objects[id];
    uint64_t bytes = object->entry.bytes;
    log->bytes -= bytes;
    log->left = SK_MIN(log->left + (int64_t)disk_second_chance_bytes(bytes),
                       (int64_t)disk_second_chance_bytes(log->segment_bytes));
    object->on_disk = disk_has_second_chance(object->disk_accesses, SK_MIN(bytes, SLICE_BYTES),
                                             (uint64_t)SK_MAX(log->left, 0), &object->disk_accesses);
    if (!object->on_disk) return;
    log->left -= (int64_t)bytes;
    append(tiers, id);
}

static void put(struct tiers *tiers, uint32_t id) {
    struct object *object = &tiers->objects[id];
    if (object->on_disk || object->entry.bytes > tiers->log.capacity) return;
    while (tiers->log.bytes + object->entry.bytes > tiers->log.capacity) take_back(tiers);
    object->on_disk = true;
    object->disk_accesses = 0;
    append(tiers, id);
}

static void go_down(struct tiers *tiers, struct object *object, bool asked_again) {
    if (disk_admits(&tiers->admission, asked_again, object->entry.bytes, (uint32_t)sk_random_below(100)))
        put(tiers, (uint32_t)(object - tiers->objects));
}

/* Since the log was written once over: about what RAM's ghosts remember. */
static bool was_asked_lately(const struct tiers *tiers, const struct object *object) {
    return object->asked_at && tiers->log.written - object->asked_at < tiers->log.capacity;
}

static void into_ram(struct tiers *tiers, struct object *object) {
    const struct cache_policy_ops *ops = &cache_policy_gdsf;
    uint64_t bytes = object->entry.bytes;
    if (bytes > tiers->ram_capacity / 2) { /* more than RAM takes: its slices pass through it one by one */
        go_down(tiers, object, was_asked_lately(tiers, object));
        return;
    }
    while (tiers->ram_used + bytes > tiers->ram_capacity) {
        struct cache_policy_entry *victim = ops->evict(tiers->policy);
        if (!victim) stop("the policy has no victim");
        tiers->ram_used -= victim->bytes;
        struct object *evicted = SK_CONTAINER_OF(victim, struct object, entry);
        evicted->in_ram = false;
        go_down(tiers, evicted, ops->accesses(victim) > 1);
    }
    atomic_store_explicit(&object->accesses, 0, memory_order_relaxed);
    object->in_ram = true;
    tiers->ram_used += bytes;
    ops->insert(tiers->policy, &object->entry);
}

/* True: RAM has it. */
static bool is_hit(struct object *object) {
    if (!object->in_ram) return false;
    uint8_t accesses = atomic_load_explicit(&object->accesses, memory_order_relaxed);
    if (accesses < ACCESSES_MAX) atomic_store_explicit(&object->accesses, accesses + 1, memory_order_relaxed);
    return true;
}

static void replay(const struct trace *trace, struct tiers *tiers, const char *share) {
    uint64_t ram_missed = 0, missed_bytes = 0, requested_bytes = 0;
    double start = cpu_s();
    for (uint64_t i = 0; i < trace->requests; i++) {
        struct object *object = &tiers->objects[trace->ids[i]];
        requested_bytes += object->entry.bytes;
        if (is_hit(object)) continue;
        ram_missed++;
        if (!object->on_disk)
            missed_bytes += object->entry.bytes;
        else if (object->disk_accesses < ACCESSES_MAX)
            object->disk_accesses++;
        into_ram(tiers, object);
        object->asked_at = tiers->log.written + 1;
    }
    double seconds = cpu_s() - start;
    printf("%s %.4f %.4f %.4f %.0f\n", share, (double)ram_missed / (double)trace->requests,
           (double)missed_bytes / (double)requested_bytes,
           (double)tiers->log.written / (double)requested_bytes, (double)trace->requests / seconds);
}

static struct tiers make_tiers(const struct trace *trace, double share, uint32_t admit) {
    struct tiers tiers = {.objects = memory(trace->objects, sizeof *tiers.objects)};
    uint64_t capacity = (uint64_t)((double)trace->footprint * share), places = 2;
    while (places < (uint64_t)trace->objects * 2) places *= 2; /* an object is in the log once */
    tiers.log = (struct log){.ring = memory(places, sizeof *tiers.log.ring),
                             .mask = places - 1,
                             .capacity = capacity,
                             .segment_bytes = SK_MAX(capacity / SEGMENTS, SLICE_BYTES * 2)};
    tiers.admission = (struct disk_admission){.capacity = capacity, .percent = admit};
    tiers.ram_capacity = capacity / RAM_SHARE;
    for (uint32_t i = 0; i < trace->objects; i++)
        tiers.objects[i].entry = (struct cache_policy_entry){.key_hash = mix(i),
                                                             .bytes = SK_MAX(trace->bytes[i], SMALLEST),
                                                             .accesses = &tiers.objects[i].accesses};
    if (cache_policy_gdsf.create(tiers.ram_capacity, &tiers.policy)) stop("out of memory");
    return tiers;
}

int main(int argc, char **argv) {
    if (argc < 3) stop("usage: bench_tiers ADMIT SHARE... <TRACE");
    struct trace trace = read_trace();
    for (int i = 2; i < argc; i++) {
        double share = strtod(argv[i], NULL) / 1000;
        if (share <= 0 || share > 1) stop("a share is between 0 and 1000");
        struct tiers tiers = make_tiers(&trace, share, (uint32_t)strtoul(argv[1], NULL, 10));
        replay(&trace, &tiers, argv[i]);
        cache_policy_gdsf.destroy(tiers.policy);
        free(tiers.objects);
        free(tiers.log.ring);
    }
    free(trace.bytes);
    free(trace.ids);
}
