/* Ten bytes of numbers (status, method, times, the operator's rules), then lines: the fields of a request, an empty
 * line, those of a response. What storing and reusing promise holds whatever they are. */
#include "fuzz_fields.h"
#include "http/freshness.h"

#define NOW INT64_C(784111777)

/* 255 is no word; small numbers and large ones. */
static int64_t seconds_of(uint8_t byte) {
    return byte == 255 ? HTTP_SECONDS_NONE : byte < 128 ? byte : INT64_C(1) << (byte % 32);
}

static struct http_cache_policy policy_of(const uint8_t *data) {
    return (struct http_cache_policy){
        .default_ttl_s = seconds_of(data[0]),
        .override_ttl_s = seconds_of(data[1]),
        .max_ttl_s = seconds_of(data[2]),
        .heuristic_max_s = seconds_of(data[3]),
        .stale_while_revalidate_s = seconds_of(data[4]),
        .stale_if_error_s = seconds_of(data[4]),
        .ignore_set_cookie = data[5] & 1,
        .heuristics = data[5] & 2,
    };
}

static bool has(const struct http_fields *fields, enum http_field_id id) {
    return http_fields_find(fields, id) != NULL;
}

/* RFC 9111 section 3. Only where the directives come from Cache-Control and nobody overrides them. */
static void nothing_forbidden_is_stored(const struct http_request *request,
                                        const struct http_response *response,
                                        const struct http_cache_policy *policy) {
    struct http_cache_control words;
    http_cache_control_parse(&request->fields, HTTP_FIELD_CACHE_CONTROL, &words);
    MUST(request->method == HTTP_METHOD_GET && !words.no_store);
    MUST(response->status >= 200 && response->status <= 599 && response->status != 304);
    bool targeted = has(&response->fields, HTTP_FIELD_CDN_CACHE_CONTROL) ||
                    has(&response->fields, HTTP_FIELD_SKERRY_CDN_CACHE_CONTROL) ||
                    has(&response->fields, HTTP_FIELD_SURROGATE_CONTROL);
    if (targeted || policy->override_ttl_s != HTTP_SECONDS_NONE) return;
    http_cache_control_parse(&response->fields, HTTP_FIELD_CACHE_CONTROL, &words);
    MUST(!words.no_store || words.must_understand);
    MUST(!words.is_private || words.private_fields.data);
    bool shared = words.is_public || words.s_maxage != HTTP_SECONDS_NONE;
    MUST(shared || words.must_revalidate || !has(&request->fields, HTTP_FIELD_AUTHORIZATION));
    MUST(shared || policy->ignore_set_cookie || !has(&response->fields, HTTP_FIELD_SET_COOKIE));
}

static void numbers_are_in_bounds(const struct http_freshness *f, const struct http_cache_policy *policy,
                                  int64_t delay) {
    MUST(f->lifetime_s >= 0 && f->lifetime_s <= HTTP_SECONDS_MAX);
    MUST(policy->max_ttl_s == HTTP_SECONDS_NONE || f->lifetime_s <= policy->max_ttl_s);
    MUST(f->initial_age_s >= delay && f->initial_age_s <= HTTP_SECONDS_MAX);
    MUST(!f->heuristic || policy->heuristics);
    MUST(!f->heuristic || policy->heuristic_max_s == HTTP_SECONDS_NONE ||
         f->lifetime_s <= policy->heuristic_max_s);
    MUST(f->stale_if_error_s >= 0 && f->stale_while_revalidate_s >= 0);
    MUST(!f->always_revalidate || f->must_revalidate);
}

/* Section 4.2: time only makes it older, and what was stale does not become fresh. */
static void time_only_makes_older(const struct http_freshness *f, const struct http_request *request) {
    struct http_cache_control wish;
    int64_t age_before = 0;
    bool was_stale = false;
    http_request_cache_control(request, &wish);
    for (sk_unix_s now = NOW - 100; now < NOW + (INT64_C(1) << 33); now += 1 + SK_MAX(0, now - NOW)) {
        struct http_reuse_answer answer = http_may_reuse(f, &wish, now);
        bool fresh = answer.reason == HTTP_REASON_HIT_FRESH;
        MUST(answer.age_s >= age_before && answer.age_s >= f->initial_age_s);
        MUST(answer.ttl_s == f->lifetime_s - answer.age_s);
        MUST(!fresh || (!was_stale && answer.ttl_s > 0));
        if (answer.reuse == HTTP_REUSE_SERVE && !fresh) MUST(!f->must_revalidate && answer.ttl_s <= 0);
        if (answer.reuse == HTTP_REUSE_SERVE_REVALIDATE) MUST(-answer.ttl_s < f->stale_while_revalidate_s);
        if (http_may_serve_on_error(f, &wish, now) && f->must_revalidate)
            MUST(-answer.ttl_s < SK_MAX(f->stale_if_error_s, 1));
        age_before = answer.age_s;
        was_stale = !fresh;
    }
}

/* Section 5.1: an Age takes away from what is left, and never adds. */
static void age_never_makes_fresher(struct sk_arena *arena, const struct http_request *request,
                                    struct http_response *response, const struct http_freshness *before,
                                    sk_unix_s asked, const struct http_cache_policy *policy) {
    if (has(&response->fields, HTTP_FIELD_AGE)) return;
    fuzz_add(&response->fields, arena, HTTP_FIELD_AGE, SK_STR("100"));
    struct http_store_answer aged = http_may_store(request, response, asked, NOW, policy);
    if (!aged.store) return;
    MUST(aged.freshness.lifetime_s == before->lifetime_s);
    MUST(aged.freshness.initial_age_s >= SK_MAX(before->initial_age_s, 100));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct sk_arena arena;
    if (bytes < 10 || bytes > 3000) return 0;
    char *copy = exact_copy(data + 10, bytes - 10);
    sk_str text = sk_str_make(copy, bytes - 10);
    size_t end = sk_str_find(text, SK_STR("\n\n"));
    sk_arena_init(&arena, 4096, 0);
    struct http_cache_policy policy = policy_of(data + 4);
    sk_unix_s asked = NOW - data[3];
    struct http_request request = {.method =
                                       data[2] & 0x80 ? (enum http_method)(data[2] & 7) : HTTP_METHOD_GET,
                                   .fields = fuzz_fields(&arena, sk_str_slice(text, 0, end), 30)};
    struct http_response response = {.status = (uint16_t)(100 + (data[0] << 8 | data[1]) % 900),
                                     .fields = fuzz_fields(&arena, sk_str_slice(text, end, text.len), 30)};
    struct http_store_answer answer = http_may_store(&request, &response, asked, NOW, &policy);
    MUST(answer.store == (answer.reason < HTTP_REASON_NO_STORE_METHOD));
    if (answer.store) {
        nothing_forbidden_is_stored(&request, &response, &policy);
        numbers_are_in_bounds(&answer.freshness, &policy, NOW - asked);
        time_only_makes_older(&answer.freshness, &request);
        age_never_makes_fresher(&arena, &request, &response, &answer.freshness, asked, &policy);
    }
    sk_arena_free(&arena);
    free(copy);
    return 0;
}
