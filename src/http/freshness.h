/* May it be stored, for how long is it fresh, and may it answer this request? RFC 9111 sections 3, 4 and
 * 5 as pure functions: plain structs and the time in, an answer and its reason out. */
#ifndef SK_HTTP_FRESHNESS_H
#define SK_HTTP_FRESHNESS_H

#include "base/time.h"
#include "http/cache_control.h"
#include "http/message.h"
#include "http/reason.h"

/* Lifetimes by status; the first entry that names a status counts. */
struct http_status_ttl {
    uint16_t first, last;
    int64_t ttl_s; /* HTTP_SECONDS_NONE: no word on these */
};
struct http_status_ttls {
    const struct http_status_ttl *items; /* lives as long as the policy */
    uint32_t count;
};

/* What configuration says; all optional (HTTP_SECONDS_NONE: no word). */
struct http_cache_policy {
    int64_t default_ttl_s; /* where the origin gives no freshness and no heuristics apply */
    int64_t
        override_ttl_s; /* against the origin's word, spelled out by the operator: its freshness, no-store,
                               no-cache and private do not count, for statuses that are cacheable by default;
                               Authorization, Set-Cookie and Vary still do */
    int64_t max_ttl_s;  /* cap */
    int64_t heuristic_max_s;                            /* cap of guesses; default one day */
    int64_t stale_while_revalidate_s, stale_if_error_s; /* when the origin gives none */
    bool ignore_set_cookie; /* a Set-Cookie response may be stored (the field is removed) */
    bool heuristics;        /* RFC 9111 4.2.2; default true */
    bool deception_armor;   /* http/deception.h; default true */
    bool no_vary_search;    /* http/no_vary_search.h; default true */
    /* of any status, as it is spelled out: over override_ttl_s, over default_ttl_s, and instead of it for errors */
    struct http_status_ttls override_by_status, default_by_status, negative;
};
void http_cache_policy_default(struct http_cache_policy *out_policy);

/* Which rule gave a lifetime (RFC 9111 section 4.2.1), in the order in which they are asked. NAME, text, help. */
#define HTTP_LIFETIME_TABLE(X)                                                                               \
    X(NONE, "none", "nothing gives a lifetime")                                                              \
    X(OVERRIDE_BY_STATUS, "override_ttl_by_status", "the configuration, against the origin's word")          \
    X(OVERRIDE_TTL, "override_ttl", "the configuration, against the origin's word")                          \
    X(MALFORMED, "malformed", "a max-age or s-maxage that cannot be read: stale at once (RFC 9111 4.2.1)")   \
    X(S_MAXAGE, "s-maxage", "the origin, for shared caches (RFC 9111 5.2.2.10)")                             \
    X(MAX_AGE, "max-age", "the origin (RFC 9111 5.2.2.1)")                                                   \
    X(EXPIRES, "Expires", "Expires minus Date (RFC 9111 5.3)")                                               \
    X(HEURISTIC, "heuristic", "a tenth of the time from Last-Modified to Date (RFC 9111 4.2.2)")             \
    X(TTL_BY_STATUS, "ttl_by_status", "the configuration, where the origin says nothing")                    \
    X(NEGATIVE_TTL, "negative_ttl", "the configuration, of an error whose origin says nothing")              \
    X(DEFAULT_TTL, "default_ttl", "the configuration, where the origin says nothing")

enum http_lifetime_rule {
#define X(name, text, help) HTTP_LIFETIME_##name,
    HTTP_LIFETIME_TABLE(X)
#undef X
        HTTP_LIFETIME_COUNT_
};
sk_str http_lifetime_name(enum http_lifetime_rule rule);
sk_str http_lifetime_help(enum http_lifetime_rule rule);

/* What a stored response needs for every later decision; computed once, kept with the object. Wall-clock
 * seconds. */
struct http_freshness {
    sk_unix_s response_time;                            /* when its head was received (or last validated) */
    int64_t initial_age_s;                              /* corrected_initial_age, 4.2.3 */
    int64_t lifetime_s;                                 /* freshness_lifetime, 4.2.1 */
    int64_t stale_while_revalidate_s, stale_if_error_s; /* 0 when not allowed */
    bool heuristic;                                     /* lifetime is a guess: say so */
    bool must_revalidate;   /* never stale on anyone's else word (must-revalidate, proxy-revalidate, s-maxage,
                               no-cache); the two windows above are the origin's own */
    bool always_revalidate; /* unqualified no-cache */
    bool unframed;          /* its body ended with the connection: nothing proves it whole (RFC 8246 3) */
    bool immutable;         /* RFC 8246: reloads do not revalidate it while it is fresh */
    bool has_validator;
    /* how initial_age_s and lifetime_s came about, to be shown */
    uint8_t lifetime_rule;     /* enum http_lifetime_rule */
    bool capped;               /* the rule gave more than max_ttl */
    uint32_t age_value_s;      /* Age as received */
    uint32_t response_delay_s; /* from the request to the head */
};

struct http_store_answer {
    bool store;
    enum http_reason reason;
    struct http_freshness freshness; /* valid when store */
};
/* RFC 9111 section 3 for a shared cache. REQUEST_TIME is when the request was sent. After a 304 it is asked
 * again, with the stored status and the updated fields (with the Age of the 304, if any, and no other).
 * Directives qualified by field names count as unqualified when the response has one of these fields. */
struct http_store_answer http_may_store(const struct http_request *request,
                                        const struct http_response *response, sk_unix_s request_time,
                                        sk_unix_s response_time, const struct http_cache_policy *policy);

/* current_age, 4.2.3; never negative. */
int64_t http_current_age(const struct http_freshness *freshness, sk_unix_s now);

enum http_reuse {
    HTTP_REUSE_SERVE,            /* answer from the store */
    HTTP_REUSE_SERVE_REVALIDATE, /* answer from the store and refresh in the background */
    HTTP_REUSE_VALIDATE,         /* ask the origin first, conditionally if there is a validator */
    HTTP_REUSE_NOT_ALLOWED,      /* only-if-cached: 504 */
};
struct http_reuse_answer {
    enum http_reuse reuse;
    enum http_reason reason;
    int64_t age_s; /* for the Age field */
    int64_t ttl_s; /* lifetime left, negative when stale; for Cache-Status */
};
/* RFC 9111 section 4: REQUEST_CONTROL is the request's Cache-Control (with Pragma folded in). */
struct http_reuse_answer http_may_reuse(const struct http_freshness *freshness,
                                        const struct http_cache_control *request_control, sk_unix_s now);
/* After the origin failed (no answer, or 500, 502, 503, 504): may this stale response be served? */
bool http_may_serve_on_error(const struct http_freshness *freshness,
                             const struct http_cache_control *request_control, sk_unix_s now);
/* The request's directives; Pragma: no-cache counts when Cache-Control is absent (5.4). */
void http_request_cache_control(const struct http_request *request, struct http_cache_control *out_control);

#endif
