#include "cache/vary.h"

#include <stdlib.h>

#include "http/accept.h"

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

/* RFC 9110 12.5.3: what is acceptable counts, neither order nor weights nor codings that nobody here knows. The
 * fetch asks the origin with the same text. */
static char *put_codings(char *next, const struct http_request *request) {
    struct http_accept_encoding accept;
    http_accept_encoding_parse(&request->fields, &accept);
    return next + http_accept_encoding_normal(&accept, next);
}

/* "name=value" for a field that is there, "name" for one that is not. */
static char *put_field(char *next, const struct http_request *request, sk_str name) {
    *next++ = '\n';
    memcpy(next, name.data, name.len);
    next += name.len;
    if (!request || !http_fields_find_name(&request->fields, name, NULL)) return next;
    *next++ = '=';
    bool codings = sk_str_eq(name, SK_STR("accept-encoding"));
    return codings ? put_codings(next, request) : put_joined(next, request, name);
}

sk_err cache_key_append(struct sk_arena *arena, sk_str text, sk_str mark, sk_str names,
                        const struct http_request *request, struct cache_key *out_key) {
    sk_str rest = names, name;
    size_t most = text.len + 1 + mark.len + names.len + 1 + HTTP_ACCEPT_ENCODING_TEXT_MAX;
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
    while (sk_str_cut(&rest, ',', &name)) next = put_field(next, request, name);
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
