/* Requests out of header sections: what nghttp2 and nghttp3 leave to us (they have checked order and number of
 * pseudo fields, lower case, fields of connections, TE, and content-length against DATA). */
#include "http/uri.h"
#include "wire/h1_internal.h"
#include "wire/stream.h"

#define FIELD_OVERHEAD 32 /* RFC 9113 section 6.5.2 */

static void refuse(struct wire_stream *stream, uint16_t status, const char *why) {
    if (stream->refusal) return;
    stream->refusal = status;
    stream->refused = why;
}

/* Before anything is kept: what is over the limit costs no memory. */
static bool within_limits(const struct wire_stream_rules *rules, struct wire_stream *stream, sk_str name,
                          sk_str value) {
    stream->head_bytes += (uint32_t)SK_MIN(name.len + value.len + FIELD_OVERHEAD, (size_t)1 << 20);
    bool pseudo = name.data[0] == ':';
    /* Crumbs of a cookie become one field. */
    if (!pseudo && !(sk_str_eq(name, SK_STR("cookie")) && stream->cookies)) stream->head_fields++;
    if (stream->head_bytes > rules->limits.head_bytes)
        refuse(stream, 431, "header section over the limit");
    else if (stream->head_fields > rules->limits.field_count)
        refuse(stream, 431, "more fields than the limit");
    return stream->refusal != 431;
}

static sk_err keep_pseudo(struct wire_stream *stream, sk_str name, sk_str value) {
    sk_str copy = sk_arena_copy(&stream->arena, value);
    if (!copy.data) return SK_ERR_NO_MEMORY;
    if (sk_str_eq(name, SK_STR(":method")))
        stream->method = copy;
    else if (sk_str_eq(name, SK_STR(":scheme")))
        stream->scheme = copy;
    else if (sk_str_eq(name, SK_STR(":path")))
        stream->path = copy;
    else if (sk_str_eq(name, SK_STR(":protocol")))
        stream->protocol = copy;
    else if (sk_str_eq(name, SK_STR(":authority")))
        stream->request.authority = copy;
    return SK_OK;
}

static sk_err keep_field(struct wire_stream *stream, struct http_fields *fields, sk_str name, sk_str value) {
    sk_str name_copy = sk_arena_copy(&stream->arena, name), value_copy = sk_arena_copy(&stream->arena, value);
    if (!name_copy.data || !value_copy.data) return SK_ERR_NO_MEMORY;
    return http_fields_add(fields, &stream->arena, name_copy, value_copy);
}

sk_err wire_stream_field(const struct wire_stream_rules *rules, struct wire_stream *stream, sk_str name,
                         sk_str value) {
    value = sk_str_trim(value);
    if (!name.len || !within_limits(rules, stream, name, value) || stream->refusal) return SK_OK;
    if (name.data[0] == ':') return stream->in_trailer ? SK_OK : keep_pseudo(stream, name, value);
    if (!http_token_valid(name) || !http_field_value_valid(value)) {
        refuse(stream, 400, "invalid field");
        return SK_OK;
    }
    if (stream->in_trailer)
        return h1_allowed_in_trailer(name) ? keep_field(stream, &stream->trailers, name, value) : SK_OK;
    if (sk_str_eq(name, SK_STR("cookie"))) stream->cookies++;
    return keep_field(stream, &stream->request.fields, name, value);
}

/* RFC 9113 section 8.2.3: before they are passed on, the crumbs of a cookie become one field again. */
static sk_err join_cookies(struct wire_stream *stream) {
    struct http_fields *fields = &stream->request.fields;
    size_t bytes = 0;
    if (stream->cookies < 2) return SK_OK;
    for (uint32_t i = 0; i < fields->count; i++)
        if (fields->items[i].id == HTTP_FIELD_COOKIE) bytes += fields->items[i].value.len + 2;
    char *text = sk_arena_alloc(&stream->arena, bytes), *at = text;
    if (!text) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < fields->count; i++) {
        sk_str value = fields->items[i].value;
        if (fields->items[i].id != HTTP_FIELD_COOKIE) continue;
        if (at != text) memcpy(at, "; ", 2), at += 2;
        if (value.len) memcpy(at, value.data, value.len);
        at += value.len;
    }
    http_fields_remove(fields, HTTP_FIELD_COOKIE);
    return http_fields_add_id(fields, &stream->arena, HTTP_FIELD_COOKIE, (sk_str){text, (size_t)(at - text)});
}

/* --- the whole head ------------------------------------------------------------------------------------- */

static bool same_host(sk_str a, sk_str b, sk_str scheme) {
    sk_str host_a, host_b;
    uint16_t port_a, port_b, usual = scheme.len == 5 ? 443 : 80;
    if (http_authority_parse(a, &host_a, &port_a) || http_authority_parse(b, &host_b, &port_b)) return false;
    return sk_str_ieq(host_a, host_b) && (port_a ? port_a : usual) == (port_b ? port_b : usual);
}

/* RFC 9113 section 8.3.1: :authority, or Host where there is none; both must mean the same. */
static void check_authority(const struct wire_stream_rules *rules, struct wire_stream *stream) {
    struct http_request *request = &stream->request;
    const struct http_field *host = http_fields_find(&request->fields, HTTP_FIELD_HOST);
    if (host && http_fields_next(&request->fields, HTTP_FIELD_HOST, host)) {
        refuse(stream, 400, "more than one Host field");
        return;
    }
    if (!request->authority.len && host) request->authority = host->value;
    if (!request->authority.len || http_authority_parse(request->authority, &request->host, &request->port) ||
        !request->host.len)
        refuse(stream, 400, "no valid authority");
    else if (host && !same_host(host->value, request->authority, rules->scheme))
        refuse(stream, 400, "Host and :authority name different hosts");
}

static void check_target(const struct wire_stream_rules *rules, struct wire_stream *stream) {
    struct http_request *request = &stream->request;
    struct http_uri uri;
    sk_str path = stream->path;
    bool star = sk_str_eq(path, SK_STR("*"));
    if (path.len > rules->limits.target_bytes) {
        refuse(stream, 414, "request target over the limit");
    } else if (!path.len || (path.data[0] != '/' && !star) || http_uri_parse_target(path, &uri) ||
               (star && request->method != HTTP_METHOD_OPTIONS)) {
        refuse(stream, 400, "invalid request target");
    } else {
        request->target = path;
        request->path = uri.path;
        request->query = uri.query;
    }
}

static void check_length(struct wire_stream *stream, bool end) {
    struct http_request *request = &stream->request;
    const struct http_field *length = http_fields_find(&request->fields, HTTP_FIELD_CONTENT_LENGTH);
    request->body_kind = end || stream->tunnel ? HTTP_BODY_NONE : HTTP_BODY_CHUNKED;
    if (!length) return;
    if (stream->tunnel) {
        refuse(stream, 400, "a tunnel has no Content-Length");
        return;
    }
    request->body_kind = HTTP_BODY_LENGTH;
    if (length->value.len > 18 || sk_str_to_u64(length->value, &request->content_length))
        refuse(stream, 400, "malformed Content-Length");
    else if (http_fields_next(&request->fields, HTTP_FIELD_CONTENT_LENGTH, length))
        refuse(stream, 400, "more than one Content-Length");
    else if (end && request->content_length)
        refuse(stream, 400, "Content-Length without content");
}

static void check_expect(struct wire_stream *stream, bool end) {
    const struct http_field *expect = http_fields_find(&stream->request.fields, HTTP_FIELD_EXPECT);
    if (!expect) return;
    if (!sk_str_ieq(expect->value, SK_STR("100-continue")))
        refuse(stream, 417, "unknown expectation");
    else
        stream->request.expect_continue = !end;
}

/* RFC 8441 section 5, RFC 9220 section 3: what GET with Upgrade is to HTTP/1.1. */
static void check_connect(struct wire_stream *stream) {
    struct http_request *request = &stream->request;
    if (request->method != HTTP_METHOD_CONNECT) {
        if (stream->protocol.data) refuse(stream, 400, ":protocol without CONNECT");
        return;
    }
    if (!sk_str_ieq(stream->protocol, SK_STR("websocket"))) {
        refuse(stream, 501, "CONNECT is served for WebSockets only");
        return;
    }
    stream->tunnel = true;
    request->method = HTTP_METHOD_GET;
    request->method_text = SK_STR("GET");
    request->upgrade = SK_STR("websocket");
}

sk_err wire_stream_head_end(const struct wire_stream_rules *rules, struct wire_stream *stream, bool end) {
    struct http_request *request = &stream->request;
    request->version = rules->version;
    request->method_text = stream->method;
    request->method = http_method_lookup(stream->method);
    request->scheme = rules->scheme;
    request->keep_alive = true;
    if (stream->refusal) return SK_OK;
    sk_err err = join_cookies(stream);
    if (err) return err;
    if (!http_token_valid(stream->method)) refuse(stream, 400, "invalid method");
    check_connect(stream);
    if (!stream->refusal && !sk_str_ieq(stream->scheme, SK_STR("https")) &&
        !sk_str_ieq(stream->scheme, SK_STR("http")))
        refuse(stream, 400, "unknown scheme");
    if (!stream->refusal) check_authority(rules, stream);
    if (!stream->refusal) check_target(rules, stream);
    if (!stream->refusal) check_length(stream, end);
    if (!stream->refusal) check_expect(stream, end);
    return SK_OK;
}
