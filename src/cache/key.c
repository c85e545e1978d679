#include "cache/key.h"

#include "cache/vary.h"
#include "http/uri.h"

/* Writes into a buffer that was measured before. */
struct text {
    char *next;
};

static void put(struct text *text, sk_str s) {
    if (s.len) memcpy(text->next, s.data, s.len);
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

sk_err cache_key_make(struct sk_arena *arena, sk_str site, const struct http_request *request,
                      struct cache_key *out_key) {
    sk_str host = {0}, path = {0};
    uint16_t port = 0;
    sk_err err = SK_OK;
    if (!sk_str_empty(request->authority)) err = http_authority_parse(request->authority, &host, &port);
    if (!err) err = normal_path(arena, request, &path);
    if (err) return err;
    size_t most = site.len + host.len + path.len + request->query.len + 32;
    if (most > CACHE_KEY_MAX_BYTES) return SK_ERR_TOO_LARGE;
    char *data = sk_arena_alloc(arena, most);
    if (!data) return SK_ERR_NO_MEMORY;
    struct text text = {data};
    put(&text, site);
    put(&text, SK_STR("|"));
    put_host(&text, host, port, request->scheme);
    put(&text, SK_STR("|"));
    put(&text, path);
    if (request->query.data) put(&text, SK_STR("?"));
    put(&text, request->query);
    out_key->text = sk_str_make(data, (size_t)(text.next - data));
    out_key->hash = sk_hash128_of(data, out_key->text.len);
    return SK_OK;
}

sk_err cache_key_vary(struct sk_arena *arena, const struct cache_key *primary, sk_str vary,
                      const struct http_request *request, struct cache_key *out_key) {
    sk_str names;
    sk_err err = cache_vary_names(arena, vary, (sk_str){0}, &names);
    if (err) return err;
    return cache_vary_key(arena, primary, 0, names, request, out_key);
}
