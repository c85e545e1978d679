#include "http/dictionary.h"

#include "http/structured.h"

bool http_dictionary_is_one(struct sk_arena *arena, const struct http_fields *fields) {
    struct http_sf_member *members;
    uint32_t count;
    if (!http_fields_find(fields, HTTP_FIELD_USE_AS_DICTIONARY)) return false;
    sk_str text = http_fields_joined(fields, HTTP_FIELD_USE_AS_DICTIONARY, arena);
    if (!text.data || http_sf_parse_dictionary(arena, text, &members, &count)) return false;
    const struct http_sf_member *match = http_sf_find(members, count, SK_STR("match")),
                                *type = http_sf_find(members, count, SK_STR("type"));
    if (!match || match->value.type != HTTP_SF_STRING || !match->value.text.len) return false;
    return !type || (type->value.type == HTTP_SF_TOKEN && sk_str_eq(type->value.text, SK_STR("raw")));
}

bool http_dictionary_available(struct sk_arena *arena, const struct http_fields *fields,
                               uint8_t out_hash[HTTP_DICTIONARY_HASH_BYTES]) {
    struct http_sf_member item;
    if (!http_fields_find(fields, HTTP_FIELD_AVAILABLE_DICTIONARY)) return false;
    sk_str text = http_fields_joined(fields, HTTP_FIELD_AVAILABLE_DICTIONARY, arena);
    if (!text.data || http_sf_parse_item(arena, text, &item)) return false;
    if (item.value.type != HTTP_SF_BYTES || item.value.text.len != HTTP_DICTIONARY_HASH_BYTES) return false;
    memcpy(out_hash, item.value.text.data, HTTP_DICTIONARY_HASH_BYTES);
    return true;
}

static sk_str value_of(const struct http_fields *fields, sk_str name) {
    const struct http_field *field = http_fields_find_name(fields, name, NULL);
    return field ? sk_str_trim(field->value) : (sk_str){0};
}

/* Step 5 of the algorithm: a request with CORS, whose answer the page may read. */
static bool readable_by_cors(const struct http_request *request, const struct http_fields *fields) {
    sk_str allowed = value_of(fields, SK_STR("access-control-allow-origin"));
    sk_str origin = sk_str_trim(http_fields_value(&request->fields, HTTP_FIELD_ORIGIN));
    if (!allowed.len || !origin.len) return false;
    return sk_str_eq(allowed, SK_STR("*")) || sk_str_eq(allowed, origin);
}

bool http_dictionary_allowed(const struct http_request *request, const struct http_fields *fields) {
    sk_str site = value_of(&request->fields, SK_STR("sec-fetch-site")),
           mode = value_of(&request->fields, SK_STR("sec-fetch-mode"));
    if (!sk_str_ieq(request->scheme, SK_STR("https"))) return false;
    if (!site.data || sk_str_eq(site, SK_STR("same-origin"))) return true;
    if (!mode.data || sk_str_eq(mode, SK_STR("navigate")) || sk_str_eq(mode, SK_STR("same-origin")))
        return true;
    return sk_str_eq(mode, SK_STR("cors")) && readable_by_cors(request, fields);
}
