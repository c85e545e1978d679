/* Which object goes when room is needed: the eviction policy behind an interface, so that others (size
 * aware, learned) can take GDSF's place. A policy sees entries, never objects or bytes; the store calls
 * it with its lock held, so it needs none of its own. Hits do not call it: they only raise the entry's
 * access counter, which the policy reads when it decides. */
#ifndef SK_CACHE_POLICY_H
#define SK_CACHE_POLICY_H

#include <stdatomic.h>

#include "base/hash.h"
#include "base/list.h"

/* Embedded in whatever is cached. */
struct cache_policy_entry {
    struct sk_list link;
    uint64_t key_hash;
    uint64_t bytes; /* what evicting it frees */
    _Atomic uint8_t *accesses;
    uint8_t queue;   /* the policy's own */
    uint32_t credit; /* the policy's own */
};

struct cache_policy; /* an instance */

struct cache_policy_ops {
    const char *name;
    /* CAPACITY_BYTES is the budget for cached bytes. */
    sk_err (*create)(uint64_t capacity_bytes, struct cache_policy **out_policy);
    void (*destroy)(struct cache_policy *policy);
    void (*insert)(struct cache_policy *policy, struct cache_policy_entry *entry);
    /* Took it out for another reason than eviction. */
    void (*remove)(struct cache_policy *policy, struct cache_policy_entry *entry);
    /* Chooses and takes out one victim; NULL when empty. Amortised O(1). */
    struct cache_policy_entry *(*evict)(struct cache_policy *policy);
    /* How often ENTRY, in the policy or just taken out, was asked for of late, as far as is known: 1 for what was asked for
     * once, more for what was asked for again since it came, or came back soon. */
    uint32_t (*accesses)(const struct cache_policy_entry *entry);
    /* Bytes that the policy itself uses (ghost entries, a heap). */
    uint64_t (*overhead_bytes)(const struct cache_policy *policy);
};

/* S3-FIFO (Yang et al., SOSP 2023): small FIFO 10 %, main FIFO with reinsertion, ghost FIFO of hashes. */
extern const struct cache_policy_ops cache_policy_s3fifo;
/* GDSF (Cherkasova, HP Labs 1998): accesses divided by bytes, aged; the least worth goes. */
extern const struct cache_policy_ops cache_policy_gdsf;
/* First in, first out, and least recently used by counter (CLOCK): for comparison in benchmarks. */
extern const struct cache_policy_ops cache_policy_fifo;
extern const struct cache_policy_ops cache_policy_clock;

#endif
