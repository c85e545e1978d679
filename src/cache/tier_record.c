#include "cache/tier_record.h"

#define VERSION 2
#define NUMBER_BYTES 10

enum {
    FLAG_LIST = 1,
    FLAG_CODABLE = 2,
    FLAG_HEURISTIC = 4,
    FLAG_MUST_REVALIDATE = 8,
    FLAG_ALWAYS_REVALIDATE = 16,
    FLAG_UNFRAMED = 32,
    FLAG_IMMUTABLE = 64,
    FLAG_HAS_VALIDATOR = 128,
    FLAG_CAPPED = 256,
    FLAG_ETAG = 512,
    FLAG_ETAG_WEAK = 1024,
    FLAG_LAST_MODIFIED = 2048,
};

/* ---- writing ---------------------------------------------------------------------------------------------- */

static sk_err put_number(struct sk_buf *out, uint64_t number) {
    char bytes[NUMBER_BYTES];
    size_t n = 0;
    do {
        bytes[n++] = (char)((number & 127) | (number > 127 ? 128 : 0));
        number >>= 7;
    } while (number);
    return sk_buf_append(out, sk_str_make(bytes, n));
}

static sk_err put_signed(struct sk_buf *out, int64_t number) {
    return put_number(out, (uint64_t)number << 1 ^ (uint64_t)(number >> 63));
}

static sk_err put_text(struct sk_buf *out, sk_str text) {
    sk_err err = put_number(out, text.len);
    return err || !text.len ? err : sk_buf_append(out, text);
}

static uint64_t flags_of(const struct tier_record *record) {
    const struct http_freshness *freshness = &record->freshness;
    const struct http_validators *validators = &record->validators;
    uint64_t flags = 0;
    if (record->list) flags |= FLAG_LIST;
    if (record->codable) flags |= FLAG_CODABLE;
    if (freshness->heuristic) flags |= FLAG_HEURISTIC;
    if (freshness->must_revalidate) flags |= FLAG_MUST_REVALIDATE;
    if (freshness->always_revalidate) flags |= FLAG_ALWAYS_REVALIDATE;
    if (freshness->unframed) flags |= FLAG_UNFRAMED;
    if (freshness->immutable) flags |= FLAG_IMMUTABLE;
    if (freshness->has_validator) flags |= FLAG_HAS_VALIDATOR;
    if (freshness->capped) flags |= FLAG_CAPPED;
    if (validators->etag.opaque.data) flags |= FLAG_ETAG;
    if (validators->etag.weak) flags |= FLAG_ETAG_WEAK;
    if (validators->has_last_modified) flags |= FLAG_LAST_MODIFIED;
    return flags;
}

static sk_err put_freshness(struct sk_buf *out, const struct http_freshness *freshness) {
    sk_err err = put_signed(out, freshness->response_time);
    if (!err) err = put_signed(out, freshness->initial_age_s);
    if (!err) err = put_signed(out, freshness->lifetime_s);
    if (!err) err = put_signed(out, freshness->stale_while_revalidate_s);
    if (!err) err = put_signed(out, freshness->stale_if_error_s);
    if (!err) err = put_number(out, freshness->lifetime_rule);
    if (!err) err = put_number(out, freshness->age_value_s);
    if (!err) err = put_number(out, freshness->response_delay_s);
    return err;
}

static sk_err put_tags(struct sk_buf *out, const struct tier_record *record) {
    sk_err err = SK_OK;
    size_t count = 0;
    for (unsigned i = 0; i < HTTP_TAG_SOURCES && !err; i++) {
        err = put_number(out, record->tag_counts[i]);
        count += record->tag_counts[i];
    }
    for (size_t i = 0; i < count && !err; i++) {
        char bytes[8];
        for (unsigned k = 0; k < 8; k++) bytes[k] = (char)(record->tags[i] >> 8 * k);
        err = sk_buf_append(out, sk_str_make(bytes, sizeof bytes));
    }
    return err;
}

sk_err tier_record_encode(const struct tier_record *record, struct sk_buf *out) {
    sk_err err = put_number(out, VERSION);
    if (!err) err = put_number(out, flags_of(record));
    if (!err) err = put_number(out, record->number);
    if (!err) err = put_text(out, record->names);
    if (!err) err = put_number(out, record->born);
    if (err || record->list) return err;
    err = put_number(out, (uint64_t)record->part);
    if (!err) err = put_number(out, record->status);
    /* by its name: the table's numbers are not the same in every version */
    if (!err) err = put_text(out, http_reason_name(record->reason));
    if (!err) err = put_freshness(out, &record->freshness);
    if (!err) err = put_text(out, record->validators.etag.opaque);
    if (!err) err = put_signed(out, record->validators.last_modified);
    if (!err) err = put_signed(out, record->validators.date);
    if (!err) err = put_signed(out, record->stored_at);
    if (!err) err = put_number(out, record->length);
    if (!err) err = put_tags(out, record);
    return err ? err : put_text(out, record->fields);
}

/* ---- reading ---------------------------------------------------------------------------------------------- */

/* What is left; once something is wrong, all further reads give nothing. */
struct source {
    sk_str rest;
    bool bad;
};

static uint64_t number(struct source *source) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && source->rest.len; shift += 7) {
        uint8_t byte = (uint8_t)source->rest.data[0];
        source->rest = sk_str_slice(source->rest, 1, source->rest.len);
        if (shift == 63 && byte > 1) break;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return value;
    }
    source->bad = true;
    return 0;
}

static uint64_t number_to(struct source *source, uint64_t most) {
    uint64_t value = number(source);
    if (value <= most) return value;
    source->bad = true;
    return 0;
}

static int64_t signed_number(struct source *source) {
    uint64_t value = number(source);
    return (int64_t)(value >> 1 ^ -(value & 1));
}

static sk_str text(struct source *source) {
    uint64_t length = number(source);
    source->bad |= length > source->rest.len;
    if (source->bad) return (sk_str){"", 0};
    sk_str taken = sk_str_slice(source->rest, 0, length);
    source->rest = sk_str_slice(source->rest, length, source->rest.len);
    return taken;
}

static enum http_reason reason_of(sk_str name) {
    for (int i = 0; i < HTTP_REASON_COUNT_; i++)
        if (sk_str_eq(http_reason_name((enum http_reason)i), name)) return (enum http_reason)i;
    return HTTP_REASON_NONE;
}

static void read_freshness(struct source *source, uint64_t flags, struct http_freshness *out) {
    *out = (struct http_freshness){.response_time = signed_number(source)};
    out->initial_age_s = signed_number(source);
    out->lifetime_s = signed_number(source);
    out->stale_while_revalidate_s = signed_number(source);
    out->stale_if_error_s = signed_number(source);
    out->lifetime_rule = (uint8_t)number_to(source, HTTP_LIFETIME_COUNT_ - 1);
    out->age_value_s = (uint32_t)number_to(source, UINT32_MAX);
    out->response_delay_s = (uint32_t)number_to(source, UINT32_MAX);
    out->heuristic = flags & FLAG_HEURISTIC;
    out->must_revalidate = flags & FLAG_MUST_REVALIDATE;
    out->always_revalidate = flags & FLAG_ALWAYS_REVALIDATE;
    out->unframed = flags & FLAG_UNFRAMED;
    out->immutable = flags & FLAG_IMMUTABLE;
    out->has_validator = flags & FLAG_HAS_VALIDATOR;
    out->capped = flags & FLAG_CAPPED;
}

/* Arithmetic with ages must not overflow, whatever a device says. */
static bool is_sane(const struct http_freshness *freshness) {
    const int64_t most = INT64_C(1) << 40;
    return freshness->response_time > -most && freshness->response_time < most &&
           freshness->initial_age_s >= 0 && freshness->initial_age_s < most &&
           freshness->lifetime_s > -most && freshness->lifetime_s < most &&
           freshness->stale_while_revalidate_s >= 0 && freshness->stale_while_revalidate_s < most &&
           freshness->stale_if_error_s >= 0 && freshness->stale_if_error_s < most;
}

static void read_validators(struct source *source, uint64_t flags, struct http_validators *out) {
    sk_str etag = text(source);
    *out = (struct http_validators){.last_modified = signed_number(source)};
    out->date = signed_number(source);
    out->has_last_modified = flags & FLAG_LAST_MODIFIED;
    if (flags & FLAG_ETAG) out->etag = (struct http_etag){etag, flags & FLAG_ETAG_WEAK};
}

static sk_err read_tags(struct source *source, struct sk_arena *arena, struct tier_record *record) {
    size_t count = 0;
    for (unsigned i = 0; i < HTTP_TAG_SOURCES; i++) {
        record->tag_counts[i] = (uint16_t)number_to(source, HTTP_TAGS_MAX);
        count += record->tag_counts[i];
    }
    if (source->bad || count > HTTP_TAGS_MAX || source->rest.len < count * 8) return SK_ERR_CORRUPT;
    uint64_t *tags = sk_arena_alloc(arena, (count + 1) * sizeof *tags);
    if (!tags) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        tags[i] = 0;
        for (unsigned k = 0; k < 8; k++) tags[i] |= (uint64_t)(uint8_t)source->rest.data[i * 8 + k] << 8 * k;
    }
    source->rest = sk_str_slice(source->rest, count * 8, source->rest.len);
    record->tags = tags;
    return SK_OK;
}

static sk_err read_response(struct source *source, uint64_t flags, struct sk_arena *arena,
                            struct tier_record *record) {
    record->codable = flags & FLAG_CODABLE;
    record->part = (enum cache_part)number_to(source, CACHE_PART_SLICE);
    record->status = (uint16_t)number_to(source, 999);
    record->reason = reason_of(text(source));
    read_freshness(source, flags, &record->freshness);
    read_validators(source, flags, &record->validators);
    record->stored_at = signed_number(source);
    record->length = number(source);
    if (source->bad || !is_sane(&record->freshness)) return SK_ERR_CORRUPT;
    sk_err err = read_tags(source, arena, record);
    if (err) return err;
    record->fields = text(source);
    return SK_OK;
}

sk_err tier_record_decode(sk_str data, struct sk_arena *arena, struct tier_record *out_record) {
    struct source source = {.rest = data};
    struct tier_record record = {0};
    if (number(&source) != VERSION) return SK_ERR_CORRUPT;
    uint64_t flags = number(&source);
    record.list = flags & FLAG_LIST;
    record.number = number(&source);
    record.names = text(&source);
    record.born = number(&source);
    sk_err err = record.list || source.bad ? SK_OK : read_response(&source, flags, arena, &record);
    if (err) return err;
    if (source.bad || source.rest.len) return SK_ERR_CORRUPT;
    *out_record = record;
    return SK_OK;
}

/* "Name: value\r\n", as entries keep them. */
static sk_err read_line(sk_str *rest, struct http_field *out_field) {
    size_t end = sk_str_find_byte(*rest, '\r'), colon = sk_str_find_byte(*rest, ':');
    if (end + 1 >= rest->len || rest->data[end + 1] != '\n' || colon + 2 > end) return SK_ERR_CORRUPT;
    out_field->name = sk_str_slice(*rest, 0, colon);
    out_field->value = sk_str_slice(*rest, colon + 2, end);
    if (rest->data[colon + 1] != ' ' || !http_token_valid(out_field->name) ||
        !http_field_value_valid(out_field->value))
        return SK_ERR_CORRUPT;
    out_field->id = (uint16_t)http_field_lookup(out_field->name);
    *rest = sk_str_slice(*rest, end + 2, rest->len);
    return SK_OK;
}

sk_err tier_record_fields(const struct tier_record *record, struct sk_arena *arena,
                          struct http_fields *out_fields) {
    sk_str rest = record->fields;
    size_t lines = 1;
    uint32_t count = 0;
    for (size_t i = 0; i < rest.len; i++) lines += rest.data[i] == '\n';
    struct http_field *items = sk_arena_alloc(arena, lines * sizeof *items);
    if (!items) return SK_ERR_NO_MEMORY;
    while (rest.len) {
        sk_err err = read_line(&rest, &items[count]);
        if (err) return err;
        count++;
    }
    *out_fields = (struct http_fields){.items = items, .count = count, .capacity = (uint32_t)lines};
    return SK_OK;
}
