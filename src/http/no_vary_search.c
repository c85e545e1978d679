#include "http/no_vary_search.h"

#include <stdlib.h>

#include "http/query.h"
#include "http/structured.h"

/* ---- normal form of a name or value ------------------------------------------------------------------------ */

static bool unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* Decoded as a form's, then every octet but the plainest escaped. OUT has room for 3 * text.len bytes. */
static sk_err normal_text(struct sk_arena *arena, sk_str text, sk_str *out) {
    static const char digits[] = "0123456789ABCDEF";
    char *decoded = sk_arena_alloc(arena, text.len + 1), *encoded = sk_arena_alloc(arena, 3 * text.len + 1);
    if (!decoded || !encoded) return SK_ERR_NO_MEMORY;
    size_t len = http_form_decode(text, decoded), n = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)decoded[i];
        if (unreserved(decoded[i])) {
            encoded[n++] = decoded[i];
            continue;
        }
        encoded[n++] = '%';
        encoded[n++] = digits[c >> 4];
        encoded[n++] = digits[c & 15];
    }
    *out = sk_str_make(encoded, n);
    return SK_OK;
}

/* ---- the field ---------------------------------------------------------------------------------------------- */

struct variance {
    bool order, all; /* as in the rule */
    sk_str names[HTTP_NO_VARY_SEARCH_MAX_NAMES];
    size_t count, bytes;
};

static int compare_texts(const void *a, const void *b) {
    return sk_str_compare(*(const sk_str *)a, *(const sk_str *)b);
}

/* False: not a list of strings, or too long. */
static sk_err read_names(struct sk_arena *arena, const struct http_sf_value *list, struct variance *variance,
                         bool *out_good) {
    *out_good = list->type == HTTP_SF_INNER_LIST && list->member_count <= HTTP_NO_VARY_SEARCH_MAX_NAMES;
    for (uint32_t i = 0; *out_good && i < list->member_count; i++) {
        const struct http_sf_value *item = &list->members[i].value;
        *out_good = item->type == HTTP_SF_STRING;
        if (!*out_good) return SK_OK;
        sk_err err = normal_text(arena, item->text, &variance->names[variance->count]);
        if (err) return err;
        variance->bytes += variance->names[variance->count++].len + 1;
    }
    *out_good = *out_good && variance->bytes + 2 <= HTTP_NO_VARY_SEARCH_MAX_BYTES;
    return SK_OK;
}

/* Section 4.1. */
static sk_err read_members(struct sk_arena *arena, const struct http_sf_member *members, uint32_t count,
                           struct variance *variance, bool *out_good) {
    const struct http_sf_member *order = http_sf_find(members, count, SK_STR("key-order"));
    const struct http_sf_member *params = http_sf_find(members, count, SK_STR("params"));
    const struct http_sf_member *except = http_sf_find(members, count, SK_STR("except"));
    bool is_flag = params && params->value.type == HTTP_SF_BOOLEAN;
    *out_good = !order || order->value.type == HTTP_SF_BOOLEAN;
    if (!*out_good) return SK_OK;
    variance->order = order && order->value.number;
    variance->all = is_flag && params->value.number;
    if (params && !is_flag) {
        sk_err err = read_names(arena, &params->value, variance, out_good);
        if (err || !*out_good) return err;
    }
    if (!except) return SK_OK;
    *out_good = variance->all;
    return *out_good ? read_names(arena, &except->value, variance, out_good) : SK_OK;
}

static sk_err write_rule(struct sk_arena *arena, struct variance *variance, sk_str *out_rule) {
    *out_rule = SK_STR("");
    if (!variance->order && !variance->all && !variance->count) return SK_OK;
    char *text = sk_arena_alloc(arena, variance->bytes + 2), *next = text;
    if (!text) return SK_ERR_NO_MEMORY;
    qsort(variance->names, variance->count, sizeof variance->names[0], compare_texts);
    *next++ = variance->order ? 'o' : '-';
    *next++ = variance->all ? 'a' : '-';
    for (size_t i = 0; i < variance->count; i++) {
        if (i > 0 && sk_str_eq(variance->names[i], variance->names[i - 1])) continue;
        *next++ = '&';
        memcpy(next, variance->names[i].data, variance->names[i].len);
        next += variance->names[i].len;
    }
    *out_rule = sk_str_make(text, (size_t)(next - text));
    return SK_OK;
}

sk_err http_no_vary_search_rule(struct sk_arena *arena, const struct http_fields *fields, sk_str *out_rule) {
    struct http_sf_member *members;
    uint32_t count;
    struct variance variance = {0};
    bool good;
    *out_rule = SK_STR("");
    if (!http_fields_find(fields, HTTP_FIELD_NO_VARY_SEARCH)) return SK_OK;
    sk_str text = http_fields_joined(fields, HTTP_FIELD_NO_VARY_SEARCH, arena);
    if (!text.data) return SK_ERR_NO_MEMORY;
    sk_err err = http_sf_parse_dictionary(arena, text, &members, &count);
    if (err) return err == SK_ERR_NO_MEMORY ? err : SK_OK;
    err = read_members(arena, members, count, &variance, &good);
    if (err || !good) return err;
    return write_rule(arena, &variance, out_rule);
}

/* ---- a query under a rule ----------------------------------------------------------------------------------- */

struct parameter {
    sk_str name, value; /* in normal form */
    size_t at;
};

static bool named(sk_str rule, sk_str name) {
    sk_str rest = sk_str_slice(rule, 3, rule.len), one;
    if (rule.len <= 2) return false;
    while (sk_str_cut(&rest, '&', &one))
        if (sk_str_eq(one, name)) return true;
    return false;
}

static int by_name(const void *a, const void *b) {
    const struct parameter *x = a, *y = b;
    int order = sk_str_compare(x->name, y->name);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

static sk_err read_parameter(struct sk_arena *arena, sk_str text, struct parameter *out) {
    size_t equals = sk_str_find_byte(text, '=');
    sk_err err = normal_text(arena, sk_str_slice(text, 0, equals), &out->name);
    return err ? err : normal_text(arena, sk_str_slice(text, equals + 1, text.len), &out->value);
}

static sk_err read_parameters(struct sk_arena *arena, sk_str rule, sk_str query, struct parameter *out,
                              size_t *out_count) {
    bool all = rule.data[1] == 'a';
    size_t count = 0;
    sk_str text;
    while (sk_str_cut(&query, '&', &text)) {
        if (!text.len) continue;
        sk_err err = read_parameter(arena, text, &out[count]);
        if (err) return err;
        out[count].at = count;
        count += named(rule, out[count].name) == all;
    }
    *out_count = count;
    return SK_OK;
}

static sk_err join(struct sk_arena *arena, const struct parameter *parameters, size_t count,
                   sk_str *out_query) {
    size_t bytes = 1;
    for (size_t i = 0; i < count; i++) bytes += parameters[i].name.len + parameters[i].value.len + 2;
    char *text = sk_arena_alloc(arena, bytes), *next = text;
    if (!text) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) *next++ = '&';
        memcpy(next, parameters[i].name.data, parameters[i].name.len);
        next += parameters[i].name.len;
        *next++ = '=';
        memcpy(next, parameters[i].value.data, parameters[i].value.len);
        next += parameters[i].value.len;
    }
    *out_query = sk_str_make(text, (size_t)(next - text));
    return SK_OK;
}

sk_err http_no_vary_search_query(struct sk_arena *arena, sk_str rule, sk_str query, sk_str *out_query) {
    size_t most = 1, count;
    SK_ASSERT(rule.len >= 2);
    for (size_t i = 0; i < query.len; i++) most += query.data[i] == '&';
    struct parameter *parameters = sk_arena_alloc(arena, most * sizeof *parameters);
    if (!parameters) return SK_ERR_NO_MEMORY;
    sk_err err = read_parameters(arena, rule, query, parameters, &count);
    if (err) return err;
    if (rule.data[0] == 'o') qsort(parameters, count, sizeof *parameters, by_name);
    return join(arena, parameters, count, out_query);
}
