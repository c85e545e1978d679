/* Any bytes as a query, and as cookies and a field that are part of a key. The first byte chooses the rules. */
#include "cache/key.h"
#include "cache/vary.h"
#include "fuzz.h"

static const sk_str keep[] = {SK_STR_INIT("a*"), SK_STR_INIT("page"), SK_STR_INIT("?")};
static const sk_str drop[] = {SK_STR_INIT("utm_*"), SK_STR_INIT("*x*y*")};
static const sk_str cookies[] = {SK_STR_INIT("a"), SK_STR_INIT("lang")};

static struct http_key_rules rules_of(uint8_t choice) {
    return (struct http_key_rules){
        .scheme = (choice & 1) != 0,
        .query = (enum http_query_mode)((choice >> 1) % 3),
        .query_keep = keep,
        .query_keep_count = choice & 8 ? 3 : 0,
        .query_drop = drop,
        .query_drop_count = choice & 16 ? 2 : 0,
        .headers = choice & 32 ? SK_STR("x-field") : (sk_str){0},
        .cookies = cookies,
        .cookie_count = choice & 64 ? 2 : 0,
    };
}

/* The normal form is normal and never longer. */
static void try_query(struct sk_arena *arena, sk_str text, const struct http_key_rules *rules) {
    sk_str normal, again;
    MUST(http_query_normalise(arena, text, rules, &normal) == SK_OK && normal.len <= text.len);
    MUST(http_query_normalise(arena, normal, rules, &again) == SK_OK);
    MUST(sk_str_eq(normal, again) && !normal.data == !again.data);
}

/* Whatever is in the fields, the URL's part of the key stays what it is, and the key is always the same. */
static void try_key(struct sk_arena *arena, sk_str text, const struct http_key_rules *rules) {
    struct http_request request = {.scheme = SK_STR("http"), .authority = SK_STR("h"), .path = SK_STR("/p")};
    struct cache_key key, again;
    sk_err err = http_fields_add_id(&request.fields, arena, HTTP_FIELD_COOKIE, text);
    if (!err) err = http_fields_add(&request.fields, arena, SK_STR("x-field"), text);
    MUST(!err && cache_key_make(arena, SK_STR("s"), rules, &request, &key) == SK_OK);
    MUST(cache_key_make(arena, SK_STR("s"), rules, &request, &again) == SK_OK);
    MUST(sk_str_eq(key.text, again.text) && sk_hash128_eq(key.hash, again.hash));
    MUST(sk_str_eq(cache_key_primary(key.text), SK_STR("s|h|/p")));
    MUST(sk_str_eq(cache_key_target(key.text), SK_STR("/p")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct sk_arena arena;
    if (bytes < 1 || bytes > 2000) return 0;
    struct http_key_rules rules = rules_of(data[0]);
    char *copy = exact_copy(data + 1, bytes - 1);
    sk_str text = sk_str_make(copy, bytes - 1);
    sk_arena_init(&arena, 4096, 0);
    try_query(&arena, text, &rules);
    try_key(&arena, text, &rules);
    sk_arena_free(&arena);
    free(copy);
    return 0;
}
