/* Byte ranges: RFC 9110 section 14, and If-Range of section 13.1.5. */
#include "http/conditional.h"
#include "http/date.h"

/* ---- If-Range ---------------------------------------------------------------------------------------- */

bool http_last_modified_strong(const struct http_validators *validators) {
    return validators->has_last_modified && validators->date - validators->last_modified >= 1;
}

/* True when there is no If-Range, or it names exactly what is stored. Dates are compared for equality, and
 * "now" plays no part in that but for two-digit years, which our own Date settles. */
static bool if_range_holds(const struct http_request *request, const struct http_validators *validators) {
    const struct http_field *field = http_fields_find(&request->fields, HTTP_FIELD_IF_RANGE);
    struct http_etag tag;
    sk_unix_s date;
    if (!field) return true;
    if (http_fields_next(&request->fields, HTTP_FIELD_IF_RANGE, field)) return false;
    if (http_etag_parse(field->value, &tag)) return http_etag_strong_match(tag, validators->etag);
    return http_date_parse(field->value, validators->date, &date) == SK_OK &&
           http_last_modified_strong(validators) && date == validators->last_modified;
}

/* ---- ranges ------------------------------------------------------------------------------------------ */

static bool number(sk_str text, uint64_t *out_value) {
    sk_err err = sk_str_to_u64(text, out_value);
    if (err == SK_ERR_TOO_LARGE) *out_value = UINT64_MAX;
    return err == SK_OK || err == SK_ERR_TOO_LARGE;
}

/* False when TEXT is no range, or one whose end is before its start: then all of them count for nothing. */
static bool parse_spec(sk_str text, struct http_range_spec *out_spec) {
    size_t dash = sk_str_find_byte(text, '-');
    if (dash == text.len) return false;
    sk_str first = sk_str_slice(text, 0, dash), last = sk_str_slice(text, dash + 1, text.len);
    struct http_range_spec spec = {.suffix = first.len == 0, .open = last.len == 0};
    if (spec.suffix && spec.open) return false;
    if (!spec.suffix && !number(first, &spec.first)) return false;
    if (!spec.open && !number(last, &spec.last)) return false;
    if (!spec.suffix && !spec.open && spec.last < spec.first) return false;
    *out_spec = spec;
    return true;
}

/* The bytes that SPEC means in LENGTH; false when it means none (14.1.2). LENGTH is not 0. */
static bool resolve(struct http_range_spec spec, uint64_t length, struct http_byte_range *out_range) {
    if (spec.suffix) {
        if (spec.last == 0) return false;
        *out_range = (struct http_byte_range){length - SK_MIN(spec.last, length), length - 1};
        return true;
    }
    if (spec.first >= length) return false;
    *out_range = (struct http_byte_range){spec.first, spec.open ? length - 1 : SK_MIN(spec.last, length - 1)};
    return true;
}

/* True when the two overlap or touch. */
static bool joins(struct http_byte_range a, struct http_byte_range b) {
    return a.first <= b.last + 1 && b.first <= a.last + 1;
}

/* Adds RANGE, swallowing those that it joins; the place of the first of them is kept. */
static void add_range(struct http_range_answer *answer, struct http_byte_range range) {
    uint32_t place = answer->count, kept = 0;
    for (uint32_t i = 0; i < answer->count; i++) {
        struct http_byte_range other = answer->ranges[i];
        if (!joins(range, other)) {
            answer->ranges[kept++] = other;
            continue;
        }
        range = (struct http_byte_range){SK_MIN(range.first, other.first), SK_MAX(range.last, other.last)};
        if (place == answer->count) place = kept++;
    }
    if (place == answer->count) place = kept++;
    answer->ranges[place] = range;
    answer->count = kept;
}

/* The text after "bytes=", or data NULL: another unit, several lines, or no Range at all (14.2). */
static sk_str range_set(const struct http_request *request) {
    const struct http_field *field = http_fields_find(&request->fields, HTTP_FIELD_RANGE);
    static const sk_str unit = SK_STR_INIT("bytes=");
    if (!field || http_fields_next(&request->fields, HTTP_FIELD_RANGE, field)) return (sk_str){NULL, 0};
    return sk_str_istarts_with(field->value, unit) ? sk_str_slice(field->value, unit.len, field->value.len)
                                                   : (sk_str){NULL, 0};
}

struct http_range_answer http_range_evaluate(const struct http_request *request,
                                             const struct http_validators *validators, uint64_t length) {
    const struct http_range_answer whole = {.kind = HTTP_RANGE_WHOLE};
    struct http_range_answer answer = {.kind = HTTP_RANGE_SOME};
    sk_str rest = range_set(request), text;
    uint32_t specs = 0;
    if (request->method != HTTP_METHOD_GET || !rest.data || length == 0) return whole;
    if (!if_range_holds(request, validators)) return whole;
    while (http_list_next(&rest, &text)) {
        struct http_range_spec spec;
        struct http_byte_range range;
        if (++specs > HTTP_RANGE_MAX || !parse_spec(text, &spec)) return whole;
        if (resolve(spec, length, &range)) add_range(&answer, range);
    }
    if (specs == 0) return whole;
    if (answer.count == 0) answer.kind = HTTP_RANGE_UNSATISFIABLE;
    return answer;
}

bool http_range_first(const struct http_request *request, struct http_range_spec *out_spec) {
    sk_str rest = range_set(request), text;
    uint32_t specs = 0;
    struct http_range_spec first = {0};
    if (request->method != HTTP_METHOD_GET || !rest.data) return false;
    while (http_list_next(&rest, &text)) {
        struct http_range_spec spec;
        if (++specs > HTTP_RANGE_MAX || !parse_spec(text, &spec)) return false;
        if (specs == 1) first = spec;
    }
    if (specs == 0) return false;
    *out_spec = first;
    return true;
}
