#include "http/targeted.h"

#include "http/structured.h"

#define ARENA_FIRST_BYTES 1024
#define ARENA_LIMIT_BYTES 262144 /* a dictionary of as many members as a head has room for */

static const struct http_cache_control nothing = {
    .max_age = HTTP_SECONDS_NONE,
    .s_maxage = HTTP_SECONDS_NONE,
    .min_fresh = HTTP_SECONDS_NONE,
    .max_stale = HTTP_SECONDS_NONE,
    .stale_while_revalidate = HTTP_SECONDS_NONE,
    .stale_if_error = HTTP_SECONDS_NONE,
};

/* delta-seconds are integers here (section 2.1); -1 when it is none. */
static int64_t seconds(const struct http_sf_value *value) {
    if (value->type != HTTP_SF_INTEGER || value->number < 0) return -1;
    return SK_MIN(value->number, HTTP_SECONDS_MAX);
}

/* The directives with seconds: a lifetime that cannot be read is none, a staleness that cannot be read allows none. */
static bool take_seconds(struct http_cache_control *control, sk_str name, const struct http_sf_value *value) {
    const struct {
        sk_str name;
        int64_t *seconds;
        bool lifetime;
    } known[] = {
        {SK_STR("max-age"), &control->max_age, true},
        {SK_STR("s-maxage"), &control->s_maxage, true},
        {SK_STR("stale-while-revalidate"), &control->stale_while_revalidate, false},
        {SK_STR("stale-if-error"), &control->stale_if_error, false},
    };
    for (size_t i = 0; i < SK_COUNT(known); i++) {
        if (!sk_str_eq(name, known[i].name)) continue;
        int64_t given = seconds(value);
        *known[i].seconds = SK_MAX(given, 0);
        if (given < 0 && known[i].lifetime) control->malformed_freshness = true;
        return true;
    }
    return false;
}

/* Directives without a value are true. Those that forbid hold with any value but false; those that allow only as true. */
static bool take_flag(struct http_cache_control *control, sk_str name, const struct http_sf_value *value) {
    const struct {
        sk_str name;
        bool *flag;
        bool allows;
    } known[] = {
        {SK_STR("no-store"), &control->no_store, false},
        {SK_STR("no-cache"), &control->no_cache, false},
        {SK_STR("private"), &control->is_private, false},
        {SK_STR("no-transform"), &control->no_transform, false},
        {SK_STR("must-revalidate"), &control->must_revalidate, false},
        {SK_STR("proxy-revalidate"), &control->proxy_revalidate, false},
        {SK_STR("must-understand"), &control->must_understand, true},
        {SK_STR("public"), &control->is_public, true},
        {SK_STR("immutable"), &control->immutable, false}, /* its arguments mean nothing (RFC 8246 2) */
    };
    bool boolean = value->type == HTTP_SF_BOOLEAN, on = boolean ? value->number == 1 : true;
    for (size_t i = 0; i < SK_COUNT(known); i++) {
        if (!sk_str_eq(name, known[i].name)) continue;
        if (on && (boolean || !known[i].allows)) *known[i].flag = true;
        return true;
    }
    return false;
}

/* no-cache="a, b" and private="a": the names are a string. Borrowed from the field, or none when it was escaped: a name
 * has no escapes, so that the unqualified form, which is stricter, takes its place. */
static void take_names(struct http_cache_control *control, sk_str name, const struct http_sf_value *value,
                       sk_str field) {
    bool borrowed = value->text.data >= field.data && value->text.data < field.data + field.len;
    if (value->type != HTTP_SF_STRING || !value->text.len || !borrowed) return;
    if (sk_str_eq(name, SK_STR("no-cache"))) control->no_cache_fields = value->text;
    if (sk_str_eq(name, SK_STR("private"))) control->private_fields = value->text;
}

/* One line of a structured field; several lines are one dictionary, so that the last of a directive holds. */
static sk_err read_line(struct sk_arena *arena, sk_str field, struct http_cache_control *control,
                        uint32_t *members) {
    struct http_sf_member *items;
    uint32_t count;
    sk_err err = http_sf_parse_dictionary(arena, field, &items, &count);
    if (err) return err;
    for (uint32_t i = 0; i < count; i++) {
        const struct http_sf_value *value = &items[i].value;
        if (take_seconds(control, items[i].key, value) || !take_flag(control, items[i].key, value)) continue;
        take_names(control, items[i].key, value, field);
    }
    *members += count;
    return SK_OK;
}

/* True when the field with this id counts. */
static bool read_structured(const struct http_fields *fields, enum http_field_id id,
                            struct http_cache_control *out) {
    struct http_cache_control control = nothing;
    struct sk_arena arena;
    uint32_t members = 0;
    sk_err err = SK_OK;
    if (!http_fields_find(fields, id)) return false;
    sk_arena_init(&arena, ARENA_FIRST_BYTES, ARENA_LIMIT_BYTES);
    for (const struct http_field *f = NULL; !err && (f = http_fields_next(fields, id, f));)
        err = read_line(&arena, f->value, &control, &members);
    sk_arena_free(&arena);
    if (err == SK_ERR_MALFORMED || (!err && members == 0)) return false;
    if (err) control.no_store = true;
    control.present = true;
    *out = control;
    return true;
}

/* "max-age=3600+600": fresh for an hour, and ten minutes more while it is refreshed. False: not readable. */
static bool take_surrogate_age(struct http_cache_control *control, sk_str value) {
    size_t plus = sk_str_find_byte(value, '+');
    uint64_t age, more;
    if (sk_str_to_u64(sk_str_slice(value, 0, plus), &age)) return false;
    if (plus < value.len) {
        if (sk_str_to_u64(sk_str_slice(value, plus + 1, value.len), &more)) return false;
        control->stale_while_revalidate = (int64_t)SK_MIN(more, (uint64_t)HTTP_SECONDS_MAX);
    }
    control->max_age = (int64_t)SK_MIN(age, (uint64_t)HTTP_SECONDS_MAX);
    return true;
}

/* Surrogate-Control (the Edge Architecture note of 2001). Nothing in it concerns us but max-age and no-store. */
static bool read_surrogate(const struct http_fields *fields, struct http_cache_control *out) {
    static const sk_str age = SK_STR_INIT("max-age=");
    struct http_cache_control control = nothing;
    for (const struct http_field *f = NULL;
         (f = http_fields_next(fields, HTTP_FIELD_SURROGATE_CONTROL, f));) {
        sk_str rest = f->value, element;
        while (http_list_next(&rest, &element)) {
            if (sk_str_ieq(element, SK_STR("no-store")))
                control.no_store = control.present = true;
            else if (sk_str_istarts_with(element, age))
                control.present |= take_surrogate_age(&control, sk_str_slice(element, age.len, element.len));
        }
    }
    if (control.present) *out = control;
    return control.present;
}

void http_response_cache_control(const struct http_fields *fields, struct http_cache_control *out_control,
                                 bool *out_targeted) {
    *out_targeted = read_structured(fields, HTTP_FIELD_SKERRY_CDN_CACHE_CONTROL, out_control) ||
                    read_structured(fields, HTTP_FIELD_CDN_CACHE_CONTROL, out_control) ||
                    read_surrogate(fields, out_control);
    if (!*out_targeted) http_cache_control_parse(fields, HTTP_FIELD_CACHE_CONTROL, out_control);
}
