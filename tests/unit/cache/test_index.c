/* The index and the store against a model, on one thread and without any waiting. */
#include "cache_test.h"

#ifdef SK_SLOW_BUILD
#define STEPS 60000
#else
#define STEPS 1000000
#endif

struct slot {
    uint64_t version; /* 0: not there */
    uint64_t bytes;
};

static struct cache *make_cache(uint64_t bytes, const struct cache_policy_ops *policy) {
    struct cache *cache;
    struct cache_options options = {.memory_bytes = bytes, .shards = 4, .policy = policy};
    assert_ok(cache_create(&options, &cache));
    return cache;
}

static void check_found(struct cache_thread *thread, const struct cache_key *key, const struct slot *slot,
                        bool must) {
    struct cache_object *object;
    cache_enter(thread);
    object = cache_find(thread, key, NULL, NULL);
    if (object) {
        assert_true(slot->version > 0);
        assert_str(object->key.text, key->text);
        assert_str(object->head, SK_STR("Content-Type: text/plain\r\nETag: \"abc\"\r\n"));
        assert_str(object->fields.items[1].value, SK_STR("\"abc\""));
        assert_int_equal(read_whole(thread, object, slot->version), slot->bytes);
    } else if (must && slot->version > 0) {
        struct cache_usage usage;
        cache_usage(cache_of(thread), &usage);
        fail_msg("%.*s is missing; %llu objects were evicted", SK_STR_ARGS(key->text),
                 (unsigned long long)usage.evicted_objects);
    }
    cache_leave(thread);
}

static uint64_t some_size(bool small) {
    if (small) return sk_random_below(300);
    switch (sk_random_below(40)) {
    case 0: return sk_random_below(400000);
    case 1: return 32000 + sk_random_below(2000);
    default: return sk_random_below(6000);
    }
}

static void run_model(struct cache *cache, size_t keys, int steps, bool small, bool must) {
    struct slot *slots = calloc(keys, sizeof *slots);
    struct cache_thread *thread;
    struct cache_usage usage;
    assert_ok(cache_thread_join(cache, NULL, &thread));
    for (int step = 1; step <= steps; step++) {
        size_t i = sk_random_below(keys);
        struct test_key key;
        make_key(&key, "/object/", i);
        unsigned what = (unsigned)sk_random_below(10);
        if (what < 6) {
            check_found(thread, &key.key, &slots[i], must);
        } else if (what < 9) {
            uint64_t bytes = some_size(small);
            assert_true(put_object(thread, &key.key, (uint64_t)step, bytes, sk_random_below(2)));
            slots[i] = (struct slot){(uint64_t)step, bytes};
        } else {
            cache_remove(thread, &key.key);
            slots[i].version = 0;
        }
        if (step % 1000) continue;
        cache_usage(cache, &usage);
        assert_true(usage.used_bytes <= usage.budget_bytes);
    }
    size_t there = 0;
    for (size_t i = 0; i < keys; i++) there += slots[i].version > 0;
    cache_usage(cache, &usage);
    if (must)
        assert_int_equal(usage.objects, there);
    else
        assert_true(usage.objects <= there && usage.evicted_objects > 0);
    assert_int_equal(usage.fills, 0);
    cache_thread_leave(thread);
    free(slots);
}

static void with_room_for_all_it_is_a_map(void **state) {
    struct cache *cache = make_cache(64 * MIB, NULL);
    run_model(cache, 20000, STEPS, true, true);
    cache_destroy(cache);
    (void)state;
}

static void short_of_room_it_holds_a_part_and_nothing_wrong(void **state) {
    const struct cache_policy_ops *policies[] = {&cache_policy_s3fifo, &cache_policy_gdsf, &cache_policy_fifo,
                                                 &cache_policy_clock};
    for (size_t i = 0; i < SK_COUNT(policies); i++) {
        struct cache *cache = make_cache(8 * MIB, policies[i]);
        run_model(cache, 20000, STEPS / 10, false, false);
        cache_destroy(cache);
    }
    (void)state;
}

/* Sizes that change for good: what the old sizes held must serve the new ones. With a policy that does not prefer
 * the old ones for being small. */
static void memory_follows_when_sizes_change(void **state) {
    static const uint64_t phases[] = {200, 60000, 1500, 200000, 9000, 100};
    struct cache *cache = make_cache(16 * MIB, &cache_policy_s3fifo);
    struct cache_thread *thread;
    uint64_t number = 0;
    assert_ok(cache_thread_join(cache, NULL, &thread));
    for (size_t p = 0; p < SK_COUNT(phases); p++) {
        uint64_t objects = 3 * 16 * MIB / (phases[p] + 800);
        struct cache_usage usage;
        for (uint64_t i = 0; i < objects; i++) {
            struct test_key key;
            number++;
            assert_true(put_object(thread, make_key(&key, "/", number), number, phases[p], true));
        }
        cache_usage(cache, &usage);
        assert_true(usage.used_bytes <= usage.budget_bytes);
        /* At least two thirds of the budget hold objects of the new size. */
        uint64_t found = 0;
        cache_enter(thread);
        for (uint64_t i = 0; i < objects; i++) {
            struct test_key key;
            found += cache_find(thread, make_key(&key, "/", number - i), NULL, NULL) != NULL;
        }
        cache_leave(thread);
        if (found * (phases[p] + 500) < 16 * MIB / 3 * 2)
            fail_msg("%llu objects of %llu bytes", (unsigned long long)found, (unsigned long long)phases[p]);
    }
    cache_thread_leave(thread);
    cache_destroy(cache);
    (void)state;
}

static void an_object_that_is_held_stays_whole_when_it_was_evicted(void **state) {
    struct cache *cache = make_cache(8 * MIB, NULL);
    struct cache_thread *thread;
    struct test_key held, other;
    struct cache_object *object;
    assert_ok(cache_thread_join(cache, NULL, &thread));
    assert_true(put_object(thread, make_key(&held, "/held", 0), 7, 150000, true));
    cache_enter(thread);
    object = cache_find(thread, &held.key, NULL, NULL);
    cache_object_ref(object);
    cache_leave(thread);
    cache_remove(thread, &held.key);
    for (uint64_t i = 0; i < 300; i++)
        assert_true(put_object(thread, make_key(&other, "/", i), i, 100000, true));
    assert_int_equal(read_whole(thread, object, 7), 150000);
    cache_object_unref(thread, object);
    cache_thread_leave(thread);
    cache_destroy(cache);
    (void)state;
}

static void a_body_larger_than_the_limit_is_refused(void **state) {
    struct cache *cache = make_cache(8 * MIB, NULL);
    struct cache_thread *thread;
    struct cache_usage usage;
    struct test_key key;
    assert_ok(cache_thread_join(cache, NULL, &thread));
    assert_false(put_object(thread, make_key(&key, "/", 1), 1, 2 * MIB + 1, true));
    assert_true(put_object(thread, make_key(&key, "/", 2), 2, 2 * MIB, true));
    assert_false(put_object(thread, make_key(&key, "/", 3), 3, 2 * MIB + 100000, false));
    cache_usage(cache, &usage);
    assert_int_equal(usage.objects, 1);
    assert_int_equal(usage.rejected_objects, 2);
    cache_thread_leave(thread);
    cache_destroy(cache);
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_room_for_all_it_is_a_map),
        cmocka_unit_test(short_of_room_it_holds_a_part_and_nothing_wrong),
        cmocka_unit_test(memory_follows_when_sizes_change),
        cmocka_unit_test(an_object_that_is_held_stays_whole_when_it_was_evicted),
        cmocka_unit_test(a_body_larger_than_the_limit_is_refused),
    };
    return SK_RUN_TESTS(tests);
}
