#include "cache/vary.h"

#include <stdlib.h>

#define CODINGS_MAX 16

static int compare_names(const void *a, const void *b) {
    const sk_str *left = a, *right = b;
    return sk_str_compare(*left, *right);
}

/* ---- the list of names -------------------------------------------------------------------------------- */

struct name_list {
    sk_str names[CACHE_VARY_MAX_NAMES];
    size_t count, bytes;
};

static sk_err list_add(struct name_list *list, struct sk_arena *arena, sk_str name) {
    if (!http_token_valid(name) || sk_str_eq(name, SK_STR("*"))) return SK_ERR_MALFORMED;
    for (size_t i = 0; i < list->count; i++)
        if (sk_str_ieq(list->names[i], name)) return SK_OK;
    list->bytes += name.len + 1;
    if (list->count == CACHE_VARY_MAX_NAMES || list->bytes > CACHE_VARY_MAX_BYTES) return SK_ERR_TOO_LARGE;
    char *lower = sk_arena_alloc(arena, name.len);
    if (!lower) return SK_ERR_NO_MEMORY;
    sk_ascii_lower(lower, name.data, name.len);
    list->names[list->count++] = sk_str_make(lower, name.len);
    return SK_OK;
}

static sk_err list_add_all(struct name_list *list, struct sk_arena *arena, sk_str value) {
    sk_str name;
    sk_err err = SK_OK;
    while (!err && http_list_next(&value, &name)) err = list_add(list, arena, name);
    return err;
}

sk_err cache_vary_names(struct sk_arena *arena, sk_str a, sk_str b, sk_str *out_names) {
    struct name_list list = {0};
    sk_err err = list_add_all(&list, arena, a);
    if (!err) err = list_add_all(&list, arena, b);
    if (err) return err;
    qsort(list.names, list.count, sizeof list.names[0], compare_names);
    char *text = sk_arena_alloc(arena, list.bytes + 1), *next = text;
    if (!text) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < list.count; i++) {
        if (i > 0) *next++ = ',';
        memcpy(next, list.names[i].data, list.names[i].len);
        next += list.names[i].len;
    }
    *out_names = sk_str_make(text, (size_t)(next - text));
    return SK_OK;
}

/* ---- a request's values ------------------------------------------------------------------------------- */

static size_t value_bytes(const struct http_request *request, sk_str name) {
    size_t bytes = 0;
    const struct http_field *field = NULL;
    while (request && (field = http_fields_find_name(&request->fields, name, field)))
        bytes += field->value.len + 2;
    return bytes;
}

/* All lines joined by ", "; returns the end. */
static char *put_joined(char *next, const struct http_request *request, sk_str name) {
    const struct http_field *field = NULL;
    bool first = true;
    while ((field = http_fields_find_name(&request->fields, name, field))) {
        sk_str value = sk_str_trim(field->value);
        if (!first) *next++ = ',', *next++ = ' ';
        if (value.len) memcpy(next, value.data, value.len);
        next += value.len;
        first = false;
    }
    return next;
}

static bool weight_is_one(sk_str parameter) {
    if (!sk_str_starts_with(parameter, SK_STR("q=1"))) return false;
    for (size_t i = 3; i < parameter.len; i++)
        if (parameter.data[i] != '0' && parameter.data[i] != '.') return false;
    return true;
}

/* "GZIP ; Q=1.0" gives "gzip": in place, without white space, lower case, the default weight left out. */
static sk_str normal_coding(char *data, size_t len) {
    size_t kept = 0;
    for (size_t i = 0; i < len; i++)
        if (data[i] != ' ' && data[i] != '\t') data[kept++] = sk_ascii_lower_byte(data[i]);
    sk_str coding = sk_str_make(data, kept);
    size_t semicolon = sk_str_find_byte(coding, ';');
    if (weight_is_one(sk_str_slice(coding, semicolon + 1, kept))) coding.len = semicolon;
    return coding;
}

/* RFC 9110 12.5.3: the order of codings means nothing, so equal sets are made equal. Works on the joined
 * value in [start, end), which it may only shorten; an absurdly long list stays as it is. */
static char *normalise_codings(struct sk_arena *arena, char *start, char *end) {
    sk_str codings[CODINGS_MAX], rest = sk_str_make(start, (size_t)(end - start)), element;
    size_t count = 0;
    char *copy = sk_arena_alloc(arena, rest.len + 1);
    if (!copy) return end;
    memcpy(copy, start, rest.len);
    rest.data = copy;
    while (http_list_next(&rest, &element)) {
        if (count == CODINGS_MAX) return end;
        codings[count++] = normal_coding(copy + (element.data - copy), element.len);
    }
    qsort(codings, count, sizeof codings[0], compare_names);
    char *next = start;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) *next++ = ',';
        memcpy(next, codings[i].data, codings[i].len);
        next += codings[i].len;
    }
    return next;
}

/* "name=value" for a field that is there, "name" for one that is not. */
static char *put_field(struct sk_arena *arena, char *next, const struct http_request *request, sk_str name) {
    *next++ = '\n';
    memcpy(next, name.data, name.len);
    next += name.len;
    if (!request || !http_fields_find_name(&request->fields, name, NULL)) return next;
    *next++ = '=';
    char *value = next;
    next = put_joined(next, request, name);
    bool codings = sk_str_eq(name, SK_STR("accept-encoding"));
    return codings ? normalise_codings(arena, value, next) : next;
}

sk_err cache_key_append(struct sk_arena *arena, sk_str text, sk_str mark, sk_str names,
                        const struct http_request *request, struct cache_key *out_key) {
    sk_str rest = names, name;
    size_t most = text.len + 1 + mark.len + names.len + 1;
    while (sk_str_cut(&rest, ',', &name)) most += value_bytes(request, name) + 2;
    if (most > CACHE_KEY_MAX_BYTES) return SK_ERR_TOO_LARGE;
    char *data = sk_arena_alloc(arena, most);
    if (!data) return SK_ERR_NO_MEMORY;
    memcpy(data, text.data, text.len);
    char *next = data + text.len;
    *next++ = '\n';
    memcpy(next, mark.data, mark.len);
    next += mark.len;
    rest = names;
    while (sk_str_cut(&rest, ',', &name)) next = put_field(arena, next, request, name);
    out_key->text = sk_str_make(data, (size_t)(next - data));
    out_key->hash = sk_hash128_of(data, out_key->text.len);
    return SK_OK;
}

sk_err cache_vary_key(struct sk_arena *arena, const struct cache_key *primary, uint64_t list_number,
                      sk_str names, const struct http_request *request, struct cache_key *out_key) {
    char number[20];
    sk_str mark = sk_str_make(number, sk_u64_to_text(list_number, number));
    return cache_key_append(arena, primary->text, mark, names, request, out_key);
}
