#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "model_private.h"

/* ---- age and selection ------------------------------------------------------------------------------------------ */

int64_t record_age(const struct record *record, int64_t now) {
    int64_t resident = now - record->response_time;
    int64_t age = record->initial_age + (resident > 0 ? resident : 0);
    return age < TEXT_SECONDS_MAX ? age : TEXT_SECONDS_MAX;
}

static bool same_values(const char *name, const struct trace_head *a, const struct trace_head *b) {
    char left[TRACE_VALUE_BYTES], right[TRACE_VALUE_BYTES];
    bool in_a = text_joined(a, name, left, sizeof left), in_b = text_joined(b, name, right, sizeof right);
    return in_a == in_b && strcmp(left, right) == 0;
}

static bool selects(const struct record *record, const struct trace_head *stored,
                    const struct trace_head *request) {
    char name[TRACE_VALUE_BYTES], vary[TRACE_VALUE_BYTES];
    text_joined(&record->head, "vary", vary, sizeof vary);
    for (int n = 0; text_element(vary, n, name, sizeof name); n++)
        if (strcmp(name, "*") == 0 || !same_values(name, stored, request)) return false;
    return true;
}

/* 4.1. After a 304, whose request selected it too. */
bool record_varies(const struct record *record, const struct trace_head *request) {
    if (selects(record, record->request, request)) return false;
    return !record->validating || !selects(record, record->validating, request);
}

/* A purge by tag covers what bears the tag, wherever it is. */
static bool covers(const struct happening *happening, const struct record *record) {
    if (!happening->covers[record->uri]) return false;
    return !*happening->tag || text_has_tag(&record->head, happening->tag);
}

const struct happening *record_hit_by(const struct model *model, const struct record *record, bool soft,
                                      uint64_t place) {
    for (int i = 0; i < model->happening_count; i++) {
        const struct happening *h = &model->happenings[i];
        if (h->soft == soft && covers(h, record) && h->at > record->began && h->at < place) return h;
    }
    return NULL;
}

bool record_gone(const struct model *model, const struct record *record, uint64_t place) {
    for (int i = 0; i < model->happening_count; i++) {
        const struct happening *h = &model->happenings[i];
        bool hard = !h->soft && !h->invalidation;
        if (hard && covers(h, record) && h->at > record->began && h->at < place) return true;
    }
    return false;
}

/* ---- section 4: reuse -------------------------------------------------------------------------------------------- */

static bool never_stale(const struct text_control *control) {
    return control->must_revalidate || control->proxy_revalidate || control->no_cache ||
           control->s_maxage != TEXT_NONE;
}

/* RFC 5861. must-revalidate and its like forbid it; an s-maxage does not where a window stands beside it. */
int64_t stale_window(const struct text_control *control, int64_t seconds) {
    bool forbidden = control->must_revalidate || control->proxy_revalidate || control->no_cache;
    return forbidden || seconds == TEXT_NONE ? 0 : seconds;
}

/* 5.2.1: the client wants the origin's word although the response may be fresh. */
static bool client_insists(const struct record *record, const struct text_control *wish, int64_t age,
                           int64_t left) {
    if (wish->no_cache) return true;
    if (wish->min_fresh != TEXT_NONE && left < wish->min_fresh) return true;
    if (wish->max_age == TEXT_NONE || (record->control.immutable && left > 0)) return false; /* RFC 8246 */
    return age > wish->max_age;
}

static bool takes_stale(const struct text_control *wish, int64_t staleness) {
    if (wish->max_stale != TEXT_NONE) return staleness <= wish->max_stale;
    return wish->max_stale_any;
}

const char *record_may_answer(const struct model *model, const struct record *record,
                              const struct asked *request, bool *out_refresh) {
    const struct text_control *wish = &request->control;
    int64_t now = model->now.wall_s, age = record_age(record, now), left = record->longest - age;
    int64_t staleness = left < 0 ? -left : 0;
    bool soft = record_hit_by(model, record, true, model->clock);
    *out_refresh = false;
    if (record->control.no_cache) return "no-cache asks for validation (RFC 9111 5.2.2.4)";
    if (client_insists(record, wish, age, left)) return "the request asks for validation (RFC 9111 5.2.1)";
    if (left > 0 && !soft) return NULL;
    if (!soft && !never_stale(&record->control) && takes_stale(wish, staleness)) return NULL;
    if (wish->max_age != TEXT_NONE || wish->min_fresh != TEXT_NONE) return "the client takes nothing stale";
    int64_t allowed = stale_window(&record->control, record->control.stale_while_revalidate);
    if (allowed == 0 || staleness > allowed)
        return soft ? "it was purged softly" : "it is stale (RFC 9111 4.2.4)";
    *out_refresh = true;
    return NULL;
}

bool record_must_answer(const struct model *model, const struct record *record, const struct asked *request,
                        bool *out_refresh) {
    const struct text_control *wish = &request->control;
    int64_t age = record_age(record, model->now.wall_s), left = record->lifetime - age;
    *out_refresh = false;
    if (record_hit_by(model, record, true, model->clock)) return false;
    if (record->control.no_cache || client_insists(record, wish, age, left)) return false;
    if (wish->max_age == 0 && !record->control.immutable) return false; /* a reload */
    if (left > 0) return true;
    if (record->lifetime != record->longest) return false;
    if (!never_stale(&record->control) && takes_stale(wish, -left)) return true;
    if (wish->max_age != TEXT_NONE || wish->min_fresh != TEXT_NONE || record->control.s_maxage != TEXT_NONE)
        return false;
    *out_refresh = true;
    return -left < stale_window(&record->control, record->control.stale_while_revalidate);
}

/* RFC 5861 section 4, RFC 9111 4.2.4. */
bool record_may_answer_failure(const struct record *record, const struct asked *request, int64_t now) {
    const struct text_control *wish = &request->control;
    int64_t staleness = record_age(record, now) - record->longest;
    if (wish->no_cache || record->control.no_cache) return false;
    if (staleness <= 0 || staleness <= stale_window(&record->control, record->control.stale_if_error))
        return true;
    if (never_stale(&record->control)) return false;
    return staleness <= wish->stale_if_error || takes_stale(wish, staleness);
}

bool record_must_answer_failure(const struct record *record, const struct asked *request, int64_t now) {
    int64_t staleness = record_age(record, now) - record->lifetime;
    if (request->control.no_cache || record->control.no_cache || record->lifetime != record->longest)
        return false;
    return staleness < stale_window(&record->control, record->control.stale_if_error);
}

/* ---- RFC 9110 section 13 ------------------------------------------------------------------------------------------- */

static bool any_tag(const char *list, const char *tag, bool (*equal)(const char *, const char *)) {
    char element[TRACE_VALUE_BYTES];
    if (strcmp(list, "*") == 0) return true;
    for (int n = 0; text_element(list, n, element, sizeof element); n++)
        if (tag && equal(element, tag)) return true;
    return false;
}

enum condition record_condition(const struct record *record, const struct trace_head *request, int64_t now) {
    const char *tag = trace_value(&record->head, "etag"), *text = trace_value(&record->head, "last-modified");
    const char *match = trace_value(request, "if-match"), *none = trace_value(request, "if-none-match");
    const char *since = trace_value(request, "if-modified-since"),
               *until = trace_value(request, "if-unmodified-since");
    const char *date = trace_value(&record->head, "date");
    int64_t modified, asked;
    /* RFC 9111 4.3.2: Date, or the time of receipt, where there is no Last-Modified */
    if (!text || !text_date(text, &modified))
        if (!date || !text_date(date, &modified)) modified = record->response_time;
    if (match) {
        if (!any_tag(match, tag, text_strongly_equal)) return CONDITION_FAILED;
    } else if (until && text_date(until, &asked) && modified > asked) {
        return CONDITION_FAILED;
    }
    if (none) return any_tag(none, tag, text_weakly_equal) ? CONDITION_NOT_MODIFIED : CONDITION_NONE;
    if (since && text_date(since, &asked) && modified <= asked) return CONDITION_NOT_MODIFIED;
    return CONDITION_NONE;
}

/* ---- RFC 9110 section 14 ------------------------------------------------------------------------------------------- */

/* 13.1.5 */
static bool if_range_holds(const struct record *record, const struct trace_head *request) {
    const char *wanted = trace_value(request, "if-range"), *tag = trace_value(&record->head, "etag");
    const char *text = trace_value(&record->head, "last-modified"),
               *date_text = trace_value(&record->head, "date");
    int64_t asked, modified, date;
    if (!wanted) return true;
    if (text_is_tag(wanted)) return tag && text_strongly_equal(wanted, tag);
    if (!text_date(wanted, &asked) || !text || !text_date(text, &modified)) return false;
    if (!date_text || !text_date(date_text, &date)) date = record->response_time;
    return asked == modified && date - modified >= 1;
}

/* "5-9", "5-", "-7". False: malformed. *out_any: it means something in BYTES. */
static bool one_range(const char *text, uint64_t bytes, uint64_t *out_first, uint64_t *out_end,
                      bool *out_any) {
    const char *dash = strchr(text, '-');
    unsigned long long first = strtoull(text, NULL, 10), last;
    if (!dash || !bytes) return false;
    last = strtoull(dash + 1, NULL, 10);
    if (dash == text) {
        *out_any = last > 0;
        *out_first = last < bytes ? bytes - last : 0;
        *out_end = bytes;
        return true;
    }
    if (dash[1] && last < first) return false;
    *out_any = first < bytes;
    *out_first = first;
    *out_end = dash[1] && last + 1 < bytes ? last + 1 : bytes;
    return true;
}

enum ranges record_ranges(const struct record *record, const struct asked *request, uint64_t bytes,
                          uint64_t *out_first, uint64_t *out_end) {
    const char *text = trace_value(&request->head, "range");
    char element[TRACE_VALUE_BYTES];
    int satisfiable = 0;
    if (!text || strncmp(text, "bytes=", 6) != 0 || strcmp(request->method, "GET") != 0) return RANGES_WHOLE;
    if (!if_range_holds(record, &request->head)) return RANGES_WHOLE;
    for (int n = 0; text_element(text + 6, n, element, sizeof element); n++) {
        uint64_t first, end;
        bool any;
        if (!one_range(element, bytes, &first, &end, &any)) return RANGES_WHOLE;
        if (!any) continue;
        satisfiable++;
        *out_first = first;
        *out_end = end;
    }
    if (satisfiable == 0) return RANGES_NONE;
    return satisfiable == 1 ? RANGES_ONE : RANGES_MANY;
}
