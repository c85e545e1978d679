#include "http/cache_control.h"

#include "messages.h"

#define NONE HTTP_SECONDS_NONE
#define MAX HTTP_SECONDS_MAX

static struct http_cache_control parse(struct sk_arena *arena, const char *lines) {
    struct http_fields fields = fields_of(arena, lines);
    struct http_cache_control control;
    http_cache_control_parse(&fields, HTTP_FIELD_CACHE_CONTROL, &control);
    return control;
}

static void lifetimes(void **state) {
    static const struct {
        const char *name, *lines;
        int64_t max_age, s_maxage;
        bool malformed;
    } cases[] = {
        {"absent", NULL, NONE, NONE, false},
        {"RFC 9111 5.2.2.1: max-age", "Cache-Control: max-age=3600", 3600, NONE, false},
        {"RFC 9111 5.2.2.10: s-maxage", "Cache-Control: s-maxage=60, max-age=5", 5, 60, false},
        {"RFC 9111 5.2: names are case-insensitive", "Cache-Control: MaX-AgE=1", 1, NONE, false},
        {"RFC 9111 5.2: the quoted form", "Cache-Control: max-age=\"3600\"", 3600, NONE, false},
        {"RFC 9111 5.2: unknown directives are ignored", "Cache-Control: foobar, max-age=1, x=y", 1, NONE,
         false},
        {"RFC 9111 5.2: lines make one list", "Cache-Control: foo\nCache-Control: max-age=1", 1, NONE, false},
        {"RFC 9110 5.6.1: empty elements", "Cache-Control: ,, max-age=1 ,", 1, NONE, false},
        {"RFC 9111 5.2: no directive inside a quoted string", "Cache-Control: x=\"max-age=9\", max-age=1", 1,
         NONE, false},
        {"RFC 9111 5.2: the same after it", "Cache-Control: max-age=1, x=\"max-age=9, s-maxage=5\"", 1, NONE,
         false},
        {"RFC 9110 5.6.4: an escaped quote", "Cache-Control: x=\"a\\\", max-age=9\", max-age=1", 1, NONE,
         false},
        {"an open quote hides the rest", "Cache-Control: x=\"max-age=1", NONE, NONE, false},
        {"RFC 9111 1.2.2: leading zeros", "Cache-Control: max-age=003600", 3600, NONE, false},
        {"RFC 9111 1.2.2: the greatest value", "Cache-Control: max-age=2147483648", MAX, NONE, false},
        {"RFC 9111 1.2.2: a greater one means the greatest", "Cache-Control: max-age=99999999999", MAX, NONE,
         false},
        {"RFC 9111 1.2.2: over 64 bits", "Cache-Control: max-age=99999999999999999999999", MAX, NONE, false},
        {"RFC 9111 4.2.1: repeated, the least counts", "Cache-Control: max-age=1800, max-age=1", 1, NONE,
         false},
        {"RFC 9111 4.2.1: in any order", "Cache-Control: max-age=1\nCache-Control: max-age=1800", 1, NONE,
         false},
        {"RFC 9111 4.2.1: a word is stale", "Cache-Control: max-age=a3600", 0, NONE, true},
        {"RFC 9111 4.2.1: a unit is stale", "Cache-Control: max-age=3600s", 0, NONE, true},
        {"RFC 9111 4.2.1: negative is stale", "Cache-Control: max-age=-1", 0, NONE, true},
        {"RFC 9111 4.2.1: a fraction is stale", "Cache-Control: max-age=3600.0", 0, NONE, true},
        {"RFC 9111 4.2.1: single quotes are stale", "Cache-Control: max-age='3600'", 0, NONE, true},
        {"RFC 9111 4.2.1: no argument is stale", "Cache-Control: max-age", 0, NONE, true},
        {"RFC 9111 4.2.1: an empty argument is stale", "Cache-Control: max-age=", 0, NONE, true},
        {"RFC 9111 4.2.1: empty quotes are stale", "Cache-Control: max-age=\"\"", 0, NONE, true},
        {"RFC 9111 4.2.1: space before the sign is stale", "Cache-Control: max-age =3600", 0, NONE, true},
        {"RFC 9111 4.2.1: space after the sign is stale", "Cache-Control: max-age= 3600", 0, NONE, true},
        {"RFC 9111 4.2.1: a word beside a number", "Cache-Control: max-age=5, max-age=x", 0, NONE, true},
        {"RFC 9111 4.2.1: s-maxage too", "Cache-Control: s-maxage=x, max-age=5", 5, 0, true},
        {"another field", "Expires: max-age=5", NONE, NONE, false},
    };
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_cache_control control = parse(&arena, cases[i].lines);
        if (control.max_age != cases[i].max_age)
            fail_msg("%s: max-age %lld", cases[i].name, (long long)control.max_age);
        if (control.s_maxage != cases[i].s_maxage) fail_msg("%s: s-maxage", cases[i].name);
        if (control.malformed_freshness != cases[i].malformed) fail_msg("%s: malformed", cases[i].name);
    }
    sk_arena_free(&arena);
}

static void flags(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    struct http_cache_control none = parse(&arena, "Cache-Control: max-age=1");
    struct http_cache_control all =
        parse(&arena, "Cache-Control: No-Store, no-cache, NO-TRANSFORM, must-revalidate\n"
                      "Cache-Control: proxy-revalidate, must-understand, private, public\n"
                      "Cache-Control: immutable, only-if-cached, max-stale");
    bool off[] = {none.no_store,         none.no_cache,        none.no_transform, none.must_revalidate,
                  none.proxy_revalidate, none.must_understand, none.is_private,   none.is_public,
                  none.immutable,        none.only_if_cached,  none.max_stale_any};
    bool on[] = {all.no_store,         all.no_cache,        all.no_transform, all.must_revalidate,
                 all.proxy_revalidate, all.must_understand, all.is_private,   all.is_public,
                 all.immutable,        all.only_if_cached,  all.max_stale_any};
    for (size_t i = 0; i < SK_COUNT(on); i++) {
        assert_false(off[i]);
        assert_true(on[i]);
    }
    /* RFC 9111 5.2: what forbids holds whatever hangs on it, what allows must be spelled exactly */
    struct http_cache_control odd = parse(
        &arena, "Cache-Control: no-store=1, must-revalidate=\"x\", public=1, immutable=2, must-understand=3");
    assert_true(odd.no_store && odd.must_revalidate);
    assert_true(odd.immutable); /* RFC 8246 2: arguments are ignored */
    assert_false(odd.is_public || odd.must_understand);
    assert_false(parse(&arena, NULL).present);
    assert_true(parse(&arena, "Cache-Control:").present);
    sk_arena_free(&arena);
}

/* NULL stands for a list that is not there. */
static bool is_text(sk_str list, const char *expected) {
    if (!list.data || !expected) return !list.data && !expected;
    return sk_str_eq(list, sk_str_from_c(expected));
}

static void qualified_forms(void **state) {
    static const struct {
        const char *name, *lines;
        bool no_cache, is_private;
        const char *no_cache_fields, *private_fields;
    } cases[] = {
        {"RFC 9111 5.2.2.4: no-cache with names", "Cache-Control: no-cache=\"a, b\"", true, false, "a, b",
         NULL},
        {"RFC 9111 5.2.2.7: private with names", "Cache-Control: private=\"Set-Cookie\"", false, true, NULL,
         "Set-Cookie"},
        {"RFC 9111 5.2.2.4: a token counts as a name", "Cache-Control: no-cache=a", true, false, "a", NULL},
        {"unqualified", "Cache-Control: no-cache, private", true, true, NULL, NULL},
        {"RFC 9111 4.2.1: unqualified wins after qualified", "Cache-Control: no-cache=\"a\", no-cache", true,
         false, NULL, NULL},
        {"RFC 9111 4.2.1: and before it", "Cache-Control: private, private=\"a\"", false, true, NULL, NULL},
        {"two lists are read as none", "Cache-Control: private=\"a\"\nCache-Control: private=\"b\"", false,
         true, NULL, NULL},
        {"an empty list is read as none", "Cache-Control: private=\"\"", false, true, NULL, NULL},
        {"an escape is read as none", "Cache-Control: private=\"set\\-cookie\"", false, true, NULL, NULL},
        {"an open quote is read as none", "Cache-Control: private=\"a", false, true, NULL, NULL},
        {"what is no token is read as none", "Cache-Control: private=a b", false, true, NULL, NULL},
    };
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_cache_control control = parse(&arena, cases[i].lines);
        if (control.no_cache != cases[i].no_cache) fail_msg("%s: no-cache", cases[i].name);
        if (control.is_private != cases[i].is_private) fail_msg("%s: private", cases[i].name);
        if (!is_text(control.no_cache_fields, cases[i].no_cache_fields)) fail_msg("%s: names", cases[i].name);
        if (!is_text(control.private_fields, cases[i].private_fields)) fail_msg("%s: names", cases[i].name);
    }
    sk_arena_free(&arena);
}

static void numbers_of_requests_and_extensions(void **state) {
    static const struct {
        const char *name, *lines;
        int64_t min_fresh, max_stale, swr, sie;
        bool any;
    } cases[] = {
        {"absent", "Cache-Control: x", NONE, NONE, NONE, NONE, false},
        {"RFC 9111 5.2.1.3: min-fresh", "Cache-Control: min-fresh=5", 5, NONE, NONE, NONE, false},
        {"RFC 9111 5.2.1.3: the most counts", "Cache-Control: min-fresh=5, min-fresh=9", 9, NONE, NONE, NONE,
         false},
        {"RFC 9111 5.2.1.2: max-stale", "Cache-Control: max-stale=5", NONE, 5, NONE, NONE, false},
        {"RFC 9111 5.2.1.2: without argument", "Cache-Control: max-stale", NONE, NONE, NONE, NONE, true},
        {"RFC 9111 5.2.1.2: the least counts", "Cache-Control: max-stale=5, max-stale=2", NONE, 2, NONE, NONE,
         false},
        {"RFC 9111 5.2.1.2: what cannot be read allows nothing", "Cache-Control: max-stale=x", NONE, 0, NONE,
         NONE, false},
        {"RFC 5861 3: stale-while-revalidate", "Cache-Control: stale-while-revalidate=30", NONE, NONE, 30,
         NONE, false},
        {"RFC 5861 3: without argument allows nothing", "Cache-Control: stale-while-revalidate", NONE, NONE,
         0, NONE, false},
        {"RFC 5861 4: stale-if-error", "Cache-Control: stale-if-error=60, stale-if-error=90", NONE, NONE,
         NONE, 60, false},
    };
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_cache_control control = parse(&arena, cases[i].lines);
        if (control.min_fresh != cases[i].min_fresh) fail_msg("%s: min-fresh", cases[i].name);
        if (control.max_stale != cases[i].max_stale) fail_msg("%s: max-stale", cases[i].name);
        if (control.stale_while_revalidate != cases[i].swr) fail_msg("%s: swr", cases[i].name);
        if (control.stale_if_error != cases[i].sie) fail_msg("%s: sie", cases[i].name);
        if (control.max_stale_any != cases[i].any) fail_msg("%s: any", cases[i].name);
    }
    sk_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lifetimes),
        cmocka_unit_test(flags),
        cmocka_unit_test(qualified_forms),
        cmocka_unit_test(numbers_of_requests_and_extensions),
    };
    return SK_RUN_TESTS(tests);
}
