/* What may be coded, and what the fields of a coded form say. */
#include "../http/messages.h"
#include "edge/codable.h"
#include "edge/coding.h"

static struct sk_arena arena;
static sk_str types[] = {SK_STR_INIT("text/*"), SK_STR_INIT("*+json"), SK_STR_INIT("application/wasm")};
static const struct config_compress rules = {.enabled = true,
                                             .codings = {HTTP_CODING_GZIP},
                                             .coding_count = 1,
                                             .types = types,
                                             .type_count = SK_COUNT(types),
                                             .min_bytes = 100,
                                             .max_bytes = 1000};

static int setup(void **state) {
    sk_arena_init(&arena, 4096, 0);
    (void)state;
    return 0;
}
static int teardown(void **state) {
    sk_arena_free(&arena);
    (void)state;
    return 0;
}

static const struct {
    const char *name, *lines;
    uint16_t status;
    uint64_t length;
    bool codable;
} cases[] = {
    {"a type of the list", "Content-Type: application/wasm", 200, 500, true},
    {"its parameters and case do not matter", "Content-Type: Application/WASM ; a=b", 200, 500, true},
    {"a whole family", "Content-Type: text/x-odd", 200, 500, true},
    {"a suffix", "Content-Type: application/problem+json;charset=utf-8", 200, 500, true},
    {"another type", "Content-Type: image/png", 200, 500, false},
    {"the suffix alone is no type", "Content-Type: +jso", 200, 500, false},
    {"a family's name is not enough", "Content-Type: text", 200, 500, false},
    {"no type", NULL, 200, 500, false},
    {"too small", "Content-Type: text/html", 200, 99, false},
    {"just large enough", "Content-Type: text/html", 200, 100, true},
    {"too large", "Content-Type: text/html", 200, 1001, false},
    {"a length that is not announced", "Content-Type: text/html", 200, CACHE_LENGTH_UNKNOWN, true},
    {"another status", "Content-Type: text/html", 404, 500, false},
    {"RFC 9110 15.3.7: a part", "Content-Type: text/html", 206, 500, false},
    {"RFC 9110 8.4: coded already", "Content-Type: text/html\nContent-Encoding: br", 200, 500, false},
    {"RFC 9111 5.2.2.6: no-transform", "Content-Type: text/html\nCache-Control: max-age=5, No-Transform", 200,
     500, false},
    {"RFC 9530 2: a digest of the content", "Content-Type: text/html\nContent-Digest: sha-256=:AA==:", 200,
     500, false},
    {"RFC 9530 3: a digest of the representation",
     "Content-Type: text/html\nrepr-digest: sha-256=:AA==:", 200, 500, false},
};

static void what_may_be_coded(void **state) {
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_fields fields = fields_of(&arena, cases[i].lines);
        if (edge_codable(&rules, cases[i].status, &fields, cases[i].length) != cases[i].codable)
            fail_msg("%s", cases[i].name);
    }
    (void)state;
}

static void nothing_is_coded_where_it_is_switched_off(void **state) {
    struct http_fields fields = fields_of(&arena, "Content-Type: text/html");
    struct config_compress off = rules;
    off.enabled = false;
    assert_false(edge_codable(&off, 200, &fields, 500));
    off = rules;
    off.coding_count = 0;
    assert_false(edge_codable(&off, 200, &fields, 500));
    (void)state;
}

static void rfc9110_12_5_5_vary_names_accept_encoding_once(void **state) {
    static const struct {
        const char *lines, *vary;
    } vary_cases[] = {
        {NULL, "Accept-Encoding"},
        {"Vary: Accept-Language", "Accept-Language, Accept-Encoding"},
        {"Vary: accept-encoding", "accept-encoding"},
        {"Vary: X, Accept-Encoding", "X, Accept-Encoding"},
        {"Vary: *", "*"},
    };
    for (size_t i = 0; i < SK_COUNT(vary_cases); i++) {
        struct http_fields fields = fields_of(&arena, vary_cases[i].lines);
        for (int again = 0; again < 2; again++) {
            assert_ok(edge_codable_vary(&arena, &fields));
            assert_str(http_fields_joined(&fields, HTTP_FIELD_VARY, &arena),
                       sk_str_from_c(vary_cases[i].vary));
        }
    }
    (void)state;
}

static void what_the_origin_coded_varies_by_accept_encoding(void **state) {
    static const struct {
        const char *lines, *vary;
    } coded[] = {
        {"Content-Encoding: gzip", "Accept-Encoding"},
        {"Content-Encoding: gzip\nVary: X", "X, Accept-Encoding"},
        {"Content-Encoding: gzip\nVary: Accept-Encoding", "Accept-Encoding"},
        {"Content-Encoding: identity", NULL},
        {"X: y", NULL},
    };
    for (size_t i = 0; i < SK_COUNT(coded); i++) {
        struct http_fields fields = fields_of(&arena, coded[i].lines);
        assert_ok(edge_coded_vary(&arena, &fields));
        assert_str(http_fields_value(&fields, HTTP_FIELD_VARY), sk_str_from_c(coded[i].vary));
    }
    (void)state;
}

static void rfc9110_8_8_1_a_form_has_a_weak_tag(void **state) {
    struct http_fields fields = fields_of(&arena, "ETag: \"a\"\nX: y"), weak;
    assert_str(edge_coding_head(&arena, &fields, HTTP_CODING_BR),
               SK_STR("ETag: W/\"a\"\r\nX: y\r\nContent-Encoding: br\r\n"));
    assert_ok(edge_coding_weaken(&arena, &fields, &weak));
    assert_str(http_fields_value(&weak, HTTP_FIELD_ETAG), SK_STR("W/\"a\""));
    assert_str(http_fields_value(&fields, HTTP_FIELD_ETAG), SK_STR("\"a\""));
    fields = fields_of(&arena, "ETag: W/\"a\"");
    assert_str(edge_coding_head(&arena, &fields, HTTP_CODING_GZIP),
               SK_STR("ETag: W/\"a\"\r\nContent-Encoding: gzip\r\n"));
    (void)state;
}

static void forms_of_different_contents_have_different_keys(void **state) {
    struct cache_object object = {.key.text = SK_STR("s|h|/a"), .number = 7},
                        other = {.key = object.key, .number = 8};
    struct cache_key a, b, c;
    assert_ok(edge_coding_key(&arena, &object, HTTP_CODING_BR, &a));
    assert_ok(edge_coding_key(&arena, &object, HTTP_CODING_GZIP, &b));
    assert_ok(edge_coding_key(&arena, &other, HTTP_CODING_BR, &c));
    assert_str(a.text, SK_STR("s|h|/a\nform=br:7"));
    assert_false(sk_hash128_eq(a.hash, b.hash) || sk_hash128_eq(a.hash, c.hash));
    (void)state;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(what_may_be_coded),
        CASE(nothing_is_coded_where_it_is_switched_off),
        CASE(rfc9110_12_5_5_vary_names_accept_encoding_once),
        CASE(what_the_origin_coded_varies_by_accept_encoding),
        CASE(rfc9110_8_8_1_a_form_has_a_weak_tag),
        CASE(forms_of_different_contents_have_different_keys),
    };
    return SK_RUN_TESTS(tests);
}
