/* Bodies: counted, chunked (RFC 9112 section 7.1) or until the connection ends. */
#include "wire/h1_internal.h"

enum chunk_state {
    SIZE,          /* hexadecimal digits */
    EXTENSION_GAP, /* white space after the size: only an extension may follow */
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILERS,
};

void h1_body_begin(struct wire_h1_parser *parser, enum http_body_kind kind, uint64_t content_length) {
    parser->body_kind = kind;
    parser->body_left = kind == HTTP_BODY_LENGTH ? content_length : 0;
    parser->chunk_state = SIZE;
    parser->body_done = kind == HTTP_BODY_NONE || (kind == HTTP_BODY_LENGTH && content_length == 0);
}

/* ---- chunk framing ----------------------------------------------------------------------------------- */

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = sk_ascii_lower_byte(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Sixteen digits are enough for any chunk; more are refused even when they are zeros, since others stop
 * counting elsewhere. */
static enum wire_h1_refusal take_size_byte(struct wire_h1_parser *parser, char c) {
    int digit = hex_value(c);
    if (digit >= 0) {
        if (parser->size_digits == 16) return WIRE_H1_REFUSAL_CHUNK_SIZE;
        parser->body_left = parser->body_left << 4 | (uint64_t)digit;
        parser->size_digits++;
        return parser->body_left > INT64_MAX ? WIRE_H1_REFUSAL_CHUNK_SIZE : WIRE_H1_REFUSAL_NONE;
    }
    if (parser->size_digits == 0) return WIRE_H1_REFUSAL_CHUNK_SIZE;
    if (c == '\r')
        parser->chunk_state = SIZE_LF;
    else if (c == ';')
        parser->chunk_state = EXTENSION;
    else if (c == ' ' || c == '\t')
        parser->chunk_state = EXTENSION_GAP;
    else
        return WIRE_H1_REFUSAL_CHUNK_SIZE;
    return WIRE_H1_REFUSAL_NONE;
}

/* Extensions mean nothing to us and are not passed on; they are bounded and hold no control bytes. */
static enum wire_h1_refusal take_extension_byte(struct wire_h1_parser *parser,
                                                const struct wire_h1_limits *limits, char c) {
    if (c == '\r') {
        if (parser->chunk_state == EXTENSION_GAP) return WIRE_H1_REFUSAL_CHUNK_SIZE;
        parser->chunk_state = SIZE_LF;
        return WIRE_H1_REFUSAL_NONE;
    }
    if (++parser->line_bytes > limits->chunk_extension_bytes) return WIRE_H1_REFUSAL_CHUNK_EXTENSION;
    bool blank = c == ' ' || c == '\t';
    if (parser->chunk_state == EXTENSION_GAP) {
        if (c == ';') parser->chunk_state = EXTENSION;
        return blank || c == ';' ? WIRE_H1_REFUSAL_NONE : WIRE_H1_REFUSAL_CHUNK_SIZE;
    }
    bool control = (uint8_t)c < 0x20 || c == 0x7f;
    return control && !blank ? WIRE_H1_REFUSAL_CHUNK_EXTENSION : WIRE_H1_REFUSAL_NONE;
}

static enum wire_h1_refusal end_size_line(struct wire_h1_parser *parser, char c) {
    if (c != '\n') return WIRE_H1_REFUSAL_CHUNK_SIZE;
    parser->chunk_state = parser->body_left > 0 ? DATA : TRAILERS;
    parser->line_bytes = 0;
    parser->size_digits = 0;
    return WIRE_H1_REFUSAL_NONE;
}

/* CR and LF after the data, then the next size. */
static enum wire_h1_refusal end_data(struct wire_h1_parser *parser, char c) {
    bool at_cr = parser->chunk_state == DATA_CR;
    if (c != (at_cr ? '\r' : '\n')) return WIRE_H1_REFUSAL_CHUNK_DATA;
    parser->chunk_state = at_cr ? DATA_LF : SIZE;
    return WIRE_H1_REFUSAL_NONE;
}

static enum wire_h1_refusal take_framing_byte(struct wire_h1_parser *parser,
                                              const struct wire_h1_limits *limits, char c) {
    switch ((enum chunk_state)parser->chunk_state) {
    case SIZE: return take_size_byte(parser, c);
    case EXTENSION_GAP:
    case EXTENSION: return take_extension_byte(parser, limits, c);
    case SIZE_LF: return end_size_line(parser, c);
    case DATA_CR:
    case DATA_LF: return end_data(parser, c);
    case DATA:
    case TRAILERS: break;
    }
    return WIRE_H1_REFUSAL_NONE;
}

/* Takes framing from *AT on until data, trailers or the end of INPUT. */
static enum wire_h1_refusal take_framing(struct wire_h1_parser *parser, const struct wire_h1_limits *limits,
                                         sk_str input, size_t *at) {
    while (*at < input.len && parser->chunk_state != DATA && parser->chunk_state != TRAILERS) {
        enum wire_h1_refusal refusal = take_framing_byte(parser, limits, input.data[*at]);
        if (refusal) return refusal;
        ++*at;
    }
    return WIRE_H1_REFUSAL_NONE;
}

/* ---- trailers ---------------------------------------------------------------------------------------- */

/* RFC 9110 6.5.1: what frames, routes, authenticates, conditions or describes the content, or steers
 * caching, is too late in a trailer. */
bool h1_allowed_in_trailer(sk_str name) {
    if (sk_str_istarts_with(name, SK_STR("content-")) || sk_str_istarts_with(name, SK_STR("x-forwarded-")))
        return false;
    switch (http_field_lookup(name)) {
    case HTTP_FIELD_ACCEPT:
    case HTTP_FIELD_ACCEPT_ENCODING:
    case HTTP_FIELD_ACCEPT_LANGUAGE:
    case HTTP_FIELD_AGE:
    case HTTP_FIELD_AUTHORIZATION:
    case HTTP_FIELD_AVAILABLE_DICTIONARY:
    case HTTP_FIELD_CACHE_CONTROL:
    case HTTP_FIELD_CACHE_GROUP_INVALIDATION:
    case HTTP_FIELD_CACHE_GROUPS:
    case HTTP_FIELD_CACHE_TAG:
    case HTTP_FIELD_CDN_CACHE_CONTROL:
    case HTTP_FIELD_CDN_LOOP:
    case HTTP_FIELD_CONNECTION:
    case HTTP_FIELD_COOKIE:
    case HTTP_FIELD_DATE:
    case HTTP_FIELD_DICTIONARY_ID:
    case HTTP_FIELD_EARLY_DATA:
    case HTTP_FIELD_EXPECT:
    case HTTP_FIELD_EXPIRES:
    case HTTP_FIELD_FORWARDED:
    case HTTP_FIELD_HOST:
    case HTTP_FIELD_HTTP2_SETTINGS:
    case HTTP_FIELD_IF_MATCH:
    case HTTP_FIELD_IF_MODIFIED_SINCE:
    case HTTP_FIELD_IF_NONE_MATCH:
    case HTTP_FIELD_IF_RANGE:
    case HTTP_FIELD_IF_UNMODIFIED_SINCE:
    case HTTP_FIELD_KEEP_ALIVE:
    case HTTP_FIELD_LOCATION:
    case HTTP_FIELD_MAX_FORWARDS:
    case HTTP_FIELD_NO_VARY_SEARCH:
    case HTTP_FIELD_ORIGIN:
    case HTTP_FIELD_PRAGMA:
    case HTTP_FIELD_PROXY_AUTHENTICATE:
    case HTTP_FIELD_PROXY_AUTHENTICATION_INFO:
    case HTTP_FIELD_PROXY_AUTHORIZATION:
    case HTTP_FIELD_PROXY_CONNECTION:
    case HTTP_FIELD_RANGE:
    case HTTP_FIELD_REFERER:
    case HTTP_FIELD_RETRY_AFTER:
    case HTTP_FIELD_SET_COOKIE:
    case HTTP_FIELD_SKERRY_CDN_CACHE_CONTROL:
    case HTTP_FIELD_STRICT_TRANSPORT_SECURITY:
    case HTTP_FIELD_SURROGATE_CONTROL:
    case HTTP_FIELD_SURROGATE_KEY:
    case HTTP_FIELD_TE:
    case HTTP_FIELD_TRAILER:
    case HTTP_FIELD_TRANSFER_ENCODING:
    case HTTP_FIELD_UPGRADE:
    case HTTP_FIELD_USE_AS_DICTIONARY:
    case HTTP_FIELD_VARY:
    case HTTP_FIELD_VIA:
    case HTTP_FIELD_WARNING:
    case HTTP_FIELD_WWW_AUTHENTICATE:
    case HTTP_FIELD_XKEY: return false;
    default: return true;
    }
}

static sk_err keep_trailer(struct http_fields *trailers, struct sk_arena *arena, sk_str name, sk_str value) {
    if (!trailers || !h1_allowed_in_trailer(name)) return SK_OK;
    sk_str own_name = sk_arena_copy(arena, name), own_value = sk_arena_copy(arena, value);
    if (!own_name.data || !own_value.data) return SK_ERR_NO_MEMORY;
    return http_fields_add(trailers, arena, own_name, own_value);
}

/* Takes one whole line (without its LF). SK_ERR_END at the empty one. */
static sk_err take_trailer_line(struct wire_h1_parser *parser, const struct wire_h1_limits *limits,
                                sk_str line, struct sk_arena *arena, struct http_fields *out_trailers) {
    sk_str name, value;
    if (line.len == 0 || line.data[line.len - 1] != '\r') return SK_ERR_MALFORMED;
    line.len--;
    if (line.len == 0) return SK_ERR_END;
    if (parser->trailer_count++ >= limits->field_count || h1_field_line(line, &name, &value))
        return SK_ERR_MALFORMED;
    return keep_trailer(out_trailers, arena, name, value) ? SK_ERR_NO_MEMORY : SK_OK;
}

/* Takes whole trailer lines from *AT on. SK_ERR_AGAIN, SK_ERR_END, SK_ERR_MALFORMED, SK_ERR_NO_MEMORY. */
static sk_err take_trailers(struct wire_h1_parser *parser, const struct wire_h1_limits *limits, sk_str input,
                            struct sk_arena *arena, struct http_fields *out_trailers, size_t *at) {
    for (;;) {
        sk_str rest = sk_str_slice(input, *at, input.len);
        size_t lf = sk_str_find_byte(rest, '\n');
        /* the empty line that ends the section is not counted, so the limit is on the fields' bytes */
        if (parser->line_bytes + SK_MIN(lf, rest.len) > (size_t)limits->trailer_bytes + 1)
            return SK_ERR_MALFORMED;
        if (lf == rest.len) return SK_ERR_AGAIN;
        sk_err err = take_trailer_line(parser, limits, sk_str_make(rest.data, lf), arena, out_trailers);
        if (err && err != SK_ERR_END) return err;
        parser->line_bytes += (uint32_t)lf + 1;
        *at += lf + 1;
        if (err) return err;
    }
}

/* ---- the whole --------------------------------------------------------------------------------------- */

/* The next piece of what is left, from *AT on. */
static sk_str take_data(struct wire_h1_parser *parser, sk_str input, size_t *at) {
    size_t bytes = SK_MIN(parser->body_left, input.len - *at);
    sk_str data = sk_str_make(input.data + *at, bytes);
    parser->body_left -= bytes;
    *at += bytes;
    return data;
}

static sk_err refuse(struct wire_h1_parser *parser, enum wire_h1_refusal refusal) {
    parser->refusal = refusal;
    return SK_ERR_MALFORMED;
}

/* Framing, one piece of data, and the framing after it as far as it is there: so the end of a body comes
 * with its last piece. */
static sk_err parse_chunked(struct wire_h1_parser *parser, const struct wire_h1_limits *limits, sk_str input,
                            struct sk_arena *arena, struct http_fields *out_trailers, sk_str *data,
                            size_t *at) {
    enum wire_h1_refusal refusal = take_framing(parser, limits, input, at);
    if (!refusal && parser->chunk_state == DATA && *at < input.len) {
        *data = take_data(parser, input, at);
        if (parser->body_left == 0) parser->chunk_state = DATA_CR;
        refusal = take_framing(parser, limits, input, at);
    }
    if (refusal) return refuse(parser, refusal);
    if (parser->chunk_state != TRAILERS) return *at < input.len ? SK_OK : SK_ERR_AGAIN;
    sk_err err = take_trailers(parser, limits, input, arena, out_trailers, at);
    return err == SK_ERR_MALFORMED ? refuse(parser, WIRE_H1_REFUSAL_TRAILER) : err;
}

static sk_err parse_length(struct wire_h1_parser *parser, sk_str input, sk_str *data, size_t *at) {
    *data = take_data(parser, input, at);
    return parser->body_left == 0 ? SK_ERR_END : SK_ERR_AGAIN;
}

sk_err wire_h1_parse_body(struct wire_h1_parser *parser, const struct wire_h1_limits *limits, sk_str input,
                          struct sk_arena *arena, struct http_fields *out_trailers, sk_str *out_data,
                          size_t *out_consumed) {
    sk_str data = sk_str_make(input.data, 0);
    size_t at = 0;
    sk_err err = SK_ERR_END;
    if (parser->refusal) return SK_ERR_MALFORMED;
    if (!parser->body_done) {
        switch (parser->body_kind) {
        case HTTP_BODY_NONE: break;
        case HTTP_BODY_LENGTH: err = parse_length(parser, input, &data, &at); break;
        case HTTP_BODY_CHUNKED:
            err = parse_chunked(parser, limits, input, arena, out_trailers, &data, &at);
            break;
        case HTTP_BODY_CLOSE:
            data = input;
            at = input.len;
            err = SK_ERR_AGAIN;
            break;
        }
    }
    if (err == SK_ERR_MALFORMED || err == SK_ERR_NO_MEMORY) return err;
    parser->body_done = err == SK_ERR_END;
    *out_data = data;
    *out_consumed = at;
    return err;
}

sk_err wire_h1_body_eof(struct wire_h1_parser *parser) {
    if (parser->body_kind == HTTP_BODY_CLOSE) parser->body_done = true;
    return parser->body_done ? SK_OK : refuse(parser, WIRE_H1_REFUSAL_CUT_OFF);
}
