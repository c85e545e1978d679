#include <stdlib.h>

#include "base/random.h"
#include "cache/ghost.h"
#include "cache/policy.h"
#include "unit.h"

/* A cache of CAPACITY entries of one byte each, driven by a trace of letters. */
#define LETTERS 26
struct sim {
    const struct cache_policy_ops *ops;
    struct cache_policy *policy;
    struct cache_policy_entry entries[LETTERS];
    _Atomic uint8_t accesses[LETTERS];
    bool cached[LETTERS];
    size_t count, capacity;
    char evicted[256];
    size_t evicted_count;
};

static uint64_t hash_of(size_t letter) { return sk_hash64(&letter, sizeof letter); }

static void sim_access(struct sim *sim, char c) {
    size_t letter = (size_t)(c - 'a');
    if (sim->cached[letter]) {
        if (sim->accesses[letter] < 3) sim->accesses[letter]++;
        return;
    }
    if (sim->count == sim->capacity) {
        struct cache_policy_entry *victim = sim->ops->evict(sim->policy);
        size_t out = (size_t)(victim - sim->entries);
        sim->cached[out] = false;
        sim->count--;
        sim->evicted[sim->evicted_count++] = (char)('a' + out);
    }
    sim->accesses[letter] = 0;
    sim->entries[letter] = (struct cache_policy_entry){.key_hash = hash_of(letter), .bytes = 100};
    sim->entries[letter].accesses = &sim->accesses[letter];
    sim->ops->insert(sim->policy, &sim->entries[letter]);
    sim->cached[letter] = true;
    sim->count++;
}

struct trace_case {
    const char *name;
    const struct cache_policy_ops *ops;
    const char *trace;
    const char *evicted; /* in order */
};

/* Capacity 10 entries, so S3-FIFO's small queue holds one. Worked out by hand from the paper's algorithm. */
static const struct trace_case trace_cases[] = {
    {"fifo: the oldest goes, however often it was used", &cache_policy_fifo, "abcdefghijaaak", "a"},
    {"clock: an entry that was used gets another round", &cache_policy_clock, "abcdefghijak", "b"},
    {"clock: as many rounds as its counter remembers", &cache_policy_clock, "abcdefghijaabcdefghijk", "b"},
    {"s3-fifo: what was used once or less leaves the small queue", &cache_policy_s3fifo, "abcdefghijak", "a"},
    {"s3-fifo: what was used twice goes over to main", &cache_policy_s3fifo, "abcdefghijaak", "b"},
    {"s3-fifo: a scan does not push out main", &cache_policy_s3fifo, "aabbaabbcdefghijklmnopqrstuvwxyz",
     "cdefghijklmnopqr"},
    /* a leaves as a ghost when k comes; back it goes to main at once, so the scan after it takes others. */
    {"s3-fifo: a ghost that comes again goes to main", &cache_policy_s3fifo, "abcdefghijkalmnopqrstuvwxyz",
     "abcdefghijklmnopq"},
};

static void traces_evict_what_they_should(void **state) {
    for (size_t i = 0; i < SK_COUNT(trace_cases); i++) {
        const struct trace_case *c = &trace_cases[i];
        struct sim sim = {.ops = c->ops, .capacity = 10};
        assert_ok(c->ops->create(1000, &sim.policy));
        for (const char *at = c->trace; *at; at++) sim_access(&sim, *at);
        if (strcmp(sim.evicted, c->evicted) != 0)
            fail_msg("%s: evicted \"%s\", not \"%s\"", c->name, sim.evicted, c->evicted);
        c->ops->destroy(sim.policy);
    }
    (void)state;
}

static const struct cache_policy_ops *const all_policies[] = {&cache_policy_s3fifo, &cache_policy_gdsf,
                                                              &cache_policy_fifo, &cache_policy_clock};

/* Whatever happens, each entry that was put in comes out once: by eviction or by removal. */
static void every_entry_leaves_exactly_once(void **state) {
    enum { ENTRIES = 500, STEPS = 20000 };
    static struct cache_policy_entry entries[ENTRIES];
    static _Atomic uint8_t accesses[ENTRIES];
    static bool inside[ENTRIES];
    for (size_t p = 0; p < SK_COUNT(all_policies); p++) {
        const struct cache_policy_ops *ops = all_policies[p];
        struct cache_policy *policy;
        size_t count = 0;
        memset(inside, 0, sizeof inside);
        assert_ok(ops->create(100000, &policy));
        for (int step = 0; step < STEPS; step++) {
            size_t i = sk_random_below(ENTRIES);
            accesses[i] = (uint8_t)sk_random_below(4);
            if (!inside[i]) {
                entries[i] = (struct cache_policy_entry){.key_hash = hash_of(i), .accesses = &accesses[i]};
                entries[i].bytes = 1 + sk_random_below(1000);
                ops->insert(policy, &entries[i]);
                inside[i] = true, count++;
            } else if (sk_random_below(3) == 0) {
                ops->remove(policy, &entries[i]);
                inside[i] = false, count--;
            } else if (sk_random_below(3) == 0) {
                struct cache_policy_entry *victim = ops->evict(policy);
                assert_non_null(victim);
                assert_true(inside[victim - entries]);
                inside[victim - entries] = false, count--;
            }
        }
        for (; count > 0; count--) assert_non_null(ops->evict(policy));
        assert_null(ops->evict(policy));
        ops->destroy(policy);
    }
    (void)state;
}

static void insert_sized(const struct cache_policy_ops *ops, struct cache_policy *policy,
                         struct cache_policy_entry *entry, _Atomic uint8_t *accesses, size_t name,
                         uint64_t bytes) {
    *entry = (struct cache_policy_entry){.key_hash = hash_of(name), .bytes = bytes, .accesses = accesses};
    ops->insert(policy, entry);
}

/* Cherkasova 1998: the worth is accesses by bytes. */
static void gdsf_evicts_the_least_accesses_by_bytes(void **state) {
    static const struct {
        uint64_t bytes;
        uint8_t accesses;
        size_t turn; /* in which it is evicted */
    } rows[] = {{100, 0, 3}, {1000, 0, 1}, {1000, 3, 2}, {10000, 0, 0}, {10, 0, 4}};
    const struct cache_policy_ops *ops = &cache_policy_gdsf;
    struct cache_policy_entry entries[SK_COUNT(rows)];
    _Atomic uint8_t accesses[SK_COUNT(rows)];
    struct cache_policy *policy;
    assert_ok(ops->create(1 << 20, &policy));
    for (size_t i = 0; i < SK_COUNT(rows); i++) {
        accesses[i] = rows[i].accesses;
        insert_sized(ops, policy, &entries[i], &accesses[i], i, rows[i].bytes);
    }
    for (size_t turn = 0; turn < SK_COUNT(rows); turn++)
        assert_int_equal(rows[ops->evict(policy) - entries].turn, turn);
    ops->destroy(policy);
    (void)state;
}

/* What was popular once does not stay for ever: the clock passes it. */
static void gdsf_forgets_what_is_asked_for_no_more(void **state) {
    enum { NEW = 3000 };
    static struct cache_policy_entry entries[NEW + 1];
    static _Atomic uint8_t accesses[NEW + 1];
    const struct cache_policy_ops *ops = &cache_policy_gdsf;
    struct cache_policy *policy;
    bool gone = false;
    assert_ok(ops->create(1 << 20, &policy));
    accesses[NEW] = 3;
    insert_sized(ops, policy, &entries[NEW], &accesses[NEW], NEW, 100);
    for (size_t i = 0; i < NEW && !gone; i++) {
        insert_sized(ops, policy, &entries[i], &accesses[i], i, 100);
        if (i >= 10) gone = ops->evict(policy) == &entries[NEW];
    }
    assert_true(gone);
    ops->destroy(policy);
    (void)state;
}

static void a_zipf_mix_is_kept_better_than_by_fifo(void **state) {
    enum { KEYS = 4000, CAPACITY = 400, STEPS = 60000 };
    static struct cache_policy_entry entries[KEYS];
    static _Atomic uint8_t accesses[KEYS];
    static bool inside[KEYS];
    static const struct cache_policy_ops *const policies[] = {&cache_policy_fifo, &cache_policy_s3fifo,
                                                              &cache_policy_gdsf};
    size_t hits[SK_COUNT(policies)] = {0};
    for (size_t p = 0; p < SK_COUNT(policies); p++) {
        const struct cache_policy_ops *ops = policies[p];
        struct cache_policy *policy;
        size_t count = 0;
        uint64_t seed = 42;
        memset(inside, 0, sizeof inside);
        assert_ok(ops->create(CAPACITY * 2048, &policy));
        for (int step = 0; step < STEPS; step++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            double u = (double)(seed >> 11) / 9007199254740992.0;
            size_t key = (size_t)((double)KEYS * u * u * u * u); /* a few keys get most */
            if (inside[key]) {
                hits[p]++;
                if (accesses[key] < 3) accesses[key]++;
                continue;
            }
            if (count == CAPACITY) inside[ops->evict(policy) - entries] = false, count--;
            accesses[key] = 0;
            entries[key] = (struct cache_policy_entry){
                .key_hash = hash_of(key), .bytes = 2048, .accesses = &accesses[key]};
            ops->insert(policy, &entries[key]);
            inside[key] = true, count++;
        }
        ops->destroy(policy);
    }
    for (size_t p = 1; p < SK_COUNT(policies); p++) assert_true(hits[p] > hits[0] + STEPS / 50);
    (void)state;
}

static void a_ghost_is_remembered_for_its_window_and_once(void **state) {
    struct cache_ghost *ghost;
    assert_ok(cache_ghost_create(1024, &ghost));
    for (size_t i = 0; i < 500; i++) cache_ghost_add(ghost, hash_of(i));
    assert_true(cache_ghost_take(ghost, hash_of(499), 10));
    assert_false(cache_ghost_take(ghost, hash_of(499), 10));
    assert_false(cache_ghost_take(ghost, hash_of(400), 10));
    assert_true(cache_ghost_take(ghost, hash_of(495), 10));
    assert_false(cache_ghost_take(ghost, hash_of(10000), 500));
    cache_ghost_destroy(ghost);
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traces_evict_what_they_should),
        cmocka_unit_test(every_entry_leaves_exactly_once),
        cmocka_unit_test(gdsf_evicts_the_least_accesses_by_bytes),
        cmocka_unit_test(gdsf_forgets_what_is_asked_for_no_more),
        cmocka_unit_test(a_zipf_mix_is_kept_better_than_by_fifo),
        cmocka_unit_test(a_ghost_is_remembered_for_its_window_and_once),
    };
    return SK_RUN_TESTS(tests);
}
