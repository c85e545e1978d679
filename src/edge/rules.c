#include "edge/rules.h"

#include "cache/search.h"

static const struct config_rule *rule_for(const struct config_site *site, const struct http_request *request,
                                          sk_str method, struct sk_arena *arena) {
    sk_str path;
    if (SK_LIKELY(!site->rule_count)) return &site->base;
    if (http_path_normalise(arena, request->path, &path)) return &site->base;
    return config_rule_for(site, edge_host_of(request), path, method);
}

static bool is_read(const struct http_request *request) {
    return request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD ||
           request->method == HTTP_METHOD_PURGE || !request->method_text.len;
}

const struct config_rule *edge_rule_of(const struct config_site *site, const struct http_request *request,
                                       struct sk_arena *arena) {
    return rule_for(site, request, is_read(request) ? SK_STR("GET") : request->method_text, arena);
}

const struct config_rule *edge_key_rule_of(const struct config_site *site, const struct config_rule *rule,
                                           const struct http_request *request, struct sk_arena *arena) {
    return is_read(request) ? rule : rule_for(site, request, SK_STR("GET"), arena);
}

void edge_use_key_target(struct http_request *request, sk_str key_text) {
    sk_str target = cache_key_target(key_text);
    if (!target.len || cache_search_rule(key_text).len) return;
    size_t mark = sk_str_find_byte(target, '?');
    request->path = sk_str_slice(target, 0, mark);
    request->query = mark < target.len ? sk_str_slice(target, mark + 1, target.len) : (sk_str){NULL, 0};
}

sk_err edge_edit_fields(struct sk_arena *arena, const struct config_edits *edits,
                        struct http_fields *fields) {
    sk_err err = SK_OK;
    for (uint32_t i = 0; i < edits->strip_count; i++) http_fields_remove_name(fields, edits->strip[i]);
    for (uint32_t i = 0; i < edits->add_count && !err; i++)
        err = http_fields_add(fields, arena, edits->add[i].name, edits->add[i].value);
    return err;
}

sk_err edge_edit_response(struct sk_arena *arena, const struct config_rule *rule,
                          const struct http_response *response, const struct http_response **out_response) {
    const struct config_edits *edits = &rule->response;
    *out_response = response;
    if (!edits->strip_count && !edits->add_count) return SK_OK;
    uint32_t room = response->fields.count + edits->add_count + 1;
    struct http_response *copy = sk_arena_alloc(arena, sizeof *copy);
    struct http_field *items = sk_arena_alloc(arena, room * sizeof *items);
    if (!copy || !items) return SK_ERR_NO_MEMORY;
    *copy = *response;
    if (copy->fields.count) memcpy(items, copy->fields.items, copy->fields.count * sizeof *items);
    copy->fields.items = items;
    copy->fields.capacity = room;
    sk_err err = edge_edit_fields(arena, edits, &copy->fields);
    if (!err) *out_response = copy;
    return err;
}
