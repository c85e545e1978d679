#include "http/cache_control.h"

/* One directive: name, and argument with data NULL when there is none. */
struct directive {
    sk_str name, argument;
    bool quoted;
    bool well_formed; /* token ["=" (token / quoted-string)], nothing else */
};

static sk_str from(sk_str s, size_t index) { return sk_str_slice(s, index, s.len); }

/* True when S is one whole quoted string (RFC 9110 5.6.4). */
static bool is_quoted(sk_str s) {
    if (s.len < 2 || s.data[0] != '"' || s.data[s.len - 1] != '"') return false;
    size_t i = 1;
    while (i < s.len - 1 && s.data[i] != '"') i += s.data[i] == '\\' ? 2 : 1;
    return i == s.len - 1;
}

static struct directive cut(sk_str element) {
    size_t equals = sk_str_find_byte(element, '=');
    struct directive d = {.name = sk_str_slice(element, 0, equals), .well_formed = true};
    if (equals < element.len) {
        d.argument = from(element, equals + 1);
        d.quoted = is_quoted(d.argument);
        d.well_formed = d.quoted || http_token_valid(d.argument);
        if (d.quoted) d.argument = sk_str_slice(d.argument, 1, d.argument.len - 1);
    }
    sk_str name = sk_str_trim(d.name);
    d.well_formed = d.well_formed && name.len == d.name.len && http_token_valid(name);
    d.name = name;
    return d;
}

/* delta-seconds (1.2.2), in either form (5.2); -1 when it is none. Larger ones mean the greatest. */
static int64_t seconds(const struct directive *d) {
    uint64_t value = UINT64_MAX;
    if (!d->well_formed || !d->argument.data) return -1;
    sk_err err = sk_str_to_u64(d->argument, &value);
    if (err == SK_ERR_MALFORMED) return -1;
    return err || value > (uint64_t)HTTP_SECONDS_MAX ? HTTP_SECONDS_MAX : (int64_t)value;
}

/* Two values of one directive: the one that allows less. */
static void keep_least(int64_t *kept, int64_t value) {
    if (*kept == HTTP_SECONDS_NONE || value < *kept) *kept = value;
}
static void keep_most(int64_t *kept, int64_t value) {
    if (value > *kept) *kept = value;
}

/* A lifetime that cannot be read makes the response stale (4.2.1). */
static void add_lifetime(struct http_cache_control *control, int64_t *kept, const struct directive *d) {
    int64_t value = seconds(d);
    if (value < 0) control->malformed_freshness = true;
    keep_least(kept, SK_MAX(value, 0));
}

/* A staleness that cannot be read allows none (RFC 5861 section 3 and 4 need an argument). */
static void add_staleness(int64_t *kept, const struct directive *d) {
    keep_least(kept, SK_MAX(seconds(d), 0));
}

/* 5.2.1.2: without an argument any staleness will do, but a number elsewhere allows less. */
static void add_max_stale(struct http_cache_control *control, const struct directive *d) {
    if (!d->argument.data && d->well_formed)
        control->max_stale_any = true;
    else
        keep_least(&control->max_stale, SK_MAX(seconds(d), 0));
}

/* no-cache and private, alone or with field names. The unqualified form is stricter: it wins, and what
 * cannot be read or comes twice counts as such. */
static void add_qualified(bool *flag, sk_str *fields, const struct directive *d) {
    bool escaped = sk_str_find_byte(d->argument, '\\') < d->argument.len; /* in no name */
    bool names = d->well_formed && d->argument.len > 0 && !escaped;
    *fields = names && !*flag ? d->argument : (sk_str){NULL, 0};
    *flag = true;
}

/* Directives without argument. Those that allow something must be spelled exactly; those that forbid hold
 * whatever hangs on them. */
static bool add_flag(struct http_cache_control *control, const struct directive *d) {
    const struct {
        sk_str name;
        bool *flag;
        bool allows;
    } flags[] = {
        {SK_STR("no-store"), &control->no_store, false},
        {SK_STR("no-transform"), &control->no_transform, false},
        {SK_STR("must-revalidate"), &control->must_revalidate, false},
        {SK_STR("proxy-revalidate"), &control->proxy_revalidate, false},
        {SK_STR("only-if-cached"), &control->only_if_cached, false},
        {SK_STR("must-understand"), &control->must_understand, true},
        {SK_STR("public"), &control->is_public, true},
        {SK_STR("immutable"), &control->immutable, false}, /* its arguments mean nothing (RFC 8246 2) */
    };
    bool bare = d->well_formed && !d->argument.data;
    for (size_t i = 0; i < SK_COUNT(flags); i++) {
        if (!sk_str_ieq(d->name, flags[i].name)) continue;
        if (bare || !flags[i].allows) *flags[i].flag = true;
        return true;
    }
    return false;
}

static void add(struct http_cache_control *control, sk_str element) {
    struct directive d = cut(element);
    if (add_flag(control, &d)) return;
    if (sk_str_ieq(d.name, SK_STR("max-age"))) {
        add_lifetime(control, &control->max_age, &d);
    } else if (sk_str_ieq(d.name, SK_STR("s-maxage"))) {
        add_lifetime(control, &control->s_maxage, &d);
    } else if (sk_str_ieq(d.name, SK_STR("no-cache"))) {
        add_qualified(&control->no_cache, &control->no_cache_fields, &d);
    } else if (sk_str_ieq(d.name, SK_STR("private"))) {
        add_qualified(&control->is_private, &control->private_fields, &d);
    } else if (sk_str_ieq(d.name, SK_STR("stale-while-revalidate"))) {
        add_staleness(&control->stale_while_revalidate, &d);
    } else if (sk_str_ieq(d.name, SK_STR("stale-if-error"))) {
        add_staleness(&control->stale_if_error, &d);
    } else if (sk_str_ieq(d.name, SK_STR("max-stale"))) {
        add_max_stale(control, &d);
    } else if (sk_str_ieq(d.name, SK_STR("min-fresh")) && seconds(&d) >= 0) {
        keep_most(&control->min_fresh, seconds(&d));
    }
}

void http_cache_control_parse(const struct http_fields *fields, enum http_field_id id,
                              struct http_cache_control *out_control) {
    *out_control = (struct http_cache_control){.max_age = HTTP_SECONDS_NONE,
                                               .s_maxage = HTTP_SECONDS_NONE,
                                               .min_fresh = HTTP_SECONDS_NONE,
                                               .max_stale = HTTP_SECONDS_NONE,
                                               .stale_while_revalidate = HTTP_SECONDS_NONE,
                                               .stale_if_error = HTTP_SECONDS_NONE};
    for (const struct http_field *field = NULL; (field = http_fields_next(fields, id, field));) {
        sk_str rest = field->value, element;
        out_control->present = true;
        while (http_list_next(&rest, &element)) add(out_control, element);
    }
}
