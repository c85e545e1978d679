#include "http/early_hints.h"

/* ---- the grammar of Link, RFC 8288 section 3 --------------------------------------------------------- */

static size_t skip_space(sk_str s, size_t at) {
    while (at < s.len && (s.data[at] == ' ' || s.data[at] == '\t')) at++;
    return at;
}

static size_t skip_token(sk_str s, size_t at) {
    while (at < s.len && http_token_valid(sk_str_make(&s.data[at], 1))) at++;
    return at;
}

/* Behind the closing quote, or s.len + 1 when there is none. */
static size_t skip_quoted(sk_str s, size_t at) {
    for (at++; at < s.len; at++) {
        if (s.data[at] == '\\')
            at++;
        else if (s.data[at] == '"')
            return at + 1;
    }
    return s.len + 1;
}

/* A relation type among those of VALUE, which stand apart by spaces. */
static bool names_hint(sk_str value) {
    static const sk_str hints[] = {SK_STR_INIT("preload"), SK_STR_INIT("preconnect"),
                                   SK_STR_INIT("modulepreload")};
    sk_str word;
    while (value.len && sk_str_cut(&value, ' ', &word))
        for (size_t i = 0; i < SK_COUNT(hints); i++)
            if (sk_str_ieq(word, hints[i])) return true;
    return false;
}

/* One ";" parameter from AT on: behind it, or s.len + 1 when it is malformed. The first rel counts (section 3.3). */
static size_t read_parameter(sk_str s, size_t at, bool *seen_rel, bool *out_hint) {
    size_t name = skip_space(s, at), end = skip_token(s, name);
    sk_str key = sk_str_slice(s, name, end), value = {0};
    at = skip_space(s, end);
    if (at < s.len && s.data[at] == '=') {
        size_t from = skip_space(s, at + 1);
        bool quoted = from < s.len && s.data[from] == '"';
        at = quoted ? skip_quoted(s, from) : skip_token(s, from);
        if (at > s.len) return at;
        value = quoted ? sk_str_slice(s, from + 1, at - 1) : sk_str_slice(s, from, at);
    }
    if (sk_str_ieq(key, SK_STR("rel")) && !*seen_rel) {
        *seen_rel = true;
        *out_hint = names_hint(value);
    }
    return skip_space(s, at);
}

bool http_link_next(sk_str *rest, sk_str *out_link, bool *out_hint) {
    sk_str s = *rest;
    size_t start = 0, at;
    bool seen_rel = false, hint = false;
    *rest = (sk_str){0};
    while (start < s.len && (s.data[start] == ',' || s.data[start] == ' ' || s.data[start] == '\t')) start++;
    if (start == s.len || s.data[start] != '<') return false;
    size_t close = start + sk_str_find_byte(sk_str_slice(s, start, s.len), '>');
    if (close == s.len) return false;
    at = skip_space(s, close + 1);
    while (at < s.len && s.data[at] == ';') at = read_parameter(s, at + 1, &seen_rel, &hint);
    if (at > s.len || (at < s.len && s.data[at] != ',')) return false;
    *out_link = sk_str_trim(sk_str_slice(s, start, at));
    *out_hint = hint;
    *rest = sk_str_slice(s, at, s.len);
    return true;
}

/* ---- what is told ------------------------------------------------------------------------------------ */

sk_err http_early_hints(struct sk_arena *arena, const struct http_fields *fields,
                        struct http_fields *out_hints) {
    struct http_fields hints = {0};
    size_t bytes = 0;
    for (const struct http_field *f = NULL; (f = http_fields_next(fields, HTTP_FIELD_LINK, f));) {
        sk_str rest = f->value, link;
        bool hint;
        while (hints.count < HTTP_EARLY_HINTS_MAX && http_link_next(&rest, &link, &hint)) {
            if (!hint || bytes + link.len > HTTP_EARLY_HINTS_MAX_BYTES) continue;
            bytes += link.len;
            sk_err err = http_fields_add_id(&hints, arena, HTTP_FIELD_LINK, link);
            if (err) return err;
        }
    }
    *out_hints = hints;
    return SK_OK;
}

bool http_early_hints_wanted(enum http_early_hints_mode mode, const struct http_request *request) {
    if (mode == HTTP_EARLY_HINTS_OFF || request->version < HTTP_1_1) return false;
    if (mode == HTTP_EARLY_HINTS_ALWAYS || request->version >= HTTP_2) return true;
    const struct http_field *fetch_mode =
        http_fields_find_name(&request->fields, SK_STR("sec-fetch-mode"), NULL);
    return fetch_mode && sk_str_eq(fetch_mode->value, SK_STR("navigate"));
}
