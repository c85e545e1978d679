/* RFC 9111 section 3 and 4.2: may it be stored, for how long is it fresh, how old is it already. */
#include "http/freshness.h"
#include "messages.h"

#define NOW INT64_C(784111777) /* Sun, 06 Nov 1994 08:49:37 GMT */
#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\n"
#define NONE HTTP_SECONDS_NONE
#define DAY 86400

static struct http_cache_policy policy;

/* ---- storing ----------------------------------------------------------------------------------------- */

struct store_case {
    const char *name;
    const char *request;
    uint16_t status;
    const char *response;
    enum http_reason reason; /* NO_STORE_*: not stored */
};
#define R(name) HTTP_REASON_##name

static const struct store_case store_cases[] = {
    {"RFC 9111 3: an explicit lifetime", NULL, 200, "Cache-Control: max-age=60", R(STORE_EXPLICIT)},
    {"RFC 9111 3: Expires", NULL, 200, DATE "Expires: Sun, 06 Nov 1994 09:49:37 GMT", R(STORE_EXPLICIT)},
    {"RFC 9111 3: s-maxage", NULL, 200, "Cache-Control: s-maxage=60", R(STORE_EXPLICIT)},
    {"RFC 9111 3: neither lifetime nor validator", NULL, 200, "Content-Type: a/b", R(NO_STORE_NO_LIFETIME)},
    {"RFC 9111 3: a validator alone", NULL, 200, "ETag: \"a\"", R(STORE_VALIDATOR)},
    {"RFC 9111 3: what is stale at once needs a validator", NULL, 200, "Cache-Control: max-age=0",
     R(NO_STORE_NO_LIFETIME)},
    {"RFC 9111 3: max-age=0 with a validator", NULL, 200, "Cache-Control: max-age=0\nETag: \"a\"",
     R(STORE_VALIDATOR)},
    {"RFC 9111 3: older than its lifetime already", NULL, 200, "Cache-Control: max-age=5\nAge: 6",
     R(NO_STORE_NO_LIFETIME)},
    {"RFC 9111 3: as old as its lifetime", NULL, 200, "Cache-Control: max-age=5\nAge: 5",
     R(NO_STORE_NO_LIFETIME)},
    {"RFC 9111 5.2.2.5: no-store", NULL, 200, "Cache-Control: no-store, max-age=60", R(NO_STORE_DIRECTIVE)},
    {"RFC 9111 5.2.2.5: in any case", NULL, 200, "Cache-Control: max-age=60\nCache-Control: No-StOrE",
     R(NO_STORE_DIRECTIVE)},
    {"RFC 9111 5.2.1.5: no-store in the request", "Cache-Control: no-store", 200, "Cache-Control: max-age=60",
     R(NO_STORE_REQUEST)},
    {"RFC 9111 5.2.2.7: private", NULL, 200, "Cache-Control: private, max-age=60", R(NO_STORE_PRIVATE)},
    {"RFC 9111 5.2.2.7: private with names keeps the rest", NULL, 200,
     "Cache-Control: private=\"a\", max-age=60", R(STORE_EXPLICIT)},
    {"RFC 9111 5.2.2.7: with a field that it names it is for one client", NULL, 200,
     "Cache-Control: private=\"x, A\", max-age=60\na: b", R(NO_STORE_PRIVATE)},
    {"RFC 9111 5.2.2.4: with a field that it names no-cache is for all of it", NULL, 200,
     "Cache-Control: no-cache=\"a\", max-age=60\nA: b", R(NO_STORE_NO_LIFETIME)},
    {"RFC 9111 5.2.2.7: private wins over public", NULL, 200, "Cache-Control: public, private, max-age=60",
     R(NO_STORE_PRIVATE)},
    {"RFC 9111 5.2.2.4: no-cache with a validator", NULL, 200, "Cache-Control: no-cache\nETag: \"a\"",
     R(STORE_VALIDATOR)},
    {"RFC 9111 5.2.2.4: no-cache without one is of no use", NULL, 200, "Cache-Control: no-cache, max-age=60",
     R(NO_STORE_NO_LIFETIME)},
    {"RFC 9111 5.2.2.4: no-cache with names", NULL, 200, "Cache-Control: no-cache=\"a\", max-age=60",
     R(STORE_EXPLICIT)},
    {"RFC 5861 4: a window makes a stale one worth keeping", NULL, 200,
     "Cache-Control: max-age=0, stale-if-error=60", R(STORE_VALIDATOR)},
    {"RFC 9111 4.2.1: a lifetime that cannot be read", NULL, 200, "Cache-Control: max-age=x",
     R(NO_STORE_NO_LIFETIME)},

    {"RFC 9111 3.5: Authorization", "Authorization: x", 200, "Cache-Control: max-age=60",
     R(NO_STORE_AUTHORIZATION)},
    {"RFC 9111 3.5: Authorization and Expires", "Authorization: x", 200,
     DATE "Expires: Sun, 06 Nov 1994 09:49:37 GMT", R(NO_STORE_AUTHORIZATION)},
    {"RFC 9111 3.5: public", "Authorization: x", 200, "Cache-Control: public, max-age=60", R(STORE_EXPLICIT)},
    {"RFC 9111 3.5: s-maxage", "Authorization: x", 200, "Cache-Control: s-maxage=60", R(STORE_EXPLICIT)},
    {"RFC 9111 3.5: must-revalidate", "Authorization: x", 200, "Cache-Control: must-revalidate, max-age=60",
     R(STORE_EXPLICIT)},

    {"Set-Cookie: nothing says that it may be shared", NULL, 200,
     "Cache-Control: max-age=60\nSet-Cookie: a=b", R(NO_STORE_SET_COOKIE)},
    {"Set-Cookie with public", NULL, 200, "Cache-Control: public, max-age=60\nSet-Cookie: a=b",
     R(STORE_EXPLICIT)},
    {"Set-Cookie with s-maxage", NULL, 200, "Cache-Control: s-maxage=60\nSet-Cookie: a=b", R(STORE_EXPLICIT)},
    {"Set-Cookie that must-revalidate does not share", NULL, 200,
     "Cache-Control: must-revalidate, max-age=60\nSet-Cookie: a=b", R(NO_STORE_SET_COOKIE)},
    {"a Cookie in the request does not matter", "Cookie: a=b", 200, "Cache-Control: max-age=60",
     R(STORE_EXPLICIT)},

    {"RFC 9111 4.1: Vary: *", NULL, 200, "Cache-Control: max-age=60\nVary: *", R(NO_STORE_VARY_STAR)},
    {"RFC 9111 4.1: an asterisk among others", NULL, 200, "Cache-Control: max-age=60\nVary: a\nVary: b, *",
     R(NO_STORE_VARY_STAR)},
    {"RFC 9111 4.1: an asterisk in a name is none", NULL, 200, "Cache-Control: max-age=60\nVary: a*",
     R(STORE_EXPLICIT)},

    {"RFC 9111 3: any final status with a lifetime", NULL, 299, "Cache-Control: max-age=60",
     R(STORE_EXPLICIT)},
    {"RFC 9111 3: 302", NULL, 302, "Cache-Control: max-age=60", R(STORE_EXPLICIT)},
    {"RFC 9111 3: 500", NULL, 500, "Cache-Control: max-age=60", R(STORE_EXPLICIT)},
    {"RFC 9111 3: 599", NULL, 599, "Cache-Control: max-age=60", R(STORE_EXPLICIT)},
    {"RFC 9111 3: an interim response", NULL, 103, "Cache-Control: max-age=60", R(NO_STORE_STATUS)},
    {"RFC 9111 3.3: 206 is not combined", NULL, 206, "Cache-Control: max-age=60\nContent-Range: bytes 0-1/2",
     R(NO_STORE_PARTIAL)},
    {"RFC 9111 3: 304 is no response to keep", NULL, 304, "Cache-Control: max-age=60", R(NO_STORE_STATUS)},
    {"416 speaks of one Range", NULL, 416, "Cache-Control: max-age=60", R(NO_STORE_STATUS)},
    {"RFC 9110 15.1: 302 without a lifetime", NULL, 302, "ETag: \"a\"", R(NO_STORE_STATUS)},
    {"RFC 9110 15.1: 403 without a lifetime", NULL, 403, "Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT",
     R(NO_STORE_STATUS)},
    {"RFC 9111 5.2.2.9: public makes any status cacheable", NULL, 599,
     DATE "Cache-Control: public\nLast-Modified: Sat, 05 Nov 1994 08:49:37 GMT", R(STORE_HEURISTIC)},

    {"RFC 9111 5.2.2.3: must-understand, understood", NULL, 200,
     "Cache-Control: must-understand, no-store, max-age=60", R(STORE_EXPLICIT)},
    {"RFC 9111 5.2.2.3: must-understand, not understood", NULL, 299,
     "Cache-Control: must-understand, max-age=60", R(NO_STORE_STATUS)},
    {"RFC 9111 5.2.2.3: it does not undo private", NULL, 200,
     "Cache-Control: must-understand, no-store, private, max-age=60", R(NO_STORE_PRIVATE)},
    {"Pragma in a response means nothing (RFC 9111 5.4)", NULL, 200,
     "Cache-Control: max-age=60\nPragma: no-cache", R(STORE_EXPLICIT)},
};

static struct http_store_answer ask(struct sk_arena *arena, const struct store_case *c) {
    struct http_request request = get_request(arena, c->request);
    struct http_response response = response_of(arena, c->status, c->response);
    return http_may_store(&request, &response, NOW, NOW, &policy);
}

static void storing(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(store_cases); i++) {
        struct http_store_answer answer = ask(&arena, &store_cases[i]);
        bool store = store_cases[i].reason < HTTP_REASON_NO_STORE_METHOD;
        if (answer.reason != store_cases[i].reason || answer.store != store) {
            fail_msg("%s: %.*s", store_cases[i].name, SK_STR_ARGS(http_reason_name(answer.reason)));
        }
    }
    sk_arena_free(&arena);
}

static void only_get_without_content_is_stored(void **state) {
    static const enum http_method others[] = {HTTP_METHOD_HEAD,    HTTP_METHOD_POST,  HTTP_METHOD_PUT,
                                              HTTP_METHOD_OPTIONS, HTTP_METHOD_QUERY, HTTP_METHOD_OTHER};
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    struct http_request request = get_request(&arena, NULL);
    struct http_response response = response_of(&arena, 200, "Cache-Control: max-age=60");
    for (size_t i = 0; i < SK_COUNT(others); i++) {
        request.method = others[i];
        assert_int_equal(http_may_store(&request, &response, NOW, NOW, &policy).reason, R(NO_STORE_METHOD));
    }
    request.method = HTTP_METHOD_GET;
    request.body_kind = HTTP_BODY_LENGTH;
    assert_int_equal(http_may_store(&request, &response, NOW, NOW, &policy).reason, R(STORE_EXPLICIT));
    request.content_length = 1;
    assert_int_equal(http_may_store(&request, &response, NOW, NOW, &policy).reason, R(NO_STORE_CONTENT));
    request.body_kind = HTTP_BODY_CHUNKED;
    assert_int_equal(http_may_store(&request, &response, NOW, NOW, &policy).reason, R(NO_STORE_CONTENT));
    sk_arena_free(&arena);
}

/* RFC 9110 15.1: exactly these may be kept on a guess, and of them 414 is not: it is the client's own fault. */
static void statuses_cacheable_by_default(void **state) {
    static const uint16_t cacheable[] = {200, 203, 204, 300, 301, 308, 404, 405, 410, 501};
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (uint16_t status = 200; status < 600; status++) {
        bool expected = false;
        for (size_t i = 0; i < SK_COUNT(cacheable); i++) expected |= cacheable[i] == status;
        struct store_case c = {"", NULL, status, DATE "Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT", 0};
        struct http_store_answer answer = ask(&arena, &c);
        if (answer.store != expected) fail_msg("%u", status);
        if (expected) assert_int_equal(answer.reason, R(STORE_HEURISTIC));
        sk_arena_reset(&arena);
    }
    sk_arena_free(&arena);
}

/* ---- lifetime and age -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *response;
    int64_t lifetime, age;
    bool heuristic;
} lifetime_cases[] = {
    {"RFC 9111 4.2.1: max-age", DATE "Cache-Control: max-age=60", 60, 2, false},
    {"RFC 9111 4.2.1: s-maxage wins over a longer max-age in a shared cache",
     DATE "Cache-Control: max-age=600, s-maxage=60", 60, 2, false},
    {"RFC 9111 4.2.1: s-maxage wins over a shorter max-age", DATE "Cache-Control: s-maxage=600, max-age=60",
     600, 2, false},
    {"RFC 9111 5.3: max-age wins over Expires",
     DATE "Cache-Control: max-age=60\nExpires: Sun, 06 Nov 1994 09:49:37 GMT", 60, 2, false},
    {"RFC 9111 5.3: max-age wins over an Expires that is no date",
     DATE "Cache-Control: max-age=60\nExpires: 0", 60, 2, false},
    {"RFC 9111 4.2.1: Expires minus Date", DATE "Expires: Sun, 06 Nov 1994 09:49:37 GMT", 3600, 2, false},
    {"RFC 9111 4.2.1: Date, not the local clock, is subtracted",
     "Date: Sun, 06 Nov 1994 08:49:27 GMT\nExpires: Sun, 06 Nov 1994 08:49:47 GMT", 20, 12, false},
    {"RFC 9111 4.2.1: a Date in the future", /* by ten seconds */
     "Date: Sun, 06 Nov 1994 08:49:49 GMT\nExpires: Sun, 06 Nov 1994 08:50:49 GMT", 60, 2, false},
    {"RFC 9110 6.6.1: a Date that is none counts as now", "Date: x\nExpires: Sun, 06 Nov 1994 08:49:49 GMT",
     10, 2, false},
    {"RFC 9110 6.6.1: no Date counts as now", "Expires: Sun, 06 Nov 1994 08:49:49 GMT", 10, 2, false},
    {"RFC 9111 4.2.1: several Expires, the earliest",
     DATE "Expires: Sun, 06 Nov 1994 09:49:37 GMT\nExpires: Sun, 06 Nov 1994 08:49:47 GMT", 10, 2, false},
    {"RFC 9111 5.3: in RFC 850 form", DATE "Expires: Sunday, 06-Nov-94 08:49:47 GMT", 10, 2, false},
    {"RFC 9111 5.3: an old Expires is stale", DATE "Expires: Sun, 06 Nov 1994 08:49:36 GMT\nETag: \"a\"", 0,
     2, false},
    {"RFC 9111 5.3: zero is stale", DATE "Expires: 0\nETag: \"a\"", 0, 2, false},
    {"RFC 9111 5.3: a bad one beside a good one is stale",
     DATE "Expires: 0\nExpires: Sun, 06 Nov 1994 09:49:37 GMT\nETag: \"a\"", 0, 2, false},
    {"RFC 9111 4.2.1: a max-age that cannot be read beside Expires is stale",
     DATE "Cache-Control: max-age=x\nExpires: Sun, 06 Nov 1994 09:49:37 GMT\nETag: \"a\"", 0, 2, false},
    {"RFC 9111 1.2.2: the greatest lifetime", DATE "Cache-Control: max-age=99999999999", HTTP_SECONDS_MAX, 2,
     false},
    {"RFC 9111 1.2.2: an Expires in the year 9999", DATE "Expires: Fri, 31 Dec 9999 23:59:59 GMT",
     HTTP_SECONDS_MAX, 2, false},
    {"RFC 9111 4.2.2: a tenth of the time since the last change",
     DATE "Last-Modified: Sun, 06 Nov 1994 08:32:57 GMT", 100, 2, true},
    {"RFC 9111 4.2.2: capped at a day", DATE "Last-Modified: Sun, 06 Nov 1904 08:32:57 GMT", DAY, 2, true},
    {"RFC 9111 4.2.2: a change in the future tells nothing",
     DATE "Last-Modified: Sun, 06 Nov 1994 09:49:37 GMT\nETag: \"a\"", 0, 2, true},
    {"RFC 9111 4.2.2: a date that is none tells nothing", DATE "Last-Modified: x\nETag: \"a\"", 0, 2, false},
    {"RFC 9111 4.2.3: the response's delay counts", DATE "Cache-Control: max-age=60\nAge: 0", 60, 2, false},
    {"RFC 9111 4.2.3: Age and delay", DATE "Cache-Control: max-age=60\nAge: 30", 60, 32, false},
    {"RFC 9111 4.2.3: an old Date counts more than Age",
     "Date: Sun, 06 Nov 1994 08:49:09 GMT\nCache-Control: max-age=60\nAge: 5", 60, 30, false},
    {"RFC 9111 5.1: the first member of a list", DATE "Cache-Control: max-age=60\nAge: 7, 0", 60, 9, false},
    {"RFC 9111 5.1: the first of two lines", DATE "Cache-Control: max-age=60\nAge: 7\nAge: 50", 60, 9, false},
    {"RFC 9111 5.1: not a number", DATE "Cache-Control: max-age=60\nAge: abc", 60, 2, false},
    {"RFC 9111 5.1: negative", DATE "Cache-Control: max-age=60\nAge: -7200", 60, 2, false},
    {"RFC 9111 5.1: a fraction", DATE "Cache-Control: max-age=60\nAge: 7200.0", 60, 2, false},
    {"RFC 9111 5.1: quoted", DATE "Cache-Control: max-age=60\nAge: \"7200\"", 60, 2, false},
    {"RFC 9111 1.2.2: an Age over 31 bits", DATE "Cache-Control: max-age=60\nETag: \"a\"\nAge: 99999999999",
     60, HTTP_SECONDS_MAX, false},
    {"RFC 9111 1.2.2: an Age over 64 bits",
     DATE "Cache-Control: max-age=60\nETag: \"a\"\nAge: 99999999999999999999999", 60, HTTP_SECONDS_MAX,
     false},
};

static void lifetimes_and_ages(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(lifetime_cases); i++) {
        struct http_request request = get_request(&arena, NULL);
        struct http_response response = response_of(&arena, 200, lifetime_cases[i].response);
        /* asked at NOW, answered two seconds later */
        struct http_store_answer answer = http_may_store(&request, &response, NOW, NOW + 2, &policy);
        if (!answer.store)
            fail_msg("%s: %.*s", lifetime_cases[i].name, SK_STR_ARGS(http_reason_name(answer.reason)));
        if (answer.freshness.lifetime_s != lifetime_cases[i].lifetime) {
            fail_msg("%s: lifetime %lld", lifetime_cases[i].name, (long long)answer.freshness.lifetime_s);
        }
        if (answer.freshness.initial_age_s != lifetime_cases[i].age) {
            fail_msg("%s: age %lld", lifetime_cases[i].name, (long long)answer.freshness.initial_age_s);
        }
        if (answer.freshness.heuristic != lifetime_cases[i].heuristic)
            fail_msg("%s: heuristic", lifetime_cases[i].name);
        assert_int_equal(answer.freshness.response_time, NOW + 2);
    }
    sk_arena_free(&arena);
}

/* What explain shows is kept with the answer. */
static void lifetimes_say_which_rule_gave_them(void **state) {
    static const struct {
        const char *response;
        struct http_cache_policy policy;
        enum http_lifetime_rule rule;
        bool capped;
    } cases[] = {
        {"Cache-Control: max-age=60", {NONE, NONE, NONE, NONE, NONE, NONE}, HTTP_LIFETIME_MAX_AGE, false},
        {"Cache-Control: max-age=60, s-maxage=30",
         {NONE, NONE, NONE, NONE, NONE, NONE},
         HTTP_LIFETIME_S_MAXAGE,
         false},
        {"Cache-Control: max-age=60", {NONE, NONE, 30, NONE, NONE, NONE}, HTTP_LIFETIME_MAX_AGE, true},
        {"Cache-Control: max-age=60", {NONE, NONE, 60, NONE, NONE, NONE}, HTTP_LIFETIME_MAX_AGE, false},
        {"Cache-Control: max-age=x\nETag: \"a\"",
         {NONE, NONE, NONE, NONE, NONE, NONE},
         HTTP_LIFETIME_MALFORMED,
         false},
        {DATE "Expires: Sun, 06 Nov 1994 09:49:37 GMT",
         {NONE, NONE, NONE, NONE, NONE, NONE},
         HTTP_LIFETIME_EXPIRES,
         false},
        {DATE "Last-Modified: Sun, 06 Nov 1994 08:32:57 GMT",
         {NONE, NONE, NONE, NONE, NONE, NONE, .heuristics = true},
         HTTP_LIFETIME_HEURISTIC,
         false},
        {"ETag: \"a\"", {10, NONE, NONE, NONE, NONE, NONE}, HTTP_LIFETIME_DEFAULT_TTL, false},
        {"Cache-Control: max-age=60", {NONE, 10, NONE, NONE, NONE, NONE}, HTTP_LIFETIME_OVERRIDE_TTL, false},
        {"ETag: \"a\"", {NONE, NONE, NONE, NONE, NONE, NONE}, HTTP_LIFETIME_NONE, false},
        {"Cache-Control: max-age=60\nCDN-Cache-Control: max-age=70",
         {NONE, NONE, NONE, NONE, NONE, NONE},
         HTTP_LIFETIME_MAX_AGE,
         false},
    };
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_request request = get_request(&arena, NULL);
        struct http_response response = response_of(&arena, 200, cases[i].response);
        struct http_freshness freshness =
            http_may_store(&request, &response, NOW, NOW, &cases[i].policy).freshness;
        if (freshness.lifetime_rule != cases[i].rule)
            fail_msg("%s: %.*s", cases[i].response,
                     SK_STR_ARGS(http_lifetime_name((enum http_lifetime_rule)freshness.lifetime_rule)));
        if (freshness.capped != cases[i].capped) fail_msg("%s: capped", cases[i].response);
    }
    sk_arena_free(&arena);
}

static void ages_say_what_they_were_made_of(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    struct http_request request = get_request(&arena, NULL);
    struct http_response response = response_of(&arena, 200, DATE "Cache-Control: max-age=60\nAge: 7");
    struct http_freshness freshness = http_may_store(&request, &response, NOW, NOW + 2, &policy).freshness;
    assert_int_equal(freshness.age_value_s, 7);
    assert_int_equal(freshness.response_delay_s, 2);
    assert_int_equal(freshness.initial_age_s, 9);
    sk_arena_free(&arena);
}

static void rights_to_be_stale(void **state) {
    static const struct {
        const char *name;
        const char *control;
        int64_t swr, sie;
        bool must_revalidate, always_revalidate;
    } cases[] = {
        {"the policy's windows where the origin says nothing", "max-age=60", 7, 8, false, false},
        {"RFC 5861 3: the origin's own", "max-age=60, stale-while-revalidate=30", 30, 8, false, false},
        {"RFC 5861 4: the origin's own", "max-age=60, stale-if-error=0", 7, 0, false, false},
        {"RFC 9111 5.2.2.2: must-revalidate",
         "max-age=60, must-revalidate, stale-while-revalidate=30, stale-if-error=30", 0, 0, true, false},
        {"RFC 9111 5.2.2.8: proxy-revalidate", "max-age=60, proxy-revalidate, stale-if-error=30", 0, 0, true,
         false},
        {"RFC 9111 5.2.2.4: no-cache", "max-age=60, no-cache, stale-while-revalidate=30", 0, 0, true, true},
        {"RFC 9111 5.2.2.4: no-cache with names forbids nothing", "max-age=60, no-cache=\"a\"", 7, 8, false,
         false},
        {"RFC 9111 5.2.2.4: no-cache with the name of a field that is there", "max-age=60, no-cache=\"etag\"",
         0, 0, true, true},
        {"RFC 9111 5.2.2.10: s-maxage implies proxy-revalidate", "s-maxage=60", 0, 0, true, false},
        {"RFC 9111 5.2.3: a window beside s-maxage is meant", "s-maxage=60, stale-while-revalidate=30", 30, 0,
         true, false},
    };
    struct sk_arena arena;
    struct http_cache_policy windows = policy;
    (void)state;
    windows.stale_while_revalidate_s = 7;
    windows.stale_if_error_s = 8;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_request request = get_request(&arena, NULL);
        struct http_response response = response_of(&arena, 200, "ETag: \"a\"");
        assert_ok(http_fields_add_id(&response.fields, &arena, HTTP_FIELD_CACHE_CONTROL,
                                     sk_str_from_c(cases[i].control)));
        struct http_store_answer answer = http_may_store(&request, &response, NOW, NOW, &windows);
        assert_true(answer.store);
        if (answer.freshness.stale_while_revalidate_s != cases[i].swr) fail_msg("%s: swr", cases[i].name);
        if (answer.freshness.stale_if_error_s != cases[i].sie) fail_msg("%s: sie", cases[i].name);
        if (answer.freshness.must_revalidate != cases[i].must_revalidate) fail_msg("%s: must", cases[i].name);
        if (answer.freshness.always_revalidate != cases[i].always_revalidate)
            fail_msg("%s: always", cases[i].name);
        assert_true(answer.freshness.has_validator);
    }
    sk_arena_free(&arena);
}

/* RFC 8246 section 3: nothing tells whether a body that ends with its connection is whole. */
static void immutable_needs_a_length(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    struct http_request request = get_request(&arena, NULL);
    struct http_response response =
        response_of(&arena, 200, "Cache-Control: max-age=60, immutable, immutable=1");
    assert_true(http_may_store(&request, &response, NOW, NOW, &policy).freshness.immutable);
    response.body_kind = HTTP_BODY_CLOSE;
    struct http_store_answer answer = http_may_store(&request, &response, NOW, NOW, &policy);
    assert_true(answer.store && !answer.freshness.immutable);
    response = response_of(&arena, 200, "CDN-Cache-Control: max-age=60, immutable=5");
    assert_true(http_may_store(&request, &response, NOW, NOW, &policy).freshness.immutable);
    sk_arena_free(&arena);
}

/* ---- the operator's word ----------------------------------------------------------------------------- */

static const struct {
    const char *name;
    struct http_cache_policy policy;
    uint16_t status;
    const char *response;
    enum http_reason reason;
    int64_t lifetime;
} rule_cases[] = {
    {"a default where the origin says nothing",
     {.default_ttl_s = 30, NONE, NONE, NONE, NONE, NONE},
     200,
     "A: b",
     R(STORE_RULE),
     30},
    {"no default against the origin's word",
     {.default_ttl_s = 30, NONE, NONE, NONE, NONE, NONE},
     200,
     "Cache-Control: max-age=60",
     R(STORE_EXPLICIT),
     60},
    {"no default for a status that is not cacheable",
     {.default_ttl_s = 30, NONE, NONE, NONE, NONE, NONE},
     500,
     "A: b",
     R(NO_STORE_STATUS),
     0},
    {"a default where heuristics are off",
     {.default_ttl_s = 30, NONE, NONE, NONE, NONE, NONE, .heuristics = false},
     200,
     DATE "Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT",
     R(STORE_RULE),
     30},
    {"heuristics before the default",
     {.default_ttl_s = 30, NONE, NONE, NONE, NONE, NONE, .heuristics = true},
     200,
     DATE "Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT",
     R(STORE_HEURISTIC),
     8640},
    {"heuristics off: a validator to ask with",
     {NONE, NONE, NONE, NONE, NONE, NONE, .heuristics = false},
     200,
     DATE "Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT",
     R(STORE_VALIDATOR),
     0},
    {"a cap",
     {NONE, NONE, .max_ttl_s = 30, NONE, NONE, NONE},
     200,
     "Cache-Control: max-age=60",
     R(STORE_EXPLICIT),
     30},
    {"a cap of guesses",
     {NONE, NONE, NONE, .heuristic_max_s = 30, NONE, NONE, .heuristics = true},
     200,
     DATE "Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT",
     R(STORE_HEURISTIC),
     30},
    {"RFC 9111 1.2.2: guesses of centuries without a cap",
     {NONE, NONE, NONE, .heuristic_max_s = NONE, NONE, NONE, .heuristics = true},
     200,
     "Date: Fri, 31 Dec 9999 23:59:59 GMT\nLast-Modified: Sat, 05 Nov 1994 08:49:37 GMT",
     R(STORE_HEURISTIC),
     HTTP_SECONDS_MAX},
    {"override: against a shorter lifetime",
     {NONE, .override_ttl_s = 90, NONE, NONE, NONE, NONE},
     200,
     "Cache-Control: max-age=60",
     R(STORE_RULE),
     90},
    {"override: against no-store, no-cache and private",
     {NONE, .override_ttl_s = 90, NONE, NONE, NONE, NONE},
     200,
     "Cache-Control: no-store, no-cache, private, max-age=0, must-revalidate",
     R(STORE_RULE),
     90},
    {"override: not for a cookie",
     {NONE, .override_ttl_s = 90, NONE, NONE, NONE, NONE},
     200,
     "Set-Cookie: a=b",
     R(NO_STORE_SET_COOKIE),
     0},
    {"override: not for Vary: *",
     {NONE, .override_ttl_s = 90, NONE, NONE, NONE, NONE},
     200,
     "Vary: *",
     R(NO_STORE_VARY_STAR),
     0},
    {"override: not for an error",
     {NONE, .override_ttl_s = 90, NONE, NONE, NONE, NONE},
     503,
     "A: b",
     R(NO_STORE_STATUS),
     0},
    {"a cookie that is dropped",
     {NONE, NONE, NONE, NONE, NONE, NONE, .ignore_set_cookie = true},
     200,
     "Cache-Control: max-age=60\nSet-Cookie: a=b",
     R(STORE_EXPLICIT),
     60},
};

static void rules_of_the_operator(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(rule_cases); i++) {
        struct http_request request = get_request(&arena, NULL);
        struct http_response response = response_of(&arena, rule_cases[i].status, rule_cases[i].response);
        struct http_store_answer answer =
            http_may_store(&request, &response, NOW, NOW, &rule_cases[i].policy);
        if (answer.reason != rule_cases[i].reason) {
            fail_msg("%s: %.*s", rule_cases[i].name, SK_STR_ARGS(http_reason_name(answer.reason)));
        }
        if (answer.store && answer.freshness.lifetime_s != rule_cases[i].lifetime)
            fail_msg("%s: lifetime", rule_cases[i].name);
    }
    sk_arena_free(&arena);
}

/* ---- by status --------------------------------------------------------------------------------------- */

static const struct http_status_ttl few_errors[] = {{404, 404, 10}, {410, 410, 60}, {500, 599, 1}};
static const struct http_status_ttl redirects[] = {{301, 301, 3600}, {404, 404, HTTP_SECONDS_NONE}};
static const struct http_status_ttl gone[] = {{410, 410, 7}, {414, 414, 5}};
#define TTLS(items) {items, SK_COUNT(items)}

static const struct {
    const char *name;
    struct http_status_ttls override, by_status, negative;
    int64_t default_ttl;
    uint16_t status;
    const char *response;
    enum http_reason reason;
    enum http_lifetime_rule rule;
    int64_t lifetime;
} status_cases[] = {
    {"an error's own lifetime",
     {0},
     {0},
     TTLS(few_errors),
     300,
     404,
     "A: b",
     R(STORE_RULE),
     HTTP_LIFETIME_NEGATIVE_TTL,
     10},
    {"never that of good answers", {0}, {0}, {0}, 300, 404, "A: b", R(NO_STORE_NO_LIFETIME), 0, 0},
    {"a good answer never gets an error's",
     {0},
     {0},
     TTLS(few_errors),
     NONE,
     200,
     "A: b",
     R(NO_STORE_NO_LIFETIME),
     0,
     0},
    {"RFC 9111 4.2.2: a 503 only because it is spelled out",
     {0},
     {0},
     TTLS(few_errors),
     NONE,
     503,
     "A: b",
     R(STORE_RULE),
     HTTP_LIFETIME_NEGATIVE_TTL,
     1},
    {"RFC 9111 4.2.2: no other error",
     {0},
     {0},
     TTLS(few_errors),
     NONE,
     403,
     "A: b",
     R(NO_STORE_STATUS),
     0,
     0},
    {"RFC 9111 4.2.1: the origin's word on an error",
     {0},
     {0},
     TTLS(few_errors),
     NONE,
     404,
     "Cache-Control: max-age=60",
     R(STORE_EXPLICIT),
     HTTP_LIFETIME_MAX_AGE,
     60},
    {"RFC 9111 5.2.2.5: no-store on an error",
     {0},
     {0},
     TTLS(few_errors),
     NONE,
     404,
     "Cache-Control: no-store",
     R(NO_STORE_DIRECTIVE),
     0,
     0},
    {"by status before the default",
     {0},
     TTLS(redirects),
     {0},
     300,
     301,
     "A: b",
     R(STORE_RULE),
     HTTP_LIFETIME_TTL_BY_STATUS,
     3600},
    {"others get the default",
     {0},
     TTLS(redirects),
     {0},
     300,
     302,
     "Cache-Control: public",
     R(STORE_RULE),
     HTTP_LIFETIME_DEFAULT_TTL,
     300},
    {"none takes an error out",
     {0},
     TTLS(redirects),
     TTLS(few_errors),
     300,
     404,
     "A: b",
     R(NO_STORE_NO_LIFETIME),
     0,
     0},
    {"against the origin's word",
     TTLS(gone),
     {0},
     TTLS(few_errors),
     NONE,
     410,
     "Cache-Control: no-store",
     R(STORE_RULE),
     HTTP_LIFETIME_OVERRIDE_BY_STATUS,
     7},
    {"a client's error that is spelled out",
     TTLS(gone),
     {0},
     {0},
     NONE,
     414,
     "A: b",
     R(STORE_RULE),
     HTTP_LIFETIME_OVERRIDE_BY_STATUS,
     5},
};

static void lifetimes_by_status(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(status_cases); i++) {
        struct http_cache_policy own = policy;
        own.override_by_status = status_cases[i].override;
        own.default_by_status = status_cases[i].by_status;
        own.negative = status_cases[i].negative;
        own.default_ttl_s = status_cases[i].default_ttl;
        struct http_request request = get_request(&arena, NULL);
        struct http_response response = response_of(&arena, status_cases[i].status, status_cases[i].response);
        struct http_store_answer answer = http_may_store(&request, &response, NOW, NOW, &own);
        if (answer.reason != status_cases[i].reason)
            fail_msg("%s: %.*s", status_cases[i].name, SK_STR_ARGS(http_reason_name(answer.reason)));
        if (answer.store && (answer.freshness.lifetime_rule != status_cases[i].rule ||
                             answer.freshness.lifetime_s != status_cases[i].lifetime))
            fail_msg("%s: %lld", status_cases[i].name, (long long)answer.freshness.lifetime_s);
    }
    sk_arena_free(&arena);
}

/* ---- what somebody may have led us to store ------------------------------------------------------------ */

/* Whatever the origin says of its lifetime: these are what the CPDoS attacks (header oversize, meta characters) earn. */
static void errors_of_the_clients_own_making_are_not_stored(void **state) {
    static const uint16_t statuses[] = {400, 406, 411, 413, 414, 415, 417, 421, 426, 428, 431};
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(statuses); i++) {
        struct store_case c = {"", NULL, statuses[i], "Cache-Control: public, max-age=60", 0};
        assert_int_equal(ask(&arena, &c).reason, R(NO_STORE_CLIENT_ERROR));
    }
    sk_arena_free(&arena);
}

static const struct {
    const char *name, *path;
    uint16_t status;
    const char *response;
    enum http_reason reason;
} deception_cases[] = {
    {"a page under a picture's name", "/account/x.png", 200,
     "Cache-Control: max-age=60\nContent-Type: text/html", R(NO_STORE_DECEPTION)},
    {"a picture", "/x.png", 200, "Cache-Control: max-age=60\nContent-Type: image/webp", R(STORE_EXPLICIT)},
    {"a page", "/account/", 200, "Cache-Control: max-age=60\nContent-Type: text/html", R(STORE_EXPLICIT)},
    {"the origin says that all may have it", "/x.css", 200,
     "Cache-Control: public, max-age=60\nContent-Type: text/html", R(STORE_EXPLICIT)},
    {"s-maxage says so too", "/x.css", 200, "Cache-Control: s-maxage=60\nContent-Type: text/html",
     R(STORE_EXPLICIT)},
    {"RFC 9213: a targeted field says so too", "/x.css", 200,
     "CDN-Cache-Control: max-age=60\nContent-Type: text/html", R(STORE_EXPLICIT)},
    {"an error page for a missing picture", "/x.png", 404,
     "Cache-Control: max-age=60\nContent-Type: text/html", R(STORE_EXPLICIT)},
    {"a path that may be another one", "/static/..%2Faccount", 200, "Cache-Control: public, max-age=60",
     R(NO_STORE_AMBIGUOUS)},
};

static void what_is_led_astray_is_not_stored(void **state) {
    struct sk_arena arena;
    struct http_cache_policy forced = policy, open = policy;
    (void)state;
    forced.override_ttl_s = 60;
    open.deception_armor = false;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(deception_cases); i++) {
        struct http_request request = get_request(&arena, NULL);
        request.path = sk_str_from_c(deception_cases[i].path);
        struct http_response response =
            response_of(&arena, deception_cases[i].status, deception_cases[i].response);
        enum http_reason reason = http_may_store(&request, &response, NOW, NOW, &policy).reason;
        if (reason != deception_cases[i].reason)
            fail_msg("%s: %.*s", deception_cases[i].name, SK_STR_ARGS(http_reason_name(reason)));
        assert_true(http_may_store(&request, &response, NOW, NOW, &open).store);
        /* the operator's lifetime for "*.png" is just what the attack aims at */
        bool stored = http_may_store(&request, &response, NOW, NOW, &forced).store;
        assert_int_equal(stored, reason == R(STORE_EXPLICIT));
    }
    struct http_request request = get_request(&arena, NULL);
    request.path = SK_STR("/account/x.css");
    struct http_response mine =
        response_of(&arena, 200, "Cache-Control: private, public\nContent-Type: text/html");
    assert_int_equal(http_may_store(&request, &mine, NOW, NOW, &forced).reason, R(NO_STORE_DECEPTION));
    sk_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(storing),
        cmocka_unit_test(only_get_without_content_is_stored),
        cmocka_unit_test(statuses_cacheable_by_default),
        cmocka_unit_test(lifetimes_and_ages),
        cmocka_unit_test(lifetimes_say_which_rule_gave_them),
        cmocka_unit_test(ages_say_what_they_were_made_of),
        cmocka_unit_test(rights_to_be_stale),
        cmocka_unit_test(immutable_needs_a_length),
        cmocka_unit_test(rules_of_the_operator),
        cmocka_unit_test(lifetimes_by_status),
        cmocka_unit_test(errors_of_the_clients_own_making_are_not_stored),
        cmocka_unit_test(what_is_led_astray_is_not_stored),
    };
    http_cache_policy_default(&policy);
    return SK_RUN_TESTS(tests);
}
