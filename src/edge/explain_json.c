/* An explanation as JSON. Every number here is what the decisions used, or a difference of two such. */
#include "edge/exchange.h"
#include "edge/explain.h"
#include "fleet/admin_json.h"
#include "http/cache_status.h"
#include "http/content_range.h"
#include "http/date.h"

/* The page being written. */
struct page {
    const struct edge_explanation *explanation;
    struct sk_arena *arena;
    yyjson_mut_doc *doc;
};

static yyjson_mut_val *section(struct page *page, const char *name) {
    return yyjson_mut_obj_add_obj(page->doc, yyjson_mut_doc_get_root(page->doc), name);
}

static void text(struct page *page, yyjson_mut_val *object, const char *name, sk_str value) {
    fleet_json_add(page->doc, object, name, value);
}

static void number(struct page *page, yyjson_mut_val *object, const char *name, int64_t value) {
    yyjson_mut_obj_add_int(page->doc, object, name, value);
}

static void flag(struct page *page, yyjson_mut_val *object, const char *name, bool value) {
    yyjson_mut_obj_add_bool(page->doc, object, name, value);
}

static void date(struct page *page, yyjson_mut_val *object, const char *name, sk_unix_s time) {
    char date[HTTP_DATE_BYTES];
    http_date_format(time, date);
    text(page, object, name, sk_str_make(date, sizeof date));
}

static void reason(struct page *page, yyjson_mut_val *object, const char *name, const char *help,
                   enum http_reason value) {
    text(page, object, name, http_reason_name(value));
    text(page, object, help, http_reason_help(value));
}

/* --- the request ---------------------------------------------------------------------------------------- */

static void directive(struct page *page, yyjson_mut_val *object, const char *name, int64_t seconds) {
    if (seconds != HTTP_SECONDS_NONE) number(page, object, name, seconds);
}

static void directives(struct page *page, yyjson_mut_val *request) {
    const struct http_cache_control *control = &page->explanation->asked.control;
    yyjson_mut_val *object = yyjson_mut_obj_add_obj(page->doc, request, "cache_control");
    if (control->no_cache) flag(page, object, "no-cache", true);
    if (control->no_store) flag(page, object, "no-store", true);
    if (control->only_if_cached) flag(page, object, "only-if-cached", true);
    if (control->max_stale_any) flag(page, object, "max-stale", true);
    directive(page, object, "max-age", control->max_age);
    directive(page, object, "min-fresh", control->min_fresh);
    directive(page, object, "max-stale", control->max_stale);
    directive(page, object, "stale-if-error", control->stale_if_error);
}

static void request(struct page *page) {
    const struct edge_explanation *explanation = page->explanation;
    const struct http_request *request = explanation->request;
    yyjson_mut_val *object = section(page, "request");
    text(page, object, "method", request->method_text);
    text(page, object, "url",
         sk_arena_printf(page->arena, "%.*s://%.*s%.*s", SK_STR_ARGS(request->scheme),
                         SK_STR_ARGS(request->authority), SK_STR_ARGS(request->target)));
    if (explanation->looked) directives(page, object);
}

/* Of the site's names the one that the host matched. */
static sk_str matched_name(const struct config_site *site, sk_str host) {
    sk_str best = SK_STR("*");
    for (uint32_t i = 0; i < site->host_count; i++) {
        sk_str name = site->hosts[i];
        if (sk_str_ieq(name, host)) return name;
        if (!sk_str_starts_with(name, SK_STR("*.")) || name.len <= best.len || host.len < name.len) continue;
        sk_str tail = sk_str_slice(host, host.len - (name.len - 1), host.len);
        if (sk_str_ieq(tail, sk_str_slice(name, 1, name.len))) best = name;
    }
    return best;
}

static void site(struct page *page) {
    const struct edge_explanation *explanation = page->explanation;
    sk_str host = edge_host_of(explanation->request);
    if (!explanation->site) return;
    yyjson_mut_val *object = section(page, "site");
    text(page, object, "name", explanation->site->name);
    text(page, object, "host", host);
    text(page, object, "matched", matched_name(explanation->site, host));
    const struct config_rule *rule = explanation->rule;
    if (!rule || !rule->path_count) return;
    number(page, object, "rule", rule->index);
    text(page, object, "rule_path", rule->paths[0].text);
}

static void key(struct page *page) {
    const struct edge_explanation *explanation = page->explanation;
    if (!explanation->key.text.len) return;
    const struct cache_key *key = explanation->looked ? &explanation->cache.key : &explanation->key;
    yyjson_mut_val *object = section(page, "key");
    text(page, object, "text", key->text);
    text(page, object, "hash",
         sk_arena_printf(page->arena, "%016llx%016llx", (unsigned long long)key->hash.high,
                         (unsigned long long)key->hash.low));
}

/* --- what is stored ------------------------------------------------------------------------------------- */

/* All lines of a field, as it selects; data NULL: there is none. */
static sk_str request_value(struct page *page, sk_str name) {
    const struct http_fields *fields = &page->explanation->selecting->fields;
    const struct http_field *field = NULL;
    sk_str joined = {0};
    while ((field = http_fields_find_name(fields, name, field)))
        joined = joined.data ? sk_arena_printf(page->arena, "%.*s, %.*s", SK_STR_ARGS(joined),
                                               SK_STR_ARGS(field->value))
                             : sk_arena_printf(page->arena, "%.*s", SK_STR_ARGS(field->value));
    return joined;
}

static void variant(struct page *page) {
    const struct cache_explanation *cache = &page->explanation->cache;
    if (!cache->has_variants) return;
    yyjson_mut_val *object = section(page, "variant");
    text(page, object, "vary", cache->vary);
    number(page, object, "stored", cache->variants);
    yyjson_mut_val *values = yyjson_mut_obj_add_obj(page->doc, object, "request");
    sk_str rest = cache->vary, name;
    while (rest.len && sk_str_cut(&rest, ',', &name)) {
        sk_str value = request_value(page, name);
        yyjson_mut_obj_add(values, fleet_json_text(page->doc, name),
                           value.data ? fleet_json_text(page->doc, value) : yyjson_mut_null(page->doc));
    }
}

static void stored(struct page *page) {
    const struct cache_explanation *cache = &page->explanation->cache;
    const struct cache_object *object = cache->object;
    static const char *const completeness[] = {
        [CACHE_ARRIVING] = "arriving", [CACHE_COMPLETE] = "complete", [CACHE_BROKEN] = "broken"};
    if (!object) return;
    /* acquire: the length is seen together with the end */
    uint8_t complete = atomic_load_explicit(&object->complete, memory_order_acquire);
    uint64_t length = atomic_load_explicit(&object->body_length, memory_order_acquire);
    yyjson_mut_val *json = section(page, "stored");
    number(page, json, "status", object->status);
    bool sliced = object->part == CACHE_PART_HEAD;
    yyjson_mut_obj_add_str(page->doc, json, "body", sliced ? "in slices" : completeness[complete]);
    if (sliced) number(page, json, "slice_bytes", HTTP_SLICE_BYTES);
    number(page, json, "bytes", (int64_t)atomic_load_explicit(&object->available, memory_order_acquire));
    if (length != CACHE_LENGTH_UNKNOWN) number(page, json, "length", (int64_t)length);
    yyjson_mut_obj_add_str(page->doc, json, "tier", cache->on_disk ? "disk" : "memory");
    if (cache->on_disk)
        number(page, json, "disk_bytes", (int64_t)cache->disk_bytes);
    else
        number(page, json, "memory_bytes", (int64_t)cache->memory_bytes);
    date(page, json, "since", object->stored_at);
    number(page, json, "tags", cache->tags);
    reason(page, json, "reason", "reason_text", object->store_reason);
    text(page, json, "etag", http_fields_value(&object->fields, HTTP_FIELD_ETAG));
    text(page, json, "last_modified", http_fields_value(&object->fields, HTTP_FIELD_LAST_MODIFIED));
    text(page, json, "cache_control",
         http_fields_joined(&object->fields, HTTP_FIELD_CACHE_CONTROL, page->arena));
}

static void freshness(struct page *page) {
    const struct cache_object *object = page->explanation->cache.object;
    sk_unix_s now = page->explanation->now;
    if (!object) return;
    const struct http_freshness *freshness = &object->freshness;
    const struct http_validators *validators = &object->validators;
    enum http_lifetime_rule rule = (enum http_lifetime_rule)freshness->lifetime_rule;
    int64_t age = http_current_age(freshness, now);
    yyjson_mut_val *json = section(page, "freshness");
    date(page, json, "date_value", validators->date);
    date(page, json, "response_time", freshness->response_time);
    date(page, json, "now", now);
    number(page, json, "age_value", freshness->age_value_s);
    number(page, json, "apparent_age", SK_MAX(0, freshness->response_time - validators->date));
    number(page, json, "response_delay", freshness->response_delay_s);
    number(page, json, "corrected_age_value",
           (int64_t)freshness->age_value_s + (int64_t)freshness->response_delay_s);
    number(page, json, "corrected_initial_age", freshness->initial_age_s);
    number(page, json, "resident_time", SK_MAX(0, now - freshness->response_time));
    number(page, json, "current_age", age);
    number(page, json, "freshness_lifetime", freshness->lifetime_s);
    text(page, json, "rule", http_lifetime_name(rule));
    text(page, json, "rule_text", http_lifetime_help(rule));
    if (freshness->capped) flag(page, json, "capped_by_max_ttl", true);
    number(page, json, "ttl", freshness->lifetime_s - age);
    number(page, json, "stale_while_revalidate", freshness->stale_while_revalidate_s);
    number(page, json, "stale_if_error", freshness->stale_if_error_s);
    flag(page, json, "must_revalidate", freshness->must_revalidate);
    flag(page, json, "always_revalidate", freshness->always_revalidate);
    flag(page, json, "immutable", freshness->immutable);
    flag(page, json, "may_serve_if_origin_fails",
         http_may_serve_on_error(freshness, &page->explanation->asked.control, now));
}

static void purges(struct page *page) {
    const struct cache_explanation *cache = &page->explanation->cache;
    yyjson_mut_val *json = section(page, "purge");
    number(page, json, "clock", (int64_t)cache->purge_clock);
    if (cache->object) number(page, json, "fetched_at", (int64_t)cache->object->born);
    yyjson_mut_obj_add_str(page->doc, json, "state",
                           cache->finding.purged        ? "purged"
                           : cache->finding.soft_purged ? "purged softly"
                                                        : "not purged");
}

/* --- what would happen ---------------------------------------------------------------------------------- */

/* The status that an answer from the store would have. */
static int64_t answer_status(const struct page *page) {
    const struct cache_object *object = page->explanation->cache.object;
    const struct http_request *request = page->explanation->request;
    if (object->status != 200) return object->status;
    const struct edge_asked *asked = &page->explanation->asked;
    if (edge_precondition_on(object, request, asked->traits, asked->now) == HTTP_PRECONDITION_NOT_MODIFIED)
        return 304;
    uint64_t length = atomic_load_explicit(&object->body_length, memory_order_acquire);
    if (length == CACHE_LENGTH_UNKNOWN || request->method != HTTP_METHOD_GET) return 200;
    switch (http_range_evaluate(request, &object->validators, length).kind) {
    case HTTP_RANGE_WHOLE: return 200;
    case HTTP_RANGE_UNSATISFIABLE: return 416;
    default: return 206;
    }
}

static void cache_status(struct page *page, yyjson_mut_val *json, bool hit, enum http_reason reason) {
    const struct cache_object *object = page->explanation->cache.object;
    char out[HTTP_CACHE_STATUS_MAX];
    struct http_cache_status status = {
        .cache_name = page->explanation->config->server_name,
        .reason = reason,
        .hit = hit,
    };
    if (hit) {
        status.has_ttl = true;
        status.ttl_s =
            object->freshness.lifetime_s - http_current_age(&object->freshness, page->explanation->now);
    }
    text(page, json, "cache_status", sk_str_make(out, http_cache_status_format(&status, out)));
}

static const char *step_name(enum edge_step step) {
    switch (step) {
    case EDGE_STEP_ANSWER: return "answer";
    case EDGE_STEP_ANSWER_REFRESH: return "answer and refresh";
    case EDGE_STEP_VALIDATE: return "validate";
    case EDGE_STEP_FETCH: return "fetch";
    case EDGE_STEP_PASS: return "pass";
    case EDGE_STEP_REFUSE: return "refuse";
    }
    return "";
}

static void verdict_on_stored(struct page *page, yyjson_mut_val *json) {
    const struct edge_explanation *explanation = page->explanation;
    const struct cache_explanation *cache = &explanation->cache;
    enum edge_step step = explanation->verdict.step;
    bool hit = step == EDGE_STEP_ANSWER || step == EDGE_STEP_ANSWER_REFRESH;
    bool asks = step == EDGE_STEP_FETCH || step == EDGE_STEP_VALIDATE;
    bool alone = asks && cache->remembered;
    enum http_reason why = alone ? HTTP_REASON_PASS_REMEMBERED : explanation->verdict.reason;
    yyjson_mut_obj_add_str(page->doc, json, "step", alone ? "pass" : step_name(step));
    reason(page, json, "reason", "reason_text", why);
    if (alone) reason(page, json, "because", "because_text", cache->remembered_reason);
    if (hit) number(page, json, "status", answer_status(page));
    if (step == EDGE_STEP_REFUSE) number(page, json, "status", 504);
    if (step != EDGE_STEP_REFUSE) cache_status(page, json, hit, why);
    if (step == EDGE_STEP_VALIDATE && !alone)
        flag(page, json, "conditional", cache->object->freshness.has_validator);
    if (asks && !alone) flag(page, json, "joins", cache->coming);
}

static void peers(struct page *page) {
    const struct edge_explanation *explanation = page->explanation;
    if (!explanation->owner.len) return;
    yyjson_mut_val *json = section(page, "peers");
    text(page, json, "owner", explanation->owner);
    if (explanation->next_owner.len) text(page, json, "next", explanation->next_owner);
    flag(page, json, "ours", explanation->owned);
}

static void verdict(struct page *page) {
    const struct edge_explanation *explanation = page->explanation;
    yyjson_mut_val *json = section(page, "verdict");
    if (explanation->looked) {
        verdict_on_stored(page, json);
    } else if (explanation->refused) {
        yyjson_mut_obj_add_str(page->doc, json, "step", "refuse");
        number(page, json, "status", explanation->refused);
        text(page, json, "detail", sk_str_from_c(explanation->detail));
    } else {
        yyjson_mut_obj_add_str(page->doc, json, "step", "pass");
        reason(page, json, "reason", "reason_text", explanation->pass);
        cache_status(page, json, false, explanation->pass);
    }
}

yyjson_mut_doc *edge_explain_json(const struct edge_explanation *explanation, struct sk_arena *arena) {
    struct page page = {.explanation = explanation, .arena = arena, .doc = yyjson_mut_doc_new(NULL)};
    if (!page.doc) return NULL;
    yyjson_mut_doc_set_root(page.doc, yyjson_mut_obj(page.doc));
    request(&page);
    site(&page);
    key(&page);
    if (explanation->looked) {
        variant(&page);
        stored(&page);
        freshness(&page);
        purges(&page);
    }
    peers(&page);
    verdict(&page);
    return page.doc;
}
