/* May it be stored, and for how long is it fresh: RFC 9111 sections 3 and 4.2 for a shared cache. */
#include "http/conditional.h"
#include "http/date.h"
#include "http/deception.h"
#include "http/freshness.h"
#include "http/policy.h"
#include "http/targeted.h"

/* Everything that the decisions below look at, read once. */
struct facts {
    const struct http_request *request;
    const struct http_response *response;
    const struct http_cache_policy *policy;
    struct http_cache_control control;
    struct http_validators validators;
    sk_unix_s request_time, response_time;
    bool no_cache, is_private; /* unqualified, or as good as that */
    bool cacheable_status;     /* by default, or because the response is public (4.2.2) */
    bool targeted;      /* the directives came from a targeted field: Expires does not count (RFC 9213 2.2) */
    bool overridden;    /* by the operator */
    int64_t override_s; /* when overridden */
    enum http_lifetime_rule override_rule;
};

/* True when the response has one of the fields that a qualified no-cache or private names. Kept without
 * them it would be kept for others, but the first client, who reads what is stored, would lose them too; so
 * the directive counts as unqualified then (5.2.2.4 and 5.2.2.7 expect that of many caches). */
static bool has_listed(const struct http_fields *fields, sk_str list) {
    sk_str name;
    while (http_list_next(&list, &name)) {
        if (http_fields_find_name(fields, name, NULL)) return true;
    }
    return false;
}

static bool unqualified(const struct http_fields *fields, bool flag, sk_str list) {
    return flag && (!list.data || has_listed(fields, list));
}

/* ---- statuses ---------------------------------------------------------------------------------------- */

/* RFC 9110 15.1: heuristically cacheable. 206 is one too, but is not stored yet. */
static bool heuristic_status(uint16_t status) {
    switch (status) {
    case 200:
    case 203:
    case 204:
    case 300:
    case 301:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 501: return true;
    default: return false;
    }
}

/* Statuses whose caching asks for more than is done with any other, or that are for one client alone. 425 says nothing of
 * the resource (RFC 8470 section 5.2). */
static bool special_status(uint16_t status) {
    return status < 200 || status == 206 || status == 304 || status == 416 || status == 425 || status > 599;
}

/* 5.2.2.3 */
static bool understood(uint16_t status) {
    return !special_status(status) && http_status_reason(status).len > 0;
}

/* ---- the operator's word on a status ----------------------------------------------------------------- */

static bool gives(const struct http_status_ttls *ttls, uint16_t status) {
    const struct http_status_ttl *entry = http_status_ttl_find(ttls, status);
    return entry && entry->ttl_s != HTTP_SECONDS_NONE;
}

/* Storing what is not stored otherwise is spelled out. */
static bool spelled_out(const struct facts *facts) {
    const struct http_cache_policy *policy = facts->policy;
    uint16_t status = facts->response->status;
    return gives(&policy->override_by_status, status) || gives(&policy->default_by_status, status) ||
           gives(&policy->negative, status);
}

static void find_override(struct facts *facts) {
    uint16_t status = facts->response->status;
    const struct http_status_ttl *entry = http_status_ttl_find(&facts->policy->override_by_status, status);
    facts->override_rule = entry ? HTTP_LIFETIME_OVERRIDE_BY_STATUS : HTTP_LIFETIME_OVERRIDE_TTL;
    facts->override_s = entry                      ? entry->ttl_s
                        : heuristic_status(status) ? facts->policy->override_ttl_s
                                                   : HTTP_SECONDS_NONE;
    facts->overridden = facts->override_s != HTTP_SECONDS_NONE;
}

/* The operator's lifetime where the origin gives none. An error never gets that of good answers. */
static enum http_lifetime_rule find_default(const struct facts *facts, int64_t *out_lifetime) {
    const struct http_cache_policy *policy = facts->policy;
    uint16_t status = facts->response->status;
    const struct http_status_ttl *entry = http_status_ttl_find(&policy->default_by_status, status);
    enum http_lifetime_rule rule = HTTP_LIFETIME_TTL_BY_STATUS;
    if (!entry && status >= 400) {
        entry = http_status_ttl_find(&policy->negative, status);
        rule = HTTP_LIFETIME_NEGATIVE_TTL;
    }
    int64_t lifetime = entry ? entry->ttl_s : HTTP_SECONDS_NONE;
    if (!entry && status < 400 && facts->cacheable_status) {
        lifetime = policy->default_ttl_s;
        rule = HTTP_LIFETIME_DEFAULT_TTL;
    }
    if (lifetime == HTTP_SECONDS_NONE) return HTTP_LIFETIME_NONE;
    *out_lifetime = lifetime;
    return rule;
}

/* ---- freshness lifetime, 4.2.1 ----------------------------------------------------------------------- */

/* Expires minus Date. Several Expires: the earliest; one that is no date is in the past (5.3). */
static int64_t expires_lifetime(const struct facts *facts) {
    const struct http_fields *fields = &facts->response->fields;
    int64_t least = HTTP_SECONDS_MAX;
    for (const struct http_field *f = NULL; (f = http_fields_next(fields, HTTP_FIELD_EXPIRES, f));) {
        sk_unix_s expires;
        if (http_date_parse(f->value, facts->response_time, &expires)) return 0;
        least = SK_MIN(least, expires - facts->validators.date);
    }
    return SK_MAX(least, 0);
}

/* A tenth of the time since it last changed (4.2.2). */
static int64_t heuristic_lifetime(const struct facts *facts) {
    int64_t unchanged = facts->validators.date - facts->validators.last_modified;
    int64_t limit = facts->policy->heuristic_max_s;
    if (unchanged <= 0) return 0;
    return SK_MIN(unchanged / 10, limit == HTTP_SECONDS_NONE ? HTTP_SECONDS_MAX : limit);
}

static enum http_lifetime_rule explicit_lifetime(const struct facts *facts, int64_t *out_lifetime) {
    const struct http_cache_control *control = &facts->control;
    if (control->malformed_freshness) {
        *out_lifetime = 0;
        return HTTP_LIFETIME_MALFORMED;
    }
    if (control->s_maxage != HTTP_SECONDS_NONE) {
        *out_lifetime = control->s_maxage;
        return HTTP_LIFETIME_S_MAXAGE;
    }
    if (control->max_age != HTTP_SECONDS_NONE) {
        *out_lifetime = control->max_age;
        return HTTP_LIFETIME_MAX_AGE;
    }
    if (facts->targeted || !http_fields_find(&facts->response->fields, HTTP_FIELD_EXPIRES))
        return HTTP_LIFETIME_NONE;
    *out_lifetime = expires_lifetime(facts);
    return HTTP_LIFETIME_EXPIRES;
}

struct lifetime {
    int64_t seconds;
    enum http_lifetime_rule rule;
    bool capped;
};

static struct lifetime find_lifetime(const struct facts *facts) {
    const struct http_cache_policy *policy = facts->policy;
    struct lifetime lifetime = {0};
    if (facts->overridden) {
        lifetime.rule = facts->override_rule;
        lifetime.seconds = facts->override_s;
    } else if ((lifetime.rule = explicit_lifetime(facts, &lifetime.seconds)) != HTTP_LIFETIME_NONE) {
        /* the origin's word */
    } else if (facts->cacheable_status && policy->heuristics && facts->validators.has_last_modified) {
        lifetime.rule = HTTP_LIFETIME_HEURISTIC;
        lifetime.seconds = heuristic_lifetime(facts);
    } else {
        lifetime.rule = find_default(facts, &lifetime.seconds);
    }
    lifetime.capped = policy->max_ttl_s != HTTP_SECONDS_NONE && lifetime.seconds > policy->max_ttl_s;
    if (lifetime.capped) lifetime.seconds = policy->max_ttl_s;
    return lifetime;
}

/* The reason that is shown for a lifetime of this rule. */
static enum http_reason reason_of(enum http_lifetime_rule rule) {
    switch (rule) {
    case HTTP_LIFETIME_NONE: return HTTP_REASON_NO_STORE_NO_LIFETIME;
    case HTTP_LIFETIME_HEURISTIC: return HTTP_REASON_STORE_HEURISTIC;
    case HTTP_LIFETIME_OVERRIDE_BY_STATUS:
    case HTTP_LIFETIME_OVERRIDE_TTL:
    case HTTP_LIFETIME_TTL_BY_STATUS:
    case HTTP_LIFETIME_NEGATIVE_TTL:
    case HTTP_LIFETIME_DEFAULT_TTL: return HTTP_REASON_STORE_RULE;
    default: return HTTP_REASON_STORE_EXPLICIT;
    }
}

/* ---- age, 4.2.3 -------------------------------------------------------------------------------------- */

/* The first member of Age; what is no delta-seconds counts for nothing (5.1). */
static int64_t age_value(const struct http_fields *fields) {
    sk_str rest = http_fields_value(fields, HTTP_FIELD_AGE), first;
    uint64_t age;
    if (!http_list_next(&rest, &first)) return 0;
    sk_err err = sk_str_to_u64(first, &age);
    if (err == SK_ERR_MALFORMED) return 0;
    return err || age > (uint64_t)HTTP_SECONDS_MAX ? HTTP_SECONDS_MAX : (int64_t)age;
}

static int64_t response_delay(const struct facts *facts) {
    return SK_MIN(SK_MAX(0, facts->response_time - facts->request_time), HTTP_SECONDS_MAX);
}

static int64_t initial_age(const struct facts *facts) {
    int64_t apparent = SK_MAX(0, facts->response_time - facts->validators.date);
    int64_t corrected = age_value(&facts->response->fields) + response_delay(facts);
    return SK_MIN(SK_MAX(apparent, corrected), HTTP_SECONDS_MAX);
}

/* ---- staleness, 4.2.4 and RFC 5861 ------------------------------------------------------------------- */

/* A window in which it may be served stale. must-revalidate, proxy-revalidate and no-cache forbid it. An
 * s-maxage implies proxy-revalidate (5.2.2.10), which keeps the operator's default away; but an origin that
 * writes a window beside it means both, and an extension may change what a directive says (5.2.3). */
static int64_t window(const struct facts *facts, int64_t from_origin, int64_t from_policy) {
    const struct http_cache_control *control = &facts->control;
    if (!facts->overridden && (control->must_revalidate || control->proxy_revalidate || facts->no_cache))
        return 0;
    if (from_origin != HTTP_SECONDS_NONE) return from_origin;
    bool shared_lifetime = control->s_maxage != HTTP_SECONDS_NONE && !facts->overridden;
    return shared_lifetime ? 0 : SK_MAX(from_policy, 0);
}

static struct http_freshness freshness_of(const struct facts *facts, const struct lifetime *lifetime) {
    const struct http_cache_control *control = &facts->control;
    const struct http_cache_policy *policy = facts->policy;
    bool no_cache = facts->no_cache && !facts->overridden;
    bool shared_lifetime = control->s_maxage != HTTP_SECONDS_NONE;
    bool strict = control->must_revalidate || control->proxy_revalidate || shared_lifetime;
    return (struct http_freshness){
        .response_time = facts->response_time,
        .initial_age_s = initial_age(facts),
        .lifetime_s = lifetime->seconds,
        .stale_while_revalidate_s =
            window(facts, control->stale_while_revalidate, policy->stale_while_revalidate_s),
        .stale_if_error_s = window(facts, control->stale_if_error, policy->stale_if_error_s),
        .heuristic = lifetime->rule == HTTP_LIFETIME_HEURISTIC,
        .must_revalidate = no_cache || (strict && !facts->overridden),
        .always_revalidate = no_cache,
        .unframed = facts->response->body_kind == HTTP_BODY_CLOSE,
        .immutable = control->immutable && facts->response->body_kind != HTTP_BODY_CLOSE, /* RFC 8246 3 */
        .has_validator = facts->validators.etag.opaque.data || facts->validators.has_last_modified,
        .lifetime_rule = (uint8_t)lifetime->rule,
        .capped = lifetime->capped,
        .age_value_s = (uint32_t)age_value(&facts->response->fields),
        .response_delay_s = (uint32_t)response_delay(facts),
    };
}

/* ---- may it be stored, section 3 --------------------------------------------------------------------- */

static bool has_content(const struct http_request *request) {
    return request->body_kind == HTTP_BODY_CHUNKED ||
           (request->body_kind == HTTP_BODY_LENGTH && request->content_length > 0);
}

static bool vary_star(const struct http_fields *fields) {
    for (const struct http_field *f = NULL; (f = http_fields_next(fields, HTTP_FIELD_VARY, f));) {
        sk_str rest = f->value, element;
        while (http_list_next(&rest, &element)) {
            if (sk_str_eq(element, SK_STR("*"))) return true;
        }
    }
    return false;
}

static enum http_reason forbidden_by_request(const struct facts *facts) {
    struct http_cache_control control;
    if (facts->request->method != HTTP_METHOD_GET) return HTTP_REASON_NO_STORE_METHOD;
    if (has_content(facts->request)) return HTTP_REASON_NO_STORE_CONTENT;
    http_cache_control_parse(&facts->request->fields, HTTP_FIELD_CACHE_CONTROL, &control);
    return control.no_store ? HTTP_REASON_NO_STORE_REQUEST : HTTP_REASON_NONE;
}

static enum http_reason forbidden_by_directives(const struct facts *facts) {
    const struct http_cache_control *control = &facts->control;
    bool may_ignore_no_store = control->must_understand && understood(facts->response->status);
    if (control->must_understand && !understood(facts->response->status)) return HTTP_REASON_NO_STORE_STATUS;
    if (facts->overridden) return HTTP_REASON_NONE;
    if (control->no_store && !may_ignore_no_store) return HTTP_REASON_NO_STORE_DIRECTIVE;
    if (facts->is_private) return HTTP_REASON_NO_STORE_PRIVATE;
    return HTTP_REASON_NONE;
}

/* What somebody may have led us to store. The origin's own word that everybody may have it settles the suffix; the
 * operator's lifetime does not, as it is given to a pattern of paths, and just that is led astray. Errors are exempt:
 * the page of a missing picture is HTML everywhere. */
static enum http_reason forbidden_by_suspicion(const struct facts *facts) {
    const struct http_cache_control *control = &facts->control;
    uint16_t status = facts->response->status;
    if (http_status_client_error(status) && !spelled_out(facts)) return HTTP_REASON_NO_STORE_CLIENT_ERROR;
    if (!facts->policy->deception_armor) return HTTP_REASON_NONE;
    if (http_path_ambiguous(facts->request->path)) return HTTP_REASON_NO_STORE_AMBIGUOUS;
    bool shared = control->is_public || control->s_maxage != HTTP_SECONDS_NONE || facts->targeted;
    if (shared && !control->no_store && !facts->is_private) return HTTP_REASON_NONE;
    if (status < 200 || status > 299) return HTTP_REASON_NONE;
    bool differs = http_type_differs(facts->request->path,
                                     http_fields_value(&facts->response->fields, HTTP_FIELD_CONTENT_TYPE));
    return differs ? HTTP_REASON_NO_STORE_DECEPTION : HTTP_REASON_NONE;
}

/* What makes it a response to one client, unless the origin says that it may be shared. */
static enum http_reason forbidden_by_identity(const struct facts *facts) {
    const struct http_cache_control *control = &facts->control;
    bool shared = control->is_public || control->s_maxage != HTTP_SECONDS_NONE;
    bool authorised = http_fields_find(&facts->request->fields, HTTP_FIELD_AUTHORIZATION);
    if (authorised && !shared && !control->must_revalidate) return HTTP_REASON_NO_STORE_AUTHORIZATION;
    bool cookie = http_fields_find(&facts->response->fields, HTTP_FIELD_SET_COOKIE);
    if (cookie && !shared && !facts->policy->ignore_set_cookie) return HTTP_REASON_NO_STORE_SET_COOKIE;
    return vary_star(&facts->response->fields) ? HTTP_REASON_NO_STORE_VARY_STAR : HTTP_REASON_NONE;
}

static enum http_reason forbidden(const struct facts *facts) {
    enum http_reason reason = forbidden_by_request(facts);
    if (reason) return reason;
    if (facts->response->status == 206) return HTTP_REASON_NO_STORE_PARTIAL;
    if (special_status(facts->response->status)) return HTTP_REASON_NO_STORE_STATUS;
    reason = forbidden_by_directives(facts);
    if (!reason) reason = forbidden_by_identity(facts);
    return reason ? reason : forbidden_by_suspicion(facts);
}

/* Something to gain: it is fresh for a while, can be asked about, or may be served stale. */
static bool worth_keeping(const struct http_freshness *freshness) {
    bool fresh = freshness->lifetime_s > freshness->initial_age_s && !freshness->always_revalidate;
    return fresh || freshness->has_validator || freshness->stale_while_revalidate_s > 0 ||
           freshness->stale_if_error_s > 0;
}

/* What section 3 asks for besides: an explicit lifetime, or a status cacheable by default. */
static struct http_store_answer allowed(const struct facts *facts) {
    struct lifetime lifetime = find_lifetime(facts);
    enum http_reason reason = reason_of(lifetime.rule);
    bool none = lifetime.rule == HTTP_LIFETIME_NONE;
    if (none && !facts->cacheable_status)
        return (struct http_store_answer){.reason = HTTP_REASON_NO_STORE_STATUS};
    struct http_freshness freshness = freshness_of(facts, &lifetime);
    if (!worth_keeping(&freshness))
        return (struct http_store_answer){.reason = HTTP_REASON_NO_STORE_NO_LIFETIME};
    if (lifetime.seconds <= freshness.initial_age_s || none) reason = HTTP_REASON_STORE_VALIDATOR;
    return (struct http_store_answer){.store = true, .reason = reason, .freshness = freshness};
}

struct http_store_answer http_may_store(const struct http_request *request,
                                        const struct http_response *response, sk_unix_s request_time,
                                        sk_unix_s response_time, const struct http_cache_policy *policy) {
    struct facts facts = {.request = request,
                          .response = response,
                          .policy = policy,
                          .request_time = request_time,
                          .response_time = response_time};
    http_response_cache_control(&response->fields, &facts.control, &facts.targeted);
    http_validators_of(&response->fields, response_time, &facts.validators);
    const struct http_cache_control *control = &facts.control;
    facts.no_cache = unqualified(&response->fields, control->no_cache, control->no_cache_fields);
    facts.is_private = unqualified(&response->fields, control->is_private, control->private_fields);
    facts.cacheable_status = heuristic_status(response->status) || facts.control.is_public;
    find_override(&facts);
    enum http_reason reason = forbidden(&facts);
    return reason ? (struct http_store_answer){.reason = reason} : allowed(&facts);
}
