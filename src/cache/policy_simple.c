/* First in, first out; and CLOCK, which gives an entry a second chance for each access that its counter
 * remembers. One list serves both. */
#include <stdlib.h>

#include "cache/policy.h"

struct cache_policy {
    struct sk_list entries; /* newest first */
};

static sk_err simple_create(uint64_t capacity_bytes, struct cache_policy **out_policy) {
    (void)capacity_bytes;
    struct cache_policy *policy = calloc(1, sizeof *policy);
    if (!policy) return SK_ERR_NO_MEMORY;
    sk_list_init(&policy->entries);
    *out_policy = policy;
    return SK_OK;
}

static void simple_destroy(struct cache_policy *policy) { free(policy); }

static void simple_insert(struct cache_policy *policy, struct cache_policy_entry *entry) {
    sk_list_push_front(&policy->entries, &entry->link);
}

static void simple_remove(struct cache_policy *policy, struct cache_policy_entry *entry) {
    (void)policy;
    sk_list_remove(&entry->link);
}

static struct cache_policy_entry *fifo_evict(struct cache_policy *policy) {
    struct sk_list *link = sk_list_last(&policy->entries);
    if (!link) return NULL;
    sk_list_remove(link);
    return SK_CONTAINER_OF(link, struct cache_policy_entry, link);
}

static struct cache_policy_entry *clock_evict(struct cache_policy *policy) {
    struct cache_policy_entry *entry;
    while ((entry = fifo_evict(policy))) {
        /* relaxed: a lost access decides nothing */
        uint8_t accesses = atomic_load_explicit(entry->accesses, memory_order_relaxed);
        if (accesses == 0) return entry;
        atomic_store_explicit(entry->accesses, accesses - 1, memory_order_relaxed);
        simple_insert(policy, entry);
    }
    return NULL;
}

static uint32_t simple_accesses(const struct cache_policy_entry *entry) {
    return 1u + atomic_load_explicit(entry->accesses, memory_order_relaxed); /* a hint */
}

static uint64_t simple_overhead_bytes(const struct cache_policy *policy) { return sizeof *policy; }

const struct cache_policy_ops cache_policy_fifo = {
    .name = "fifo",
    .create = simple_create,
    .destroy = simple_destroy,
    .insert = simple_insert,
    .remove = simple_remove,
    .evict = fifo_evict,
    .accesses = simple_accesses,
    .overhead_bytes = simple_overhead_bytes,
};

const struct cache_policy_ops cache_policy_clock = {
    .name = "clock",
    .create = simple_create,
    .destroy = simple_destroy,
    .insert = simple_insert,
    .remove = simple_remove,
    .evict = clock_evict,
    .accesses = simple_accesses,
    .overhead_bytes = simple_overhead_bytes,
};
