/* GDSF: Cherkasova, "Improving WWW proxies performance with Greedy-Dual-Size-Frequency caching policy", HP Labs
 * 1998. An entry is worth its accesses divided by its bytes, on top of a clock that runs as fast as entries
 * are evicted, so that what was popular once does not stay for ever. The victim is the least worth.
 *
 * Hits do not come here: they only raise the entry's counter. So the worth of an entry is looked at again
 * when it has become the least, and an entry that was asked for since then goes back with what it earned.
 *
 * Worth alone would keep small objects that nobody asks for during a hundred turnovers of the large ones. So a
 * slow hand goes round all entries, once in TURNOVERS times the capacity evicted, and takes out what was not
 * asked for in a whole round.
 *
 * The heap has places for as many entries as the capacity can hold, and counts them from the start: a heap that
 * grew would take memory when there is none to take. Untouched ones cost nothing but the room. */
#include <stdlib.h>

#include "cache/ghost.h"
#include "cache/policy.h"

#define ARITY 4
#define ENTRY_MIN_BYTES 512 /* the store's smallest chunk */
#define FREQUENCY_MAX 250
/* What came back soon after it was evicted counts as asked for so often: of the traces of dev/bench policies, those
 * with the largest miss ratios gain by it, and none loses. */
#define GHOST_FREQUENCY 5
/* The worth of one access to an object of one byte. Clock and worths wrap around together: what is in the
 * heap at a time differs by far less than half of the range. */
#define WORTH_ONE (UINT64_C(1) << 46)
#define GHOST_OBJECT_BYTES 2048 /* of the capacity there is a ghost entry for each so many bytes */

#define TURNOVERS 50 /* fewer cost hits: small objects earn their keep slowly */

struct place {
    uint64_t worth;
    struct cache_policy_entry *entry;
};

struct cache_policy {
    struct place *places;
    uint32_t room, count;
    uint64_t clock;      /* the worth of the last victim */
    struct sk_list hand; /* all entries; the next one that the hand looks at is last */
    uint64_t capacity;   /* bytes */
    double hand_due;     /* entries that the hand is behind */
    struct cache_ghost *ghost;
};

/* True when A is worth less than B, on a circle of 64 bits. */
static bool is_less(uint64_t a, uint64_t b) { return (int64_t)(a - b) < 0; }

static void put_at(struct cache_policy *policy, uint32_t index, struct place place) {
    policy->places[index] = place;
    place.entry->credit = index;
}

static void sift_up(struct cache_policy *policy, uint32_t index, struct place place) {
    while (index > 0) {
        uint32_t parent = (index - 1) / ARITY;
        struct place above = policy->places[parent];
        if (!is_less(place.worth, above.worth)) break;
        put_at(policy, index, above);
        index = parent;
    }
    put_at(policy, index, place);
}

static uint32_t least_child(const struct cache_policy *policy, uint32_t index) {
    uint64_t first = (uint64_t)index * ARITY + 1;
    if (first >= policy->count) return 0;
    uint32_t end = (uint32_t)SK_MIN(first + ARITY, policy->count), least = (uint32_t)first;
    for (uint32_t child = least + 1; child < end; child++)
        if (is_less(policy->places[child].worth, policy->places[least].worth)) least = child;
    return least;
}

static void sift_down(struct cache_policy *policy, uint32_t index, struct place place) {
    uint32_t child;
    while ((child = least_child(policy, index)) != 0) {
        struct place below = policy->places[child];
        if (!is_less(below.worth, place.worth)) break;
        put_at(policy, index, below);
        index = child;
    }
    put_at(policy, index, place);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static sk_err gdsf_create(uint64_t capacity_bytes, struct cache_policy **out_policy) {
    struct cache_policy *policy = calloc(1, sizeof *policy);
    if (!policy) return SK_ERR_NO_MEMORY;
    policy->capacity = SK_MAX(capacity_bytes, 1);
    sk_list_init(&policy->hand);
    policy->room = (uint32_t)SK_MIN(capacity_bytes / ENTRY_MIN_BYTES + 16, UINT32_MAX / 2);
    policy->places = malloc(policy->room * sizeof *policy->places);
    if (!policy->places) {
        free(policy);
        return SK_ERR_NO_MEMORY;
    }
    sk_err err = cache_ghost_create(capacity_bytes / GHOST_OBJECT_BYTES, &policy->ghost);
    if (err) {
        free(policy->places);
        free(policy);
        return err;
    }
    *out_policy = policy;
    return SK_OK;
}

static void gdsf_destroy(struct cache_policy *policy) {
    free(policy->places);
    cache_ghost_destroy(policy->ghost);
    free(policy);
}

/* Only where entries are smaller than the store's. */
static void grow(struct cache_policy *policy) {
    uint32_t room = policy->room * 2;
    struct place *places = realloc(policy->places, room * sizeof *places);
    SK_ASSERT(places != NULL);
    policy->places = places;
    policy->room = room;
}

/* ---- worth ---------------------------------------------------------------------------------------------- */

/* Relaxed: a lost access more or less decides nothing. */
static uint8_t accesses_of(struct cache_policy_entry *entry) {
    return atomic_load_explicit(entry->accesses, memory_order_relaxed);
}

static uint64_t worth_of(const struct cache_policy *policy, const struct cache_policy_entry *entry) {
    return policy->clock + WORTH_ONE / SK_MAX(entry->bytes, 1) * entry->queue;
}

/* `queue` counts the accesses that were taken from the entry's counter. */
static bool earned(struct cache_policy_entry *entry) {
    uint8_t accesses = accesses_of(entry);
    if (!accesses) return false;
    entry->queue = (uint8_t)SK_MIN(entry->queue + accesses, FREQUENCY_MAX);
    atomic_store_explicit(entry->accesses, 0, memory_order_relaxed); /* as above */
    return true;
}

static void gdsf_insert(struct cache_policy *policy, struct cache_policy_entry *entry) {
    bool known = cache_ghost_take(policy->ghost, entry->key_hash, policy->count);
    entry->queue = known ? GHOST_FREQUENCY : 1;
    sk_list_push_front(&policy->hand, &entry->link);
    if (policy->count == policy->room) grow(policy);
    sift_up(policy, policy->count++, (struct place){worth_of(policy, entry), entry});
}

static void gdsf_remove(struct cache_policy *policy, struct cache_policy_entry *entry) {
    uint32_t index = entry->credit;
    sk_list_remove(&entry->link);
    SK_ASSERT(index < policy->count && policy->places[index].entry == entry);
    struct place last = policy->places[--policy->count];
    if (last.entry == entry) return;
    sift_down(policy, index, last);
    if (last.entry->credit == index) sift_up(policy, index, last);
}

/* What an entry has earned since the last look moves it down in the heap and behind the hand. */
static bool renew(struct cache_policy *policy, struct cache_policy_entry *entry) {
    if (!earned(entry)) return false;
    sift_down(policy, entry->credit, (struct place){worth_of(policy, entry), entry});
    sk_list_remove(&entry->link);
    sk_list_push_front(&policy->hand, &entry->link);
    return true;
}

/* An entry that nobody asked for in a whole round of the hand; NULL: the hand is not behind, or met none. */
static struct cache_policy_entry *idle_one(struct cache_policy *policy) {
    while (policy->hand_due >= 1 && policy->count) {
        struct cache_policy_entry *entry =
            SK_CONTAINER_OF(sk_list_last(&policy->hand), struct cache_policy_entry, link);
        policy->hand_due -= 1;
        if (!renew(policy, entry)) return entry;
    }
    return NULL;
}

static struct cache_policy_entry *least_worth(struct cache_policy *policy) {
    while (policy->count) {
        struct place least = policy->places[0];
        policy->clock = least.worth;
        if (!renew(policy, least.entry)) return least.entry;
    }
    return NULL;
}

static struct cache_policy_entry *gdsf_evict(struct cache_policy *policy) {
    struct cache_policy_entry *victim = idle_one(policy);
    if (!victim) victim = least_worth(policy);
    if (!victim) return NULL;
    policy->hand_due += (double)victim->bytes * policy->count / ((double)policy->capacity * TURNOVERS);
    gdsf_remove(policy, victim);
    cache_ghost_add(policy->ghost, victim->key_hash);
    return victim;
}

static uint32_t gdsf_accesses(const struct cache_policy_entry *entry) {
    return entry->queue +
           (uint32_t)atomic_load_explicit(entry->accesses, memory_order_relaxed); /* as above */
}

static uint64_t gdsf_overhead_bytes(const struct cache_policy *policy) {
    return sizeof *policy + policy->room * sizeof *policy->places + cache_ghost_bytes(policy->ghost);
}

const struct cache_policy_ops cache_policy_gdsf = {
    .name = "gdsf",
    .create = gdsf_create,
    .destroy = gdsf_destroy,
    .insert = gdsf_insert,
    .remove = gdsf_remove,
    .evict = gdsf_evict,
    .accesses = gdsf_accesses,
    .overhead_bytes = gdsf_overhead_bytes,
};
