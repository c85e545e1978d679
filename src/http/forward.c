#include "http/forward.h"

/* ---- hop-by-hop, RFC 9110 7.6.1 ---------------------------------------------------------------------- */

static bool hop_by_hop(uint16_t id) {
    switch (id) {
    case HTTP_FIELD_CONNECTION:
    case HTTP_FIELD_KEEP_ALIVE:
    case HTTP_FIELD_PROXY_CONNECTION:
    case HTTP_FIELD_TRANSFER_ENCODING:
    case HTTP_FIELD_UPGRADE:
    case HTTP_FIELD_HTTP2_SETTINGS: return true;
    default: return false;
    }
}

static bool is_forwarding_name(sk_str name) { return sk_str_istarts_with(name, SK_STR("x-forwarded-")); }

/* Every end-to-end field that we know carries meaning, routing or protection for someone further on, so
 * Connection must not be a way to lose it on the way; names that nobody knows are its to remove. */
static bool protected_field(const struct http_field *field) {
    return field->id != HTTP_FIELD_UNKNOWN || is_forwarding_name(field->name);
}

static bool named_by_connection(const struct http_fields *fields, sk_str name) {
    for (const struct http_field *f = NULL; (f = http_fields_next(fields, HTTP_FIELD_CONNECTION, f));) {
        sk_str rest = f->value, option;
        while (http_list_next(&rest, &option)) {
            if (sk_str_ieq(option, name)) return true;
        }
    }
    return false;
}

/* TE stays where it says that trailers are welcome, and says nothing else then. */
static bool keep_te(struct http_field *field) {
    sk_str rest = field->value, coding;
    while (http_list_next(&rest, &coding)) {
        if (!sk_str_ieq(coding, SK_STR("trailers"))) continue;
        field->value = SK_STR("trailers");
        return true;
    }
    return false;
}

void http_forward_strip_hop_by_hop(struct http_fields *fields) {
    bool connection = http_fields_find(fields, HTTP_FIELD_CONNECTION);
    uint32_t kept = 0;
    /* first what Connection names, while it is still there */
    for (uint32_t i = 0; connection && i < fields->count; i++) {
        struct http_field *field = &fields->items[i];
        if (protected_field(field) || !named_by_connection(fields, field->name)) continue;
        field->name = (sk_str){NULL, 0}; /* marked; no received field has an empty name */
    }
    for (uint32_t i = 0; i < fields->count; i++) {
        struct http_field *field = &fields->items[i];
        if (field->name.len == 0 || hop_by_hop(field->id)) continue;
        if (field->id == HTTP_FIELD_TE && !keep_te(field)) continue;
        fields->items[kept++] = *field;
    }
    fields->count = kept;
}

/* ---- Max-Forwards, RFC 9110 7.6.2 -------------------------------------------------------------------- */

static bool forwards_left(const struct http_fields *fields, uint64_t *out_left) {
    const struct http_field *field = http_fields_find(fields, HTTP_FIELD_MAX_FORWARDS);
    if (!field) return false;
    sk_err err = sk_str_to_u64(field->value, out_left);
    if (err == SK_ERR_TOO_LARGE) *out_left = UINT64_MAX;
    return err == SK_OK || err == SK_ERR_TOO_LARGE;
}

bool http_forward_ends_here(const struct http_fields *fields) {
    uint64_t left;
    return forwards_left(fields, &left) && left == 0;
}

sk_err http_forward_count_down(struct http_fields *fields, struct sk_arena *arena) {
    uint64_t left;
    char digits[20];
    if (!forwards_left(fields, &left)) return SK_OK;
    if (left == 0) return SK_ERR_END;
    sk_str text = sk_arena_copy(arena, sk_str_make(digits, sk_u64_to_text(left - 1, digits)));
    if (!text.data) return SK_ERR_NO_MEMORY;
    http_fields_remove(fields, HTTP_FIELD_MAX_FORWARDS);
    return http_fields_add_id(fields, arena, HTTP_FIELD_MAX_FORWARDS, text) ? SK_ERR_NO_MEMORY : SK_OK;
}

/* ---- Via, CDN-Loop ----------------------------------------------------------------------------------- */

/* received-protocol of RFC 9110 7.6.3, where "HTTP/" goes without saying. */
static sk_str protocol_number(enum http_version version) {
    sk_str text = http_version_text(version);
    return sk_str_slice(text, 5, text.len);
}

sk_err http_forward_response_fields(struct http_fields *fields, struct sk_arena *arena, sk_str pseudonym,
                                    enum http_version received_version) {
    sk_str number = protocol_number(received_version);
    sk_str via = sk_arena_printf(arena, "%.*s %.*s", SK_STR_ARGS(number), SK_STR_ARGS(pseudonym));
    if (!via.data || http_fields_add_id(fields, arena, HTTP_FIELD_VIA, via)) return SK_ERR_NO_MEMORY;
    return SK_OK;
}

/* received-by is the second word of a Via element, and a cdn-id ends before its parameters. */
static sk_str name_in(enum http_field_id id, sk_str element) {
    if (id == HTTP_FIELD_CDN_LOOP)
        return sk_str_trim(sk_str_slice(element, 0, sk_str_find_byte(element, ';')));
    sk_str rest = sk_str_trim(sk_str_slice(element, sk_str_find_byte(element, ' '), element.len));
    return sk_str_slice(rest, 0, SK_MIN(sk_str_find_byte(rest, ' '), sk_str_find_byte(rest, '\t')));
}

static uint32_t count_name(const struct http_fields *fields, enum http_field_id id, sk_str pseudonym) {
    uint32_t count = 0;
    for (const struct http_field *f = NULL; (f = http_fields_next(fields, id, f));) {
        sk_str rest = f->value, element;
        while (http_list_next(&rest, &element)) count += sk_str_ieq(name_in(id, element), pseudonym);
    }
    return count;
}

uint32_t http_forward_loop_count(const struct http_fields *fields, sk_str pseudonym) {
    uint32_t loops = count_name(fields, HTTP_FIELD_CDN_LOOP, pseudonym);
    uint32_t vias = count_name(fields, HTTP_FIELD_VIA, pseudonym);
    return SK_MAX(loops, vias);
}

/* ---- who asked, RFC 7239 and its forerunners --------------------------------------------------------- */

/* Other names for the same claims, for another URL or host than the key is made of, and what CGI would take for an
 * environment variable of its own (HTTP_PROXY). */
static const sk_str claims[] = {
    SK_STR_INIT("client-ip"),      SK_STR_INIT("front-end-https"),      SK_STR_INIT("proxy"),
    SK_STR_INIT("true-client-ip"), SK_STR_INIT("x-client-ip"),          SK_STR_INIT("x-cluster-client-ip"),
    SK_STR_INIT("x-forwarded"),    SK_STR_INIT("x-forward-for"),        SK_STR_INIT("x-forwarder-for"),
    SK_STR_INIT("x-host"),         SK_STR_INIT("x-http-host-override"), SK_STR_INIT("x-original-host"),
    SK_STR_INIT("x-original-uri"), SK_STR_INIT("x-original-url"),       SK_STR_INIT("x-originating-ip"),
    SK_STR_INIT("x-override-url"), SK_STR_INIT("x-proxyuser-ip"),       SK_STR_INIT("x-real-ip"),
    SK_STR_INIT("x-remote-addr"),  SK_STR_INIT("x-remote-ip"),          SK_STR_INIT("x-rewrite-url"),
    SK_STR_INIT("x-scheme"),       SK_STR_INIT("x-url-scheme"),
};
static const sk_str overrides[] = {
    SK_STR_INIT("x-http-method"),
    SK_STR_INIT("x-http-method-override"),
    SK_STR_INIT("x-method"),
    SK_STR_INIT("x-method-override"),
};

static bool among(const sk_str *names, size_t count, sk_str name) {
    for (size_t i = 0; i < count; i++)
        if (sk_str_ieq(names[i], name)) return true;
    return false;
}

/* Some servers take "_" in a name for "-". */
static sk_str dashed(sk_str name, char out[32]) {
    if (name.len > 32) return name;
    for (size_t i = 0; i < name.len; i++) out[i] = name.data[i] == '_' ? '-' : name.data[i];
    return sk_str_make(out, name.len);
}

static bool is_claim(const struct http_field *field, const struct http_forward_context *context) {
    char room[32];
    sk_str name = dashed(field->name, room);
    if (context->override_means_nothing && among(overrides, SK_COUNT(overrides), name)) return true;
    if (context->client_trusted) return false;
    return field->id == HTTP_FIELD_FORWARDED || is_forwarding_name(name) ||
           among(claims, SK_COUNT(claims), name);
}

/* What a stranger claims is not passed on, in any of its spellings. */
static void remove_claims(struct http_fields *fields, const struct http_forward_context *context) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < fields->count; i++)
        if (!is_claim(&fields->items[i], context)) fields->items[kept++] = fields->items[i];
    fields->count = kept;
}

static sk_err set(struct http_fields *fields, struct sk_arena *arena, enum http_field_id id, sk_str value) {
    http_fields_remove(fields, id);
    return http_fields_add_id(fields, arena, id, value) ? SK_ERR_NO_MEMORY : SK_OK;
}

/* Sets a list to what it held and ADDED after it. */
static sk_err append(struct http_fields *fields, struct sk_arena *arena, enum http_field_id id,
                     sk_str added) {
    const struct http_field *first = http_fields_find(fields, id);
    if (!first) return set(fields, arena, id, added);
    sk_str before = http_fields_joined(fields, id, arena);
    sk_str joined = before.data
                        ? sk_arena_printf(arena, "%.*s, %.*s", SK_STR_ARGS(before), SK_STR_ARGS(added))
                        : (sk_str){NULL, 0};
    return joined.data ? set(fields, arena, id, joined) : SK_ERR_NO_MEMORY;
}

static sk_err set_if_absent(struct http_fields *fields, struct sk_arena *arena, enum http_field_id id,
                            sk_str value) {
    if (value.len == 0 || http_fields_find(fields, id)) return SK_OK;
    return set(fields, arena, id, value);
}

/* An element of Forwarded. IPv6 addresses stand in brackets and, like everything that is no token, in
 * quotes (RFC 7239 section 6); none of these texts can hold a quote or a backslash. */
static sk_str forwarded_element(struct sk_arena *arena, const struct http_forward_context *context) {
    bool ipv6 = sk_str_find_byte(context->client_ip, ':') < context->client_ip.len;
    bool token = http_token_valid(context->host);
    sk_str ip = sk_arena_printf(arena, ipv6 ? "for=\"[%.*s]\"" : "for=%.*s", SK_STR_ARGS(context->client_ip));
    if (context->host.len == 0 || !ip.data) {
        return ip.data
                   ? sk_arena_printf(arena, "%.*s;proto=%.*s", SK_STR_ARGS(ip), SK_STR_ARGS(context->scheme))
                   : ip;
    }
    return sk_arena_printf(arena, token ? "%.*s;host=%.*s;proto=%.*s" : "%.*s;host=\"%.*s\";proto=%.*s",
                           SK_STR_ARGS(ip), SK_STR_ARGS(context->host), SK_STR_ARGS(context->scheme));
}

sk_err http_forward_request_fields(struct http_fields *fields, struct sk_arena *arena,
                                   const struct http_forward_context *context) {
    remove_claims(fields, context);
    sk_str element = forwarded_element(arena, context);
    if (!element.data) return SK_ERR_NO_MEMORY;
    sk_err err = append(fields, arena, HTTP_FIELD_X_FORWARDED_FOR, context->client_ip);
    if (!err) err = set_if_absent(fields, arena, HTTP_FIELD_X_FORWARDED_PROTO, context->scheme);
    if (!err) err = set_if_absent(fields, arena, HTTP_FIELD_X_FORWARDED_HOST, context->host);
    if (!err) err = append(fields, arena, HTTP_FIELD_FORWARDED, element);
    if (!err) err = append(fields, arena, HTTP_FIELD_CDN_LOOP, context->pseudonym);
    return err ? err
               : http_forward_response_fields(fields, arena, context->pseudonym, context->received_version);
}
