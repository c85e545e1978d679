/* Request targets, hosts and their normal forms (RFC 3986, RFC 9110 4.2, 7.1, RFC 9112 3.2). Pure. */
#ifndef SK_HTTP_URI_H
#define SK_HTTP_URI_H

#include "base/arena.h"
#include "http/message.h"

struct http_uri {
    sk_str scheme;    /* as written; empty in origin-form */
    sk_str authority; /* host[:port], without userinfo */
    sk_str host;      /* without brackets' port; brackets kept for IPv6 */
    sk_str path;      /* "/" when empty in absolute-form */
    sk_str query;     /* data NULL when absent */
    uint16_t port;    /* 0 when absent */
    bool empty_path;  /* absolute-form without a path; path is "/" then */
};

/* origin-form, absolute-form (http and https), asterisk-form. SK_ERR_MALFORMED for others, for bytes
 * outside RFC 3986 plus the few that browsers send raw ("|", "^", "`", "{", "}", '"', "\\" are let
 * through), for '#', for userinfo in http(s). */
sk_err http_uri_parse_target(sk_str target, struct http_uri *out_uri);
/* An absolute http or https URI, of configuration or a Location field. */
sk_err http_uri_parse_absolute(sk_str text, struct http_uri *out_uri);
/* host [":" port] by the grammar; SK_ERR_MALFORMED. */
sk_err http_authority_parse(sk_str authority, sk_str *out_host, uint16_t *out_port);
/* The host (borrowed from the request's authority) and the port (0 when absent): what the reader of the protocol
 * kept, else by http_authority_parse. An empty authority gives an empty host. SK_ERR_MALFORMED. */
sk_err http_request_host(const struct http_request *request, sk_str *out_host, uint16_t *out_port);

/* Path in the normal form of RFC 3986 section 6.2.2 without changing meaning: upper-case hex, unreserved
 * octets decoded, dot segments removed; encoded reserved octets stay encoded; "//" is kept. Borrowed when
 * nothing changes. SK_ERR_MALFORMED for a bad percent escape or NUL. */
sk_err http_path_normalise(struct sk_arena *arena, sk_str path, sk_str *out_path);
/* Resolves REFERENCE against a base (RFC 3986 section 5.2), result in ARENA, for Location and
 * Content-Location. */
sk_err http_uri_resolve(struct sk_arena *arena, const struct http_uri *base, sk_str reference,
                        struct http_uri *out_uri);

#endif
