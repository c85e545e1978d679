#include <string.h>
#include <strings.h>

#include "model_private.h"

bool method_is_safe(const char *method) {
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "OPTIONS") == 0;
}

/* RFC 9110 15.1, but for 206. */
static bool heuristically_cacheable(uint16_t status) {
    static const uint16_t list[] = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501};
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        if (list[i] == status) return true;
    return false;
}

/* Of those that the generator gives, all are registered but these. */
static bool understood(uint16_t status) { return status != 299 && status != 599; }

/* ---- section 4.2: freshness ----------------------------------------------------------------------------------- */

/* Several Expires: the first or none at all may count (4.2.1); Skerry takes the earliest. */
static void expires_lifetime(struct record *record, int64_t date) {
    bool first = true;
    for (uint32_t i = 0; i < record->head.count; i++) {
        int64_t expires, lifetime = 0;
        if (strcasecmp(record->head.lines[i].name, "expires") != 0) continue;
        if (text_date(record->head.lines[i].value, &expires)) lifetime = expires - date;
        if (lifetime < 0) lifetime = 0;
        if (first) record->lifetime = record->longest = lifetime;
        if (lifetime < record->lifetime) record->lifetime = lifetime;
        first = false;
    }
}

/* 4.2.2, as Skerry has it: a tenth, at most a day. */
static int64_t heuristic_lifetime(const struct record *record, int64_t date) {
    const char *text = trace_value(&record->head, "last-modified");
    int64_t modified, tenth;
    if (!text || !text_date(text, &modified) || modified >= date) return 0;
    tenth = (date - modified) / 10;
    return tenth < 86400 ? tenth : 86400;
}

/* Where the origin says nothing about an error: the default of negative_ttl. */
static int64_t negative_lifetime(uint16_t status) {
    if (status == 404 || status == 405 || status == 501) return 10;
    return status == 410 ? 60 : 0;
}

/* True when the lifetime is spelled out (4.2.1). */
static bool set_lifetime(struct record *record, int64_t date) {
    const struct text_control *control = &record->control;
    record->lifetime = record->longest = 0;
    if (control->bad_lifetime) return true;
    if (control->s_maxage != TEXT_NONE) {
        record->lifetime = control->s_maxage;
        record->longest = control->first_s_maxage;
    } else if (control->max_age != TEXT_NONE) {
        record->lifetime = control->max_age;
        record->longest = control->first_max_age;
    } else if (!control->targeted && trace_value(&record->head, "expires")) {
        expires_lifetime(record, date);
    } else {
        const char *modified = trace_value(&record->head, "last-modified");
        bool cacheable = heuristically_cacheable(record->status) || control->is_public;
        int64_t unused;
        if (!modified || !text_date(modified, &unused))
            record->lifetime = negative_lifetime(record->status);
        else if (cacheable)
            record->lifetime = heuristic_lifetime(record, date);
        record->longest = record->lifetime;
        return false;
    }
    return true;
}

/* 4.2.3. Of several values of Age the first counts, and what is no number counts for nothing (5.1). */
static void set_age(struct record *record, int64_t date) {
    const char *text = trace_value(&record->head, "age");
    char first[TRACE_VALUE_BYTES];
    int64_t value = 0, apparent = record->response_time - date;
    int64_t delay = record->response_time - record->request_time;
    if (text && text_element(text, 0, first, sizeof first) && text_seconds(first) > 0)
        value = text_seconds(first);
    if (delay > 0) value += delay;
    if (apparent > value) value = apparent;
    record->initial_age = value < TEXT_SECONDS_MAX ? value : TEXT_SECONDS_MAX;
}

/* ---- section 3: storing ------------------------------------------------------------------------------------------ */

static bool forbidden_by_request(const struct asked *request) {
    return strcmp(request->method, "GET") != 0 || request->content || request->control.no_store;
}

static bool forbidden_by_response(const struct record *record, const struct asked *request, bool explicit) {
    const struct text_control *control = &record->control;
    bool shared = control->is_public || control->s_maxage != TEXT_NONE;
    if (record->status < 200 || record->status == 206 || record->status == 304 || record->status == 416)
        return true;
    if (record->status == 414)
        return true; /* a promise: what the client itself has caused is for nobody else */
    if (control->must_understand && !understood(record->status)) return true;
    if (control->no_store && !control->must_understand) return true;
    if (control->is_private) return true;
    /* 3.5 */
    if (trace_value(&request->head, "authorization") && !shared && !control->must_revalidate) return true;
    /* A promise: a cookie is for one client unless the origin says otherwise. */
    if (trace_value(&record->head, "set-cookie") && !shared) return true;
    if (text_lists(&record->head, "vary", "*")) return true;
    return !explicit && !control->is_public && !heuristically_cacheable(record->status);
}

void record_judge(struct record *record, const struct asked *request) {
    int64_t date;
    const char *text = trace_value(&record->head, "date");
    text_response_control(&record->head, &record->control);
    if (record->until_close) record->control.immutable = false; /* RFC 8246 3 */
    if (!text || !text_date(text, &date)) date = record->response_time;
    bool explicit = set_lifetime(record, date);
    set_age(record, date);
    bool forbidden = forbidden_by_request(request) || forbidden_by_response(record, request, explicit);
    record->verdict = forbidden ? NEVER : MUST;
}
