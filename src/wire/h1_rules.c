/* Our own rules on top of llhttp: what a head's fields say about framing, and everything in that which two
 * parties might read differently, refused (RFC 9112 sections 3.2, 6 and 11.2). */
#include "http/uri.h"
#include "wire/h1_internal.h"

/* ---- gathering --------------------------------------------------------------------------------------- */

static void add_option(struct h1_framing *framing, sk_str option) {
    framing->option_count++;
    if (sk_str_ieq(option, SK_STR("close"))) framing->close = true;
    if (sk_str_ieq(option, SK_STR("keep-alive"))) framing->keep_alive = true;
    if (sk_str_ieq(option, SK_STR("upgrade"))) framing->connection_upgrade = true;
    if (!http_token_valid(option)) framing->connection_malformed = true;
}

static void add_connection(struct h1_framing *framing, sk_str value) {
    sk_str option;
    while (http_list_next(&value, &option)) add_option(framing, option);
}

static void add_expect(struct h1_framing *framing, sk_str value) {
    sk_str expectation;
    while (http_list_next(&value, &expectation)) {
        if (sk_str_ieq(expectation, SK_STR("100-continue")))
            framing->expect_continue = true;
        else
            framing->expect_other = true;
    }
}

/* Remembers the first value and counts all. */
static void add_single(uint32_t *count, sk_str *first, sk_str value) {
    if ((*count)++ == 0) *first = value;
}

void h1_framing_add(struct h1_framing *framing, enum http_field_id id, sk_str value) {
    switch (id) {
    case HTTP_FIELD_HOST: add_single(&framing->host_count, &framing->host, value); return;
    case HTTP_FIELD_CONTENT_LENGTH: add_single(&framing->length_count, &framing->length, value); return;
    case HTTP_FIELD_TRANSFER_ENCODING: add_single(&framing->coding_count, &framing->coding, value); return;
    case HTTP_FIELD_UPGRADE: add_single(&framing->upgrade_count, &framing->upgrade, value); return;
    case HTTP_FIELD_CONNECTION: add_connection(framing, value); return;
    case HTTP_FIELD_EXPECT: add_expect(framing, value); return;
    default: return;
    }
}

/* ---- body -------------------------------------------------------------------------------------------- */

/* Nothing but one line with one "chunked" is accepted. Where chunked is last, other codings before it are
 * ones we do not know (501, RFC 9112 6.1); where it is not, the length is unknowable (400, 6.3). */
static enum wire_h1_refusal check_coding(const struct h1_framing *framing, enum http_version version) {
    if (version == HTTP_1_0) return WIRE_H1_REFUSAL_TRANSFER_ENCODING_1_0;
    if (framing->length_count > 0) return WIRE_H1_REFUSAL_LENGTH_AND_CHUNKED;
    if (framing->coding_count > 1) return WIRE_H1_REFUSAL_TRANSFER_ENCODING;
    if (sk_str_ieq(framing->coding, SK_STR("chunked"))) return WIRE_H1_REFUSAL_NONE;
    sk_str rest = framing->coding, coding;
    uint32_t chunked = 0;
    bool last_chunked = false, known = true;
    while (http_list_next(&rest, &coding)) {
        last_chunked = sk_str_ieq(coding, SK_STR("chunked"));
        chunked += last_chunked;
        known = known && last_chunked;
    }
    bool only_unknown = last_chunked && chunked == 1 && !known;
    return only_unknown ? WIRE_H1_REFUSAL_TRANSFER_CODING : WIRE_H1_REFUSAL_TRANSFER_ENCODING;
}

/* 1*DIGIT and nothing else; more than a signed 64-bit number holds is no length that anybody means. */
static enum wire_h1_refusal check_length(const struct h1_framing *framing, uint64_t *out_length) {
    if (framing->length_count > 1) return WIRE_H1_REFUSAL_LENGTH_REPEATED;
    uint64_t length;
    if (framing->length.len > 19 || sk_str_to_u64(framing->length, &length))
        return WIRE_H1_REFUSAL_LENGTH_INVALID;
    if (length > INT64_MAX) return WIRE_H1_REFUSAL_LENGTH_INVALID;
    *out_length = length;
    return WIRE_H1_REFUSAL_NONE;
}

/* The body as the fields alone tell it; *out_kind stays when they say nothing. */
static enum wire_h1_refusal body_of(const struct h1_framing *framing, enum http_version version,
                                    enum http_body_kind *out_kind, uint64_t *out_length) {
    enum wire_h1_refusal refusal = WIRE_H1_REFUSAL_NONE;
    if (framing->coding_count > 0) {
        refusal = check_coding(framing, version);
        if (!refusal) *out_kind = HTTP_BODY_CHUNKED;
    } else if (framing->length_count > 0) {
        refusal = check_length(framing, out_length);
        if (!refusal) *out_kind = HTTP_BODY_LENGTH;
    }
    return refusal;
}

/* RFC 9112 9.3: close wins; HTTP/1.0 must ask to stay. */
static bool keeps_alive(const struct h1_framing *framing, enum http_version version) {
    return !framing->close && (version != HTTP_1_0 || framing->keep_alive);
}

/* Each option is compared with each field when a message is passed on; nobody needs this many. */
static bool too_many_options(const struct h1_framing *framing) { return framing->option_count > 32; }

/* ---- requests ---------------------------------------------------------------------------------------- */

static uint16_t effective_port(uint16_t port, sk_str scheme) {
    if (port != 0) return port;
    return sk_str_ieq(scheme, SK_STR("https")) ? 443 : 80;
}

/* The authority of an absolute-form target and Host must mean the same (RFC 9112 3.2.2 lets the target
 * win; a peer that reads Host instead would see another site, so we refuse). */
static bool same_authority(const struct http_request *request, sk_str host, uint16_t port) {
    sk_str target_host;
    uint16_t target_port;
    if (http_authority_parse(request->authority, &target_host, &target_port)) return false;
    return sk_str_ieq(target_host, host) &&
           effective_port(target_port, request->scheme) == effective_port(port, request->scheme);
}

static enum wire_h1_refusal check_host(const struct h1_framing *framing, struct http_request *request) {
    if (framing->host_count > 1) return WIRE_H1_REFUSAL_HOST_REPEATED;
    if (framing->host_count == 0) {
        return request->version == HTTP_1_0 ? WIRE_H1_REFUSAL_NONE : WIRE_H1_REFUSAL_HOST_MISSING;
    }
    sk_str host;
    uint16_t port;
    if (http_authority_parse(framing->host, &host, &port)) return WIRE_H1_REFUSAL_HOST_INVALID;
    bool absolute = request->scheme.len > 0;
    if (absolute && !same_authority(request, host, port)) return WIRE_H1_REFUSAL_HOST_DISAGREES;
    if (!absolute) {
        request->authority = framing->host;
        request->host = host;
        request->port = port;
    }
    return WIRE_H1_REFUSAL_NONE;
}

/* protocol ["/" version], in a list (RFC 9110 7.8). */
static bool upgrade_valid(sk_str value) {
    sk_str protocol;
    bool any = false;
    while (http_list_next(&value, &protocol)) {
        size_t slash = sk_str_find_byte(protocol, '/');
        if (!http_token_valid(sk_str_slice(protocol, 0, slash))) return false;
        if (slash < protocol.len && !http_token_valid(sk_str_slice(protocol, slash + 1, protocol.len)))
            return false;
        any = true;
    }
    return any;
}

/* Upgrade counts only when Connection names it, and never in HTTP/1.0 (RFC 9110 7.8). */
static enum wire_h1_refusal check_upgrade(const struct h1_framing *framing, struct http_request *request) {
    if (framing->connection_malformed || too_many_options(framing)) return WIRE_H1_REFUSAL_UPGRADE_INVALID;
    if (!framing->connection_upgrade || framing->upgrade_count == 0) return WIRE_H1_REFUSAL_NONE;
    if (framing->upgrade_count > 1 || !upgrade_valid(framing->upgrade))
        return WIRE_H1_REFUSAL_UPGRADE_INVALID;
    if (request->version != HTTP_1_0) request->upgrade = framing->upgrade;
    return WIRE_H1_REFUSAL_NONE;
}

/* RFC 9110 10.1.1: ignored in HTTP/1.0 and where no content follows. */
static enum wire_h1_refusal check_expect(const struct h1_framing *framing, struct http_request *request) {
    if (request->version == HTTP_1_0) return WIRE_H1_REFUSAL_NONE;
    if (framing->expect_other) return WIRE_H1_REFUSAL_EXPECTATION;
    bool content = request->body_kind == HTTP_BODY_CHUNKED || request->content_length > 0;
    request->expect_continue = framing->expect_continue && content;
    return WIRE_H1_REFUSAL_NONE;
}

enum wire_h1_refusal h1_rules_request(const struct h1_framing *framing, struct http_request *request) {
    request->body_kind = HTTP_BODY_NONE;
    enum wire_h1_refusal refusal = check_host(framing, request);
    if (!refusal) refusal = body_of(framing, request->version, &request->body_kind, &request->content_length);
    if (!refusal) refusal = check_upgrade(framing, request);
    if (!refusal) refusal = check_expect(framing, request);
    request->keep_alive = keeps_alive(framing, request->version);
    return refusal;
}

/* ---- responses --------------------------------------------------------------------------------------- */

/* RFC 9112 6.3, in its order. */
enum wire_h1_refusal h1_rules_response(const struct h1_framing *framing, enum http_method method,
                                       struct http_response *response) {
    response->body_kind = HTTP_BODY_CLOSE;
    enum wire_h1_refusal refusal =
        body_of(framing, response->version, &response->body_kind, &response->content_length);
    if (refusal) return refusal;
    if (too_many_options(framing)) return WIRE_H1_REFUSAL_UPGRADE_INVALID;
    bool never_content = response->status < 200 || response->status == 204;
    bool claims_content = response->body_kind == HTTP_BODY_CHUNKED || response->content_length > 0;
    response->keep_alive = keeps_alive(framing, response->version);
    if (!http_response_has_body(method, response->status)) {
        /* a server that frames content where none may be has perhaps sent it too (RFC 9112 6.1, 6.2) */
        if (never_content && claims_content) response->keep_alive = false;
        response->body_kind = HTTP_BODY_NONE;
        response->content_length = 0;
    }
    if (response->body_kind == HTTP_BODY_CLOSE) response->keep_alive = false;
    return WIRE_H1_REFUSAL_NONE;
}
