/* Responses that vary, in the cache: lists, variants and fills that learn of them. */
#include "cache/vary.h"
#include "cache_test.h"

static struct cache *cache;
static struct cache_thread *thread;
static struct test_key key;

static int setup(void **state) {
    struct cache_options options = {.memory_bytes = 16 * MIB};
    assert_ok(cache_create(&options, &cache));
    assert_ok(cache_thread_join(cache, NULL, &thread));
    make_key(&key, "/", 1);
    (void)state;
    return 0;
}

static int teardown(void **state) {
    cache_thread_leave(thread);
    cache_destroy(cache);
    (void)state;
    return 0;
}

struct sender {
    struct http_field fields[2];
    struct http_request request;
};

/* A request with X: value and Y: value (NULL: without). */
static struct http_request *sender(struct sender *sender, const char *x, const char *y) {
    uint32_t count = 0;
    if (x) sender->fields[count++] = (struct http_field){SK_STR("X"), sk_str_from_c(x), 0};
    if (y) sender->fields[count++] = (struct http_field){SK_STR("Y"), sk_str_from_c(y), 0};
    sender->request = (struct http_request){.fields = {sender->fields, count, 2}};
    return &sender->request;
}

static enum cache_role begin(const struct http_request *request, struct cache_fill **fill) {
    struct cache_object *object = NULL;
    enum cache_role role = cache_fill_begin(thread, &key.key, request, NULL, fill, &object);
    if (object) cache_object_unref(thread, object);
    return role;
}

/* What the origin answers to this request; the body is its number, 100 bytes. */
static void answer(struct cache_fill *fill, const struct http_request *request, const char *vary,
                   uint64_t number) {
    struct cache_head head = make_head(100);
    head.vary = sk_str_from_c(vary);
    head.request = request;
    assert_ok(cache_fill_store(fill, &head));
    assert_ok(fill_write(fill, number, 0, 100));
    assert_ok(cache_fill_finish(fill));
    cache_fill_release(fill);
}

static void store(const struct http_request *request, const char *vary, uint64_t number) {
    struct cache_fill *fill;
    assert_int_equal(begin(request, &fill), CACHE_LEAD);
    cache_fill_leave(thread, fill);
    answer(fill, request, vary, number);
}

/* The number of the body that the request gets; 0: none, -1: none but there are variants. */
static int64_t got(const struct http_request *request) {
    struct cache_finding finding;
    int64_t number = 0;
    cache_enter(thread);
    struct cache_object *object = cache_find(thread, &key.key, request, &finding);
    if (object) {
        struct cache_piece piece;
        struct cache_reader reader;
        size_t count;
        cache_reader_borrow(&reader, thread, object, 0, CACHE_LENGTH_UNKNOWN);
        assert_int_equal(cache_reader_peek(&reader, &piece, 1, &count), CACHE_READ_DATA);
        for (number = 1; !body_right(piece.data, (uint64_t)number, 0, 100); number++)
            assert_true(number < 250);
        cache_reader_close(&reader);
    } else if (finding.vary_miss) {
        number = -1;
    }
    cache_leave(thread);
    return number;
}

static void each_variant_goes_to_those_who_select_it(void **state) {
    struct sender red, blue, none;
    sender(&red, "red", NULL), sender(&blue, "blue", "1"), sender(&none, NULL, NULL);
    store(&red.request, "X", 1);
    assert_int_equal(got(&red.request), 1);
    assert_int_equal(got(&blue.request), -1);
    store(&blue.request, "X", 2);
    store(&none.request, "x", 3);
    assert_int_equal(got(&red.request), 1);
    assert_int_equal(got(&blue.request), 2);
    assert_int_equal(got(&none.request), 3);
    assert_int_equal(got(NULL), 3);
    (void)state;
}

static void a_response_that_names_more_fields_starts_a_new_list(void **state) {
    struct sender a, b;
    sender(&a, "1", "1"), sender(&b, "1", "2");
    store(&a.request, "X", 1);
    assert_int_equal(got(&b.request), 1);
    cache_remove(thread, &key.key);
    store(&a.request, "X, Y", 2);
    assert_int_equal(got(&b.request), -1);
    store(&b.request, "Y", 3); /* fewer names: the list stays, and selects by both */
    assert_int_equal(got(&a.request), 2);
    assert_int_equal(got(&b.request), 3);
    (void)state;
}

static void a_response_without_vary_becomes_one_of_the_variants(void **state) {
    struct sender a, b;
    sender(&a, "1", NULL), sender(&b, "2", NULL);
    store(&a.request, "X", 1);
    store(&b.request, "", 2);
    assert_int_equal(got(&a.request), 1);
    assert_int_equal(got(&b.request), 2);
    (void)state;
}

/* What was stored before its URL was known to vary is none of the variants: confirming it for one client would put
 * it in the place of all of them. */
static void what_did_not_vary_is_not_confirmed_for_a_variant(void **state) {
    struct sender a, b;
    struct cache_object *old, *none;
    struct cache_fill *fill;
    sender(&a, "1", NULL), sender(&b, "2", NULL);
    store(&a.request, "", 1);
    cache_enter(thread);
    old = cache_find(thread, &key.key, &a.request, NULL);
    cache_object_ref(old);
    cache_leave(thread);
    assert_int_equal(cache_fill_begin(thread, &key.key, &a.request, old, &fill, &none), CACHE_LEAD);
    cache_fill_leave(thread, fill);
    answer(fill, &a.request, "X", 2);
    assert_int_equal(cache_fill_begin(thread, &key.key, &b.request, old, &fill, &none), CACHE_LEAD);
    assert_null(cache_fill_stale(fill));
    cache_fill_leave(thread, fill);
    cache_fill_fail(fill, SK_ERR_REFUSED, true);
    cache_fill_release(fill);
    cache_object_unref(thread, old);
    assert_int_equal(got(&a.request), 2);
    (void)state;
}

static void a_list_takes_the_place_of_a_response_that_did_not_vary(void **state) {
    struct sender a;
    struct cache_object *stale, *none;
    struct cache_fill *fill;
    sender(&a, "1", NULL);
    store(&a.request, "", 1);
    cache_enter(thread);
    stale = cache_find(thread, &key.key, &a.request, NULL);
    cache_object_ref(stale);
    cache_leave(thread);
    assert_int_equal(cache_fill_begin(thread, &key.key, &a.request, stale, &fill, &none), CACHE_LEAD);
    cache_fill_leave(thread, fill);
    answer(fill, &a.request, "X", 2);
    cache_object_unref(thread, stale);
    assert_int_equal(got(&a.request), 2);
    assert_int_equal(got(NULL), -1);
    (void)state;
}

static void removing_the_primary_key_removes_all_variants(void **state) {
    struct sender a, b;
    sender(&a, "1", NULL), sender(&b, "2", NULL);
    store(&a.request, "X", 1);
    store(&b.request, "X", 2);
    cache_remove(thread, &key.key);
    assert_int_equal(got(&a.request), 0);
    store(&b.request, "X", 3);
    assert_int_equal(got(&a.request), -1);
    assert_int_equal(got(&b.request), 3);
    (void)state;
}

static void fills_of_different_variants_go_side_by_side(void **state) {
    struct cache_fill *first, *second, *third;
    struct sender a, b;
    sender(&a, "1", NULL), sender(&b, "2", NULL);
    store(sender(&(struct sender){0}, "0", NULL), "X", 9);
    assert_int_equal(begin(&a.request, &first), CACHE_LEAD);
    assert_int_equal(begin(&b.request, &second), CACHE_LEAD);
    assert_int_equal(begin(&a.request, &third), CACHE_FOLLOW);
    assert_ptr_equal(first, third);
    cache_fill_leave(thread, first);
    cache_fill_leave(thread, second);
    cache_fill_leave(thread, third);
    answer(first, &a.request, "X", 1);
    answer(second, &b.request, "X", 2);
    assert_int_equal(got(&a.request), 1);
    assert_int_equal(got(&b.request), 2);
    (void)state;
}

static enum cache_outcome outcome_of(struct cache_fill *fill, enum cache_role role,
                                     const struct http_request *request) {
    enum cache_outcome outcome;
    struct cache_object *object = NULL;
    struct cache_failure failure;
    assert_ok(cache_fill_wait(thread, fill, role, request, SK_TIME_NEVER, &outcome, &object, &failure));
    if (object) cache_object_unref(thread, object);
    return outcome;
}

static void followers_of_another_variant_begin_again(void **state) {
    struct cache_fill *lead, *same, *other, *again;
    struct sender a, b;
    sender(&a, "1", "7"), sender(&b, "2", "7");
    assert_int_equal(begin(&a.request, &lead), CACHE_LEAD);
    assert_int_equal(begin(&a.request, &same), CACHE_FOLLOW);
    assert_int_equal(begin(&b.request, &other), CACHE_FOLLOW);
    answer(lead, &a.request, "X", 1);
    assert_int_equal(outcome_of(lead, CACHE_LEAD, &a.request), CACHE_OUTCOME_OBJECT);
    assert_int_equal(outcome_of(same, CACHE_FOLLOW, &a.request), CACHE_OUTCOME_OBJECT);
    assert_int_equal(outcome_of(other, CACHE_FOLLOW, &b.request), CACHE_OUTCOME_AGAIN);
    assert_int_equal(begin(&b.request, &again), CACHE_LEAD);
    cache_fill_leave(thread, again);
    answer(again, &b.request, "X", 2);
    (void)state;
}

static void a_url_with_endless_variants_starts_over(void **state) {
    struct cache_usage usage;
    struct sender one;
    char value[16];
    for (int i = 0; i < 3 * CACHE_VARY_MAX_VARIANTS; i++) {
        snprintf(value, sizeof value, "%d", i);
        sender(&one, value, NULL);
        store(&one.request, "X", 1 + (uint64_t)i % 200);
        assert_int_equal(got(&one.request), 1 + i % 200);
    }
    assert_int_equal(got(sender(&one, "0", NULL)), -1);
    cache_usage(cache, &usage);
    assert_true(usage.used_bytes <= usage.budget_bytes);
    assert_int_equal(usage.variant_bounds, 2);
    (void)state;
}

static void a_vary_that_cannot_be_kept_is_not_stored(void **state) {
    static const char *const values[] = {"*", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "a b"};
    for (size_t i = 0; i < SK_COUNT(values); i++) {
        struct cache_fill *fill;
        struct cache_head head = make_head(100);
        head.vary = sk_str_from_c(values[i]);
        assert_int_equal(begin(NULL, &fill), CACHE_LEAD);
        assert_err(cache_fill_store(fill, &head), SK_ERR_TOO_LARGE);
        cache_fill_leave(thread, fill);
        cache_fill_release(fill);
        assert_int_equal(got(NULL), 0);
    }
    (void)state;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(each_variant_goes_to_those_who_select_it),
        CASE(a_response_that_names_more_fields_starts_a_new_list),
        CASE(a_response_without_vary_becomes_one_of_the_variants),
        CASE(what_did_not_vary_is_not_confirmed_for_a_variant),
        CASE(a_list_takes_the_place_of_a_response_that_did_not_vary),
        CASE(removing_the_primary_key_removes_all_variants),
        CASE(fills_of_different_variants_go_side_by_side),
        CASE(followers_of_another_variant_begin_again),
        CASE(a_url_with_endless_variants_starts_over),
        CASE(a_vary_that_cannot_be_kept_is_not_stored),
    };
    return SK_RUN_TESTS(tests);
}
