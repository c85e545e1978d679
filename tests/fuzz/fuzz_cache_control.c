/* Any lines as fields of a response and its request: directives mean the same in any order, and the
 * decisions about storing and reusing keep to what they promise. Fields before an empty line are the
 * request's. */
#include "fuzz.h"
#include "http/freshness.h"

#define NOW INT64_C(784111777)

static struct http_fields fields_of(struct sk_arena *arena, sk_str text) {
    struct http_fields fields = {0};
    sk_str line;
    while (sk_str_cut(&text, '\n', &line)) {
        size_t colon = sk_str_find_byte(line, ':');
        sk_str value = sk_str_trim(sk_str_slice(line, colon + 1, line.len));
        if (colon == line.len || fields.count == 40) continue;
        MUST(http_fields_add(&fields, arena, sk_str_slice(line, 0, colon), value) == SK_OK);
    }
    return fields;
}

static void valid_seconds(int64_t seconds) {
    MUST(seconds == HTTP_SECONDS_NONE || (seconds >= 0 && seconds <= HTTP_SECONDS_MAX));
}

static void same_in_reverse(struct sk_arena *arena, const struct http_fields *fields) {
    struct http_fields reversed = {0};
    struct http_cache_control a, b;
    for (uint32_t i = fields->count; i > 0; i--) {
        MUST(http_fields_add(&reversed, arena, fields->items[i - 1].name, fields->items[i - 1].value) ==
             SK_OK);
    }
    http_cache_control_parse(fields, HTTP_FIELD_CACHE_CONTROL, &a);
    http_cache_control_parse(&reversed, HTTP_FIELD_CACHE_CONTROL, &b);
    MUST(a.present == b.present && a.no_store == b.no_store && a.no_cache == b.no_cache);
    MUST(a.is_private == b.is_private && a.is_public == b.is_public &&
         a.must_revalidate == b.must_revalidate);
    MUST(a.max_age == b.max_age && a.s_maxage == b.s_maxage &&
         a.malformed_freshness == b.malformed_freshness);
    MUST(a.max_stale == b.max_stale && a.min_fresh == b.min_fresh && a.max_stale_any == b.max_stale_any);
    MUST(a.stale_if_error == b.stale_if_error && a.stale_while_revalidate == b.stale_while_revalidate);
    MUST(sk_str_eq(a.no_cache_fields, b.no_cache_fields) && sk_str_eq(a.private_fields, b.private_fields));
    const int64_t all[] = {a.max_age,       a.s_maxage, a.max_stale, a.min_fresh, a.stale_while_revalidate,
                           a.stale_if_error};
    for (size_t i = 0; i < SK_COUNT(all); i++) valid_seconds(all[i]);
}

/* What nothing in the response may bring about. */
static void check_store(const struct http_store_answer *answer, const struct http_response *response) {
    struct http_cache_control control;
    http_cache_control_parse(&response->fields, HTTP_FIELD_CACHE_CONTROL, &control);
    MUST(!answer->store || !control.no_store || control.must_understand);
    MUST(!answer->store || !control.is_private || control.private_fields.data);
    MUST(answer->store == (answer->reason < HTTP_REASON_NO_STORE_METHOD));
    MUST(answer->freshness.lifetime_s >= 0 && answer->freshness.lifetime_s <= HTTP_SECONDS_MAX);
    MUST(answer->freshness.initial_age_s >= 0 && answer->freshness.initial_age_s <= HTTP_SECONDS_MAX);
}

/* Time only ever makes it older: once it is not served as fresh it never is again. */
static void check_reuse(const struct http_freshness *freshness, const struct http_request *request) {
    struct http_cache_control wish;
    bool was_stale = false;
    http_request_cache_control(request, &wish);
    for (sk_unix_s now = NOW; now < NOW + (INT64_C(1) << 33); now += 1 + (now - NOW)) {
        struct http_reuse_answer answer = http_may_reuse(freshness, &wish, now);
        bool fresh = answer.reason == HTTP_REASON_HIT_FRESH;
        MUST(!fresh || (answer.ttl_s > 0 && !wish.no_cache && !freshness->always_revalidate));
        MUST(!(fresh && was_stale));
        MUST((answer.reuse == HTTP_REUSE_NOT_ALLOWED) <= wish.only_if_cached);
        MUST(answer.reuse != HTTP_REUSE_SERVE || fresh || !freshness->must_revalidate);
        was_stale = !fresh;
        http_may_serve_on_error(freshness, &wish, now);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct http_cache_policy policy;
    struct sk_arena arena;
    if (bytes > 2000) return 0;
    char *copy = exact_copy(data, bytes);
    sk_str text = sk_str_make(copy, bytes);
    size_t end = sk_str_find(text, SK_STR("\n\n"));
    sk_arena_init(&arena, 4096, 0);
    http_cache_policy_default(&policy);
    struct http_request request = {.method = HTTP_METHOD_GET,
                                   .fields =
                                       fields_of(&arena, sk_str_slice(text, 0, end == bytes ? 0 : end))};
    struct http_response response = {
        .status = 200, .fields = fields_of(&arena, sk_str_slice(text, end == bytes ? 0 : end, bytes))};
    same_in_reverse(&arena, &response.fields);
    struct http_store_answer answer = http_may_store(&request, &response, NOW - 1, NOW, &policy);
    check_store(&answer, &response);
    if (answer.store) check_reuse(&answer.freshness, &request);
    sk_arena_free(&arena);
    free(copy);
    return 0;
}
