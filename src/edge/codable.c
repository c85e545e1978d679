#include "edge/codable.h"

#include "http/cache_control.h"

/* "text/html; charset=utf-8" without its parameters. */
static sk_str media_type_of(const struct http_fields *fields) {
    sk_str value = http_fields_value(fields, HTTP_FIELD_CONTENT_TYPE);
    return sk_str_trim(sk_str_slice(value, 0, sk_str_find_byte(value, ';')));
}

/* PATTERN is a type in full, "text/" and a star, or a star and "+json". */
static bool type_matches(sk_str type, sk_str pattern) {
    if (sk_str_ends_with(pattern, SK_STR("/*")))
        return sk_str_istarts_with(type, sk_str_slice(pattern, 0, pattern.len - 1));
    if (!sk_str_starts_with(pattern, SK_STR("*"))) return sk_str_ieq(type, pattern);
    sk_str suffix = sk_str_slice(pattern, 1, pattern.len);
    return type.len >= suffix.len && sk_str_ieq(sk_str_slice(type, type.len - suffix.len, type.len), suffix);
}

static bool type_is_listed(const struct config_compress *rules, sk_str type) {
    for (uint32_t i = 0; i < rules->type_count; i++)
        if (type_matches(type, rules->types[i])) return true;
    return false;
}

/* Fields that speak of the very bytes that were sent. */
static bool has_digest(const struct http_fields *fields) {
    static const sk_str names[] = {SK_STR_INIT("content-digest"), SK_STR_INIT("repr-digest"),
                                   SK_STR_INIT("digest"), SK_STR_INIT("content-md5")};
    for (size_t i = 0; i < SK_COUNT(names); i++)
        if (http_fields_find_name(fields, names[i], NULL)) return true;
    return false;
}

bool edge_codable(const struct config_compress *rules, uint16_t status, const struct http_fields *fields,
                  uint64_t body_length) {
    struct http_cache_control control;
    if (!rules->enabled || !rules->coding_count || status != 200) return false;
    if (body_length != CACHE_LENGTH_UNKNOWN &&
        (body_length < SK_MAX(rules->min_bytes, UINT64_C(1)) || body_length > rules->max_bytes))
        return false;
    sk_str type = media_type_of(fields);
    if (!type.len || !type_is_listed(rules, type)) return false;
    if (http_fields_find(fields, HTTP_FIELD_CONTENT_ENCODING)) return false;
    if (http_fields_find(fields, HTTP_FIELD_CONTENT_RANGE) || has_digest(fields)) return false;
    http_cache_control_parse(fields, HTTP_FIELD_CACHE_CONTROL, &control);
    return !control.no_transform;
}

static bool varies_by(const struct http_fields *fields, sk_str by) {
    const struct http_field *field = NULL;
    while ((field = http_fields_next(fields, HTTP_FIELD_VARY, field))) {
        sk_str rest = field->value, name;
        while (http_list_next(&rest, &name))
            if (sk_str_eq(name, SK_STR("*")) || sk_str_ieq(name, by)) return true;
    }
    return false;
}

static sk_err vary_by(struct sk_arena *arena, struct http_fields *fields, sk_str by) {
    if (varies_by(fields, by)) return SK_OK;
    for (uint32_t i = 0; i < fields->count; i++) {
        struct http_field *field = &fields->items[i];
        if (field->id != HTTP_FIELD_VARY || !field->value.len) continue;
        sk_str value = sk_arena_printf(arena, "%.*s, %.*s", SK_STR_ARGS(field->value), SK_STR_ARGS(by));
        if (!value.data) return SK_ERR_NO_MEMORY;
        field->value = value;
        return SK_OK;
    }
    return http_fields_add(fields, arena, SK_STR("Vary"), by);
}

sk_err edge_codable_vary(struct sk_arena *arena, struct http_fields *fields) {
    return vary_by(arena, fields, SK_STR("Accept-Encoding"));
}

sk_err edge_coded_vary(struct sk_arena *arena, struct http_fields *fields) {
    sk_str coding = http_fields_value(fields, HTTP_FIELD_CONTENT_ENCODING);
    bool coded = coding.len && !sk_str_ieq(coding, SK_STR("identity"));
    return coded ? edge_codable_vary(arena, fields) : SK_OK;
}

sk_err edge_codable_mark(struct sk_arena *arena, const struct config_compress *rules,
                         struct http_fields *fields, struct cache_head *head) {
    head->codable = edge_codable(rules, head->status, fields, head->body_length);
    if (!head->codable) return SK_OK;
    sk_err err = edge_codable_vary(arena, fields);
    if (!err && rules->dictionaries) err = vary_by(arena, fields, SK_STR("Available-Dictionary"));
    return err;
}
