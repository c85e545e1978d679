#include "cache/key.h"

#include "cache/vary.h"
#include "http/uri.h"

/* Writes into a buffer that was measured before. */
struct text {
    char *next;
};

static void put(struct text *text, sk_str s) {
    if (s.data) memcpy(text->next, s.data, s.len);
    text->next += s.len;
}

static uint16_t default_port(sk_str scheme) { return sk_str_ieq(scheme, SK_STR("https")) ? 443 : 80; }

/* The host as it stands in a key: lower case, the port only where it is not the scheme's. */
static void put_host(struct text *text, sk_str host, uint16_t port, sk_str scheme) {
    sk_ascii_lower(text->next, host.data, host.len);
    text->next += host.len;
    if (port == 0 || port == default_port(scheme)) return;
    put(text, SK_STR(":"));
    text->next += sk_u64_to_text(port, text->next);
}

static sk_err normal_path(struct sk_arena *arena, const struct http_request *request, sk_str *out_path) {
    if (sk_str_eq(request->path, SK_STR("*"))) {
        *out_path = request->path;
        return SK_OK;
    }
    return http_path_normalise(arena, request->path, out_path);
}

/* The part that the URL gives. */
static sk_err make_url_part(struct sk_arena *arena, sk_str site, const struct http_key_rules *rules,
                            const struct http_request *request, sk_str *out_text) {
    sk_str host = {0}, path = {0}, query = {0};
    uint16_t port = 0;
    sk_err err = http_request_host(request, &host, &port);
    if (!err) err = normal_path(arena, request, &path);
    if (!err) err = http_query_normalise(arena, request->query, rules, &query);
    if (err) return err;
    size_t most = site.len + host.len + path.len + query.len + 32;
    if (most > CACHE_KEY_MAX_BYTES) return SK_ERR_TOO_LARGE;
    char *data = sk_arena_alloc(arena, most);
    if (!data) return SK_ERR_NO_MEMORY;
    struct text text = {data};
    put(&text, site);
    put(&text, SK_STR("|"));
    put_host(&text, host, port, request->scheme);
    put(&text, SK_STR("|"));
    put(&text, path);
    if (query.data) put(&text, SK_STR("?"));
    put(&text, query);
    *out_text = sk_str_make(data, (size_t)(text.next - data));
    return SK_OK;
}

/* ---- what rules add --------------------------------------------------------------------------------------- */

/* Every value of the cookie, in order: of several with one name some servers take the first, some the last. */
static size_t put_cookie(const struct http_fields *fields, sk_str name, struct text *text) {
    size_t bytes = 0;
    for (const struct http_field *f = NULL; (f = http_fields_next(fields, HTTP_FIELD_COOKIE, f));) {
        sk_str rest = f->value, pair;
        while (sk_str_cut(&rest, ';', &pair)) {
            pair = sk_str_trim(pair);
            size_t equals = sk_str_find_byte(pair, '=');
            if (!sk_str_eq(sk_str_trim(sk_str_slice(pair, 0, equals)), name)) continue;
            sk_str value = sk_str_slice(pair, equals, pair.len);
            bytes += value.len + 1;
            if (text) put(text, SK_STR(";")), put(text, value);
        }
    }
    return bytes;
}

/* "@", the scheme if it counts, and a line for each cookie: what comes before the lines of fields. */
static sk_err make_mark(struct sk_arena *arena, const struct http_key_rules *rules,
                        const struct http_request *request, sk_str *out_mark) {
    size_t most = 1 + request->scheme.len;
    for (uint32_t i = 0; i < rules->cookie_count; i++)
        most += 2 + rules->cookies[i].len + put_cookie(&request->fields, rules->cookies[i], NULL);
    if (most > CACHE_KEY_MAX_BYTES) return SK_ERR_FULL;
    char *data = sk_arena_alloc(arena, most);
    if (!data) return SK_ERR_NO_MEMORY;
    struct text text = {data};
    put(&text, SK_STR("@"));
    if (rules->scheme) {
        sk_ascii_lower(text.next, request->scheme.data, request->scheme.len);
        text.next += request->scheme.len;
    }
    for (uint32_t i = 0; i < rules->cookie_count; i++) {
        put(&text, SK_STR("\n;"));
        put(&text, rules->cookies[i]);
        put_cookie(&request->fields, rules->cookies[i], &text);
    }
    *out_mark = sk_str_make(data, (size_t)(text.next - data));
    return SK_OK;
}

static sk_err add_fields(struct sk_arena *arena, sk_str url_part, const struct http_key_rules *rules,
                         const struct http_request *request, struct cache_key *out_key) {
    sk_str mark;
    sk_err err = make_mark(arena, rules, request, &mark);
    if (!err) err = cache_key_append(arena, url_part, mark, rules->headers, request, out_key);
    return err == SK_ERR_TOO_LARGE ? SK_ERR_FULL : err;
}

sk_err cache_key_make(struct sk_arena *arena, sk_str site, const struct http_key_rules *rules,
                      const struct http_request *request, struct cache_key *out_key) {
    sk_str text;
    sk_err err = make_url_part(arena, site, rules, request, &text);
    if (err) return err;
    if (rules && (rules->scheme || rules->headers.len || rules->cookie_count))
        return add_fields(arena, text, rules, request, out_key);
    *out_key = (struct cache_key){sk_hash128_of(text.data, text.len), text};
    return SK_OK;
}

sk_str cache_key_target(sk_str text) {
    sk_str url = cache_key_primary(text);
    size_t site = sk_str_find_byte(url, '|');
    sk_str rest = sk_str_slice(url, site + 1, url.len);
    return sk_str_slice(rest, sk_str_find_byte(rest, '|') + 1, rest.len);
}

sk_str cache_key_host(sk_str text) {
    sk_str rest = sk_str_slice(text, sk_str_find_byte(text, '|') + 1, text.len);
    return sk_str_slice(rest, 0, sk_str_find_byte(rest, '|'));
}

sk_err cache_key_vary(struct sk_arena *arena, const struct cache_key *primary, sk_str vary,
                      const struct http_request *request, struct cache_key *out_key) {
    sk_str names;
    sk_err err = cache_vary_names(arena, vary, (sk_str){0}, &names);
    if (err) return err;
    return cache_vary_key(arena, primary, 0, names, request, out_key);
}
