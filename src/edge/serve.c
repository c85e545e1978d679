/* The request path's first station: which site, may the cache answer, and does it have the answer. */
#include "edge/serve.h"

#include "edge/acme_answer.h"
#include "edge/answer.h"
#include "edge/early.h"
#include "edge/error_page.h"
#include "edge/health.h"
#include "edge/miss.h"
#include "edge/node.h"
#include "edge/purge_method.h"
#include "edge/rules.h"
#include "edge/search.h"
#include "edge/selecting.h"
#include "edge/slices.h"
#include "edge/worker.h"
#include "http/forward.h"
#include "wire/tls_common.h"

sk_str edge_host_of(const struct http_request *request) {
    sk_str host;
    uint16_t port;
    return http_request_host(request, &host, &port) ? (sk_str){0} : host;
}

const struct config_site *edge_site_of(const struct config *config, const struct http_request *request) {
    return config_site_for(config, edge_host_of(request));
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
        case HTTP_FIELD_ACCEPT_ENCODING: traits |= EDGE_TRAIT_ACCEPT_ENCODING; break;
        case HTTP_FIELD_AVAILABLE_DICTIONARY: traits |= EDGE_TRAIT_DICTIONARY; break;
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

uint16_t edge_refusal(const struct config *config, const struct config_site *site,
                      const struct http_request *request, const char **out_detail) {
    uint64_t body_limit = config->limits.request_body_bytes;
    if (!site) {
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

static bool has_path(const struct http_request *request) {
    return request->path.len && request->path.data[0] == '/';
}

sk_err edge_key_make(struct sk_arena *arena, const struct config_site *site, const struct config_rule *rule,
                     const struct http_request *request, struct cache_key *out_key) {
    sk_err err = cache_key_make(arena, site->name, &rule->key, request, out_key);
    if (err != SK_ERR_FULL) return err;
    *out_key = (struct cache_key){.text = SK_STR("")};
    return SK_OK;
}

uint16_t edge_key_refusal(sk_err err) {
    return err == SK_ERR_TOO_LARGE ? 414 : err == SK_ERR_MALFORMED ? 400 : 503;
}

enum http_reason edge_pass_reason(const struct config_rule *rule, const struct http_request *request,
                                  const struct cache_key *key) {
    if (request->upgrade.data) return HTTP_REASON_PASS_UPGRADE;
    if (request->method != HTTP_METHOD_GET && request->method != HTTP_METHOD_HEAD)
        return HTTP_REASON_PASS_METHOD;
    if (edge_has_content(request)) return HTTP_REASON_PASS_METHOD;
    if (!has_path(request)) return HTTP_REASON_PASS_METHOD; /* "*" is nothing that could be stored */
    if (!rule->enabled) return HTTP_REASON_PASS_RULE;
    if (!key->text.len) return HTTP_REASON_PASS_KEY;
    return HTTP_REASON_NONE;
}

void edge_request_control(uint32_t traits, const struct http_request *request,
                          struct http_cache_control *out_control) {
    if (traits & EDGE_TRAIT_CACHE_CONTROL) {
        http_request_cache_control(request, out_control);
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

static struct edge_verdict verdict(enum edge_step step, enum http_reason reason) {
    return (struct edge_verdict){step, reason};
}

static struct edge_verdict verdict_by_freshness(const struct cache_object *object,
                                                const struct cache_finding *finding,
                                                const struct edge_asked *asked) {
    struct http_reuse_answer reuse = http_may_reuse(&object->freshness, &asked->control, asked->now);
    switch (reuse.reuse) {
    case HTTP_REUSE_NOT_ALLOWED: return verdict(EDGE_STEP_REFUSE, reuse.reason);
    case HTTP_REUSE_SERVE_REVALIDATE: return verdict(EDGE_STEP_ANSWER_REFRESH, reuse.reason);
    case HTTP_REUSE_VALIDATE:
        return verdict(EDGE_STEP_VALIDATE,
                       finding->soft_purged ? HTTP_REASON_MISS_SOFT_PURGED : reuse.reason);
    case HTTP_REUSE_SERVE: break;
    }
    if (!finding->soft_purged) return verdict(EDGE_STEP_ANSWER, reuse.reason);
    return verdict(asked->control.only_if_cached ? EDGE_STEP_REFUSE : EDGE_STEP_VALIDATE,
                   HTTP_REASON_MISS_SOFT_PURGED);
}

struct edge_verdict edge_verdict_on(const struct cache_object *object, const struct cache_finding *finding,
                                    const struct edge_asked *asked) {
    if (!object)
        return verdict(asked->control.only_if_cached ? EDGE_STEP_REFUSE : EDGE_STEP_FETCH,
                       miss_reason(finding));
    struct edge_verdict found = verdict_by_freshness(object, finding, asked);
    if (found.step == EDGE_STEP_REFUSE) return found;
    enum http_precondition condition =
        edge_precondition_on(object, asked->request, asked->traits, asked->now);
    if (condition != HTTP_PRECONDITION_FAILED) return found;
    /* the origin's to refuse, unless it must not be asked */
    return verdict(asked->control.only_if_cached ? EDGE_STEP_REFUSE : EDGE_STEP_PASS,
                   HTTP_REASON_MISS_REQUEST);
}

enum http_precondition edge_precondition_on(const struct cache_object *object,
                                            const struct http_request *request, uint32_t traits,
                                            sk_unix_s now) {
    if (!object->shared || object->status != 200 || !(traits & EDGE_TRAIT_CONDITIONAL))
        return HTTP_PRECONDITION_PASS;
    return http_precondition_evaluate(request, &object->validators, now);
}

/* False: it cannot be answered inside of the section. */
static bool answer_now(struct edge_exchange *exchange, struct cache_object *object) {
    if (SK_LIKELY(object->part == CACHE_PART_NONE)) return edge_answer_borrowed(exchange, object);
    return edge_slices_answer_now(exchange, object);
}

/* Outside of it. Takes over the reference. */
static void answer_later(struct edge_exchange *exchange, struct cache_object *object) {
    if (object->part == CACHE_PART_HEAD)
        edge_miss_partial(exchange, object);
    else
        edge_answer_object(exchange, object);
}

/* What a node adds to its client's request; NULL: a client asks. One that knows of a purge which has not come here yet
 * brings it. */
static const struct grid_ask *asked_by_node(const struct edge_exchange *exchange, struct grid_ask *ask) {
    if (SK_LIKELY(!(exchange->traits & EDGE_TRAIT_NODE)) || edge_node_ask(&exchange->request, ask))
        return NULL;
    if (ask->fresh == GRID_ANEW) cache_remove(exchange->worker->cache, &exchange->key);
    return ask;
}

/* Inside the section: answers when the stored response may be used as it is. Otherwise OBJECT is referenced for
 * the caller where its step needs it. */
static struct edge_verdict look_at_stored(struct edge_exchange *exchange, const struct grid_ask *node,
                                          struct cache_object **out_object) {
    struct edge_worker *worker = exchange->worker;
    struct cache_finding finding = {0};
    struct edge_asked asked = {
        .request = &exchange->request, .traits = exchange->traits, .now = io_loop_wall_s(worker->loop)};
    edge_request_control(exchange->traits, &exchange->request, &asked.control);
    if (SK_UNLIKELY(node != NULL)) asked.control.only_if_cached |= node->only_stored;
    struct cache_object *object =
        cache_find(worker->cache, &exchange->key, edge_selecting(exchange), &finding);
    if (SK_UNLIKELY(node && node->fresh == GRID_VALIDATED)) finding.soft_purged = true;
    struct edge_verdict verdict = edge_verdict_on(object, &finding, &asked);
    exchange->outcome.reason = verdict.reason;
    *out_object = object;
    if (verdict.step == EDGE_STEP_ANSWER) {
        exchange->outcome.hit = true;
        if (answer_now(exchange, object))
            *out_object = NULL;
        else
            cache_object_ref(object);
    } else if (verdict.step == EDGE_STEP_ANSWER_REFRESH || verdict.step == EDGE_STEP_VALIDATE) {
        cache_object_ref(object);
    }
    return verdict;
}

static void serve_cached(struct edge_exchange *exchange) {
    struct edge_worker *worker = exchange->worker;
    struct cache_object *object;
    struct grid_ask ask;
    const struct grid_ask *node = asked_by_node(exchange, &ask);
    cache_enter(worker->cache);
    struct edge_verdict verdict = look_at_stored(exchange, node, &object);
    cache_leave(worker->cache);
    switch (verdict.step) {
    case EDGE_STEP_ANSWER:
        if (object) answer_later(exchange, object);
        break;
    case EDGE_STEP_ANSWER_REFRESH:
        exchange->outcome.hit = true;
        edge_refresh(exchange, object);
        answer_later(exchange, object);
        break;
    case EDGE_STEP_VALIDATE: edge_miss_start(exchange, object, false); break;
    case EDGE_STEP_FETCH: edge_miss_start(exchange, NULL, false); break;
    case EDGE_STEP_PASS: edge_miss_start(exchange, NULL, true); break;
    case EDGE_STEP_REFUSE:
        edge_respond_error(exchange, 504, "only-if-cached, and nothing stored may be used");
        break;
    }
}

void edge_serve(struct edge_exchange *exchange) {
    const char *detail = "";
    if (edge_asks_health(&exchange->request)) {
        edge_answer_health(exchange);
        return;
    }
    if (SK_UNLIKELY(acme_challenges_there()) && edge_acme_answer(exchange)) return;
    exchange->site = edge_site_of(exchange->snapshot->config, &exchange->request);
    exchange->traits = edge_traits_of(&exchange->request.fields);
    if (SK_UNLIKELY(exchange->tls && exchange->tls->for_nodes) && !edge_node_admit(exchange)) return;
    if (SK_UNLIKELY(exchange->tls && exchange->tls->early) && !edge_early_admit(exchange)) return;
    uint16_t status = edge_refusal(exchange->snapshot->config, exchange->site, &exchange->request, &detail);
    if (status) {
        edge_respond_error(exchange, status, detail);
        return;
    }
    exchange->rule = edge_rule_of(exchange->site, &exchange->request, exchange->arena);
    if (has_path(&exchange->request)) {
        const struct config_rule *rule =
            edge_key_rule_of(exchange->site, exchange->rule, &exchange->request, exchange->arena);
        sk_err err = edge_key_make(exchange->arena, exchange->site, rule, &exchange->request, &exchange->key);
        if (err) {
            edge_respond_error(exchange, edge_key_refusal(err), "the request's target cannot be used");
            return;
        }
    }
    if (exchange->request.method == HTTP_METHOD_PURGE) {
        exchange->traits &EDGE_TRAIT_NODE ? edge_node_forget(exchange) : edge_purge_method(exchange);
        return;
    }
    struct cache_key exact = exchange->key;
    if (edge_search_key(exchange->worker->cache, exchange->rule, &exchange->request, exchange->arena,
                        &exchange->key))
        edge_use_key_target(&exchange->request, exact.text);
    exchange->outcome.reason = edge_pass_reason(exchange->rule, &exchange->request, &exchange->key);
    if (exchange->outcome.reason == HTTP_REASON_NONE)
        serve_cached(exchange);
    else
        edge_miss_start(exchange, NULL, true);
}
