/* What a hard purge has hit is reclaimed; everything else stays. */
#include "cache/sweep.h"

#include "cache/purge.h"
#define ONE_CACHE_BYTES (64 * MIB)
#include "one_cache.h"

#define OBJECTS 3000

static struct cache_usage usage(void) {
    struct cache_usage usage;
    cache_usage(cache, &usage);
    return usage;
}

static void put_all(const char *path) {
    struct test_key key;
    for (uint64_t i = 0; i < OBJECTS; i++)
        assert_true(put_object(thread, make_key(&key, path, i), i, 100, true));
}

static uint64_t found(const char *path) {
    struct test_key key;
    uint64_t count = 0;
    for (uint64_t i = 0; i < OBJECTS; i++) {
        cache_enter(thread);
        count += cache_find(thread, make_key(&key, path, i), NULL, NULL) != NULL;
        cache_leave(thread);
    }
    return count;
}

static void purge(enum cache_purge_kind kind, const char *text, bool soft) {
    struct cache_purge purge = {.kind = kind,
                                .soft = soft,
                                .site = SK_STR("site"),
                                .host = SK_STR("example.org"),
                                .text = sk_str_from_c(text)};
    assert_ok(cache_purge(cache, &purge, NULL));
}

static void sweep_all(struct cache_sweep *sweep) {
    for (int steps = 0; cache_sweep_step(thread, sweep); steps++) assert_true(steps < 100000);
}

static void only_what_is_gone_is_taken_out(void **state) {
    struct cache_sweep sweep = {0};
    assert_false(cache_sweep_step(thread, &sweep)); /* no purge, nothing to do */
    put_all("/a/");
    put_all("/b/");
    uint64_t before = usage().used_bytes;
    purge(CACHE_PURGE_PREFIX, "/a/", false);
    purge(CACHE_PURGE_PREFIX, "/b/", true);
    sweep_all(&sweep);
    assert_int_equal(sweep.objects, OBJECTS);
    assert_int_equal(usage().objects, OBJECTS);
    assert_int_equal(found("/a/"), 0);
    assert_int_equal(found("/b/"), OBJECTS);
    assert_int_equal(sweep.done, cache_purge_clock(cache));
    assert_false(cache_sweep_step(thread, &sweep));
    purge(CACHE_PURGE_ALL, "", false);
    sweep_all(&sweep);
    assert_int_equal(usage().objects, 0);
    assert_true(usage().used_bytes < before / 2); /* and the memory is the system's again */
    put_all("/a/");
    assert_int_equal(found("/a/"), OBJECTS);
    (void)state;
}

/* One that is being read stays whole until its reader has gone. */
static void a_reader_keeps_what_is_swept(void **state) {
    struct cache_sweep sweep = {0};
    struct test_key key;
    assert_true(put_object(thread, make_key(&key, "/r", 7), 7, 50000, true));
    cache_enter(thread);
    struct cache_object *object = cache_find(thread, &key.key, NULL, NULL);
    assert_non_null(object);
    cache_object_ref(object);
    cache_leave(thread);
    purge(CACHE_PURGE_HOST, "", false);
    sweep_all(&sweep);
    assert_int_equal(usage().objects, 0);
    assert_int_equal(read_whole(thread, object, 7), 50000);
    cache_object_unref(thread, object);
    (void)state;
}

static bool put_variant(const struct cache_key *key, const struct http_request *request) {
    struct cache_fill *fill;
    struct cache_object *other = NULL;
    struct cache_head head = make_head(0);
    if (cache_fill_begin(thread, key, request, NULL, &fill, &other) != CACHE_LEAD) return false;
    cache_fill_leave(thread, fill);
    head.vary = SK_STR("accept-language");
    head.request = request;
    sk_err err = cache_fill_store(fill, &head);
    if (!err) err = cache_fill_finish(fill);
    cache_fill_release(fill);
    return err == SK_OK;
}

static bool has_variant(const struct cache_key *key, const struct http_request *request) {
    cache_enter(thread);
    bool has = cache_find(thread, key, request, NULL) != NULL;
    cache_leave(thread);
    return has;
}

/* A list of variants is reclaimed with them, but not when a response came into it after the purge. */
static void a_list_goes_with_its_variants(void **state) {
    struct cache_sweep sweep = {0};
    struct test_key key;
    struct http_field de = {SK_STR_INIT("accept-language"), SK_STR_INIT("de"), HTTP_FIELD_ACCEPT_LANGUAGE},
                      fr = de;
    struct http_request german = {.fields = {&de, 1, 1}}, french = {.fields = {&fr, 1, 1}};
    fr.value = SK_STR("fr");
    make_key(&key, "/v", 0);
    assert_true(put_variant(&key.key, &german) && put_variant(&key.key, &french));
    assert_int_equal(usage().objects, 3);
    purge(CACHE_PURGE_PREFIX, "/v", false);
    assert_true(put_variant(&key.key, &french));
    sweep_all(&sweep);
    assert_false(has_variant(&key.key, &german));
    assert_true(has_variant(&key.key, &french));
    assert_int_equal(usage().objects, 2);
    purge(CACHE_PURGE_PREFIX, "/v", false);
    sweep_all(&sweep);
    assert_int_equal(usage().objects, 0);
    (void)state;
}

static uint32_t take_some(struct cache_sweep *sweep, uint64_t objects) {
    uint32_t steps = 0;
    for (; sweep->objects < objects; steps++) assert_true(cache_sweep_step(thread, sweep));
    return steps;
}

/* A purge that comes while the walk is under way need not wait for its end. */
static void a_newer_purge_is_joined(void **state) {
    struct cache_sweep sweep = {0};
    put_all("/a/");
    put_all("/b/");
    purge(CACHE_PURGE_PREFIX, "/a/", false);
    take_some(&sweep, OBJECTS / 2);
    uint64_t looked = sweep.looked;
    purge(CACHE_PURGE_ALL, "", false);
    sweep_all(&sweep);
    assert_int_equal(usage().objects, 0);
    assert_int_equal(sweep.rounds, 1);
    assert_int_equal(sweep.done, cache_purge_clock(cache));
    /* Everything at most once more, and the part of one shard that was passed. */
    assert_true(sweep.looked - looked <= 2 * OBJECTS);
    (void)state;
}

/* What is stored behind the walk by a fill that began before the purge is met on the second way round. */
static void what_comes_behind_the_walk_goes_too(void **state) {
    struct cache_sweep sweep = {0};
    struct test_key keys[64];
    struct cache_fill *fills[SK_COUNT(keys)];
    struct cache_object *other;
    sk_str tag = SK_STR("late");
    put_all("/a/");
    for (size_t i = 0; i < SK_COUNT(keys); i++)
        assert_int_equal(
            cache_fill_begin(thread, make_key(&keys[i], "/late/", i), NULL, NULL, &fills[i], &other),
            CACHE_LEAD);
    purge(CACHE_PURGE_TAG, "late", false);
    purge(CACHE_PURGE_PREFIX, "/a/", false);
    take_some(&sweep, OBJECTS - 1);
    for (size_t i = 0; i < SK_COUNT(keys); i++) {
        struct cache_head head = make_head(0);
        head.tags = &tag;
        head.tag_count = 1;
        cache_fill_leave(thread, fills[i]);
        assert_ok(cache_fill_store(fills[i], &head));
        assert_ok(cache_fill_finish(fills[i]));
        cache_fill_release(fills[i]);
    }
    sweep_all(&sweep);
    assert_int_equal(usage().objects, 0);
    (void)state;
}

/* Tables that shrink and grow under the walk, one after the other at the same address. */
static void tables_that_are_made_anew_hide_nothing(void **state) {
    struct cache_sweep sweep = {0};
    struct test_key key;
    for (int round = 0; round < 50; round++) {
        uint64_t objects = 20 + sk_random_below(OBJECTS);
        for (uint64_t i = 0; i < objects; i++)
            assert_true(put_object(thread, make_key(&key, "/n/", i), i, 10, true));
        purge(CACHE_PURGE_ALL, "", false);
        sweep_all(&sweep);
        assert_int_equal(usage().objects, 0);
    }
    (void)state;
}

struct pace_case {
    const char *name;
    uint64_t looked, objects, slabs;
    struct cache_sweep_pace last;
    bool busy;
    struct cache_sweep_pace next;
};

static void paces_follow_what_is_found(void **state) {
    static const sk_time_ns us = SK_NS_PER_US, ms = SK_NS_PER_MS;
    const struct pace_case cases[] = {
        {"much, on an idle machine", 1000, 900, 0, {ms, 60 * us}, false, {ms, ms}},
        {"much, but others want the core", 1000, 900, 0, {ms, ms}, true, {ms, 200 * us}},
        {"memory to give back", 0, 0, 1, {ms, 60 * us}, false, {ms, ms}},
        {"a few now and then are little", 1000, 62, 0, {ms, ms}, false, {ms, 60 * us}},
        {"little again: a longer rest", 1000, 0, 0, {ms, 60 * us}, false, {2 * ms, 60 * us}},
        {"a quarter of a hundredth at least", 1000, 0, 0, {16 * ms, 60 * us}, false, {24 * ms, 60 * us}},
        {"much after little", 1000, 63, 0, {6 * ms, 60 * us}, true, {ms, 200 * us}},
        {"the look that began it", 32, 0, 0, {100 * ms, us}, false, {ms, 60 * us}},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        const struct pace_case *c = &cases[i];
        struct cache_sweep before = {.looked = 5, .objects = 6, .slabs = 7};
        struct cache_sweep after = {
            .looked = 5 + c->looked, .objects = 6 + c->objects, .slabs = 7 + c->slabs};
        struct cache_sweep_pace next = cache_sweep_next(&before, &after, c->last, c->busy);
        if (next.rest_ns != c->next.rest_ns || next.turn_ns != c->next.turn_ns)
            fail_msg("%s: rests %lld us for a turn of %lld us", c->name, (long long)(next.rest_ns / us),
                     (long long)(next.turn_ns / us));
    }
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_what_is_gone_is_taken_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reader_keeps_what_is_swept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_list_goes_with_its_variants, setup, teardown),
        cmocka_unit_test_setup_teardown(a_newer_purge_is_joined, setup, teardown),
        cmocka_unit_test_setup_teardown(what_comes_behind_the_walk_goes_too, setup, teardown),
        cmocka_unit_test_setup_teardown(tables_that_are_made_anew_hide_nothing, setup, teardown),
        cmocka_unit_test(paces_follow_what_is_found),
    };
    return SK_RUN_TESTS(tests);
}
