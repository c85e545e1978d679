/* Two lines as values of Vary, the rest as the fields of a request: the names are a set, and the key of a variant
 * depends on what it names and on nothing else (RFC 9111 section 4.1). */
#include "cache/vary.h"
#include "fuzz_fields.h"

static const struct cache_key primary = {.text = SK_STR_INIT("s|h|/p")};

static void names_are_a_set(struct sk_arena *arena, sk_str a, sk_str b, sk_str names) {
    sk_str again, rest = names, name, before = {0};
    MUST(cache_vary_names(arena, b, a, &again) == SK_OK && sk_str_eq(names, again));
    MUST(cache_vary_names(arena, names, SK_STR(""), &again) == SK_OK && sk_str_eq(names, again));
    while (names.len && sk_str_cut(&rest, ',', &name)) {
        MUST(http_token_valid(name) && !sk_str_eq(name, SK_STR("*")));
        MUST(!before.data || sk_str_compare(before, name) < 0);
        before = name;
    }
}

static bool key_of(struct sk_arena *arena, sk_str names, const struct http_fields *fields,
                   struct cache_key *out_key) {
    struct http_request request = {.method = HTTP_METHOD_GET, .fields = *fields};
    return cache_vary_key(arena, &primary, 7, names, &request, out_key) == SK_OK;
}

static bool is_listed(sk_str names, sk_str field) {
    sk_str name;
    while (names.len && sk_str_cut(&names, ',', &name))
        if (sk_str_ieq(name, field)) return true;
    return false;
}

/* Without the fields that Vary does not name, and with others. */
static void only_what_is_named_counts(struct sk_arena *arena, sk_str names, const struct http_fields *fields,
                                      const struct cache_key *key) {
    struct http_fields fewer = {0}, more = {0};
    struct cache_key other;
    if (!is_listed(names, SK_STR("x-nobody")))
        MUST(http_fields_add(&more, arena, SK_STR("X-Nobody"), SK_STR("1")) == SK_OK);
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];
        MUST(http_fields_add(&more, arena, field->name, field->value) == SK_OK);
        if (is_listed(names, field->name))
            MUST(http_fields_add(&fewer, arena, field->name, field->value) == SK_OK);
    }
    MUST(key_of(arena, names, &fewer, &other) && sk_str_eq(key->text, other.text));
    MUST(key_of(arena, names, &more, &other) && sk_str_eq(key->text, other.text));
    MUST(sk_hash128_eq(key->hash, other.hash));
}

/* A named field that nobody sent is not the same as one with a value. */
static void absent_matches_only_absent(struct sk_arena *arena, sk_str names, const struct http_fields *fields,
                                       const struct cache_key *key) {
    struct http_fields more = {0};
    struct cache_key other;
    if (!is_listed(names, SK_STR("x-mark")) || http_fields_find_name(fields, SK_STR("x-mark"), NULL)) return;
    for (uint32_t i = 0; i < fields->count; i++)
        MUST(http_fields_add(&more, arena, fields->items[i].name, fields->items[i].value) == SK_OK);
    MUST(http_fields_add(&more, arena, SK_STR("X-Mark"), SK_STR("")) == SK_OK);
    MUST(!key_of(arena, names, &more, &other) || !sk_str_eq(key->text, other.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct sk_arena arena;
    struct cache_key key;
    sk_str a, b = {0}, names;
    if (bytes > 3000) return 0;
    char *copy = exact_copy(data, bytes);
    sk_str rest = sk_str_make(copy, bytes);
    sk_arena_init(&arena, 4096, 0);
    sk_str_cut(&rest, '\n', &a);
    sk_str_cut(&rest, '\n', &b);
    struct http_fields fields = fuzz_fields(&arena, rest, 30);
    if (cache_vary_names(&arena, a, b, &names) == SK_OK) {
        names_are_a_set(&arena, a, b, names);
        if (names.len && key_of(&arena, names, &fields, &key)) {
            MUST(sk_str_eq(cache_key_primary(key.text), primary.text));
            only_what_is_named_counts(&arena, names, &fields, &key);
            absent_matches_only_absent(&arena, names, &fields, &key);
        }
    }
    sk_arena_free(&arena);
    free(copy);
    return 0;
}
