/* No-Vary-Search in the index: lists of paths, fills that learn of them, and purges beside both. */
#include "cache/search.h"

#include "cache/purge.h"
#include "cache_test.h"

static struct cache *cache;
static struct cache_thread *thread;
static struct sk_arena arena;

static int setup(void **state) {
    struct cache_options options = {.memory_bytes = 16 * MIB};
    assert_ok(cache_create(&options, &cache));
    assert_ok(cache_thread_join(cache, NULL, &thread));
    sk_arena_init(&arena, 4096, 0);
    (void)state;
    return 0;
}

static int teardown(void **state) {
    sk_arena_free(&arena);
    cache_thread_leave(thread);
    cache_destroy(cache);
    (void)state;
    return 0;
}

static struct cache_key exact(const char *target) {
    sk_str text = sk_arena_printf(&arena, "site|example.org|%s", target);
    assert_non_null(text.data);
    return (struct cache_key){sk_hash128_of(text.data, text.len), text};
}

/* The key that a request for the target looks under. */
static struct cache_key key_of(const char *target) {
    struct cache_key from = exact(target), key;
    assert_ok(cache_search_key(thread, &arena, &from, &key));
    return key;
}

static struct cache_fill *lead(const char *target) {
    struct cache_key key = key_of(target);
    struct cache_object *found;
    struct cache_fill *fill;
    assert_int_equal(cache_fill_begin(thread, &key, NULL, NULL, &fill, &found), CACHE_LEAD);
    cache_fill_leave(thread, fill);
    return fill;
}

/* The response has this rule; true when it was stored. */
static bool answer(struct cache_fill *fill, const char *rule, bool forget) {
    bool differs;
    assert_ok(cache_search_settle(fill, sk_str_from_c(rule), forget, &differs));
    sk_str tag = cache_search_tag(&arena, cache_fill_key(fill)->text);
    struct cache_head head = make_head(10);
    head.tags = &tag;
    head.tag_count = 1;
    if (differs) { /* nobody reads it here */
        assert_ok(cache_fill_pass(fill, &head, 0));
        cache_fill_break(fill, SK_ERR_CANCELLED);
    } else {
        assert_ok(cache_fill_store(fill, &head));
        assert_ok(fill_write(fill, 1, 0, 10));
        assert_ok(cache_fill_finish(fill));
    }
    cache_fill_release(fill);
    return !differs;
}

static bool found(const char *target) {
    struct cache_key key = key_of(target);
    cache_enter(thread);
    bool is = cache_find(thread, &key, NULL, NULL) != NULL;
    cache_leave(thread);
    return is;
}

static void without_lists_a_key_stays(void **state) {
    struct cache_key key = key_of("/a?b");
    assert_false(cache_search_any(cache));
    assert_str(key.text, SK_STR("site|example.org|/a?b"));
    assert_str(cache_search_rule(key.text), SK_STR(""));
    (void)state;
}

static void a_fill_moves_to_the_key_of_its_rule(void **state) {
    assert_true(answer(lead("/a?x=1&id=2"), "--&x", false));
    assert_true(cache_search_any(cache));
    assert_str(cache_search_rule(key_of("/a?id=2").text), SK_STR("--&x"));
    assert_true(found("/a?x=1&id=2") && found("/a?id=2") && found("/a?x&id=2"));
    assert_true(!found("/a?id=3") && !found("/b?id=2") && !found("/a"));
    (void)state;
}

static void followers_of_the_new_key_join_a_fill_that_moved(void **state) {
    struct cache_fill *fill = lead("/a?x=1"), *other;
    struct cache_object *object;
    bool differs;
    assert_ok(cache_search_settle(fill, SK_STR("--&x"), false, &differs));
    struct cache_key key = key_of("/a?x=2");
    assert_int_equal(cache_fill_begin(thread, &key, NULL, NULL, &other, &object), CACHE_FOLLOW);
    assert_ptr_equal(fill, other);
    cache_fill_leave(thread, other);
    cache_fill_fail(fill, SK_ERR_IO, false);
    cache_fill_release(fill);
    (void)state;
}

static void another_rule_finds_nothing_of_the_old_one(void **state) {
    assert_true(answer(lead("/a?x=1"), "--&x", false));
    assert_false(answer(lead("/a?y=1"), "-a", false));
    assert_false(found("/a?x=1"));
    assert_true(answer(lead("/a?x=1"), "-a", false));
    assert_true(found("/a?y=2"));
    (void)state;
}

static void the_same_rule_again_finds_nothing_stored_before(void **state) {
    struct cache_key before;
    assert_true(answer(lead("/a?x=1"), "--&x", false));
    before = key_of("/a");
    assert_false(answer(lead("/a?y=1"), "", true));
    assert_str(cache_search_rule(key_of("/a").text), SK_STR(""));
    assert_true(answer(lead("/a?y=1"), "--&x", false));
    assert_false(sk_str_eq(key_of("/a").text, before.text));
    assert_false(found("/a?x=1"));
    (void)state;
}

static void an_error_leaves_the_list(void **state) {
    assert_true(answer(lead("/a?x=1"), "--&x", false));
    assert_false(answer(lead("/a?id=9"), "", false));
    assert_true(found("/a?x=2"));
    (void)state;
}

static void purge_url(const char *target) {
    struct cache_purge purge = {.kind = CACHE_PURGE_KEY, .text = exact(target).text};
    assert_ok(cache_purge(cache, &purge, NULL));
    assert_ok(cache_search_purge(cache, purge.text, false));
}

static void a_purge_of_an_equivalent_url_hits(void **state) {
    assert_true(answer(lead("/a?x=1&id=1"), "--&x", false));
    assert_true(answer(lead("/b?x=1"), "--&x", false));
    purge_url("/a?id=1&x=7");
    assert_false(found("/a?x=1&id=1"));
    assert_true(found("/b"));
    (void)state;
}

/* The purge came when nobody knew of a rule: the fill it hit must not store under another key. */
static void a_purge_before_the_list_is_known_holds(void **state) {
    struct cache_fill *fill = lead("/a?x=1");
    purge_url("/a?x=1");
    (void)answer(fill, "--&x", false);
    assert_false(found("/a?x=1") || found("/a"));
    (void)state;
}

static void what_is_too_long_for_a_key_stays_as_it_came(void **state) {
    static char target[7000] = "/a?";
    memset(target + 3, '!', sizeof target - 4);
    assert_true(answer(lead("/a?x=1"), "--&x", false));
    struct cache_key key = key_of(target);
    assert_str(cache_search_rule(key.text), SK_STR(""));
    (void)state;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(without_lists_a_key_stays),
        CASE(a_fill_moves_to_the_key_of_its_rule),
        CASE(followers_of_the_new_key_join_a_fill_that_moved),
        CASE(another_rule_finds_nothing_of_the_old_one),
        CASE(the_same_rule_again_finds_nothing_stored_before),
        CASE(an_error_leaves_the_list),
        CASE(a_purge_of_an_equivalent_url_hits),
        CASE(a_purge_before_the_list_is_known_holds),
        CASE(what_is_too_long_for_a_key_stays_as_it_came),
    };
    return SK_RUN_TESTS(tests);
}
