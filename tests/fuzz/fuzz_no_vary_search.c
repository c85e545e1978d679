/* A No-Vary-Search field, and after its first line feed a query under it. */
#include "fuzz.h"
#include "http/no_vary_search.h"

/* The normal form means the same, and nothing in it is left out again. */
static void try_query(struct sk_arena *arena, sk_str rule, sk_str query) {
    sk_str normal, again;
    MUST(http_no_vary_search_query(arena, rule, query, &normal) == SK_OK);
    MUST(http_no_vary_search_query(arena, rule, normal, &again) == SK_OK);
    MUST(sk_str_eq(normal, again));
    for (size_t i = 0; i < normal.len; i++) MUST(normal.data[i] > ' ' && normal.data[i] < 0x7f);
    MUST(sk_str_find_byte(normal, '|') == normal.len && sk_str_find_byte(normal, '?') == normal.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct sk_arena arena;
    if (bytes > 4000) return 0;
    char *copy = exact_copy(data, bytes);
    sk_str text = sk_str_make(copy, bytes), rule;
    size_t line = sk_str_find_byte(text, '\n');
    struct http_fields fields = {0};
    sk_arena_init(&arena, 4096, 0);
    MUST(http_fields_add_id(&fields, &arena, HTTP_FIELD_NO_VARY_SEARCH, sk_str_slice(text, 0, line)) ==
         SK_OK);
    MUST(http_no_vary_search_rule(&arena, &fields, &rule) == SK_OK);
    MUST(rule.len <= HTTP_NO_VARY_SEARCH_MAX_BYTES && rule.len != 1);
    if (rule.len) try_query(&arena, rule, sk_str_slice(text, line + 1, text.len));
    try_query(&arena, SK_STR("o-&a&utm_x"), text);
    sk_arena_free(&arena);
    free(copy);
    return 0;
}
