/* S3-FIFO: Yang, Zhang, Qiu, Yue, Rashmi, "FIFO queues are all you need for cache eviction", SOSP 2023.
 *
 *   new ---------> small (10 % of the bytes) --accessed more than once--> main --accessed--> main's end again
 *                    |  else: evicted, its key to the ghosts                |  else: evicted
 *   new, a ghost -----------------------------------------------------------^
 */
#include <stdlib.h>

#include "cache/ghost.h"
#include "cache/policy.h"

#define SMALL_SHARE 10          /* per cent */
#define MOVE_ACCESSES 2         /* from so many accesses on, an entry goes from small to main */
#define GHOST_OBJECT_BYTES 2048 /* of the capacity there is a ghost entry for each so many bytes */

enum { QUEUE_SMALL, QUEUE_MAIN, QUEUE_COUNT };

struct queue {
    struct sk_list entries; /* newest first */
    uint64_t bytes, count;
};

struct cache_policy {
    struct queue queues[QUEUE_COUNT];
    uint64_t small_bytes; /* what the small queue should hold */
    struct cache_ghost *ghost;
};

static sk_err s3fifo_create(uint64_t capacity_bytes, struct cache_policy **out_policy) {
    struct cache_policy *policy = calloc(1, sizeof *policy);
    if (!policy) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < QUEUE_COUNT; i++) sk_list_init(&policy->queues[i].entries);
    policy->small_bytes = capacity_bytes / 100 * SMALL_SHARE;
    sk_err err = cache_ghost_create(capacity_bytes / GHOST_OBJECT_BYTES, &policy->ghost);
    if (err) {
        free(policy);
        return err;
    }
    *out_policy = policy;
    return SK_OK;
}

static void s3fifo_destroy(struct cache_policy *policy) {
    cache_ghost_destroy(policy->ghost);
    free(policy);
}

static void queue_push(struct cache_policy *policy, uint8_t queue, struct cache_policy_entry *entry) {
    entry->queue = queue;
    sk_list_push_front(&policy->queues[queue].entries, &entry->link);
    policy->queues[queue].bytes += entry->bytes;
    policy->queues[queue].count++;
}

static void s3fifo_remove(struct cache_policy *policy, struct cache_policy_entry *entry) {
    sk_list_remove(&entry->link);
    policy->queues[entry->queue].bytes -= entry->bytes;
    policy->queues[entry->queue].count--;
}

static struct cache_policy_entry *queue_pop(struct cache_policy *policy, uint8_t queue) {
    struct sk_list *link = sk_list_last(&policy->queues[queue].entries);
    if (!link) return NULL;
    struct cache_policy_entry *entry = SK_CONTAINER_OF(link, struct cache_policy_entry, link);
    s3fifo_remove(policy, entry);
    return entry;
}

/* The ghosts are as many as main's entries; with an empty main (a start, or a scan) as many as small's. */
static uint64_t ghost_window(const struct cache_policy *policy) {
    return SK_MAX(policy->queues[QUEUE_MAIN].count, policy->queues[QUEUE_SMALL].count);
}

static void s3fifo_insert(struct cache_policy *policy, struct cache_policy_entry *entry) {
    bool known = cache_ghost_take(policy->ghost, entry->key_hash, ghost_window(policy));
    queue_push(policy, known ? QUEUE_MAIN : QUEUE_SMALL, entry);
}

/* Relaxed: a lost access more or less decides nothing. */
static uint8_t accesses_of(struct cache_policy_entry *entry) {
    return atomic_load_explicit(entry->accesses, memory_order_relaxed);
}
static void set_accesses(struct cache_policy_entry *entry, uint8_t accesses) {
    atomic_store_explicit(entry->accesses, accesses, memory_order_relaxed);
}

/* A victim from the small queue; NULL when all it had went over to main. */
static struct cache_policy_entry *evict_small(struct cache_policy *policy) {
    struct cache_policy_entry *entry;
    while ((entry = queue_pop(policy, QUEUE_SMALL))) {
        if (accesses_of(entry) < MOVE_ACCESSES) {
            cache_ghost_add(policy->ghost, entry->key_hash);
            return entry;
        }
        set_accesses(entry, 0);
        queue_push(policy, QUEUE_MAIN, entry);
    }
    return NULL;
}

/* Each time round an entry loses an access, so the loop ends after as many rounds as accesses saturate at. */
static struct cache_policy_entry *evict_main(struct cache_policy *policy) {
    struct cache_policy_entry *entry;
    while ((entry = queue_pop(policy, QUEUE_MAIN))) {
        uint8_t accesses = accesses_of(entry);
        if (accesses == 0) return entry;
        set_accesses(entry, accesses - 1);
        queue_push(policy, QUEUE_MAIN, entry);
    }
    return NULL;
}

static struct cache_policy_entry *s3fifo_evict(struct cache_policy *policy) {
    const struct queue *small = &policy->queues[QUEUE_SMALL];
    bool from_small = small->bytes >= policy->small_bytes || policy->queues[QUEUE_MAIN].count == 0;
    struct cache_policy_entry *entry = from_small ? evict_small(policy) : NULL;
    if (!entry) entry = evict_main(policy);
    return entry;
}

static uint32_t s3fifo_accesses(const struct cache_policy_entry *entry) {
    uint32_t accesses = atomic_load_explicit(entry->accesses, memory_order_relaxed); /* a hint */
    return accesses + (entry->queue == QUEUE_MAIN ? 2 : 1);
}

static uint64_t s3fifo_overhead_bytes(const struct cache_policy *policy) {
    return sizeof *policy + cache_ghost_bytes(policy->ghost);
}

const struct cache_policy_ops cache_policy_s3fifo = {
    .name = "s3-fifo",
    .create = s3fifo_create,
    .destroy = s3fifo_destroy,
    .insert = s3fifo_insert,
    .remove = s3fifo_remove,
    .evict = s3fifo_evict,
    .accesses = s3fifo_accesses,
    .overhead_bytes = s3fifo_overhead_bytes,
};
