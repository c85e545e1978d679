#include "edge/answer.h"

#include <stdio.h>

#include "base/random.h"
#include "edge/answer_coded.h"
#include "edge/coding.h"
#include "edge/dictionary.h"
#include "edge/error_page.h"
#include "edge/fetch.h"
#include "edge/node.h"
#include "edge/serve.h"
#include "edge/worker.h"
#include "wire/tls_server.h"

/* --- fields ------------------------------------------------------------------------------------------- */

static bool is_of_not_modified(const struct http_field *field) {
    switch (field->id) {
    case HTTP_FIELD_CACHE_CONTROL:
    case HTTP_FIELD_CACHE_STATUS:
    case HTTP_FIELD_CDN_CACHE_CONTROL:
    case HTTP_FIELD_CONTENT_LOCATION:
    case HTTP_FIELD_DATE:
    case HTTP_FIELD_ETAG:
    case HTTP_FIELD_EXPIRES:
    case HTTP_FIELD_LAST_MODIFIED:
    case HTTP_FIELD_VARY:
    case HTTP_FIELD_VIA: return true;
    default: return false;
    }
}

static bool is_not_type(const struct http_field *field) { return field->id != HTTP_FIELD_CONTENT_TYPE; }

static sk_str flat_head(struct sk_arena *arena, const struct http_fields *fields,
                        bool (*wanted)(const struct http_field *field)) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < fields->count; i++)
        if (wanted(&fields->items[i])) bytes += fields->items[i].name.len + fields->items[i].value.len + 4;
    char *text = sk_arena_alloc(arena, bytes + 1), *at = text;
    if (!text) return (sk_str){0};
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];
        if (!wanted(field)) continue;
        memcpy(at, field->name.data, field->name.len);
        at += field->name.len;
        memcpy(at, ": ", 2);
        if (field->value.len) memcpy(at + 2, field->value.data, field->value.len);
        at += 2 + field->value.len;
        memcpy(at, "\r\n", 2);
        at += 2;
    }
    return (sk_str){text, (size_t)(at - text)};
}

sk_str edge_not_modified_head(struct sk_arena *arena, const struct http_fields *stored) {
    return flat_head(arena, stored, is_of_not_modified);
}

sk_str edge_head_without_type(struct sk_arena *arena, const struct http_fields *stored) {
    return flat_head(arena, stored, is_not_type);
}

static char *put(char *at, sk_str text) {
    memcpy(at, text.data, text.len);
    return at + text.len;
}

/* RFC 7838 section 3: the same is to be had by HTTP/3. */
static char *put_alternative(const struct edge_exchange *exchange, char *at) {
    if (!exchange->tls || !exchange->tls->http3_port || exchange->request.version == HTTP_3) return at;
    at = put(at, SK_STR("Alt-Svc: h3=\":"));
    at += sk_u64_to_text(exchange->tls->http3_port, at);
    return put(at, SK_STR("\"; ma=86400\r\n"));
}

sk_str edge_status_fields(const struct edge_exchange *exchange, const struct cache_object *object,
                          char *out) {
    const struct edge_outcome *outcome = &exchange->outcome;
    uint32_t shown = exchange->site ? exchange->site->cache_status : CONFIG_CACHE_STATUS_ON;
    struct http_cache_status status = {
        .cache_name = exchange->snapshot->config->server_name,
        .reason = outcome->reason,
        .store_reason = outcome->store_reason,
        .hit = outcome->hit && !outcome->forwarded, /* RFC 9211 2.1: what went forward is none */
        .fwd_status = outcome->origin_status,
        .stored = outcome->stored,
        .collapsed = outcome->collapsed,
        .key = shown == CONFIG_CACHE_STATUS_KEY ? exchange->key.text : (sk_str){0},
    };
    char *at = out;
    if (object && object->shared) {
        int64_t age = http_current_age(&object->freshness, io_loop_wall_s(exchange->worker->loop));
        status.has_ttl = outcome->hit || outcome->stored;
        status.ttl_s = object->freshness.lifetime_s - age;
        status.heuristic = status.has_ttl && object->freshness.heuristic;
        at = put(at, SK_STR("Age: "));
        at += sk_u64_to_text((uint64_t)SK_MAX(age, 0), at);
        at = put(at, SK_STR("\r\n"));
    }
    at = put_alternative(exchange, at);
    if (SK_UNLIKELY(exchange->traits & EDGE_TRAIT_NODE) && object) at = edge_node_word(exchange, object, at);
    if (shown == CONFIG_CACHE_STATUS_OFF) return (sk_str){out, (size_t)(at - out)};
    at = put(at, SK_STR("Cache-Status: "));
    at += http_cache_status_format(&status, at);
    at = put(at, SK_STR("\r\n"));
    return (sk_str){out, (size_t)(at - out)};
}

/* --- the kinds of answers --------------------------------------------------------------------------------- */

/* By the worker: after its answer an exchange without a fiber may be gone. */
static void drop(struct edge_worker *worker, struct cache_object *object, bool borrowed) {
    if (!borrowed) cache_object_unref(worker->cache, object);
}

/* As the 200 would be for this client. */
static sk_str not_modified_head(const struct edge_exchange *exchange, const struct cache_object *object) {
    struct http_fields fields = object->fields;
    uint8_t hash[HTTP_DICTIONARY_HASH_BYTES];
    bool coded = edge_coding_choose(exchange, object) != HTTP_CODING_IDENTITY ||
                 edge_dictionary_choose(exchange, object, hash) != HTTP_CODING_IDENTITY;
    if (coded && edge_coding_weaken(exchange->arena, &object->fields, &fields)) return (sk_str){0};
    return edge_not_modified_head(exchange->arena, &fields);
}

static void answer_not_modified(struct edge_exchange *exchange, struct cache_object *object, bool borrowed) {
    struct edge_worker *worker = exchange->worker;
    char extra[EDGE_EXTRA_BYTES];
    struct edge_response response = {
        .status = 304,
        .head = not_modified_head(exchange, object),
        .extra_head = edge_status_fields(exchange, object, extra),
        .head_only = true,
        .own_length = true,
    };
    if (response.head.data)
        exchange->ops->respond(exchange, &response);
    else
        edge_respond_error(exchange, 503, "out of memory");
    drop(worker, object, borrowed);
}

static void answer_unsatisfiable(struct edge_exchange *exchange, struct cache_object *object, bool borrowed,
                                 uint64_t length) {
    struct edge_worker *worker = exchange->worker;
    char extra[EDGE_EXTRA_BYTES];
    sk_str fields = edge_status_fields(exchange, object, extra);
    fields.len += (size_t)snprintf(extra + fields.len, sizeof extra - fields.len,
                                   "Content-Range: bytes */%llu\r\n", (unsigned long long)length);
    struct edge_response response = {.status = 416, .extra_head = fields, .body_length = 0};
    exchange->ops->respond(exchange, &response);
    drop(worker, object, borrowed);
}

/* A HEAD that was passed on as it is: the head has the origin's own Content-Length, if any. */
static bool asked_with_head(const struct edge_exchange *exchange) {
    return exchange->fetch && exchange->fetch->request.method == HTTP_METHOD_HEAD;
}

/* Trailers need chunks, also when the whole body has come meanwhile. */
static bool has_trailers(const struct edge_exchange *exchange) {
    return (exchange->traits & EDGE_TRAIT_TRAILERS) && exchange->fetch && exchange->fetch->trailers.count &&
           exchange->request.version >= HTTP_1_1;
}

/* RFC 9110 section 6.6.2: which trailers may come, for who takes them, where the framing has a place for them. */
static size_t announce_trailers(const struct edge_exchange *exchange, const struct edge_response *response,
                                char *at) {
    bool possible = (exchange->traits & EDGE_TRAIT_TRAILERS) && exchange->fetch &&
                    exchange->fetch->trailer_names.len && exchange->request.version >= HTTP_1_1;
    if (!possible || response->head_only || response->body_length != CACHE_LENGTH_UNKNOWN) return 0;
    char *end = put(put(put(at, SK_STR("Trailer: ")), exchange->fetch->trailer_names), SK_STR("\r\n"));
    return (size_t)(end - at);
}

static void answer_whole(struct edge_exchange *exchange, struct cache_object *object, bool borrowed) {
    char extra[EDGE_EXTRA_BYTES];
    enum http_method method = exchange->request.method;
    /* acquire: a length that came with the end is seen together with the bytes */
    uint64_t length = atomic_load_explicit(&object->body_length, memory_order_acquire);
    bool no_content = !http_response_has_body(method, object->status);
    bool never_content = !http_response_has_body(HTTP_METHOD_GET, object->status);
    exchange->part = (struct edge_part){.first = 0, .end = length};
    struct edge_response response = {
        .status = object->status,
        .head = object->head,
        .extra_head = edge_status_fields(exchange, object, extra),
        .body_length = has_trailers(exchange) ? CACHE_LENGTH_UNKNOWN : length,
        .head_only = no_content,
        .own_length = never_content || asked_with_head(exchange),
        .object = object,
        .borrowed = borrowed,
        .parts = &exchange->part,
        .part_count = 1,
    };
    response.extra_head.len += announce_trailers(exchange, &response, extra + response.extra_head.len);
    exchange->ops->respond(exchange, &response);
}

static void answer_one_range(struct edge_exchange *exchange, struct cache_object *object, bool borrowed,
                             const struct http_byte_range *range, uint64_t length) {
    char extra[EDGE_EXTRA_BYTES];
    sk_str fields = edge_status_fields(exchange, object, extra);
    fields.len += (size_t)snprintf(
        extra + fields.len, sizeof extra - fields.len, "Content-Range: bytes %llu-%llu/%llu\r\n",
        (unsigned long long)range->first, (unsigned long long)range->last, (unsigned long long)length);
    exchange->part = (struct edge_part){.first = range->first, .end = range->last + 1};
    struct edge_response response = {
        .status = 206,
        .head = object->head,
        .extra_head = fields,
        .body_length = range->last - range->first + 1,
        .object = object,
        .borrowed = borrowed,
        .parts = &exchange->part,
        .part_count = 1,
    };
    exchange->ops->respond(exchange, &response);
}

/* RFC 9110 section 14.6: each part names its type and its range. */
static sk_str part_text(struct sk_arena *arena, const struct cache_object *object,
                        const struct http_byte_range *range, const char *boundary, bool first) {
    sk_str type = http_fields_value(&object->fields, HTTP_FIELD_CONTENT_TYPE);
    return sk_arena_printf(
        arena, "%s--%s\r\n%s%.*s%sContent-Range: bytes %llu-%llu/%llu\r\n\r\n", first ? "" : "\r\n", boundary,
        type.len ? "Content-Type: " : "", SK_STR_ARGS(type), type.len ? "\r\n" : "",
        (unsigned long long)range->first, (unsigned long long)range->last,
        (unsigned long long)atomic_load_explicit(&object->body_length, memory_order_acquire));
}

struct edge_part *edge_multipart(struct sk_arena *arena, const struct cache_object *object,
                                 const struct http_range_answer *ranges, char boundary[EDGE_BOUNDARY_BYTES],
                                 uint64_t *out_bytes) {
    struct edge_part *parts = sk_arena_alloc(arena, (ranges->count + 1) * sizeof *parts);
    uint64_t bytes = 0;
    if (!parts) return NULL;
    snprintf(boundary, EDGE_BOUNDARY_BYTES, "skerry%016llx", (unsigned long long)sk_random_u64());
    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct http_byte_range *range = &ranges->ranges[i];
        sk_str text = part_text(arena, object, range, boundary, i == 0);
        if (!text.data) return NULL;
        parts[i] = (struct edge_part){.text = text, .first = range->first, .end = range->last + 1};
        bytes += text.len + (range->last - range->first + 1);
    }
    sk_str last = sk_arena_printf(arena, "\r\n--%s--\r\n", boundary);
    if (!last.data) return NULL;
    parts[ranges->count] = (struct edge_part){.text = last};
    *out_bytes = bytes + last.len;
    return parts;
}

static void answer_ranges(struct edge_exchange *exchange, struct cache_object *object, bool borrowed,
                          const struct http_range_answer *answer) {
    char extra[EDGE_EXTRA_BYTES], boundary[EDGE_BOUNDARY_BYTES];
    uint64_t bytes = 0;
    struct edge_part *parts = NULL;
    sk_str head = {0};
    if (edge_exchange_keep(exchange) == SK_OK) {
        parts = edge_multipart(exchange->arena, object, answer, boundary, &bytes);
        head = edge_head_without_type(exchange->arena, &object->fields);
    }
    if (!parts || !head.data) {
        drop(exchange->worker, object, borrowed);
        edge_respond_error(exchange, 503, "out of memory");
        return;
    }
    sk_str fields = edge_status_fields(exchange, object, extra);
    fields.len += (size_t)snprintf(extra + fields.len, sizeof extra - fields.len,
                                   "Content-Type: multipart/byteranges; boundary=%s\r\n", boundary);
    struct edge_response response = {
        .status = 206,
        .head = head,
        .extra_head = fields,
        .body_length = bytes,
        .object = object,
        .borrowed = borrowed,
        .parts = parts,
        .part_count = answer->count + 1,
    };
    exchange->ops->respond(exchange, &response);
}

/* --- which one -------------------------------------------------------------------------------------------- */

static enum http_precondition precondition(const struct edge_exchange *exchange,
                                           const struct cache_object *object) {
    return edge_precondition_on(object, &exchange->request, exchange->traits,
                                io_loop_wall_s(exchange->worker->loop));
}

bool edge_is_for_origin(const struct edge_exchange *exchange, const struct cache_object *object) {
    return precondition(exchange, object) == HTTP_PRECONDITION_FAILED;
}

static bool answer_range(struct edge_exchange *exchange, struct cache_object *object, bool borrowed) {
    uint64_t length = atomic_load_explicit(&object->body_length, memory_order_acquire);
    if (length == CACHE_LENGTH_UNKNOWN) return false;
    struct http_range_answer answer = http_range_evaluate(&exchange->request, &object->validators, length);
    if (answer.kind == HTTP_RANGE_WHOLE) return false;
    if (answer.kind == HTTP_RANGE_UNSATISFIABLE)
        answer_unsatisfiable(exchange, object, borrowed, length);
    else if (answer.count == 1)
        answer_one_range(exchange, object, borrowed, &answer.ranges[0], length);
    else
        answer_ranges(exchange, object, borrowed, &answer);
    return true;
}

struct http_range_answer edge_ranges_of(const struct edge_exchange *exchange,
                                        const struct cache_object *object) {
    uint64_t length = atomic_load_explicit(&object->body_length, memory_order_acquire);
    if (!(exchange->traits & EDGE_TRAIT_RANGE) || length == CACHE_LENGTH_UNKNOWN)
        return (struct http_range_answer){.kind = HTTP_RANGE_WHOLE};
    return http_range_evaluate(&exchange->request, &object->validators, length);
}

bool edge_answer_without_body(struct edge_exchange *exchange, struct cache_object *object, bool borrowed) {
    if (precondition(exchange, object) == HTTP_PRECONDITION_NOT_MODIFIED)
        answer_not_modified(exchange, object, borrowed);
    else if (exchange->request.method == HTTP_METHOD_HEAD)
        answer_whole(exchange, object, borrowed);
    else if (edge_ranges_of(exchange, object).kind == HTTP_RANGE_UNSATISFIABLE)
        answer_unsatisfiable(exchange, object, borrowed,
                             atomic_load_explicit(&object->body_length, memory_order_acquire));
    else
        return false;
    return true;
}

static bool answer(struct edge_exchange *exchange, struct cache_object *object, bool borrowed) {
    bool missing = false;
    if (exchange->client_gone) {
        drop(exchange->worker, object, borrowed);
        return true;
    }
    /* Conditions and ranges concern a 200 that we may answer for; what passes through is the origin's word. */
    bool ours = object->shared && object->status == 200;
    if (precondition(exchange, object) == HTTP_PRECONDITION_NOT_MODIFIED) {
        answer_not_modified(exchange, object, borrowed);
        return true;
    }
    if (ours && (exchange->traits & EDGE_TRAIT_RANGE) && exchange->request.method == HTTP_METHOD_GET &&
        answer_range(exchange, object, borrowed))
        return true;
    if (object->codable && edge_answer_coded(exchange, object, borrowed, &missing)) return true;
    if (missing) return false;
    answer_whole(exchange, object, borrowed);
    return true;
}

bool edge_answer_borrowed(struct edge_exchange *exchange, struct cache_object *object) {
    return answer(exchange, object, true);
}

void edge_answer_object(struct edge_exchange *exchange, struct cache_object *object) {
    (void)answer(exchange, object, false);
}
