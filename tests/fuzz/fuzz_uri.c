/* Any bytes as a request target, an authority, a path and a reference. */
#include "fuzz.h"
#include "http/uri.h"

static bool inside(sk_str part, sk_str whole) {
    return !part.data || (part.data >= whole.data && part.data + part.len <= whole.data + whole.len);
}

static void try_target(sk_str text) {
    struct http_uri uri;
    if (http_uri_parse_target(text, &uri)) return;
    MUST(uri.path.len > 0 && (uri.path.data[0] == '/' || sk_str_eq(uri.path, SK_STR("*"))));
    MUST(uri.empty_path || inside(uri.path, text));
    MUST(inside(uri.query, text) && inside(uri.host, text) && inside(uri.scheme, text));
    MUST((uri.scheme.len == 0) == (uri.host.len == 0));
}

static void try_authority(sk_str text) {
    sk_str host, again;
    uint16_t port, port_again;
    if (http_authority_parse(text, &host, &port)) return;
    MUST(host.len > 0 && host.len <= 255 && inside(host, text));
    MUST(http_authority_parse(host, &again, &port_again) == SK_OK && port_again == 0 &&
         sk_str_eq(host, again));
}

/* The normal form is normal, never longer, without dot segments, and keeps its meaning octet by octet. */
static void try_path(struct sk_arena *arena, sk_str text) {
    sk_str normal, again;
    if (http_path_normalise(arena, text, &normal)) return;
    MUST(normal.len <= text.len);
    MUST(http_path_normalise(arena, normal, &again) == SK_OK && sk_str_eq(normal, again));
    if (text.len == 0 || text.data[0] != '/') return;
    MUST(normal.len > 0 && normal.data[0] == '/');
    MUST(sk_str_find(normal, SK_STR("/../")) == normal.len &&
         sk_str_find(normal, SK_STR("/./")) == normal.len);
    MUST(!sk_str_ends_with(normal, SK_STR("/..")) && !sk_str_ends_with(normal, SK_STR("/.")));
}

/* A resolved reference is a target that may be asked for, and resolves to itself. */
static void try_reference(struct sk_arena *arena, sk_str text) {
    struct http_uri base, uri, again;
    MUST(http_uri_parse_absolute(SK_STR("http://a.example:8080/b/c/d?q"), &base) == SK_OK);
    if (http_uri_resolve(arena, &base, text, &uri)) return;
    sk_str absolute =
        sk_arena_printf(arena, "%.*s://%.*s%.*s%s%.*s", SK_STR_ARGS(uri.scheme), SK_STR_ARGS(uri.authority),
                        SK_STR_ARGS(uri.path), uri.query.data ? "?" : "", SK_STR_ARGS(uri.query));
    MUST(uri.path.len > 0 && uri.path.data[0] == '/');
    MUST(http_uri_parse_absolute(absolute, &again) == SK_OK);
    MUST(sk_str_eq(uri.path, again.path) && sk_str_eq(uri.query, again.query) &&
         sk_str_eq(uri.host, again.host));
    MUST(uri.port == again.port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct sk_arena arena;
    struct http_uri uri;
    if (bytes > 2000) return 0;
    char *copy = exact_copy(data, bytes);
    sk_str text = sk_str_make(copy, bytes);
    sk_arena_init(&arena, 4096, 0);
    try_target(text);
    try_authority(text);
    try_path(&arena, text);
    try_reference(&arena, text);
    if (http_uri_parse_absolute(text, &uri) == SK_OK) MUST(uri.host.len > 0);
    sk_arena_free(&arena);
    free(copy);
    return 0;
}
