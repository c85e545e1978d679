/* Requests and responses as every protocol and every decision sees them. Structs borrow their bytes from
 * whoever made them (a connection's buffer, an arena, a stored object). No I/O, no clock. */
#ifndef SK_HTTP_MESSAGE_H
#define SK_HTTP_MESSAGE_H

#include "http/field.h"

#define HTTP_METHOD_TABLE(X)                                                                                 \
    X(GET, "GET")                                                                                            \
    X(HEAD, "HEAD")                                                                                          \
    X(POST, "POST")                                                                                          \
    X(PUT, "PUT")                                                                                            \
    X(DELETE, "DELETE")                                                                                      \
    X(OPTIONS, "OPTIONS")                                                                                    \
    X(PATCH, "PATCH")                                                                                        \
    X(TRACE, "TRACE")                                                                                        \
    X(CONNECT, "CONNECT")                                                                                    \
    X(QUERY, "QUERY")                                                                                        \
    X(PURGE, "PURGE")

enum http_method {
    HTTP_METHOD_OTHER, /* a valid token that is not in the table: treated as unsafe, not idempotent */
#define X(name, text) HTTP_METHOD_##name,
    HTTP_METHOD_TABLE(X)
#undef X
};
enum http_method http_method_lookup(sk_str text);     /* case-sensitive, RFC 9110 9.1 */
bool http_method_safe(enum http_method method);       /* 9.2.1 */
bool http_method_idempotent(enum http_method method); /* 9.2.2 */

enum http_version { HTTP_1_0, HTTP_1_1, HTTP_2, HTTP_3 };
sk_str http_version_text(enum http_version version); /* "HTTP/1.1" */

enum http_body_kind {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,  /* content_length says it */
    HTTP_BODY_CHUNKED, /* length unknown, framed (also HTTP/2 and 3 without content-length) */
    HTTP_BODY_CLOSE,   /* responses only: until the connection ends */
};

struct http_request {
    enum http_method method;
    enum http_version version;
    sk_str method_text;
    sk_str scheme;    /* "http" or "https", of the request as the client sees us */
    sk_str authority; /* host[:port] as received; empty only for HTTP/1.0 without Host */
    sk_str host;      /* of authority, once the protocol's reader has parsed it: ask http_request_host */
    uint16_t port;    /* with host; 0 when authority has none */
    sk_str target;    /* origin-form "/path?query" or "*", as received */
    sk_str path;      /* of target, begins with '/' (or is "*") */
    sk_str query;     /* without '?'; data NULL when there is no '?' */
    struct http_fields fields;
    enum http_body_kind body_kind;
    uint64_t content_length; /* HTTP_BODY_LENGTH only */
    bool keep_alive;         /* the client allows another request after this one */
    bool expect_continue;
    sk_str upgrade; /* value of Upgrade when Connection names it (HTTP/1.1 only), else data NULL */
};

struct http_response {
    uint16_t status; /* 100 to 999 */
    enum http_version version;
    sk_str reason; /* HTTP/1 only, may be empty */
    struct http_fields fields;
    enum http_body_kind body_kind;
    uint64_t content_length;
    bool keep_alive;
};

/* The usual phrase ("Not Found"), or "" for unknown ones. */
sk_str http_status_reason(uint16_t status);
/* Whether a response with this status to this method has content (RFC 9110 6.4.1). */
bool http_response_has_body(enum http_method request_method, uint16_t status);

#endif
