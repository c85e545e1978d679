#include "generate.h"

#include <stdio.h>
#include <string.h>

/* SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators). */
struct dice {
    uint64_t state;
};

static uint64_t next(struct dice *dice) {
    uint64_t z = (dice->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
static uint32_t below(struct dice *dice, uint32_t n) { return (uint32_t)(next(dice) % n); }
static bool percent(struct dice *dice, uint32_t n) { return below(dice, 100) < n; }

#define PICK(dice, array) (array)[below(dice, sizeof(array) / sizeof(array)[0])]

/* ---- Cache-Control ------------------------------------------------------------------------------------- */

static void add_number(struct dice *dice, char *out, size_t room) {
    static const char *const numbers[] = {
        "0",  "1",   "5",   "10",   "30",   "60",         "60",
        "60", "300", "300", "3600", "3600", "2147483648", "99999999999999999999"};
    snprintf(out, room, "%s", PICK(dice, numbers));
}

/* Names in any case, arguments as token, quoted or malformed. */
static void directive(struct dice *dice, const char *name, bool number, char *out, size_t room) {
    static const char *const wrong[] = {"", "abc", "-5", "1.5", "5 5", "\"5", "0x10"};
    char argument[32], spelled[40];
    snprintf(spelled, sizeof spelled, "%s", name);
    if (percent(dice, 10))
        for (char *c = spelled; *c; c++) *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    if (!number) {
        snprintf(out, room, "%s", spelled);
        return;
    }
    add_number(dice, argument, sizeof argument);
    if (percent(dice, 3))
        snprintf(out, room, "%s=%s", spelled, PICK(dice, wrong));
    else
        snprintf(out, room, percent(dice, 6) ? "%s=\"%s\"" : "%s=%s", spelled, argument);
}

static void append(char *list, size_t room, const char *element) {
    size_t len = strlen(list);
    snprintf(list + len, room - len, "%s%s", len ? ", " : "", element);
}

static void control_of_response(struct dice *dice, char *out, size_t room) {
    static const struct {
        const char *name;
        bool number;
        uint32_t percent;
    } directives[] = {
        {"max-age", true, 70},
        {"s-maxage", true, 10},
        {"max-age", true, 3},
        {"public", false, 10},
        {"private", false, 5},
        {"private=\"x-extra\"", false, 2},
        {"private=\"x-none\"", false, 2},
        {"no-cache", false, 4},
        {"no-cache=\"x-extra\"", false, 2},
        {"no-cache=\"x-none\"", false, 2},
        {"no-store", false, 4},
        {"must-revalidate", false, 8},
        {"proxy-revalidate", false, 4},
        {"must-understand", false, 3},
        {"no-transform", false, 3},
        {"immutable", false, 6},
        {"stale-while-revalidate", true, 15},
        {"stale-if-error", true, 15},
        {"community=\"a, no-store\"", false, 3},
        {"x-unknown", false, 3},
    };
    *out = '\0';
    for (size_t i = 0; i < sizeof directives / sizeof directives[0]; i++) {
        char text[64];
        if (!percent(dice, directives[i].percent)) continue;
        directive(dice, directives[i].name, directives[i].number, text, sizeof text);
        append(out, room, text);
    }
}

static void control_of_request(struct dice *dice, char *out, size_t room) {
    static const struct {
        const char *name;
        bool number;
        uint32_t percent;
    } directives[] = {
        {"no-cache", false, 20},       {"no-store", false, 10},
        {"max-age", true, 30},         {"min-fresh", true, 15},
        {"max-stale", true, 20},       {"max-stale", false, 8},
        {"only-if-cached", false, 12}, {"stale-if-error", true, 10},
        {"no-transform", false, 4},    {"x-unknown=\"only-if-cached, no-store\"", false, 4},
    };
    *out = '\0';
    for (size_t i = 0; i < sizeof directives / sizeof directives[0]; i++) {
        char text[64];
        if (!percent(dice, directives[i].percent)) continue;
        directive(dice, directives[i].name, directives[i].number, text, sizeof text);
        append(out, room, text);
    }
}

/* ---- requests ------------------------------------------------------------------------------------------- */

static void conditions(struct dice *dice, struct trace_head *head) {
    static const char *const tags[] = {"~",        "~",          "~",        "~W",       "*",
                                       "\"same\"", "W/\"same\"", "\"x\", ~", "malformed"};
    static const char *const dates[] = {"~", "~", "@-1000", "@-10", "@-100000", "@850:-100", "yesterday"};
    static const char *const ranges[] = {"bytes=0-9",     "bytes=5-",        "bytes=-7",
                                         "bytes=0-0",     "bytes=9-3",       "lines=1-2",
                                         "bytes=100000-", "bytes=0-1,10-20", "bytes=-0"};
    if (percent(dice, 10)) trace_add(head, "If-None-Match", PICK(dice, tags));
    if (percent(dice, 8)) trace_add(head, "If-Modified-Since", PICK(dice, dates));
    if (percent(dice, 3)) trace_add(head, "If-Match", PICK(dice, tags));
    if (percent(dice, 3)) trace_add(head, "If-Unmodified-Since", PICK(dice, dates));
    if (!percent(dice, 10)) return;
    trace_add(head, "Range", PICK(dice, ranges));
    if (percent(dice, 30))
        trace_add(head, "If-Range", percent(dice, 60) ? PICK(dice, tags) : PICK(dice, dates));
}

static void make_request(struct dice *dice, struct trace_op *op) {
    static const char *const methods[] = {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "FROB"};
    static const char *const languages[] = {"de", "en", "en, de;q=0.5", ""};
    static const char *const colours[] = {"red", "blue"};
    char control[TRACE_VALUE_BYTES];
    op->kind = TRACE_REQUEST;
    op->uri = below(dice, TRACE_URIS);
    snprintf(op->method, sizeof op->method, "%s",
             percent(dice, 8) ? PICK(dice, methods) : (percent(dice, 6) ? "HEAD" : "GET"));
    if (op->method[0] == 'P' || percent(dice, 1)) op->content_bytes = below(dice, 200);
    op->slow = percent(dice, 4);
    if (percent(dice, 15)) {
        control_of_request(dice, control, sizeof control);
        trace_add(&op->head, "Cache-Control", control);
    }
    if (percent(dice, 3)) trace_add(&op->head, "Pragma", percent(dice, 70) ? "no-cache" : "x");
    if (percent(dice, 5)) trace_add(&op->head, "Authorization", "Basic c2VjcmV0");
    if (percent(dice, 25)) trace_add(&op->head, "Accept-Language", PICK(dice, languages));
    if (percent(dice, 15)) trace_add(&op->head, "X-Colour", PICK(dice, colours));
    conditions(dice, &op->head);
}

/* ---- answers --------------------------------------------------------------------------------------------- */

static void freshness_fields(struct dice *dice, struct trace_head *head) {
    static const char *const targeted[] = {"max-age=60",     "max-age=5, must-revalidate",
                                           "no-store",       "private",
                                           "max-age=\"60\"", "max-age=60;a=1",
                                           "MAX-AGE=60",     "max-age=oops",
                                           "max-age=60,,",   "no-store=?0, max-age=10"};
    static const char *const surrogate[] = {"max-age=60", "no-store", "content=\"ESI/1.0\"", "max-age=10+20"};
    static const char *const expires[] = {"@+60", "@+10",     "@+3600",   "@-5",
                                          "0",    "@850:+60", "@asc:+60", "never"};
    static const char *const ages[] = {"0", "3", "30", "100", "-1", "abc", "5, 100", "99999999999", "1.5"};
    char control[TRACE_VALUE_BYTES];
    if (percent(dice, 82)) {
        control_of_response(dice, control, sizeof control);
        trace_add(head, "Cache-Control", control);
    }
    if (percent(dice, 4)) {
        control_of_response(dice, control, sizeof control);
        trace_add(head, "cache-control", control);
    }
    if (percent(dice, 4)) trace_add(head, "CDN-Cache-Control", PICK(dice, targeted));
    if (percent(dice, 2)) trace_add(head, "Skerry-CDN-Cache-Control", PICK(dice, targeted));
    if (percent(dice, 2)) trace_add(head, "Surrogate-Control", PICK(dice, surrogate));
    if (percent(dice, 15)) trace_add(head, "Expires", PICK(dice, expires));
    if (percent(dice, 2)) trace_add(head, "Expires", PICK(dice, expires));
    if (percent(dice, 12)) trace_add(head, "Age", PICK(dice, ages));
    if (percent(dice, 2)) trace_add(head, "Age", PICK(dice, ages));
}

static void dates(struct dice *dice, struct trace_head *head) {
    static const char *const now[] = {"@-3",     "@-40",    "@+20", "@-5000",
                                      "@850:-3", "@asc:-3", "soon", "@+100000"};
    static const char *const modified[] = {"@-100",      "@-1000", "@-100000",   "@850:-1000",
                                           "@asc:-1000", "@+50",   "@-10000000", "once"};
    if (percent(dice, 90)) trace_add(head, "Date", percent(dice, 80) ? "@+0" : PICK(dice, now));
    if (percent(dice, 45)) trace_add(head, "Last-Modified", PICK(dice, modified));
}

/* The field's own separators. */
static void tags(struct dice *dice, struct trace_head *head) {
    static const char *const spaced[] = {"red", "red blue", " blue  green ", "green\tred"};
    static const char *const listed[] = {"red", "red, blue", "blue,green,", " , green"};
    if (percent(dice, 14)) trace_add(head, "Surrogate-Key", PICK(dice, spaced));
    if (percent(dice, 8)) trace_add(head, "Cache-Tag", PICK(dice, listed));
    if (percent(dice, 4)) trace_add(head, "xkey", PICK(dice, spaced));
}

static void make_answer(struct dice *dice, struct trace_op *op) {
    static const uint16_t statuses[] = {203, 204, 206, 201, 300, 301, 302, 307, 308, 404, 404, 405, 410,
                                        414, 416, 451, 299, 304, 500, 500, 501, 502, 503, 503, 504, 599};
    static const char *const varies[] = {
        "Accept-Language", "X-Colour", "x-colour, accept-language", "*", "Accept-Language, X-Colour", "",
        "X-Absent"};
    static const char *const places[] = {"/a", "/a/b", "http://two.test/c/d", "http://one.test/a/b?x=1", "b"};
    char tag[32];
    op->kind = TRACE_ANSWER;
    op->pick = percent(dice, 70) ? 0 : below(dice, 8);
    op->fail = percent(dice, 5);
    op->status = percent(dice, 80) ? 200 : PICK(dice, statuses);
    op->not_modified = percent(dice, 55);
    op->tag = percent(dice, 60) ? TRACE_TAG_SAME : percent(dice, 70) ? TRACE_TAG_NONE : TRACE_TAG_OTHER;
    freshness_fields(dice, &op->head);
    dates(dice, &op->head);
    snprintf(tag, sizeof tag, percent(dice, 25) ? "W/\"e%u\"" : "\"e%u\"", op->id);
    if (percent(dice, 60))
        trace_add(&op->head, "ETag", percent(dice, 10) ? "\"same\"" : percent(dice, 4) ? "bad" : tag);
    if (percent(dice, 14)) trace_add(&op->head, "Vary", PICK(dice, varies));
    if (percent(dice, 4)) trace_add(&op->head, "Set-Cookie", "a=b");
    tags(dice, &op->head);
    if (percent(dice, 10)) trace_add(&op->head, "X-Extra", "1");
    if (percent(dice, 8)) trace_add(&op->head, "Location", PICK(dice, places));
    if (percent(dice, 4)) trace_add(&op->head, "Content-Location", PICK(dice, places));
    if (percent(dice, 3)) trace_add(&op->head, "Connection", "X-Extra");
    op->framing = percent(dice, 75) ? TRACE_LENGTH : percent(dice, 70) ? TRACE_CHUNKED : TRACE_CLOSE;
    op->body_bytes = percent(dice, 3) ? below(dice, 300000) : percent(dice, 10) ? 0 : below(dice, 600);
    op->at_once = percent(dice, 85) ? op->body_bytes + 1 : below(dice, op->body_bytes + 1);
    op->cut = op->at_once <= op->body_bytes && percent(dice, 20);
}

/* ---- the rest --------------------------------------------------------------------------------------------- */

static void make_clock(struct dice *dice, struct trace_op *op) {
    static const int64_t steps[] = {1, 1, 2, 5, 5, 10, 20, 31, 60, 61, 300, 3600, 90000};
    op->kind = TRACE_CLOCK;
    op->wall_s = PICK(dice, steps);
    op->mono_ms = op->wall_s * 1000;
    if (percent(dice, 4)) op->wall_s = -(int64_t)below(dice, 20); /* somebody sets it */
    if (percent(dice, 3)) op->wall_s += 100;
}

static void make_purge(struct dice *dice, struct trace_op *op) {
    op->kind = TRACE_PURGE;
    op->uri = below(dice, TRACE_URIS);
    op->purge = percent(dice, 60) ? TRACE_PURGE_KEY : (enum trace_purge)below(dice, TRACE_PURGE_ALL + 1);
    op->soft = percent(dice, 40);
    static const char *const names[] = {"red", "blue", "green", "none"};
    if (percent(dice, 30)) op->purge = TRACE_PURGE_TAG;
    snprintf(op->purged_tag, sizeof op->purged_tag, "%s", PICK(dice, names));
}

static void make_other(struct dice *dice, struct trace_op *op) {
    op->pick = below(dice, 8);
    uint32_t what = below(dice, 100);
    if (what < 40) {
        op->kind = TRACE_BODY;
        op->more_bytes = percent(dice, 60) ? 1u << 20 : below(dice, 400);
        op->break_off = percent(dice, 10);
    } else if (what < 52) {
        op->kind = TRACE_READ;
    } else if (what < 60) {
        op->kind = TRACE_ABORT;
    } else if (what < 86) {
        make_clock(dice, op);
    } else {
        make_purge(dice, op);
    }
}

void generate(struct trace *trace) {
    struct dice dice = {trace->seed * 0x2545f4914f6cdd1du + trace->number * 0x9e3779b97f4a7c15u};
    uint32_t exchanges = 0, waiting = 0;
    next(&dice);
    trace->count = 0;
    /* The busier the trace, the more requests wait for the origin at once. */
    uint32_t busy = below(&dice, 3) ? 20 : 60;
    while (exchanges < GENERATE_EXCHANGES && trace->count < GENERATE_OPS_MAX) {
        struct trace_op *op = &trace->ops[trace->count];
        memset(op, 0, sizeof *op);
        op->id = (uint32_t)++trace->count;
        if (percent(&dice, 25)) {
            make_other(&dice, op);
        } else if (waiting && !percent(&dice, busy)) {
            make_answer(&dice, op);
            waiting--;
        } else {
            make_request(&dice, op);
            exchanges++;
            waiting++;
        }
    }
}
