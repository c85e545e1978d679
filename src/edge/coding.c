#include "edge/coding.h"

#include "cache/vary.h"
#include "edge/encode.h"
#include "edge/tier.h"
#include "edge/worker.h"

/* ---- which ----------------------------------------------------------------------------------------------- */

static bool wants_identity(const struct edge_exchange *exchange) {
    const struct http_request *request = &exchange->request;
    uint32_t traits = exchange->traits;
    struct http_cache_control control;
    if (!(traits & EDGE_TRAIT_ACCEPT_ENCODING) || (traits & EDGE_TRAIT_RANGE)) return true;
    if ((traits & EDGE_TRAIT_CONDITIONAL) && http_fields_find(&request->fields, HTTP_FIELD_IF_MATCH))
        return true;
    if (!(traits & EDGE_TRAIT_CACHE_CONTROL)) return false;
    http_request_cache_control(request, &control);
    return control.no_transform;
}

bool edge_coding_may(const struct edge_exchange *exchange, const struct cache_object *object) {
    return object->codable && object->shared && exchange->site->compress.enabled && !wants_identity(exchange);
}

enum http_coding edge_coding_choose(const struct edge_exchange *exchange, const struct cache_object *object) {
    const struct config_compress *rules = &exchange->site->compress;
    struct http_accept_encoding accept;
    if (!edge_coding_may(exchange, object)) return HTTP_CODING_IDENTITY;
    http_accept_encoding_parse(&exchange->request.fields, &accept);
    return http_coding_choose(&accept, rules->codings, rules->coding_count);
}

/* ---- where ----------------------------------------------------------------------------------------------- */

sk_err edge_coding_key(struct sk_arena *arena, const struct cache_object *object, enum http_coding coding,
                       struct cache_key *out_key) {
    char mark[48], *at = mark;
    sk_str name = http_coding_name(coding);
    memcpy(at, "form=", 5);
    memcpy(at + 5, name.data, name.len);
    at += 5 + name.len;
    *at++ = ':';
    at += sk_u64_to_text(object->number, at);
    return cache_key_append(arena, object->key.text, sk_str_make(mark, (size_t)(at - mark)), (sk_str){0},
                            NULL, out_key);
}

struct cache_object *edge_coding_find(struct edge_exchange *exchange, const struct cache_object *object,
                                      enum http_coding coding) {
    struct cache_key key;
    if (edge_coding_key(exchange->arena, object, coding, &key)) return NULL;
    return cache_find(exchange->worker->cache, &key, NULL, NULL);
}

static bool take_from_tier(struct edge_exchange *exchange, const struct cache_object *object,
                           enum http_coding coding) {
    struct cache_key key;
    return !edge_coding_key(exchange->arena, object, coding, &key) && edge_tier_take_form(exchange, &key);
}

struct cache_object *edge_coding_get(struct edge_exchange *exchange, struct cache_object *object,
                                     enum http_coding coding) {
    struct cache_thread *cache = exchange->worker->cache;
    for (int look = 0; look < 2; look++) {
        cache_enter(cache);
        struct cache_object *form = edge_coding_find(exchange, object, coding);
        if (form) cache_object_ref(form);
        cache_leave(cache);
        if (form) return form;
        if (look) return NULL;
        if (!take_from_tier(exchange, object, coding) && !edge_encode_start(exchange, object, coding))
            return NULL;
    }
    return NULL;
}

/* ---- its fields ------------------------------------------------------------------------------------------ */

static bool is_strong_etag(const struct http_field *field) {
    return field->id == HTTP_FIELD_ETAG && !sk_str_starts_with(field->value, SK_STR("W/"));
}

sk_err edge_coding_weaken(struct sk_arena *arena, const struct http_fields *fields,
                          struct http_fields *out_fields) {
    struct http_field *items = sk_arena_alloc(arena, (fields->count + 1) * sizeof *items);
    if (!items) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < fields->count; i++) {
        items[i] = fields->items[i];
        if (!is_strong_etag(&items[i])) continue;
        items[i].value = sk_arena_printf(arena, "W/%.*s", SK_STR_ARGS(items[i].value));
        if (!items[i].value.data) return SK_ERR_NO_MEMORY;
    }
    *out_fields = (struct http_fields){items, fields->count, fields->count + 1};
    return SK_OK;
}

static char *put(char *at, sk_str text) {
    if (text.len) memcpy(at, text.data, text.len);
    return at + text.len;
}

sk_str edge_coding_head(struct sk_arena *arena, const struct http_fields *fields, enum http_coding coding) {
    sk_str name = http_coding_name(coding);
    size_t bytes = sizeof "Content-Encoding: \r\n" + name.len;
    for (uint32_t i = 0; i < fields->count; i++)
        bytes += fields->items[i].name.len + fields->items[i].value.len + sizeof "W/: \r\n";
    char *text = sk_arena_alloc(arena, bytes), *at = text;
    if (!text) return (sk_str){0};
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];
        at = put(at, field->name);
        at = put(at, SK_STR(": "));
        if (is_strong_etag(field)) at = put(at, SK_STR("W/"));
        at = put(at, field->value);
        at = put(at, SK_STR("\r\n"));
    }
    at = put(at, SK_STR("Content-Encoding: "));
    at = put(at, name);
    at = put(at, SK_STR("\r\n"));
    return sk_str_make(text, (size_t)(at - text));
}
