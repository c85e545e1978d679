/* Is what is stored fresh, and may it answer: RFC 9111 sections 4, 4.2.3, 4.2.4 and 5.2.1, RFC 5861. */
#include "http/freshness.h"

static const sk_str lifetime_names[HTTP_LIFETIME_COUNT_] = {
#define X(name, text, help) [HTTP_LIFETIME_##name] = SK_STR_INIT(text),
    HTTP_LIFETIME_TABLE(X)
#undef X
};
static const sk_str lifetime_helps[HTTP_LIFETIME_COUNT_] = {
#define X(name, text, help) [HTTP_LIFETIME_##name] = SK_STR_INIT(help),
    HTTP_LIFETIME_TABLE(X)
#undef X
};

sk_str http_lifetime_name(enum http_lifetime_rule rule) {
    SK_ASSERT(rule < HTTP_LIFETIME_COUNT_);
    return lifetime_names[rule];
}

sk_str http_lifetime_help(enum http_lifetime_rule rule) {
    SK_ASSERT(rule < HTTP_LIFETIME_COUNT_);
    return lifetime_helps[rule];
}

int64_t http_current_age(const struct http_freshness *freshness, sk_unix_s now) {
    int64_t resident = SK_MAX(0, now - freshness->response_time); /* the clock may have been set back */
    return SK_MIN(freshness->initial_age_s + resident, HTTP_SECONDS_MAX);
}

void http_request_cache_control(const struct http_request *request, struct http_cache_control *out_control) {
    http_cache_control_parse(&request->fields, HTTP_FIELD_CACHE_CONTROL, out_control);
    if (out_control->present) return;
    for (const struct http_field *f = NULL; (f = http_fields_next(&request->fields, HTTP_FIELD_PRAGMA, f));) {
        sk_str rest = f->value, element;
        while (http_list_next(&rest, &element)) {
            if (sk_str_ieq(element, SK_STR("no-cache"))) out_control->no_cache = true;
        }
    }
}

/* True when the client asks for the origin's word although the stored response is fresh (5.2.1). A reload
 * (max-age=0) of an immutable response is no such wish, no-cache is (RFC 8246 section 2). */
static bool request_insists(const struct http_freshness *freshness, const struct http_cache_control *wish,
                            int64_t age, int64_t ttl) {
    if (wish->no_cache) return true;
    if (wish->min_fresh != HTTP_SECONDS_NONE && ttl < wish->min_fresh) return true;
    if (wish->max_age == HTTP_SECONDS_NONE || (freshness->immutable && ttl > 0)) return false;
    return age > wish->max_age || wish->max_age == 0;
}

/* 5.2.1.2: STALENESS seconds are no more than the client takes. */
static bool client_takes_stale(const struct http_cache_control *wish, int64_t staleness) {
    return wish->max_stale != HTTP_SECONDS_NONE ? staleness <= wish->max_stale : wish->max_stale_any;
}

/* What a response that is not fresh may do. A client that names an age without max-stale wants none of it
 * (5.2.1.1). */
static enum http_reason stale_reason(const struct http_freshness *freshness,
                                     const struct http_cache_control *wish, int64_t staleness) {
    if (freshness->always_revalidate) return HTTP_REASON_MISS_STALE;
    if (!freshness->must_revalidate && client_takes_stale(wish, staleness)) return HTTP_REASON_HIT_MAX_STALE;
    if (wish->max_age != HTTP_SECONDS_NONE || wish->min_fresh != HTTP_SECONDS_NONE)
        return HTTP_REASON_MISS_STALE;
    bool in_window = staleness < freshness->stale_while_revalidate_s;
    return in_window ? HTTP_REASON_HIT_STALE_WHILE_REVALIDATE : HTTP_REASON_MISS_STALE;
}

static enum http_reason reuse_reason(const struct http_freshness *freshness,
                                     const struct http_cache_control *wish, int64_t age, int64_t ttl) {
    if (request_insists(freshness, wish, age, ttl)) return HTTP_REASON_MISS_REQUEST;
    bool fresh = ttl > 0 && !freshness->always_revalidate;
    return fresh ? HTTP_REASON_HIT_FRESH : stale_reason(freshness, wish, -ttl);
}

static enum http_reuse reuse_of(enum http_reason reason, const struct http_cache_control *wish) {
    switch (reason) {
    case HTTP_REASON_HIT_FRESH:
    case HTTP_REASON_HIT_MAX_STALE: return HTTP_REUSE_SERVE;
    case HTTP_REASON_HIT_STALE_WHILE_REVALIDATE: return HTTP_REUSE_SERVE_REVALIDATE;
    default: return wish->only_if_cached ? HTTP_REUSE_NOT_ALLOWED : HTTP_REUSE_VALIDATE;
    }
}

struct http_reuse_answer http_may_reuse(const struct http_freshness *freshness,
                                        const struct http_cache_control *request_control, sk_unix_s now) {
    struct http_reuse_answer answer = {.age_s = http_current_age(freshness, now)};
    answer.ttl_s = freshness->lifetime_s - answer.age_s;
    answer.reason = reuse_reason(freshness, request_control, answer.age_s, answer.ttl_s);
    answer.reuse = reuse_of(answer.reason, request_control);
    return answer;
}

bool http_may_serve_on_error(const struct http_freshness *freshness,
                             const struct http_cache_control *request_control, sk_unix_s now) {
    int64_t staleness = http_current_age(freshness, now) - freshness->lifetime_s;
    if (request_control->no_cache || freshness->always_revalidate) return false;
    if (staleness < 0) return true;
    if (staleness < freshness->stale_if_error_s) return true;
    if (freshness->must_revalidate) return false;
    return staleness < request_control->stale_if_error || client_takes_stale(request_control, staleness);
}
