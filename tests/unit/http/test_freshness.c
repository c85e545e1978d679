/* RFC 9111 section 4, 5.2.1 and RFC 5861: may what is stored answer this request now? */
#include "http/freshness.h"

#include "messages.h"

#define NOW INT64_C(1000000000)
#define R(name) HTTP_REASON_##name

/* A response received at NOW with an age of 10, fresh for 100 seconds: stale from NOW + 90 on. */
#define STORED(...) {.response_time = NOW, .initial_age_s = 10, .lifetime_s = 100, __VA_ARGS__}
static const struct http_freshness plain = STORED(.has_validator = true);
static const struct http_freshness must = STORED(.must_revalidate = true);
static const struct http_freshness no_cache = STORED(.must_revalidate = true, .always_revalidate = true);
static const struct http_freshness immutable = STORED(.immutable = true);
static const struct http_freshness swr = STORED(.stale_while_revalidate_s = 30);
static const struct http_freshness swr_s_maxage =
    STORED(.stale_while_revalidate_s = 30, .must_revalidate = true);
static const struct http_freshness sie = STORED(.stale_if_error_s = 30);
static const struct http_freshness sie_s_maxage = STORED(.stale_if_error_s = 30, .must_revalidate = true);

static void ages(void **state) {
    (void)state;
    assert_int_equal(http_current_age(&plain, NOW), 10);
    assert_int_equal(http_current_age(&plain, NOW + 25), 35);
    assert_int_equal(http_current_age(&plain, NOW - 1000), 10); /* the clock was set back */
    assert_int_equal(http_current_age(&plain, NOW + INT64_C(9000000000)), HTTP_SECONDS_MAX);
}

static const struct {
    const char *name;
    const struct http_freshness *freshness;
    const char *request;
    int64_t after; /* seconds since NOW */
    enum http_reuse reuse;
    enum http_reason reason;
} reuse_cases[] = {
    {"RFC 9111 4.2: fresh", &plain, NULL, 0, HTTP_REUSE_SERVE, R(HIT_FRESH)},
    {"RFC 9111 4.2: the last fresh second", &plain, NULL, 89, HTTP_REUSE_SERVE, R(HIT_FRESH)},
    {"RFC 9111 4.2: as old as its lifetime is stale", &plain, NULL, 90, HTTP_REUSE_VALIDATE, R(MISS_STALE)},
    {"RFC 9111 5.2.2.4: no-cache is asked about even when fresh", &no_cache, NULL, 0, HTTP_REUSE_VALIDATE,
     R(MISS_STALE)},
    {"RFC 9111 5.2.2.2: must-revalidate, fresh", &must, NULL, 0, HTTP_REUSE_SERVE, R(HIT_FRESH)},
    {"RFC 9111 5.2.2.2: must-revalidate, stale", &must, NULL, 90, HTTP_REUSE_VALIDATE, R(MISS_STALE)},

    {"RFC 9111 5.2.1.4: no-cache in the request", &plain, "Cache-Control: no-cache", 0, HTTP_REUSE_VALIDATE,
     R(MISS_REQUEST)},
    {"RFC 9111 5.4: Pragma where Cache-Control is absent", &plain, "Pragma: No-Cache", 0, HTTP_REUSE_VALIDATE,
     R(MISS_REQUEST)},
    {"RFC 9111 5.4: Pragma beside Cache-Control", &plain, "Pragma: no-cache\nCache-Control: max-age=60", 0,
     HTTP_REUSE_SERVE, R(HIT_FRESH)},
    {"RFC 9111 5.4: another Pragma", &plain, "Pragma: x", 0, HTTP_REUSE_SERVE, R(HIT_FRESH)},
    {"RFC 9111 5.2.1.5: no-store forbids storing, not answering", &plain, "Cache-Control: no-store", 0,
     HTTP_REUSE_SERVE, R(HIT_FRESH)},
    {"RFC 9111 5.2.1.1: max-age, young enough", &plain, "Cache-Control: max-age=10", 0, HTTP_REUSE_SERVE,
     R(HIT_FRESH)},
    {"RFC 9111 5.2.1.1: max-age, too old", &plain, "Cache-Control: max-age=9", 0, HTTP_REUSE_VALIDATE,
     R(MISS_REQUEST)},
    {"RFC 9111 5.2.1.1: max-age=0 is a reload", &plain, "Cache-Control: max-age=0", 0, HTTP_REUSE_VALIDATE,
     R(MISS_REQUEST)},
    {"RFC 9111 5.2.1.3: min-fresh, fresh enough", &plain, "Cache-Control: min-fresh=90", 0, HTTP_REUSE_SERVE,
     R(HIT_FRESH)},
    {"RFC 9111 5.2.1.3: min-fresh, not fresh enough", &plain, "Cache-Control: min-fresh=91", 0,
     HTTP_REUSE_VALIDATE, R(MISS_REQUEST)},
    {"RFC 9111 5.2.1.2: max-stale", &plain, "Cache-Control: max-stale=5", 95, HTTP_REUSE_SERVE,
     R(HIT_MAX_STALE)},
    {"RFC 9111 5.2.1.2: more stale than that", &plain, "Cache-Control: max-stale=5", 96, HTTP_REUSE_VALIDATE,
     R(MISS_STALE)},
    {"RFC 9111 5.2.1.2: any staleness", &plain, "Cache-Control: max-stale", 5000, HTTP_REUSE_SERVE,
     R(HIT_MAX_STALE)},
    {"RFC 9111 5.2.1.2: not against must-revalidate", &must, "Cache-Control: max-stale", 90,
     HTTP_REUSE_VALIDATE, R(MISS_STALE)},
    {"RFC 9111 5.2.1.2: not against no-cache", &no_cache, "Cache-Control: max-stale", 0, HTTP_REUSE_VALIDATE,
     R(MISS_STALE)},
    {"RFC 9111 5.2.1.1: max-age and max-stale", &plain, "Cache-Control: max-age=200, max-stale=60", 95,
     HTTP_REUSE_SERVE, R(HIT_MAX_STALE)},
    {"RFC 9111 5.2.1.7: only-if-cached, fresh", &plain, "Cache-Control: only-if-cached", 0, HTTP_REUSE_SERVE,
     R(HIT_FRESH)},
    {"RFC 9111 5.2.1.7: only-if-cached, stale", &plain, "Cache-Control: only-if-cached", 90,
     HTTP_REUSE_NOT_ALLOWED, R(MISS_STALE)},
    {"RFC 9111 5.2.1.7: only-if-cached and max-stale", &plain, "Cache-Control: only-if-cached, max-stale", 90,
     HTTP_REUSE_SERVE, R(HIT_MAX_STALE)},

    {"RFC 5861 3: in the window", &swr, NULL, 90, HTTP_REUSE_SERVE_REVALIDATE, R(HIT_STALE_WHILE_REVALIDATE)},
    {"RFC 5861 3: its last second", &swr, NULL, 119, HTTP_REUSE_SERVE_REVALIDATE,
     R(HIT_STALE_WHILE_REVALIDATE)},
    {"RFC 5861 3: after it", &swr, NULL, 120, HTTP_REUSE_VALIDATE, R(MISS_STALE)},
    {"RFC 5861 3: beside s-maxage", &swr_s_maxage, NULL, 95, HTTP_REUSE_SERVE_REVALIDATE,
     R(HIT_STALE_WHILE_REVALIDATE)},
    {"RFC 9111 5.2.1.1: a client that names an age wants nothing stale", &swr, "Cache-Control: max-age=1000",
     95, HTTP_REUSE_VALIDATE, R(MISS_STALE)},
    {"RFC 5861 3: only-if-cached takes it", &swr, "Cache-Control: only-if-cached", 95,
     HTTP_REUSE_SERVE_REVALIDATE, R(HIT_STALE_WHILE_REVALIDATE)},

    {"RFC 8246 2: a reload of what is immutable and fresh", &immutable, "Cache-Control: max-age=0", 0,
     HTTP_REUSE_SERVE, R(HIT_FRESH)},
    {"RFC 8246 2: no-cache is a signal", &immutable, "Cache-Control: no-cache", 0, HTTP_REUSE_VALIDATE,
     R(MISS_REQUEST)},
    {"RFC 8246 2: stale, it is as any other", &immutable, "Cache-Control: max-age=0", 90, HTTP_REUSE_VALIDATE,
     R(MISS_REQUEST)},
};

static void reuse(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(reuse_cases); i++) {
        struct http_request request = get_request(&arena, reuse_cases[i].request);
        struct http_cache_control wish;
        http_request_cache_control(&request, &wish);
        struct http_reuse_answer answer =
            http_may_reuse(reuse_cases[i].freshness, &wish, NOW + reuse_cases[i].after);
        if (answer.reuse != reuse_cases[i].reuse || answer.reason != reuse_cases[i].reason) {
            fail_msg("%s: %d %.*s", reuse_cases[i].name, answer.reuse,
                     SK_STR_ARGS(http_reason_name(answer.reason)));
        }
        assert_int_equal(answer.age_s, 10 + reuse_cases[i].after);
        assert_int_equal(answer.ttl_s, 90 - reuse_cases[i].after);
    }
    sk_arena_free(&arena);
}

static void serving_on_error(void **state) {
    const struct {
        const char *name;
        const struct http_freshness *freshness;
        const char *request;
        int64_t after;
        bool allowed;
    } cases[] = {
        {"still fresh", &plain, NULL, 0, true},
        {"stale, and nobody allows it", &plain, NULL, 90, false},
        {"RFC 5861 4: in the window", &sie, NULL, 90, true},
        {"RFC 5861 4: its last second", &sie, NULL, 119, true},
        {"RFC 5861 4: after it", &sie, NULL, 120, false},
        {"RFC 5861 4: the origin's window beside s-maxage", &sie_s_maxage, NULL, 95, true},
        {"RFC 5861 4: the client's own window", &plain, "Cache-Control: stale-if-error=10", 99, true},
        {"RFC 5861 4: after the client's window", &plain, "Cache-Control: stale-if-error=10", 100, false},
        {"RFC 9111 4.2.4: the client cannot undo must-revalidate", &must,
         "Cache-Control: stale-if-error=10, max-stale", 91, false},
        {"RFC 9111 5.2.1.2: max-stale", &plain, "Cache-Control: max-stale=10", 100, true},
        {"RFC 9111 5.2.1.4: a client that insists", &plain, "Cache-Control: no-cache", 0, false},
        {"RFC 9111 5.2.2.4: no-cache, even when fresh", &no_cache, NULL, 0, false},
        {"RFC 9111 5.2.2.2: must-revalidate, fresh", &must, NULL, 0, true},
    };
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_request request = get_request(&arena, cases[i].request);
        struct http_cache_control wish;
        http_request_cache_control(&request, &wish);
        bool allowed = http_may_serve_on_error(cases[i].freshness, &wish, NOW + cases[i].after);
        if (allowed != cases[i].allowed) fail_msg("%s", cases[i].name);
    }
    sk_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ages),
        cmocka_unit_test(reuse),
        cmocka_unit_test(serving_on_error),
    };
    return SK_RUN_TESTS(tests);
}
