#include "text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "clocks.h"

/* ---- small things ---------------------------------------------------------------------------------------- */

static void trim(char *text) {
    size_t len = strlen(text), from = 0;
    while (len && (text[len - 1] == ' ' || text[len - 1] == '\t')) text[--len] = '\0';
    while (text[from] == ' ' || text[from] == '\t') from++;
    memmove(text, text + from, len - from + 1);
}

static bool is_token(const char *text) {
    if (!*text) return false;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr("!#$%&'*+-.^_`|~", *text)) return false;
    return true;
}

int64_t text_seconds(const char *text) {
    if (!*text || strspn(text, "0123456789") != strlen(text)) return TEXT_NONE;
    if (strlen(text) > 12) return TEXT_SECONDS_MAX;
    long long value = atoll(text);
    return value > TEXT_SECONDS_MAX ? TEXT_SECONDS_MAX : value;
}

/* The two digits of a year mean the last such year that is not more than 50 years away. */
static int64_t two_digits(struct tm *tm) {
    time_t now = (time_t)clocks.wall_s;
    struct tm today, then;
    gmtime_r(&now, &today);
    tm->tm_year = today.tm_year - today.tm_year % 100 + 100 + tm->tm_year % 100;
    for (;; tm->tm_year -= 100) {
        then = *tm;
        if (timegm(&then) <= now + 1577847600) return timegm(&then); /* 50 years of 365.2425 days */
    }
}

bool text_date(const char *text, int64_t *out_time) {
    static const char *const formats[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                          "%a %b %e %H:%M:%S %Y"};
    for (size_t i = 0; i < 3; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, formats[i], &tm);
        if (!end || *end) continue;
        *out_time = i == 1 ? two_digits(&tm) : timegm(&tm);
        return true;
    }
    return false;
}

bool text_element(const char *list, int n, char *out, size_t room) {
    for (;;) {
        bool quoted = false;
        size_t len = 0;
        while (*list && (quoted || *list != ',')) {
            if (*list == '"') quoted = !quoted;
            if (len + 1 < room) out[len++] = *list;
            list++;
        }
        out[len] = '\0';
        trim(out);
        if (*out && n-- == 0) return true;
        if (!*list) return false;
        list++;
    }
}

bool text_lists(const struct trace_head *head, const char *field, const char *name) {
    char element[TRACE_VALUE_BYTES];
    for (uint32_t i = 0; i < head->count; i++) {
        if (strcasecmp(head->lines[i].name, field) != 0) continue;
        for (int n = 0; text_element(head->lines[i].value, n, element, sizeof element); n++)
            if (strcasecmp(element, name) == 0) return true;
    }
    return false;
}

bool text_has_tag(const struct trace_head *head, const char *tag) {
    static const char *const separators[][2] = {
        {"surrogate-key", " \t"}, {"cache-tag", ", \t"}, {"xkey", " \t"}};
    for (uint32_t i = 0; i < head->count; i++) {
        for (int field = 0; field < 3; field++) {
            char copy[TRACE_VALUE_BYTES], *rest = copy, *word;
            if (strcasecmp(head->lines[i].name, separators[field][0]) != 0) continue;
            snprintf(copy, sizeof copy, "%s", head->lines[i].value);
            while ((word = strsep(&rest, separators[field][1])))
                if (strcmp(word, tag) == 0) return true;
        }
    }
    return false;
}

bool text_joined(const struct trace_head *head, const char *name, char *out, size_t room) {
    bool found = false;
    *out = '\0';
    for (uint32_t i = 0; i < head->count; i++) {
        size_t len = strlen(out);
        if (strcasecmp(head->lines[i].name, name) != 0) continue;
        snprintf(out + len, room - len, "%s%s", found ? ", " : "", head->lines[i].value);
        found = true;
    }
    return found;
}

/* ---- entity tags ------------------------------------------------------------------------------------------- */

static const char *opaque(const char *tag) { return strncmp(tag, "W/", 2) == 0 ? tag + 2 : tag; }

bool text_is_tag(const char *text) {
    const char *rest = opaque(text);
    size_t len = strlen(rest);
    return len >= 2 && rest[0] == '"' && rest[len - 1] == '"' && strcspn(rest + 1, "\" ") == len - 2;
}

bool text_weakly_equal(const char *a, const char *b) {
    return text_is_tag(a) && text_is_tag(b) && strcmp(opaque(a), opaque(b)) == 0;
}

bool text_strongly_equal(const char *a, const char *b) {
    return text_weakly_equal(a, b) && opaque(a) == a && opaque(b) == b;
}

/* ---- directives ---------------------------------------------------------------------------------------------- */

struct word {
    char name[64], argument[64];
    bool has_argument, well_formed;
};

static struct word word_of(const char *element) {
    struct word word = {.well_formed = true};
    const char *equals = strchr(element, '=');
    snprintf(word.name, sizeof word.name, "%.*s", equals ? (int)(equals - element) : 63, element);
    if (!equals) {
        word.well_formed = is_token(word.name);
        return word;
    }
    size_t len = strlen(equals + 1);
    bool quoted = len >= 2 && equals[1] == '"' && equals[len] == '"';
    word.has_argument = true;
    snprintf(word.argument, sizeof word.argument, "%.*s", (int)(quoted ? len - 2 : len),
             equals + (quoted ? 2 : 1));
    word.well_formed = is_token(word.name) && (quoted || is_token(word.argument));
    return word;
}

static void least(int64_t *kept, int64_t value) {
    if (*kept == TEXT_NONE || value < *kept) *kept = value;
}

static bool take_number(struct text_control *control, const struct word *word) {
    int64_t seconds = word->well_formed && word->has_argument ? text_seconds(word->argument) : TEXT_NONE;
    int64_t or_nothing = seconds < 0 ? 0 : seconds;
    if (strcasecmp(word->name, "max-age") == 0) {
        if (control->first_max_age == TEXT_NONE) control->first_max_age = or_nothing;
        least(&control->max_age, or_nothing);
        control->bad_lifetime |= seconds < 0;
    } else if (strcasecmp(word->name, "s-maxage") == 0) {
        if (control->first_s_maxage == TEXT_NONE) control->first_s_maxage = or_nothing;
        least(&control->s_maxage, or_nothing);
        control->bad_lifetime |= seconds < 0;
    } else if (strcasecmp(word->name, "stale-while-revalidate") == 0) {
        least(&control->stale_while_revalidate, or_nothing);
    } else if (strcasecmp(word->name, "stale-if-error") == 0) {
        least(&control->stale_if_error, or_nothing);
    } else if (strcasecmp(word->name, "min-fresh") == 0) {
        if (seconds > control->min_fresh) control->min_fresh = seconds;
    } else if (strcasecmp(word->name, "max-stale") == 0) {
        if (!word->has_argument)
            control->max_stale_any = true;
        else
            least(&control->max_stale, or_nothing);
    } else {
        return false;
    }
    return true;
}

static void take_flag(struct text_control *control, const struct word *word, bool names_a_field) {
    const struct {
        const char *name;
        bool *flag, allows;
    } flags[] = {
        {"no-store", &control->no_store, false},
        {"must-revalidate", &control->must_revalidate, false},
        {"proxy-revalidate", &control->proxy_revalidate, false},
        {"only-if-cached", &control->only_if_cached, false},
        {"public", &control->is_public, true},
        {"must-understand", &control->must_understand, true},
        {"immutable", &control->immutable, false},
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (strcasecmp(word->name, flags[i].name) == 0 && (!flags[i].allows || !word->has_argument))
            *flags[i].flag = true;
    /* A qualified form that names a field which is not there concerns nothing (5.2.2.4, 5.2.2.7). */
    if (strcasecmp(word->name, "no-cache") == 0 && names_a_field) control->no_cache = true;
    if (strcasecmp(word->name, "private") == 0 && names_a_field) control->is_private = true;
}

/* True for the unqualified form, and for one that names a field of HEAD. */
static bool concerns(const struct trace_head *head, const struct word *word) {
    char name[64];
    if (!word->has_argument || !*word->argument || !word->well_formed) return true;
    for (int n = 0; text_element(word->argument, n, name, sizeof name); n++)
        if (trace_value(head, name)) return true;
    return false;
}

static const struct text_control nothing = {
    .max_age = TEXT_NONE,
    .s_maxage = TEXT_NONE,
    .min_fresh = TEXT_NONE,
    .max_stale = TEXT_NONE,
    .stale_while_revalidate = TEXT_NONE,
    .stale_if_error = TEXT_NONE,
    .first_max_age = TEXT_NONE,
    .first_s_maxage = TEXT_NONE,
};

/* Two qualified forms of one directive count as the unqualified one. */
static void read_control(const struct trace_head *head, struct text_control *out) {
    char element[TRACE_VALUE_BYTES];
    int qualified_private = 0, qualified_no_cache = 0;
    *out = nothing;
    for (uint32_t i = 0; i < head->count; i++) {
        if (strcasecmp(head->lines[i].name, "cache-control") != 0) continue;
        out->present = true;
        for (int n = 0; text_element(head->lines[i].value, n, element, sizeof element); n++) {
            struct word word = word_of(element);
            if (take_number(out, &word)) continue;
            take_flag(out, &word, concerns(head, &word));
            qualified_private += strcasecmp(word.name, "private") == 0;
            qualified_no_cache += strcasecmp(word.name, "no-cache") == 0;
        }
    }
    out->is_private |= qualified_private > 1;
    out->no_cache |= qualified_no_cache > 1;
}

void text_request_control(const struct trace_head *head, struct text_control *out) {
    read_control(head, out);
    if (!out->present && text_lists(head, "pragma", "no-cache")) out->no_cache = true;
}

/* ---- targeted fields ---------------------------------------------------------------------------------------- */

/* key [ "=" ( integer / string / token / boolean ) ] of RFC 9651, parameters dropped. */
static bool structured_word(const char *element, struct word *out, bool *out_false, bool *out_integer) {
    char text[TRACE_VALUE_BYTES];
    snprintf(text, sizeof text, "%s", element);
    if (strchr(text, ';')) *strchr(text, ';') = '\0';
    *out = word_of(text);
    *out_false = strcmp(out->argument, "?0") == 0;
    *out_integer = strchr(text, '"') == NULL && text_seconds(out->argument) != TEXT_NONE;
    for (const char *c = out->name; *c; c++)
        if (!islower((unsigned char)*c) && *c != '-') return false;
    return out->name[0] != '\0';
}

static bool read_structured(const struct trace_head *head, const char *field, struct text_control *out) {
    struct text_control control = nothing;
    const char *value = trace_value(head, field);
    char element[TRACE_VALUE_BYTES];
    if (!value || !*value || value[strlen(value) - 1] == ',') return false; /* no dictionary ends so */
    for (int n = 0; text_element(value, n, element, sizeof element); n++) {
        struct word word;
        bool is_false, integer;
        if (!structured_word(element, &word, &is_false, &integer)) return false;
        if (is_false) continue;
        if (word.has_argument && !integer) snprintf(word.argument, sizeof word.argument, "none");
        if (!take_number(&control, &word)) take_flag(&control, &word, true);
    }
    *out = control;
    return true;
}

static bool read_surrogate(const struct trace_head *head, struct text_control *out) {
    struct text_control control = nothing;
    const char *value = trace_value(head, "surrogate-control");
    if (!value) return false;
    if (strcmp(value, "no-store") == 0) {
        control.no_store = true;
    } else if (strncmp(value, "max-age=", 8) == 0) {
        control.max_age = control.first_max_age = atoll(value + 8);
        if (strchr(value, '+')) control.stale_while_revalidate = atoll(strchr(value, '+') + 1);
    } else {
        return false;
    }
    *out = control;
    return true;
}

void text_response_control(const struct trace_head *head, struct text_control *out) {
    bool targeted = read_structured(head, "skerry-cdn-cache-control", out) ||
                    read_structured(head, "cdn-cache-control", out) || read_surrogate(head, out);
    if (!targeted) read_control(head, out);
    out->targeted = targeted;
}
