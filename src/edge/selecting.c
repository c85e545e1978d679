#include "edge/selecting.h"

#include "http/accept.h"

/* All lines of a field become one with this value. */
static void set(struct http_fields *fields, enum http_field_id id, sk_str value) {
    uint32_t kept = 0;
    bool done = false;
    for (uint32_t i = 0; i < fields->count; i++) {
        struct http_field field = fields->items[i];
        if (field.id == id && done) continue;
        if (field.id == id) field.value = value;
        done = done || field.id == id;
        fields->items[kept++] = field;
    }
    fields->count = kept;
}

/* What is not a type of the site's may still be sent: the origin is asked for all kinds of things. */
static sk_err set_accept(struct sk_arena *arena, const struct config_vary *vary, struct http_fields *fields) {
    size_t best = http_media_type_choose(fields, vary->media_types, vary->media_type_count);
    sk_str value = SK_STR("*/*");
    if (best < vary->media_type_count)
        value = sk_arena_printf(arena, "%.*s, */*;q=0.1", SK_STR_ARGS(vary->media_types[best]));
    if (!value.data) return SK_ERR_NO_MEMORY;
    set(fields, HTTP_FIELD_ACCEPT, value);
    return SK_OK;
}

sk_err edge_selecting_fields(struct sk_arena *arena, const struct config_vary *vary,
                             const struct http_fields *fields, struct http_fields *out_fields) {
    struct http_field *items = sk_arena_alloc(arena, (fields->count + 1) * sizeof *items);
    struct http_fields own = {.items = items, .count = fields->count, .capacity = fields->count + 1};
    if (!items) return SK_ERR_NO_MEMORY;
    if (fields->count) memcpy(items, fields->items, fields->count * sizeof *items);
    if (vary->language_count)
        set(&own, HTTP_FIELD_ACCEPT_LANGUAGE,
            vary->languages[http_language_choose(fields, vary->languages, vary->language_count)]);
    if (vary->agent == CONFIG_AGENT_CLASSES)
        set(&own, HTTP_FIELD_USER_AGENT, http_agent_class_text(http_agent_class_of(fields)));
    sk_err err = vary->media_type_count ? set_accept(arena, vary, &own) : SK_OK;
    if (!err) *out_fields = own;
    return err;
}

const struct http_request *edge_selecting_of(struct sk_arena *arena, const struct config_site *site,
                                             const struct http_request *request) {
    if (SK_LIKELY(!site->vary.any)) return request;
    struct http_request *copy = sk_arena_alloc(arena, sizeof *copy);
    if (!copy) return request;
    *copy = *request;
    sk_err err = edge_selecting_fields(arena, &site->vary, &request->fields, &copy->fields);
    return err ? request : copy;
}

const struct http_request *edge_selecting(struct edge_exchange *exchange) {
    return edge_selecting_of(exchange->arena, exchange->site, &exchange->request);
}
