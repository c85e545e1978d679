/* RFC 9213: directives for our class of caches, and which field holds. */
#include "http/targeted.h"

#include "http/freshness.h"
#include "messages.h"

#define NOW INT64_C(784111777)

static struct sk_arena arena;
static int set_up(void **state) {
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    return 0;
}
static int tear_down(void **state) {
    (void)state;
    sk_arena_free(&arena);
    return 0;
}

static void which_field_holds(void **state) {
    static const struct {
        const char *name, *fields;
        bool targeted;
        int64_t max_age;
    } cases[] = {
        {"RFC 9213 2.2: without a targeted field Cache-Control holds", "Cache-Control: max-age=1", false, 1},
        {"RFC 9213 3.1: CDN-Cache-Control holds over Cache-Control",
         "Cache-Control: max-age=1\nCDN-Cache-Control: max-age=2", true, 2},
        {"RFC 9213 2.2: the first of the target list holds",
         "CDN-Cache-Control: max-age=2\nSkerry-CDN-Cache-Control: max-age=3", true, 3},
        {"RFC 9213 2.1: a field that is no dictionary does not count",
         "Cache-Control: max-age=1\nCDN-Cache-Control: max-age=2 &", false, 1},
        {"RFC 9213 2.1: an empty field does not count", "Cache-Control: max-age=1\nCDN-Cache-Control:", false,
         1},
        {"RFC 9213 2.1: the next one is tried", "CDN-Cache-Control: max-age=2\nSkerry-CDN-Cache-Control: a b",
         true, 2},
        {"RFC 9651 4.2: several lines are one dictionary",
         "CDN-Cache-Control: max-age=2\nCDN-Cache-Control: max-age=4", true, 4},
        {"RFC 9651 3.2: keys are lower case, so this is no dictionary",
         "Cache-Control: max-age=1\nCDN-Cache-Control: Max-Age=2", false, 1},
        {"RFC 9213 2.1: parameters are ignored", "CDN-Cache-Control: max-age=2;a=b", true, 2},
        {"Surrogate-Control holds over Cache-Control",
         "Cache-Control: max-age=1\nSurrogate-Control: max-age=5+6", true, 5},
        {"CDN-Cache-Control holds over Surrogate-Control",
         "CDN-Cache-Control: max-age=2\nSurrogate-Control: max-age=5", true, 2},
        {"a Surrogate-Control that says nothing to us",
         "Cache-Control: max-age=1\nSurrogate-Control: content=\"ESI/1.0\"", false, 1},
        {"a Surrogate-Control that cannot be read", "Cache-Control: max-age=1\nSurrogate-Control: max-age=x",
         false, 1},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_fields fields = fields_of(&arena, cases[i].fields);
        struct http_cache_control control;
        bool targeted;
        http_response_cache_control(&fields, &control, &targeted);
        if (targeted != cases[i].targeted || control.max_age != cases[i].max_age)
            fail_msg("%s: max-age %lld", cases[i].name, (long long)control.max_age);
    }
}

static void directives(void **state) {
    struct http_fields fields =
        fields_of(&arena, "CDN-Cache-Control: no-store=?0, private=\"a, b\", no-cache, must-revalidate=1, "
                          "public=1, immutable, stale-if-error=7, stale-while-revalidate=\"x\", foo=(1 2)");
    struct http_cache_control control;
    bool targeted;
    (void)state;
    http_response_cache_control(&fields, &control, &targeted);
    assert_true(targeted && control.present);
    assert_false(control.no_store);
    assert_true(control.is_private);
    assert_str(control.private_fields, SK_STR("a, b"));
    assert_true(control.no_cache);
    assert_null(control.no_cache_fields.data);
    assert_true(control.must_revalidate); /* what forbids holds with any value but false */
    assert_false(control.is_public);      /* what allows holds only as true */
    assert_true(control.immutable);
    assert_int_equal(control.stale_if_error, 7);
    assert_int_equal(control.stale_while_revalidate, 0);
    assert_false(control.malformed_freshness);
    fields = fields_of(&arena, "CDN-Cache-Control: max-age=\"60\"");
    http_response_cache_control(&fields, &control, &targeted);
    assert_true(control.malformed_freshness);
    fields = fields_of(&arena, "CDN-Cache-Control: max-age=999999999999999");
    http_response_cache_control(&fields, &control, &targeted);
    assert_int_equal(control.max_age, HTTP_SECONDS_MAX);
    fields = fields_of(&arena, "Surrogate-Control: max-age=60+30, no-store");
    http_response_cache_control(&fields, &control, &targeted);
    assert_true(control.no_store);
    assert_int_equal(control.stale_while_revalidate, 30);
}

static void storing_obeys_the_targeted_field_alone(void **state) {
    static const struct {
        const char *name, *fields;
        bool store;
        int64_t lifetime_s;
    } cases[] = {
        {"RFC 9213 2.2: Cache-Control: no-store is for others",
         "Cache-Control: no-store\nCDN-Cache-Control: max-age=60", true, 60},
        {"RFC 9213 2.2: and no-store here is for us",
         "Cache-Control: max-age=60\nCDN-Cache-Control: no-store", false, 0},
        {"RFC 9213 2.2: s-maxage elsewhere does not count",
         "Cache-Control: s-maxage=600\nCDN-Cache-Control: max-age=60", true, 60},
        {"RFC 9213 2.2: Expires does not count",
         "Expires: Sun, 06 Nov 1994 09:49:37 GMT\nCDN-Cache-Control: must-revalidate\nETag: \"a\"", true, 0},
        {"RFC 9213 2.1: no-store makes max-age inoperative", "CDN-Cache-Control: max-age=60, no-store", false,
         0},
    };
    struct http_cache_policy policy;
    (void)state;
    http_cache_policy_default(&policy);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_request request = {.method = HTTP_METHOD_GET};
        struct http_response response = {.status = 200, .fields = fields_of(&arena, cases[i].fields)};
        struct http_store_answer answer = http_may_store(&request, &response, NOW, NOW, &policy);
        if (answer.store != cases[i].store ||
            (answer.store && answer.freshness.lifetime_s != cases[i].lifetime_s))
            fail_msg("%s: %d, %lld s", cases[i].name, answer.store, (long long)answer.freshness.lifetime_s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(which_field_holds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(directives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(storing_obeys_the_targeted_field_alone, set_up, tear_down),
    };
    return SK_RUN_TESTS(tests);
}
