/* The budget is hard: with an endless stream of new objects the whole process stays within it and a little. */
#include "cache_test.h"

#ifdef SK_SLOW_BUILD
#define BUDGET_BYTES (32 * (uint64_t)MIB)
#else
#define BUDGET_BYTES (64 * (uint64_t)MIB)
#endif
#define ROUNDS 4 /* times the budget that goes through */

static uint64_t resident_bytes(void) {
    unsigned long long total, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%llu %llu", &total, &resident), 2);
    fclose(file);
    return resident * 4096;
}

struct stream {
    const char *name;
    uint64_t least, most; /* body bytes */
};

static const struct stream streams[] = {
    {"tiny", 0, 200},
    {"pages", 500, 30000},
    {"pictures", 20000, 500000},
    {"large", 1000000, 8000000},
};

static void check_stream(struct cache_thread *thread, const struct stream *stream, uint64_t *number) {
    struct cache_usage usage;
    uint64_t most_used = 0, most_resident = 0;
    for (uint64_t sum = 0; sum < ROUNDS * BUDGET_BYTES;) {
        struct test_key key;
        uint64_t bytes = stream->least + sk_random_below(stream->most - stream->least);
        bool announced = sk_random_below(4) > 0;
        make_key(&key, "/", ++*number);
        if (!put_object(thread, &key.key, *number, bytes, announced)) fail_msg("%s", stream->name);
        sum += bytes + 600;
        if (*number % 64) continue;
        cache_usage(cache_of(thread), &usage);
        most_used = SK_MAX(most_used, usage.used_bytes);
        if (*number % 256 == 0) most_resident = SK_MAX(most_resident, resident_bytes());
    }
    print_message("%s: %llu MiB used, %llu MiB resident, %llu objects\n", stream->name,
                  (unsigned long long)most_used / MIB, (unsigned long long)most_resident / MIB,
                  (unsigned long long)usage.objects);
    assert_true(most_used <= BUDGET_BYTES);
#ifndef SK_SLOW_BUILD
    assert_true(most_resident <= BUDGET_BYTES + 16 * MIB);
#endif
}

static void an_endless_stream_of_new_objects_stays_within_the_budget(void **state) {
    struct cache_options options = {.memory_bytes = BUDGET_BYTES};
    struct cache_thread *thread;
    struct cache *cache;
    uint64_t number = 0;
    assert_ok(cache_create(&options, &cache));
    assert_ok(cache_thread_join(cache, NULL, &thread));
    for (size_t i = 0; i < SK_COUNT(streams); i++) check_stream(thread, &streams[i], &number);
    cache_thread_leave(thread);
    cache_destroy(cache);
    (void)state;
}

static bool is_there(struct cache_thread *thread, const struct cache_key *key) {
    cache_enter(thread);
    struct cache_object *object = cache_find(thread, key, NULL, NULL);
    cache_leave(thread);
    return object;
}

/* What a few small objects have for themselves is the emptiest slab there is. It is not taken for the large ones of
 * different sizes that stream by, whose chunks cannot take each other's place: all ask for the small ones. */
static void what_is_asked_for_stays_whatever_streams_by(void **state) {
    struct cache_options options = {.memory_bytes = 16 * (uint64_t)MIB};
    struct test_key hot[20];
    struct cache_thread *thread;
    struct cache *cache;
    uint64_t number = 0;
    unsigned lost = 0, asked = 0;
    assert_ok(cache_create(&options, &cache));
    assert_ok(cache_thread_join(cache, NULL, &thread));
    for (size_t i = 0; i < SK_COUNT(hot); i++) make_key(&hot[i], "/hot", i);
    for (int round = 0; round < 600; round++) {
        for (size_t i = 0; i < SK_COUNT(hot); i++, asked++) {
            if (is_there(thread, &hot[i].key)) continue;
            assert_true(put_object(thread, &hot[i].key, i, 2000, true));
            lost++;
        }
        for (int i = 0; i < 2; i++) {
            struct test_key key;
            make_key(&key, "/cold", ++number);
            assert_true(put_object(thread, &key.key, number, number / 40 % 2 ? 60000 : 250000, true));
        }
    }
    print_message("%u of %u were not there\n", lost, asked);
    assert_true(lost < asked / 50);
    cache_thread_leave(thread);
    cache_destroy(cache);
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endless_stream_of_new_objects_stays_within_the_budget),
        cmocka_unit_test(what_is_asked_for_stays_whatever_streams_by),
    };
    return SK_RUN_TESTS(tests);
}
