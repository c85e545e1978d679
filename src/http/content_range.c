#include "http/content_range.h"

#include <stdio.h>

/* ---- Content-Range ------------------------------------------------------------------------------------- */

/* "first-last" or "*". */
static bool parse_incl_range(sk_str text, struct http_content_range *range) {
    size_t dash = sk_str_find_byte(text, '-');
    range->unsatisfied = sk_str_eq(text, SK_STR("*"));
    if (range->unsatisfied) return true;
    return dash < text.len && sk_str_to_u64(sk_str_slice(text, 0, dash), &range->first) == SK_OK &&
           sk_str_to_u64(sk_str_slice(text, dash + 1, text.len), &range->last) == SK_OK &&
           range->first <= range->last;
}

bool http_content_range_parse(sk_str value, struct http_content_range *out_range) {
    static const sk_str unit = SK_STR_INIT("bytes ");
    struct http_content_range range = {.length = HTTP_LENGTH_UNKNOWN};
    if (!sk_str_istarts_with(value, unit)) return false;
    sk_str rest = sk_str_trim(sk_str_slice(value, unit.len, value.len));
    size_t slash = sk_str_find_byte(rest, '/');
    if (slash == rest.len || !parse_incl_range(sk_str_slice(rest, 0, slash), &range)) return false;
    sk_str length = sk_str_slice(rest, slash + 1, rest.len);
    bool unknown = sk_str_eq(length, SK_STR("*"));
    if (unknown ? range.unsatisfied : sk_str_to_u64(length, &range.length) != SK_OK) return false;
    if (!range.unsatisfied && range.last >= range.length) return false;
    *out_range = range;
    return true;
}

bool http_partial_parse(const struct http_response *response, struct http_content_range *out_range) {
    const struct http_fields *fields = &response->fields;
    const struct http_field *field = http_fields_find(fields, HTTP_FIELD_CONTENT_RANGE);
    struct http_content_range range;
    if (!field || http_fields_next(fields, HTTP_FIELD_CONTENT_RANGE, field)) return false;
    if (sk_str_istarts_with(http_fields_value(fields, HTTP_FIELD_CONTENT_TYPE),
                            SK_STR("multipart/byteranges")))
        return false;
    if (!http_content_range_parse(field->value, &range) || range.unsatisfied) return false;
    bool length = response->body_kind == HTTP_BODY_LENGTH;
    if (length && response->content_length != range.last - range.first + 1) return false;
    if (response->body_kind == HTTP_BODY_NONE) return false;
    *out_range = range;
    return true;
}

/* ---- validators ------------------------------------------------------------------------------------------ */

bool http_validators_strong(const struct http_validators *validators) {
    if (validators->etag.opaque.data) return !validators->etag.weak;
    return http_last_modified_strong(validators);
}

bool http_validators_combine(const struct http_validators *stored, const struct http_validators *fresh) {
    if (!http_validators_strong(stored)) return false;
    if (stored->etag.opaque.data) return http_etag_strong_match(stored->etag, fresh->etag);
    return !fresh->etag.opaque.data && fresh->has_last_modified &&
           fresh->last_modified == stored->last_modified;
}

sk_str http_if_range_value(const struct http_validators *stored, sk_str modified) {
    if (!http_validators_strong(stored)) return (sk_str){0};
    return stored->etag.opaque.data ? stored->etag.opaque : modified;
}

/* ---- what to ask for ------------------------------------------------------------------------------------- */

static uint64_t saturating_add(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }

struct http_range_wish http_range_wish_of(const struct http_request *request) {
    struct http_range_spec spec;
    struct http_range_wish wish = {0};
    if (!http_range_first(request, &spec)) return wish;
    wish.wanted = true;
    wish.suffix = spec.suffix;
    if (spec.suffix) {
        wish.last = saturating_add(spec.last, HTTP_SLICE_BYTES);
        return wish;
    }
    wish.first = http_slice_of(spec.first) * HTTP_SLICE_BYTES;
    uint64_t run_last = saturating_add(wish.first, (uint64_t)HTTP_SLICE_RUN * HTTP_SLICE_BYTES - 1);
    uint64_t last_slice = http_slice_of(spec.open ? UINT64_MAX : spec.last) * HTTP_SLICE_BYTES;
    wish.last = SK_MIN(run_last, saturating_add(last_slice, HTTP_SLICE_BYTES - 1));
    return wish;
}

size_t http_range_wish_format(const struct http_range_wish *wish, char out[HTTP_RANGE_WISH_BYTES]) {
    unsigned long long first = wish->first, last = wish->last;
    int len = wish->suffix ? snprintf(out, HTTP_RANGE_WISH_BYTES, "bytes=-%llu", last)
                           : snprintf(out, HTTP_RANGE_WISH_BYTES, "bytes=%llu-%llu", first, last);
    return (size_t)len;
}

bool http_part_holds(const struct http_content_range *part, uint64_t slice) {
    uint64_t start = slice * HTTP_SLICE_BYTES, bytes = http_slice_bytes(slice, part->length);
    return bytes > 0 && start >= part->first && start + (bytes - 1) <= part->last;
}

bool http_wish_slice(const struct http_request *request, const struct http_content_range *part,
                     uint64_t *out_slice) {
    struct http_range_spec spec;
    if (!http_range_first(request, &spec) || part->length == HTTP_LENGTH_UNKNOWN) return false;
    uint64_t position = spec.suffix ? part->length - SK_MIN(spec.last, part->length) : spec.first;
    uint64_t slice = http_slice_of(position);
    if (!http_part_holds(part, slice)) return false;
    *out_slice = slice;
    return true;
}
