/* What is changed in a message that passes through (RFC 9110 section 7.6, RFC 7239, RFC 8586). Pure. */
#ifndef SK_HTTP_FORWARD_H
#define SK_HTTP_FORWARD_H

#include "http/message.h"

/* Removes Connection, what it names, and the other hop-by-hop fields (Keep-Alive, Proxy-Connection, TE
 * other than "trailers", Transfer-Encoding, Upgrade, HTTP2-Settings, Proxy-Authenticate stays). Fields that
 * carry security or framing (Authorization, Cookie, Cache-Control, Host, Content-Length, the X-Forwarded
 * family, Set-Cookie, Strict-Transport-Security, ...) are not removed on Connection's word. */
void http_forward_strip_hop_by_hop(struct http_fields *fields);

/* RFC 9110 7.6.2, for OPTIONS and TRACE: counts Max-Forwards down, new text in ARENA. SK_ERR_END: it is 0, and
 * the message must be answered here; SK_ERR_NO_MEMORY. Nothing happens where there is none, or no number. */
sk_err http_forward_count_down(struct http_fields *fields, struct sk_arena *arena);
/* True when Max-Forwards is 0. */
bool http_forward_ends_here(const struct http_fields *fields);

struct http_forward_context {
    sk_str client_ip;    /* text form, no port */
    bool client_trusted; /* the peer is in a configured network: its Forwarded and X-Forwarded-* are kept and
                            extended; otherwise they are replaced */
    sk_str scheme;       /* how the client reached us */
    sk_str host;         /* authority the client asked for */
    sk_str pseudonym;    /* our name in Via and CDN-Loop */
    enum http_version received_version;
    bool
        override_means_nothing; /* a GET or HEAD: fields by which some frameworks take it for another method go, whoever
                                    sent them; a POST that says PUT so is between client and origin */
};
/* Takes away what a client that is not trusted claims about itself, those before it, or the URL and host that it
 * "really" means (X-Original-URL, X-Host, ...): no key holds it, and an origin may answer by it. Sets Via, X-Forwarded-For, -Proto, -Host, Forwarded and CDN-Loop on a request to an origin. New text lives
 * in ARENA. SK_ERR_NO_MEMORY. */
sk_err http_forward_request_fields(struct http_fields *fields, struct sk_arena *arena,
                                   const struct http_forward_context *context);
/* Via on a response. */
sk_err http_forward_response_fields(struct http_fields *fields, struct sk_arena *arena, sk_str pseudonym,
                                    enum http_version received_version);
/* How often CDN-Loop (RFC 8586) or Via names us: more than the limit is a loop. */
uint32_t http_forward_loop_count(const struct http_fields *fields, sk_str pseudonym);

#endif
