#include "http/conditional.h"

#include "http/date.h"

/* ---- entity-tags, RFC 9110 8.8.3 --------------------------------------------------------------------- */

/* etagc: any byte of field text but SP and the quote. */
static bool etag_byte(char c) {
    uint8_t byte = (uint8_t)c;
    return byte == 0x21 || (byte >= 0x23 && byte != 0x7f);
}

bool http_etag_parse(sk_str text, struct http_etag *out_etag) {
    bool weak = sk_str_starts_with(text, SK_STR("W/"));
    sk_str opaque = weak ? sk_str_slice(text, 2, text.len) : text;
    *out_etag = (struct http_etag){0};
    if (opaque.len < 2 || opaque.data[0] != '"' || opaque.data[opaque.len - 1] != '"') return false;
    for (size_t i = 1; i < opaque.len - 1; i++) {
        if (!etag_byte(opaque.data[i])) return false;
    }
    *out_etag = (struct http_etag){opaque, weak};
    return true;
}

bool http_etag_strong_match(struct http_etag a, struct http_etag b) {
    return !a.weak && !b.weak && http_etag_weak_match(a, b);
}

bool http_etag_weak_match(struct http_etag a, struct http_etag b) {
    return a.opaque.data && b.opaque.data && sk_str_eq(a.opaque, b.opaque);
}

void http_validators_of(const struct http_fields *response_fields, sk_unix_s now,
                        struct http_validators *out) {
    *out = (struct http_validators){.date = now};
    http_etag_parse(http_fields_value(response_fields, HTTP_FIELD_ETAG), &out->etag);
    sk_str modified = http_fields_value(response_fields, HTTP_FIELD_LAST_MODIFIED);
    out->has_last_modified = http_date_parse(modified, now, &out->last_modified) == SK_OK;
    sk_unix_s date;
    if (http_date_parse(http_fields_value(response_fields, HTTP_FIELD_DATE), now, &date) == SK_OK)
        out->date = date;
}

bool http_not_modified_means(const struct http_validators *of_304, const struct http_validators *stored) {
    if (of_304->etag.opaque.data) {
        return of_304->etag.weak ? http_etag_weak_match(of_304->etag, stored->etag)
                                 : http_etag_strong_match(of_304->etag, stored->etag);
    }
    if (!of_304->has_last_modified || !stored->has_last_modified) return true;
    return of_304->last_modified == stored->last_modified;
}

/* ---- preconditions, RFC 9110 section 13 -------------------------------------------------------------- */

bool http_request_is_conditional(const struct http_request *request) {
    for (uint32_t i = 0; i < request->fields.count; i++) {
        switch (request->fields.items[i].id) {
        case HTTP_FIELD_IF_NONE_MATCH:
        case HTTP_FIELD_IF_MODIFIED_SINCE:
        case HTTP_FIELD_IF_MATCH:
        case HTTP_FIELD_IF_UNMODIFIED_SINCE:
        case HTTP_FIELD_IF_RANGE: return true;
        default: break;
        }
    }
    return false;
}

/* The next element of a list of entity-tags, whose opaque part may hold commas and is no quoted string: a
 * backslash in it means itself. */
static bool next_etag(sk_str *rest, sk_str *out_text) {
    size_t i = 0;
    while (i < rest->len && (rest->data[i] == ',' || rest->data[i] == ' ' || rest->data[i] == '\t')) i++;
    if (i == rest->len) return false;
    size_t start = i;
    bool quoted = false;
    for (; i < rest->len && (quoted || rest->data[i] != ','); i++) quoted ^= rest->data[i] == '"';
    *out_text = sk_str_trim(sk_str_slice(*rest, start, i));
    *rest = sk_str_slice(*rest, i, rest->len);
    return true;
}

/* True when the field lines with ID name TAG, or anything by an asterisk. */
static bool any_matches(const struct http_request *request, enum http_field_id id, struct http_etag tag,
                        bool (*match)(struct http_etag, struct http_etag)) {
    for (const struct http_field *f = NULL; (f = http_fields_next(&request->fields, id, f));) {
        sk_str rest = f->value, text;
        struct http_etag wanted;
        if (sk_str_eq(rest, SK_STR("*"))) return true;
        while (next_etag(&rest, &text)) {
            if (http_etag_parse(text, &wanted) && match(wanted, tag)) return true;
        }
    }
    return false;
}

/* The date in the one field line with ID. False when there is none, more than one, or no date in it: then
 * the condition is ignored (13.1.3, 13.1.4). */
static bool date_condition(const struct http_request *request, enum http_field_id id, sk_unix_s now,
                           sk_unix_s *out_date) {
    const struct http_field *field = http_fields_find(&request->fields, id);
    if (!field || http_fields_next(&request->fields, id, field)) return false;
    return http_date_parse(field->value, now, out_date) == SK_OK;
}

/* RFC 9111 4.3.2: without Last-Modified, Date takes its place. */
static sk_unix_s modified(const struct http_validators *validators) {
    return validators->has_last_modified ? validators->last_modified : validators->date;
}

/* 13.2.2, steps 1 and 2. */
static bool match_fails(const struct http_request *request, const struct http_validators *validators,
                        sk_unix_s now) {
    sk_unix_s date;
    if (http_fields_find(&request->fields, HTTP_FIELD_IF_MATCH)) {
        return !any_matches(request, HTTP_FIELD_IF_MATCH, validators->etag, http_etag_strong_match);
    }
    return date_condition(request, HTTP_FIELD_IF_UNMODIFIED_SINCE, now, &date) && modified(validators) > date;
}

/* 13.2.2, steps 3 and 4. */
static bool unchanged(const struct http_request *request, const struct http_validators *validators,
                      sk_unix_s now) {
    sk_unix_s date;
    if (http_fields_find(&request->fields, HTTP_FIELD_IF_NONE_MATCH)) {
        return any_matches(request, HTTP_FIELD_IF_NONE_MATCH, validators->etag, http_etag_weak_match);
    }
    return date_condition(request, HTTP_FIELD_IF_MODIFIED_SINCE, now, &date) && modified(validators) <= date;
}

enum http_precondition http_precondition_evaluate(const struct http_request *request,
                                                  const struct http_validators *validators, sk_unix_s now) {
    bool get_or_head = request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD;
    if (!get_or_head) return HTTP_PRECONDITION_PASS;
    if (match_fails(request, validators, now)) return HTTP_PRECONDITION_FAILED;
    return unchanged(request, validators, now) ? HTTP_PRECONDITION_NOT_MODIFIED : HTTP_PRECONDITION_PASS;
}
