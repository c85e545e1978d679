/* Partial objects: a head without a body, and slices that only it leads to (RFC 9111 sections 3.3, 3.4, 4.3.4). */
#include "cache/purge.h"
#include "cache/slices.h"
#include "cache_test.h"

enum { LENGTH = 300000, SLICE = 100000 };

static struct cache *cache;
static struct test_key key;

static int setup(void **state) {
    struct cache_options options = {.memory_bytes = 16 * MIB};
    make_key(&key, "/", 1);
    return cache_create(&options, &cache) == SK_OK ? 0 : -1;
}

static int teardown(void **state) {
    cache_destroy(cache);
    return 0;
}

static struct cache_fill *lead(struct cache_thread *thread, const struct cache_key *of,
                               struct cache_object *stale) {
    struct cache_fill *fill;
    struct cache_object *object;
    assert_int_equal(cache_fill_begin(thread, of, NULL, stale, &fill, &object), CACHE_LEAD);
    cache_fill_leave(thread, fill);
    return fill;
}

static uint64_t store_head(struct cache_thread *thread) {
    struct cache_fill *fill = lead(thread, &key.key, NULL);
    struct cache_head head = make_head(LENGTH);
    head.part = CACHE_PART_HEAD;
    head.slices = cache_slices_number(thread);
    assert_ok(cache_fill_store(fill, &head));
    cache_fill_release(fill);
    return head.slices;
}

static void store_slice(struct cache_thread *thread, uint64_t number, uint64_t slice) {
    struct sk_arena arena;
    struct cache_key slice_key;
    sk_arena_init(&arena, 1024, 0);
    assert_ok(cache_slice_key(&arena, &key.key, number, slice, &slice_key));
    struct cache_fill *fill = lead(thread, &slice_key, NULL);
    static const struct http_fields none = {0};
    struct cache_head head = {.status = 206, .fields = &none, .body_length = SLICE, .part = CACHE_PART_SLICE};
    assert_ok(cache_fill_store(fill, &head));
    for (uint64_t done = 0; done < SLICE;) {
        char *space;
        size_t room;
        assert_ok(cache_fill_space(fill, SK_TIME_NEVER, &space, &room));
        memset(space, (int)slice, room);
        cache_fill_commit(fill, room);
        done += room;
    }
    assert_ok(cache_fill_finish(fill));
    cache_fill_release(fill);
    sk_arena_free(&arena);
}

static bool present(struct cache_thread *thread, uint64_t number, uint64_t slice) {
    struct sk_arena arena;
    struct cache_key slice_key;
    sk_arena_init(&arena, 1024, 0);
    assert_ok(cache_slice_key(&arena, &key.key, number, slice, &slice_key));
    bool there = cache_slice_present(thread, &slice_key);
    sk_arena_free(&arena);
    return there;
}

/* The number of the head that is found; 0: none, or the soft-purged one that must be asked about. */
static uint64_t found(struct cache_thread *thread, bool *out_soft) {
    struct cache_finding finding;
    cache_enter(thread);
    struct cache_object *object = cache_find(thread, &key.key, NULL, &finding);
    uint64_t number = object && object->part == CACHE_PART_HEAD ? cache_slices_of(object) : 0;
    if (object) assert_int_equal(object->body_length, LENGTH);
    if (out_soft) *out_soft = finding.soft_purged;
    cache_leave(thread);
    return number;
}

static void story_of_a_head(struct worker *worker, void *arg) {
    struct cache_thread *thread = worker->thread;
    uint64_t number = store_head(thread);
    assert_int_equal(found(thread, NULL), number);
    assert_false(present(thread, number, 0));
    store_slice(thread, number, 2);
    assert_true(present(thread, number, 2));
    assert_false(present(thread, number, 1));
    assert_false(present(thread, number + 1, 2));
}

static struct cache_object *find_ref(struct cache_thread *thread) {
    cache_enter(thread);
    struct cache_object *object = cache_find(thread, &key.key, NULL, NULL);
    assert_non_null(object);
    cache_object_ref(object);
    cache_leave(thread);
    return object;
}

static void story_of_a_304(struct worker *worker, void *arg) {
    struct cache_thread *thread = worker->thread;
    uint64_t number = store_head(thread);
    store_slice(thread, number, 0);
    struct cache_object *stale = find_ref(thread);
    struct cache_fill *fill = lead(thread, &key.key, stale);
    struct cache_head head = make_head(LENGTH);
    assert_ptr_equal(cache_fill_stale(fill), stale);
    assert_ok(cache_fill_freshen(fill, &head));
    cache_fill_release(fill);
    cache_object_unref(thread, stale);
    assert_int_equal(found(thread, NULL), number);
    assert_true(present(thread, number, 0));
}

static void purge(bool soft) {
    struct cache_purge all = {.kind = CACHE_PURGE_ALL, .soft = soft};
    assert_ok(cache_purge(cache, &all, NULL));
}

/* The head is asked about, and when a 304 has confirmed it, the slices are as good as before. */
static void story_of_a_soft_purge(struct worker *worker, void *arg) {
    struct cache_thread *thread = worker->thread;
    struct cache_object *object;
    struct cache_fill *fill;
    struct sk_arena arena;
    struct cache_key slice_key;
    bool soft = false;
    uint64_t number = store_head(thread);
    store_slice(thread, number, 0);
    purge(true);
    assert_int_equal(found(thread, &soft), number);
    assert_true(soft);
    sk_arena_init(&arena, 1024, 0);
    assert_ok(cache_slice_key(&arena, &key.key, number, 0, &slice_key));
    assert_int_equal(cache_fill_begin(thread, &slice_key, NULL, NULL, &fill, &object), CACHE_FOUND);
    cache_object_unref(thread, object);
    sk_arena_free(&arena);
}

static void story_of_a_hard_purge(struct worker *worker, void *arg) {
    struct cache_thread *thread = worker->thread;
    uint64_t number = store_head(thread);
    store_slice(thread, number, 0);
    purge(false);
    assert_int_equal(found(thread, NULL), 0);
    assert_true(store_head(thread) != number);
}

/* What holds an older fill's bytes is hit by the purges since that one began. */
static void story_of_an_heir(struct worker *worker, void *arg) {
    struct cache_thread *thread = worker->thread;
    store_head(thread);
    struct cache_object *old = find_ref(thread);
    struct cache_fill *fill = lead(thread, &key.key, old);
    struct cache_head head = make_head(LENGTH);
    head.part = CACHE_PART_HEAD;
    head.slices = cache_slices_number(thread);
    purge(false);
    cache_fill_release(fill);
    fill = lead(thread, &key.key, NULL); /* begun after the purge */
    cache_fill_inherit(fill, old);
    assert_ok(cache_fill_store(fill, &head));
    cache_fill_release(fill);
    cache_object_unref(thread, old);
    assert_int_equal(found(thread, NULL), 0);
}

static void story_of_declining(struct worker *worker, void *arg) {
    struct cache_thread *thread = worker->thread;
    enum cache_outcome outcome;
    struct cache_object *object = NULL;
    struct cache_failure failure;
    struct cache_fill *fill, *again;
    assert_int_equal(cache_fill_begin(thread, &key.key, NULL, NULL, &fill, &object), CACHE_LEAD);
    cache_fill_decline(fill, 0, HTTP_REASON_NO_STORE_PARTIAL);
    assert_ok(cache_fill_wait(thread, fill, CACHE_LEAD, NULL, SK_TIME_NEVER, &outcome, &object, &failure));
    assert_int_equal(outcome, CACHE_OUTCOME_ALONE);
    cache_fill_release(fill);
    assert_false(cache_slices_declined(thread, &key.key));
    cache_slices_decline(thread, &key.key, 10000);
    assert_true(cache_slices_declined(thread, &key.key));
    again = lead(thread, &key.key, NULL); /* whole responses are another matter */
    cache_fill_release(again);
}

static void run(void (*story)(struct worker *worker, void *arg)) {
    struct worker worker = {.cache = cache, .story = story};
    run_workers(&worker, 1);
}

static void a_head_leads_to_its_slices(void **state) { run(story_of_a_head); }
static void rfc9111_4_3_4_a_304_confirms_all_slices(void **state) { run(story_of_a_304); }
static void a_soft_purge_asks_about_the_head_alone(void **state) { run(story_of_a_soft_purge); }
static void a_hard_purge_makes_slices_unreachable(void **state) { run(story_of_a_hard_purge); }
static void what_is_kept_inherits_purges(void **state) { run(story_of_an_heir); }
static void what_cannot_be_combined_is_declined(void **state) { run(story_of_declining); }

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_head_leads_to_its_slices),
        CASE(rfc9111_4_3_4_a_304_confirms_all_slices),
        CASE(a_soft_purge_asks_about_the_head_alone),
        CASE(a_hard_purge_makes_slices_unreachable),
        CASE(what_is_kept_inherits_purges),
        CASE(what_cannot_be_combined_is_declined),
    };
    return SK_RUN_TESTS(tests);
}
