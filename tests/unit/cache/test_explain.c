/* Explaining changes nothing, and says what finding would. */
#include "cache/explain.h"

#include "cache/internal.h"
#include "cache/purge.h"
#include "cache_test.h"

static struct cache *cache;
static struct cache_thread *thread;
static struct test_key key;
static struct sk_arena arena;

static int setup(void **state) {
    struct cache_options options = {.memory_bytes = 16 * MIB};
    assert_ok(cache_create(&options, &cache));
    assert_ok(cache_thread_join(cache, NULL, &thread));
    sk_arena_init(&arena, 4096, 0);
    make_key(&key, "/", 1);
    return 0;
}

static int teardown(void **state) {
    sk_arena_free(&arena);
    cache_thread_leave(thread);
    cache_destroy(cache);
    return 0;
}

static struct http_field x_fields[] = {{SK_STR_INIT("X"), SK_STR_INIT("1"), 0},
                                       {SK_STR_INIT("X"), SK_STR_INIT("2"), 0}};
static struct http_request asks_1 = {.fields = {&x_fields[0], 1, 1}},
                           asks_2 = {.fields = {&x_fields[1], 1, 1}};

static struct cache_fill *lead(const struct http_request *request) {
    struct cache_fill *fill;
    struct cache_object *object;
    assert_int_equal(cache_fill_begin(thread, &key.key, request, NULL, &fill, &object), CACHE_LEAD);
    return fill;
}

static void store(const struct http_request *request, const char *vary) {
    static const sk_str tags[] = {SK_STR_INIT("red"), SK_STR_INIT("blue")};
    struct cache_head head = make_head(100);
    struct cache_fill *fill = lead(request);
    head.vary = sk_str_from_c(vary);
    head.request = request;
    head.tags = tags;
    head.tag_count = 2;
    assert_ok(cache_fill_store(fill, &head));
    assert_ok(fill_write(fill, 1, 0, 100));
    assert_ok(cache_fill_finish(fill));
    cache_fill_release(fill);
    cache_fill_leave(thread, fill);
}

static struct cache_explanation explain(const struct http_request *request) {
    struct cache_explanation explanation;
    cache_enter(thread);
    assert_ok(cache_explain(thread, &key.key, request, false, &arena, &explanation));
    cache_leave(thread);
    return explanation;
}

static void says_that_nothing_is_stored(void **state) {
    struct cache_explanation explanation = explain(NULL);
    assert_null(explanation.object);
    assert_false(explanation.coming || explanation.remembered || explanation.has_variants);
    assert_str(explanation.key.text, key.key.text);
}

static void says_what_is_stored_and_marks_no_access(void **state) {
    store(NULL, "");
    struct cache_explanation explanation = explain(NULL);
    assert_non_null(explanation.object);
    uint8_t before = atomic_load(&explanation.object->accesses);
    for (int i = 0; i < 5; i++) explanation = explain(NULL);
    assert_int_equal(atomic_load(&explanation.object->accesses), before);
    assert_int_equal(explanation.tags, 2);
    assert_true(explanation.memory_bytes >= 100 && explanation.memory_bytes < 4096);
}

static void says_which_variant_the_request_selects(void **state) {
    store(&asks_1, "X");
    struct cache_explanation explanation = explain(&asks_1);
    assert_non_null(explanation.object);
    assert_true(explanation.has_variants);
    assert_int_equal(explanation.variants, 1);
    assert_str(explanation.vary, SK_STR("x"));
    assert_true(sk_str_ends_with(explanation.key.text, SK_STR("\nx=1")));
    explanation = explain(&asks_2);
    assert_null(explanation.object);
    assert_true(explanation.finding.vary_miss);
    assert_true(sk_str_ends_with(explanation.key.text, SK_STR("\nx=2")));
}

static void says_that_a_fetch_is_on_its_way(void **state) {
    struct cache_fill *fill = lead(NULL);
    assert_true(explain(NULL).coming);
    struct cache_head head = make_head(0);
    head.reason = HTTP_REASON_NO_STORE_PRIVATE;
    assert_ok(cache_fill_pass(fill, &head, 10000));
    assert_ok(cache_fill_finish(fill));
    cache_fill_release(fill);
    cache_fill_leave(thread, fill);
    struct cache_explanation explanation = explain(NULL);
    assert_false(explanation.coming);
    assert_true(explanation.remembered);
    assert_int_equal(explanation.remembered_reason, HTTP_REASON_NO_STORE_PRIVATE);
}

static void says_what_a_purge_did(void **state) {
    store(NULL, "");
    struct cache_purge purge = {.kind = CACHE_PURGE_KEY, .soft = true, .text = key.key.text};
    assert_ok(cache_purge(cache, &purge, NULL));
    struct cache_explanation explanation = explain(NULL);
    assert_true(explanation.object && explanation.finding.soft_purged);
    assert_true(explanation.object->born < explanation.purge_clock);
    purge.soft = false;
    assert_ok(cache_purge(cache, &purge, NULL));
    explanation = explain(NULL);
    assert_true(!explanation.object && explanation.finding.purged);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(says_that_nothing_is_stored, setup, teardown),
        cmocka_unit_test_setup_teardown(says_what_is_stored_and_marks_no_access, setup, teardown),
        cmocka_unit_test_setup_teardown(says_which_variant_the_request_selects, setup, teardown),
        cmocka_unit_test_setup_teardown(says_that_a_fetch_is_on_its_way, setup, teardown),
        cmocka_unit_test_setup_teardown(says_what_a_purge_did, setup, teardown),
    };
    return SK_RUN_TESTS(tests);
}
