#include "http/query.h"

#include <stdlib.h>

#include "base/glob.h"

/* The octet that an escape at I stands for, or -1. */
static int escaped_octet(sk_str text, size_t i) {
    if (text.data[i] != '%' || i + 2 >= text.len) return -1;
    int high = sk_hex_digit(text.data[i + 1]), low = sk_hex_digit(text.data[i + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

size_t http_form_decode(sk_str text, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        int octet = escaped_octet(text, i);
        if (octet >= 0) i += 2;
        out[n++] = octet >= 0 ? (char)octet : text.data[i] == '+' ? ' ' : text.data[i];
    }
    return n;
}

/* ---- parameters ------------------------------------------------------------------------------------------- */

struct parameter {
    sk_str text; /* whole, as written */
    sk_str name; /* decoded */
    size_t at;   /* place in the query, so that equal names keep their order */
};

static sk_err read_parameter(struct sk_arena *arena, sk_str text, size_t at, struct parameter *out) {
    sk_str name = sk_str_slice(text, 0, sk_str_find_byte(text, '='));
    char *decoded = sk_arena_alloc(arena, name.len + 1);
    if (!decoded) return SK_ERR_NO_MEMORY;
    *out = (struct parameter){text, sk_str_make(decoded, http_form_decode(name, decoded)), at};
    return SK_OK;
}

static bool listed(const sk_str *patterns, uint32_t count, sk_str name) {
    for (uint32_t i = 0; i < count; i++)
        if (sk_glob_match(patterns[i], name, SK_STR(""))) return true;
    return false;
}

static bool counts(const struct http_key_rules *rules, sk_str name) {
    if (rules->query_keep_count && !listed(rules->query_keep, rules->query_keep_count, name)) return false;
    return !listed(rules->query_drop, rules->query_drop_count, name);
}

static int by_name(const void *a, const void *b) {
    const struct parameter *x = a, *y = b;
    int order = sk_str_compare(x->name, y->name);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

static size_t count_parameters(sk_str query) {
    size_t count = 1;
    for (size_t i = 0; i < query.len; i++) count += query.data[i] == '&';
    return count;
}

/* The parameters that count. */
static sk_err choose(struct sk_arena *arena, sk_str query, const struct http_key_rules *rules,
                     struct parameter *out, size_t *out_count) {
    sk_str rest = query, text;
    size_t count = 0;
    for (size_t at = 0; sk_str_cut(&rest, '&', &text); at++) {
        sk_err err = read_parameter(arena, text, at, &out[count]);
        if (err) return err;
        count += counts(rules, out[count].name);
    }
    *out_count = count;
    return SK_OK;
}

static sk_err join(struct sk_arena *arena, const struct parameter *parameters, size_t count, size_t most,
                   sk_str *out_query) {
    char *text = sk_arena_alloc(arena, most + 1), *next = text;
    if (!text) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) *next++ = '&';
        memcpy(next, parameters[i].text.data, parameters[i].text.len);
        next += parameters[i].text.len;
    }
    *out_query = sk_str_make(text, (size_t)(next - text));
    return SK_OK;
}

sk_err http_query_normalise(struct sk_arena *arena, sk_str query, const struct http_key_rules *rules,
                            sk_str *out_query) {
    bool all =
        !rules || (rules->query == HTTP_QUERY_AS_IS && !rules->query_keep_count && !rules->query_drop_count);
    if (all || !query.data) {
        *out_query = query;
        return SK_OK;
    }
    if (rules->query == HTTP_QUERY_NONE) {
        *out_query = (sk_str){NULL, 0};
        return SK_OK;
    }
    size_t most = count_parameters(query), count = 0;
    struct parameter *parameters = sk_arena_alloc(arena, most * sizeof *parameters);
    if (!parameters) return SK_ERR_NO_MEMORY;
    sk_err err = choose(arena, query, rules, parameters, &count);
    if (err) return err;
    if (rules->query == HTTP_QUERY_SORTED && count <= HTTP_QUERY_SORTED_MAX)
        qsort(parameters, count, sizeof *parameters, by_name);
    *out_query = (sk_str){NULL, 0};
    return count ? join(arena, parameters, count, query.len, out_query) : SK_OK;
}
