/* The request path's first station: which site, may the cache answer, and does it have the answer. */
#include "edge/answer.h"
#include "edge/error_page.h"
#include "edge/miss.h"
#include "edge/worker.h"
#include "http/forward.h"

#define HOST_BYTES 256

static const struct config_site *find_site(const struct edge_exchange *exchange) {
    char lower[HOST_BYTES];
    sk_str host = edge_host_of(exchange->request.authority);
    if (host.len > sizeof lower) return NULL;
    sk_ascii_lower(lower, host.data, host.len);
    return config_site_for(exchange->snapshot->config, (sk_str){lower, host.len});
}

sk_str edge_host_of(sk_str authority) {
    /* "[::1]:80", "host:80": the port is what follows the last colon outside of brackets */
    for (size_t i = authority.len; i > 0 && authority.data[i - 1] != ']'; i--)
        if (authority.data[i - 1] == ':') return sk_str_slice(authority, 0, i - 1);
    return authority;
}

uint32_t edge_traits_of(const struct http_fields *fields) {
    uint32_t traits = 0;
    for (uint32_t i = 0; i < fields->count; i++) {
        switch (fields->items[i].id) {
        case HTTP_FIELD_IF_MATCH:
        case HTTP_FIELD_IF_NONE_MATCH:
        case HTTP_FIELD_IF_MODIFIED_SINCE:
        case HTTP_FIELD_IF_UNMODIFIED_SINCE:
        case HTTP_FIELD_IF_RANGE: traits |= EDGE_TRAIT_CONDITIONAL; break;
        case HTTP_FIELD_RANGE: traits |= EDGE_TRAIT_RANGE; break;
        case HTTP_FIELD_CACHE_CONTROL:
        case HTTP_FIELD_PRAGMA: traits |= EDGE_TRAIT_CACHE_CONTROL; break;
        case HTTP_FIELD_CDN_LOOP:
        case HTTP_FIELD_VIA: traits |= EDGE_TRAIT_MAYBE_LOOP; break;
        case HTTP_FIELD_TE:
            if (sk_str_ieq(fields->items[i].value, SK_STR("trailers"))) traits |= EDGE_TRAIT_TRAILERS;
            break;
        default: break;
        }
    }
    return traits;
}

/* The status of what is answered before anybody looks into the cache: what is wrong with the request, or 200 for
 * an OPTIONS that goes no further; 0: nothing. */
static uint16_t refusal(const struct edge_exchange *exchange, const char **out_detail) {
    const struct http_request *request = &exchange->request;
    uint64_t body_limit = exchange->snapshot->config->limits.request_body_bytes;
    if (!exchange->site) {
        *out_detail = "no site is served under this host";
        return 421;
    }
    if (request->method == HTTP_METHOD_TRACE) {
        *out_detail = "TRACE is not served here";
        return 405;
    }
    if (request->method == HTTP_METHOD_OPTIONS && http_forward_ends_here(&request->fields)) return 200;
    if (request->body_kind == HTTP_BODY_LENGTH && request->content_length > body_limit) {
        *out_detail = "the request's body is over the limit";
        return 413;
    }
    return 0;
}

bool edge_has_content(const struct http_request *request) {
    if (request->body_kind == HTTP_BODY_LENGTH) return request->content_length > 0;
    return request->body_kind != HTTP_BODY_NONE;
}

/* NONE: the cache may look at it. */
static enum http_reason pass_reason(const struct edge_exchange *exchange) {
    const struct http_request *request = &exchange->request;
    if (request->upgrade.data) return HTTP_REASON_PASS_UPGRADE;
    if (request->method != HTTP_METHOD_GET && request->method != HTTP_METHOD_HEAD)
        return HTTP_REASON_PASS_METHOD;
    if (edge_has_content(request)) return HTTP_REASON_PASS_METHOD;
    if (!exchange->site->cache_enabled) return HTTP_REASON_PASS_RULE;
    return HTTP_REASON_NONE;
}

static void request_control(const struct edge_exchange *exchange, struct http_cache_control *out_control) {
    if (exchange->traits & EDGE_TRAIT_CACHE_CONTROL) {
        http_request_cache_control(&exchange->request, out_control);
        return;
    }
    *out_control = (struct http_cache_control){
        .max_age = HTTP_SECONDS_NONE,
        .s_maxage = HTTP_SECONDS_NONE,
        .min_fresh = HTTP_SECONDS_NONE,
        .max_stale = HTTP_SECONDS_NONE,
        .stale_while_revalidate = HTTP_SECONDS_NONE,
        .stale_if_error = HTTP_SECONDS_NONE,
    };
}

static enum http_reason miss_reason(const struct cache_finding *finding) {
    if (finding->purged) return HTTP_REASON_MISS_PURGED;
    return finding->vary_miss ? HTTP_REASON_MISS_VARY : HTTP_REASON_MISS_NOT_STORED;
}

enum stored { STORED_ANSWERED, STORED_REFRESH, STORED_VALIDATE, STORED_PASS };

/* Inside the section: answers when the stored response may be used as it is. Otherwise OBJECT is referenced for
 * the caller, to be refreshed behind the answer's back or validated before it. */
static enum stored answer_stored(struct edge_exchange *exchange, struct cache_object *object,
                                 bool soft_purged, const struct http_cache_control *control) {
    struct http_reuse_answer reuse =
        http_may_reuse(&object->freshness, control, io_loop_wall_s(exchange->worker->loop));
    exchange->outcome.reason = reuse.reason;
    if (edge_is_for_origin(exchange, object)) return STORED_PASS;
    if (reuse.reuse == HTTP_REUSE_NOT_ALLOWED) {
        edge_respond_error(exchange, 504, "only-if-cached, and nothing stored may be used");
        return STORED_ANSWERED;
    }
    if (reuse.reuse == HTTP_REUSE_SERVE && !soft_purged) {
        exchange->outcome.hit = true;
        edge_answer_object(exchange, object, true);
        return STORED_ANSWERED;
    }
    cache_object_ref(object);
    if (reuse.reuse == HTTP_REUSE_SERVE_REVALIDATE) return STORED_REFRESH;
    if (soft_purged) exchange->outcome.reason = HTTP_REASON_MISS_PURGED;
    return STORED_VALIDATE;
}

static void serve_missing(struct edge_exchange *exchange, struct cache_object *stale, bool pass,
                          const struct http_cache_control *control) {
    if (!control->only_if_cached) {
        edge_miss_start(exchange, stale, pass);
        return;
    }
    if (stale) cache_object_unref(exchange->worker->cache, stale);
    edge_respond_error(exchange, 504, "only-if-cached, and nothing is stored");
}

static void serve_cached(struct edge_exchange *exchange) {
    struct edge_worker *worker = exchange->worker;
    struct http_cache_control control;
    struct cache_finding finding = {0};
    request_control(exchange, &control);
    cache_enter(worker->cache);
    struct cache_object *object = cache_find(worker->cache, &exchange->key, &exchange->request, &finding);
    enum stored stored = STORED_VALIDATE;
    if (object) stored = answer_stored(exchange, object, finding.soft_purged, &control);
    cache_leave(worker->cache);
    if (stored == STORED_ANSWERED) return;
    if (stored == STORED_REFRESH) {
        exchange->outcome.hit = true;
        edge_refresh(exchange, object);
        edge_answer_object(exchange, object, false);
        return;
    }
    if (!object) exchange->outcome.reason = miss_reason(&finding);
    if (stored == STORED_PASS) exchange->outcome.reason = HTTP_REASON_MISS_REQUEST;
    serve_missing(exchange, stored == STORED_PASS ? NULL : object, stored == STORED_PASS, &control);
}

void edge_serve(struct edge_exchange *exchange) {
    const char *detail = "";
    exchange->site = find_site(exchange);
    exchange->traits = edge_traits_of(&exchange->request.fields);
    uint16_t status = refusal(exchange, &detail);
    if (status) {
        edge_respond_error(exchange, status, detail);
        return;
    }
    enum http_reason pass = pass_reason(exchange);
    if (exchange->request.path.len && exchange->request.path.data[0] == '/') {
        sk_err err =
            cache_key_make(exchange->arena, exchange->site->name, &exchange->request, &exchange->key);
        if (err) {
            edge_respond_error(exchange,
                               err == SK_ERR_TOO_LARGE   ? 414
                               : err == SK_ERR_MALFORMED ? 400
                                                         : 503,
                               "the request's target cannot be used");
            return;
        }
    } else if (pass == HTTP_REASON_NONE) {
        pass = HTTP_REASON_PASS_METHOD; /* "*" is nothing that could be stored */
    }
    if (pass == HTTP_REASON_NONE) {
        serve_cached(exchange);
        return;
    }
    exchange->outcome.reason = pass;
    edge_miss_start(exchange, NULL, true);
}
