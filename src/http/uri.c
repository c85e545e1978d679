#include "http/uri.h"

#include <arpa/inet.h>

#define HOST_MAX 255

/* Classes of bytes, RFC 3986 sections 2.2, 2.3 and appendix A. */
enum { UNRESERVED = 1, SUB_DELIM = 2, PATH_EXTRA = 4, LENIENT = 8, SCHEME = 16, HEX = 32 };
static const uint8_t classes[256] = {
    /* PATH_EXTRA: what stands in a path or query besides; LENIENT: what browsers send raw */
    ['/'] = PATH_EXTRA,
    [':'] = PATH_EXTRA,
    ['@'] = PATH_EXTRA,
    ['?'] = PATH_EXTRA,
    ['['] = PATH_EXTRA,
    [']'] = PATH_EXTRA,
    ['%'] = PATH_EXTRA,
    ['|'] = LENIENT,
    ['^'] = LENIENT,
    ['`'] = LENIENT,
    ['{'] = LENIENT,
    ['}'] = LENIENT,
    ['"'] = LENIENT,
    ['\\'] = LENIENT,
    ['!'] = SUB_DELIM,
    ['$'] = SUB_DELIM,
    ['&'] = SUB_DELIM,
    ['\''] = SUB_DELIM,
    ['('] = SUB_DELIM,
    [')'] = SUB_DELIM,
    ['*'] = SUB_DELIM,
    ['+'] = SUB_DELIM | SCHEME,
    [','] = SUB_DELIM,
    [';'] = SUB_DELIM,
    ['='] = SUB_DELIM,
    ['-'] = UNRESERVED | SCHEME,
    ['.'] = UNRESERVED | SCHEME,
    ['_'] = UNRESERVED,
    ['~'] = UNRESERVED,
    ['0' ... '9'] = UNRESERVED | SCHEME | HEX,
    ['a' ... 'f'] = UNRESERVED | SCHEME | HEX,
    ['g' ... 'z'] = UNRESERVED | SCHEME,
    ['A' ... 'F'] = UNRESERVED | SCHEME | HEX,
    ['G' ... 'Z'] = UNRESERVED | SCHEME,
};
#define TARGET_BYTE (UNRESERVED | SUB_DELIM | PATH_EXTRA | LENIENT)

static bool is(char c, unsigned class) { return (classes[(uint8_t)c] & class) != 0; }

static bool all_are(sk_str s, unsigned class) {
    for (size_t i = 0; i < s.len; i++) {
        if (!is(s.data[i], class)) return false;
    }
    return true;
}

static unsigned hex_value(char c) {
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(sk_ascii_lower_byte(c) - 'a' + 10);
}

static sk_str from(sk_str s, size_t index) { return sk_str_make(s.data + index, s.len - index); }

/* True when a percent sign at I starts a whole escape. */
static bool is_escape(sk_str s, size_t i) {
    return i + 2 < s.len && is(s.data[i + 1], HEX) && is(s.data[i + 2], HEX);
}

/* ---- authority --------------------------------------------------------------------------------------- */

/* "[" IPv6address "]". IPvFuture has no use in HTTP and is refused, zone ids as well (RFC 9110 4.2). */
static bool ip_literal_valid(sk_str host) {
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (host.len < 4 || host.len - 2 >= sizeof(text) || host.data[host.len - 1] != ']') return false;
    memcpy(text, host.data + 1, host.len - 2);
    text[host.len - 2] = '\0';
    return strlen(text) == host.len - 2 && inet_pton(AF_INET6, text, &address) == 1;
}

/* How much of TEXT is a reg-name, up to what can't be part of one; 0 when an escape in it is not whole. */
static size_t reg_name_len(sk_str text) {
    size_t i = 0;
    for (; i < text.len; i++) {
        if (is(text.data[i], UNRESERVED | SUB_DELIM)) continue;
        if (text.data[i] != '%') break;
        if (!is_escape(text, i)) return 0;
        i += 2;
    }
    return i;
}

/* An empty port is allowed by the grammar and means the default one. */
static sk_err port_parse(sk_str text, uint16_t *out_port) {
    uint64_t port = 0;
    if (text.len > 0 && sk_str_to_u64(text, &port)) return SK_ERR_MALFORMED;
    if (text.len > 5 || port > UINT16_MAX || (text.len > 0 && port == 0)) return SK_ERR_MALFORMED;
    *out_port = (uint16_t)port;
    return SK_OK;
}

sk_err http_authority_parse(sk_str authority, sk_str *out_host, uint16_t *out_port) {
    bool literal = authority.len > 0 && authority.data[0] == '[';
    size_t host_len = literal ? sk_str_find_byte(authority, ']') + 1 : reg_name_len(authority);
    if (host_len == 0 || host_len > authority.len || host_len > HOST_MAX) return SK_ERR_MALFORMED;
    sk_str host = sk_str_make(authority.data, host_len), rest = from(authority, host_len);
    if (literal && !ip_literal_valid(host)) return SK_ERR_MALFORMED;
    uint16_t port = 0;
    if (rest.len > 0 && (rest.data[0] != ':' || port_parse(from(rest, 1), &port))) return SK_ERR_MALFORMED;
    *out_host = host;
    *out_port = port;
    return SK_OK;
}

sk_err http_request_host(const struct http_request *request, sk_str *out_host, uint16_t *out_port) {
    /* another text: somebody has given the request another authority since */
    if (SK_LIKELY(request->host.data && request->host.data == request->authority.data)) {
        *out_host = request->host;
        *out_port = request->port;
        return SK_OK;
    }
    *out_host = (sk_str){0};
    *out_port = 0;
    return sk_str_empty(request->authority) ? SK_OK
                                            : http_authority_parse(request->authority, out_host, out_port);
}

/* ---- request targets --------------------------------------------------------------------------------- */

/* Cuts "path?query" (already checked bytes) in two. */
static void split_query(sk_str text, struct http_uri *uri) {
    size_t mark = sk_str_find_byte(text, '?');
    uri->path = sk_str_make(text.data, mark);
    uri->query = mark < text.len ? from(text, mark + 1) : (sk_str){NULL, 0};
}

/* The length of "http://" or "https://" at the start of TEXT, or 0. */
static size_t http_scheme_len(sk_str text) {
    if (sk_str_istarts_with(text, SK_STR("http://"))) return 7;
    if (sk_str_istarts_with(text, SK_STR("https://"))) return 8;
    return 0;
}

static sk_err parse_absolute(sk_str text, struct http_uri *out_uri) {
    size_t scheme_len = http_scheme_len(text), end = scheme_len;
    if (scheme_len == 0 || !all_are(text, TARGET_BYTE)) return SK_ERR_MALFORMED;
    while (end < text.len && text.data[end] != '/' && text.data[end] != '?') end++;
    struct http_uri uri = {.scheme = sk_str_make(text.data, scheme_len - 3),
                           .authority = sk_str_slice(text, scheme_len, end)};
    /* userinfo in http(s) is an error by RFC 9110 4.2.4; "@" is in no host, so this fails there too */
    if (http_authority_parse(uri.authority, &uri.host, &uri.port)) return SK_ERR_MALFORMED;
    split_query(from(text, end), &uri);
    uri.empty_path = uri.path.len == 0;
    if (uri.empty_path) uri.path = SK_STR("/");
    *out_uri = uri;
    return SK_OK;
}

sk_err http_uri_parse_target(sk_str target, struct http_uri *out_uri) {
    if (sk_str_eq(target, SK_STR("*"))) {
        *out_uri = (struct http_uri){.path = target};
        return SK_OK;
    }
    if (target.len == 0 || target.data[0] != '/') return parse_absolute(target, out_uri);
    if (!all_are(target, TARGET_BYTE)) return SK_ERR_MALFORMED;
    struct http_uri uri = {0};
    split_query(target, &uri);
    *out_uri = uri;
    return SK_OK;
}

sk_err http_uri_parse_absolute(sk_str text, struct http_uri *out_uri) {
    return parse_absolute(sk_str_slice(text, 0, sk_str_find_byte(text, '#')), out_uri);
}

/* ---- normal form of a path --------------------------------------------------------------------------- */

/* Looks for anything that normalisation might change: an escape, or a dot after a slash. */
static bool needs_work(sk_str path) {
    for (size_t i = 0; i < path.len; i++) {
        if (path.data[i] == '%' || path.data[i] == '\0') return true;
        if (path.data[i] == '.' && i > 0 && path.data[i - 1] == '/') return true;
    }
    return false;
}

/* RFC 3986 6.2.2.1 and 6.2.2.2: escapes in upper case, those of unreserved octets decoded. OUT has room
 * for path.len bytes. */
static sk_err normalise_escapes(sk_str path, char *out, size_t *out_len) {
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;
    for (size_t i = 0; i < path.len; i++) {
        if (path.data[i] == '\0') return SK_ERR_MALFORMED;
        if (path.data[i] != '%') {
            out[n++] = path.data[i];
            continue;
        }
        if (!is_escape(path, i)) return SK_ERR_MALFORMED;
        unsigned high = hex_value(path.data[i + 1]), low = hex_value(path.data[i + 2]);
        char octet = (char)(high << 4 | low);
        if (octet == '\0') return SK_ERR_MALFORMED;
        if (is(octet, UNRESERVED)) {
            out[n++] = octet;
        } else {
            out[n++] = '%';
            out[n++] = digits[high];
            out[n++] = digits[low];
        }
        i += 2;
    }
    *out_len = n;
    return SK_OK;
}

/* RFC 3986 5.2.4 in place, segment by segment; a path that begins with "/" keeps doing so. */
static size_t remove_dot_segments(char *path, size_t len) {
    size_t in = 0, out = 0;
    while (in < len) {
        size_t end = in + 1;
        while (end < len && path[end] != '/') end++;
        sk_str segment = sk_str_make(path + in, end - in);
        bool last = end == len;
        if (sk_str_eq(segment, SK_STR("/."))) {
            if (last) path[out++] = '/';
        } else if (sk_str_eq(segment, SK_STR("/.."))) {
            while (out > 0 && path[--out] != '/') {
            }
            if (last) path[out++] = '/';
        } else {
            memmove(path + out, segment.data, segment.len);
            out += segment.len;
        }
        in = end;
    }
    return out;
}

sk_err http_path_normalise(struct sk_arena *arena, sk_str path, sk_str *out_path) {
    if (!needs_work(path)) {
        *out_path = path;
        return SK_OK;
    }
    char *text = sk_arena_alloc(arena, path.len);
    if (!text) return SK_ERR_NO_MEMORY;
    size_t len;
    sk_err err = normalise_escapes(path, text, &len);
    if (err) return err;
    if (text[0] == '/') len = remove_dot_segments(text, len);
    *out_path = sk_str_make(text, len);
    return SK_OK;
}

/* ---- references -------------------------------------------------------------------------------------- */

/* A reference cut by the grammar of RFC 3986 section 4.1; data NULL where a part is absent. */
struct reference {
    sk_str scheme, authority, path, query;
};

/* The length of a leading scheme without its colon, or 0. */
static size_t scheme_len(sk_str text) {
    size_t n = 0;
    while (n < text.len && is(text.data[n], SCHEME)) n++;
    bool letter_first = n > 0 && sk_ascii_lower_byte(text.data[0]) >= 'a';
    return letter_first && n < text.len && text.data[n] == ':' ? n : 0;
}

static struct reference cut_reference(sk_str text) {
    struct reference ref = {0};
    size_t n = scheme_len(text);
    if (n > 0) {
        ref.scheme = sk_str_make(text.data, n);
        text = from(text, n + 1);
    }
    if (sk_str_starts_with(text, SK_STR("//"))) {
        size_t end = 2;
        while (end < text.len && text.data[end] != '/' && text.data[end] != '?') end++;
        ref.authority = sk_str_slice(text, 2, end);
        text = from(text, end);
    }
    size_t mark = sk_str_find_byte(text, '?');
    ref.path = sk_str_make(text.data, mark);
    if (mark < text.len) ref.query = from(text, mark + 1);
    return ref;
}

/* Merges a relative path with the base's (5.2.3) and removes dot segments. */
static sk_str merged_path(struct sk_arena *arena, sk_str base, sk_str path) {
    size_t keep = 0;
    if (path.len == 0 || path.data[0] != '/') {
        for (keep = base.len; keep > 0 && base.data[keep - 1] != '/';) keep--;
    }
    char *text = sk_arena_alloc(arena, keep + path.len + 2);
    if (!text) return (sk_str){NULL, 0};
    size_t len = 0;
    if (keep == 0 && (path.len == 0 || path.data[0] != '/')) text[len++] = '/';
    memcpy(text + len, base.data ? base.data : "", keep);
    len += keep;
    memcpy(text + len, path.data, path.len);
    return sk_str_make(text, remove_dot_segments(text, len + path.len));
}

/* Transforms a reference as 5.2.2 says, into the parts of a target. */
static struct reference transform(struct sk_arena *arena, const struct http_uri *base, struct reference ref) {
    struct reference target = ref;
    if (!ref.scheme.data) target.scheme = base->scheme;
    if (ref.authority.data) {
        target.path = merged_path(arena, SK_STR("/"), ref.path);
        return target;
    }
    target.authority = base->authority;
    if (ref.path.len > 0) {
        target.path = merged_path(arena, base->path, ref.path);
        return target;
    }
    target.path = base->path;
    if (!ref.query.data) target.query = base->query;
    return target;
}

static sk_err copy_target(struct sk_arena *arena, struct reference target, struct http_uri *out_uri) {
    struct http_uri uri = {.scheme = sk_arena_copy(arena, target.scheme),
                           .authority = sk_arena_copy(arena, target.authority),
                           .path = sk_arena_copy(arena, target.path)};
    if (target.query.data) uri.query = sk_arena_copy(arena, target.query);
    bool copied = uri.scheme.data && uri.authority.data && uri.path.data;
    if (!copied || (target.query.data && !uri.query.data)) return SK_ERR_NO_MEMORY;
    if (uri.authority.len > 0 && http_authority_parse(uri.authority, &uri.host, &uri.port))
        return SK_ERR_MALFORMED;
    *out_uri = uri;
    return SK_OK;
}

sk_err http_uri_resolve(struct sk_arena *arena, const struct http_uri *base, sk_str reference,
                        struct http_uri *out_uri) {
    sk_str text = sk_str_slice(reference, 0, sk_str_find_byte(reference, '#'));
    if (!all_are(text, TARGET_BYTE)) return SK_ERR_MALFORMED;
    struct reference ref = cut_reference(text);
    bool http =
        !ref.scheme.data || sk_str_ieq(ref.scheme, SK_STR("http")) || sk_str_ieq(ref.scheme, SK_STR("https"));
    if (!http || (ref.scheme.data && !ref.authority.data)) return SK_ERR_MALFORMED;
    if (ref.authority.data && ref.authority.len == 0) return SK_ERR_MALFORMED;
    struct reference target = transform(arena, base, ref);
    if (!target.path.data) return SK_ERR_NO_MEMORY;
    return copy_target(arena, target, out_uri);
}
