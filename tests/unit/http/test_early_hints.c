/* Early Hints from stored Link fields (RFC 8297, RFC 8288). */
#include "http/early_hints.h"
#include "messages.h"

static struct sk_arena arena;

static int set_up(void **state) {
    sk_arena_init(&arena, 4096, 0);
    return 0;
}
static int tear_down(void **state) {
    sk_arena_free(&arena);
    return 0;
}

static void which_links_are_hints(void **state) {
    static const struct {
        const char *name, *fields, *first;
        uint32_t count;
    } cases[] = {
        {"RFC 8297 2: preload", "Link: </a.css>; rel=preload; as=style", "</a.css>; rel=preload; as=style",
         1},
        {"RFC 8288 3.3: quoted, among others", "Link: </a>; rel=\"next PRELOAD\"",
         "</a>; rel=\"next PRELOAD\"", 1},
        {"preconnect", "Link: <https://cdn.test>;rel=preconnect", "<https://cdn.test>;rel=preconnect", 1},
        {"modulepreload", "Link: </m.js>; rel=modulepreload", "</m.js>; rel=modulepreload", 1},
        {"no hint", "Link: </b>; rel=next, </c>; rel=canonical", NULL, 0},
        {"RFC 8288 3: several in one line", "Link: </b>; rel=next, </a>; rel=preload , </c>; rel=preload",
         "</a>; rel=preload", 2},
        {"several lines", "Link: </a>; rel=preload\nLink: </c>; rel=preconnect", "</a>; rel=preload", 2},
        {"RFC 8288 3: commas in a target and in quotes",
         "Link: </a,b>; title=\"x, <y>; rel=next\"; rel=preload",
         "</a,b>; title=\"x, <y>; rel=next\"; rel=preload", 1},
        {"RFC 8288 3.3: the first rel counts", "Link: </a>; rel=next; rel=preload", NULL, 0},
        {"a parameter without value", "Link: </a>; crossorigin; rel=preload",
         "</a>; crossorigin; rel=preload", 1},
        {"a target that does not end", "Link: </a; rel=preload", NULL, 0},
        {"a quote that does not end", "Link: </a>; rel=\"preload", NULL, 0},
        {"what follows nonsense is not read", "Link: nonsense, </a>; rel=preload", NULL, 0},
        {"empty elements", "Link: , ,</a>; rel=preload,,", "</a>; rel=preload", 1},
        {"no Link", "Content-Type: text/html", NULL, 0},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_response response = response_of(&arena, 200, cases[i].fields);
        struct http_fields hints;
        assert_ok(http_early_hints(&arena, &response.fields, &hints));
        if (hints.count != cases[i].count) fail_msg("%s: %u", cases[i].name, hints.count);
        if (cases[i].first) assert_str(hints.items[0].value, sk_str_from_c(cases[i].first));
    }
}

static void hints_are_bounded(void **state) {
    struct http_fields fields = {0}, hints;
    sk_str large = sk_arena_printf(&arena, "</%04000d>; rel=preload", 0);
    for (int i = 0; i < 100; i++)
        assert_ok(http_fields_add_id(&fields, &arena, HTTP_FIELD_LINK, SK_STR("</a>; rel=preload")));
    assert_ok(http_early_hints(&arena, &fields, &hints));
    assert_int_equal(hints.count, HTTP_EARLY_HINTS_MAX);
    fields.count = 2;
    fields.items[0].value = fields.items[1].value = large;
    assert_ok(http_early_hints(&arena, &fields, &hints));
    assert_int_equal(hints.count, 1);
}

static void who_is_told(void **state) {
    static const struct {
        enum http_early_hints_mode mode;
        enum http_version version;
        const char *fields;
        bool told;
    } cases[] = {
        {HTTP_EARLY_HINTS_ON, HTTP_1_1, "Sec-Fetch-Mode: navigate", true},
        {HTTP_EARLY_HINTS_ON, HTTP_1_1, "Sec-Fetch-Mode: cors", false},
        {HTTP_EARLY_HINTS_ON, HTTP_1_1, NULL, false},
        {HTTP_EARLY_HINTS_ON, HTTP_2, NULL, true},
        {HTTP_EARLY_HINTS_ALWAYS, HTTP_1_1, NULL, true},
        {HTTP_EARLY_HINTS_ALWAYS, HTTP_1_0, NULL, false},
        {HTTP_EARLY_HINTS_OFF, HTTP_2, "Sec-Fetch-Mode: navigate", false},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_request request = get_request(&arena, cases[i].fields);
        request.version = cases[i].version;
        if (http_early_hints_wanted(cases[i].mode, &request) != cases[i].told) fail_msg("case %zu", i);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(which_links_are_hints, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hints_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_told, set_up, tear_down),
    };
    return SK_RUN_TESTS(tests);
}
