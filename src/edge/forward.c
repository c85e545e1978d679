#include "edge/forward.h"

#include "edge/fetch_peer.h"
#include "edge/rules.h"
#include "edge/slices_private.h"
#include "edge/worker.h"
#include "http/accept.h"
#include "http/forward.h"

/* Edges of our name in a row, none of them this process: more are taken for a loop. */
#define LOOP_LIMIT 8

bool edge_is_trusted(const struct config *config, const struct io_addr *client) {
    for (uint32_t i = 0; i < config->trusted_proxy_count; i++)
        if (io_prefix_match(&config->trusted_proxies[i], client)) return true;
    return false;
}

bool edge_is_loop(const struct edge_exchange *exchange) {
    const struct http_fields *fields = &exchange->request.fields;
    if (!(exchange->traits & EDGE_TRAIT_MAYBE_LOOP)) return false;
    const struct http_field *field = NULL;
    while ((field = http_fields_next(fields, HTTP_FIELD_CDN_LOOP, field)) != NULL)
        if (sk_str_find(field->value, exchange->worker->loop_mark) < field->value.len) return true;
    return http_forward_loop_count(fields, exchange->snapshot->config->server_name) > LOOP_LIMIT;
}

/* Our member of CDN-Loop gets a parameter that no other process has: edges of one name may be in a row, but
 * what comes back to the very same one is a loop at once. */
static sk_err mark_loop(struct edge_fetch *fetch, struct http_fields *fields) {
    struct http_field *last = NULL;
    for (uint32_t i = 0; i < fields->count; i++)
        if (fields->items[i].id == HTTP_FIELD_CDN_LOOP) last = &fields->items[i];
    if (!last) return SK_OK;
    last->value = sk_arena_printf(&fetch->arena, "%.*s; %.*s", SK_STR_ARGS(last->value),
                                  SK_STR_ARGS(fetch->worker->loop_mark));
    return last->value.data ? SK_OK : SK_ERR_NO_MEMORY;
}

static sk_err own_fields(struct edge_fetch *fetch, struct http_fields *out) {
    const struct http_fields *from = &fetch->client_request.fields;
    uint32_t room = from->count + 12;
    struct http_field *items = sk_arena_alloc(&fetch->arena, room * sizeof *items);
    if (!items) return SK_ERR_NO_MEMORY;
    if (from->count) memcpy(items, from->items, from->count * sizeof *items);
    *out = (struct http_fields){.items = items, .count = from->count, .capacity = room};
    return SK_OK;
}

/* The store wants the whole of the present representation; each client's own conditions and range are
 * answered from what is stored. */
static void unconditional(struct http_request *request) {
    static const enum http_field_id ids[] = {
        HTTP_FIELD_RANGE,         HTTP_FIELD_IF_RANGE,          HTTP_FIELD_IF_MATCH,
        HTTP_FIELD_IF_NONE_MATCH, HTTP_FIELD_IF_MODIFIED_SINCE, HTTP_FIELD_IF_UNMODIFIED_SINCE};
    for (size_t i = 0; i < SK_COUNT(ids); i++) http_fields_remove(&request->fields, ids[i]);
    request->method = HTTP_METHOD_GET;
    request->method_text = SK_STR("GET");
}

/* The origin is asked with what the variant's key is made of, and nothing more: else two requests of one key
 * could get different responses. */
static sk_err normal_codings(struct sk_arena *arena, struct http_fields *fields) {
    struct http_accept_encoding accept;
    char text[HTTP_ACCEPT_ENCODING_TEXT_MAX];
    http_accept_encoding_parse(fields, &accept);
    if (!accept.present) return SK_OK;
    sk_str normal = sk_arena_copy(arena, (sk_str){text, http_accept_encoding_normal(&accept, text)});
    if (!normal.data) return SK_ERR_NO_MEMORY;
    http_fields_remove(fields, HTTP_FIELD_ACCEPT_ENCODING);
    return http_fields_add_id(fields, arena, HTTP_FIELD_ACCEPT_ENCODING, normal);
}

static sk_err add_validators(struct edge_fetch *fetch, struct http_fields *fields) {
    const struct cache_object *stale = cache_fill_stale(fetch->fill);
    sk_str etag = http_fields_value(&stale->fields, HTTP_FIELD_ETAG);
    sk_str modified = http_fields_value(&stale->fields, HTTP_FIELD_LAST_MODIFIED);
    sk_err err = SK_OK;
    if (etag.data) err = http_fields_add_id(fields, &fetch->arena, HTTP_FIELD_IF_NONE_MATCH, etag);
    if (!err && modified.data)
        err = http_fields_add_id(fields, &fetch->arena, HTTP_FIELD_IF_MODIFIED_SINCE, modified);
    return err;
}

/* The target of what the key was made of (edge_use_key_target); of a request that passes, as it came. */
static sk_err set_target(struct sk_arena *arena, struct http_request *request) {
    if (!request->path.len || request->path.data[0] != '/') return SK_OK;
    request->target = sk_arena_printf(arena, request->query.data ? "%.*s?%.*s" : "%.*s",
                                      SK_STR_ARGS(request->path), SK_STR_ARGS(request->query));
    return request->target.data ? SK_OK : SK_ERR_NO_MEMORY;
}

/* Fields that the rule sets take the place of the client's. */
static sk_err edit(struct edge_fetch *fetch, struct http_fields *fields) {
    const struct config_edits *edits = &fetch->rule->request;
    for (uint32_t i = 0; i < edits->add_count; i++) http_fields_remove_name(fields, edits->add[i].name);
    return edge_edit_fields(&fetch->arena, edits, fields);
}

sk_err edge_forward_request(struct edge_fetch *fetch) {
    struct http_request *request = &fetch->request;
    *request = fetch->client_request;
    sk_err err = own_fields(fetch, &request->fields);
    if (err) return err;
    http_forward_strip_hop_by_hop(&request->fields);
    http_fields_remove(&request->fields, HTTP_FIELD_EXPECT);
    http_fields_remove(&request->fields, HTTP_FIELD_SKERRY_PEER);
    if (!fetch->pass) {
        unconditional(request);
        err = normal_codings(&fetch->arena, &request->fields);
        if (err) return err;
    }
    if (fetch->wish.wanted) err = edge_part_ask(fetch, &request->fields);
    if (err) return err;
    if (!fetch->has_body && request->body_kind != HTTP_BODY_NONE) request->body_kind = HTTP_BODY_NONE;
    request->version = HTTP_1_1;
    request->keep_alive = true;
    request->expect_continue = false;
    if (!fetch->pass) request->upgrade = (sk_str){0};
    struct http_forward_context context = {
        .client_ip = fetch->client_ip,
        .client_trusted = fetch->client_trusted,
        .scheme = fetch->client_request.scheme,
        .host = fetch->client_request.authority,
        .pseudonym = fetch->snapshot->config->server_name,
        .received_version = fetch->client_request.version,
        .override_means_nothing = fetch->client_request.method == HTTP_METHOD_GET ||
                                  fetch->client_request.method == HTTP_METHOD_HEAD,
    };
    err = set_target(&fetch->arena, request);
    if (!err) err = http_forward_request_fields(&request->fields, &fetch->arena, &context);
    if (!err && !fetch->step) err = edit(fetch, &request->fields); /* the owner does, as it asks the origin */
    if (!err && fetch->step) err = edge_fetch_add_ask(fetch, &request->fields);
    if (!err) err = mark_loop(fetch, &request->fields);
    if (!err && request->method == HTTP_METHOD_OPTIONS)
        err = http_forward_count_down(&request->fields, &fetch->arena);
    if (!err && fetch->conditional) err = add_validators(fetch, &request->fields);
    if (!err && fetch->resuming) err = edge_fetch_add_range(fetch, &request->fields);
    return err;
}
