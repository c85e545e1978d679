/* Is this answer one of those that are allowed? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "model_private.h"

/* ---- may this record answer this request ---------------------------------------------------------------------- */

static bool is_own(const struct model *model, const struct record *record, const struct asked *asked) {
    return model->exchanges[record->exchange]->request == asked->id;
}

/* One that was stored when the request came. */
static const char *why_not_stored(const struct model *model, const struct record *record,
                                  const struct asked *asked, bool *out_refresh) {
    const char *why = record_may_answer(model, record, asked, out_refresh);
    bool failed = model_failed_since(model, asked->uri, asked->at);
    if (why && failed && record_may_answer_failure(record, asked, model->now.wall_s)) why = NULL;
    const struct record *newest = model_newest(model, asked);
    bool newer = newest && newest->came > record->came && newest->came < asked->at;
    if (!why && newer && !record_hit_by(model, newest, true, model->clock)) return "a newer one is stored";
    return why;
}

/* NULL: it may. */
static const char *why_not(const struct model *model, const struct record *record, const struct asked *asked,
                           bool *out_refresh) {
    *out_refresh = false;
    if (asked->must && record != asked->must) return "another one is stored, fresh and newer";
    if (is_own(model, record, asked)) return NULL;
    if (asked->pass) return "no cache may answer this method";
    if (record->verdict == NEVER) return "it may not be shared (RFC 9111 section 3)";
    if (record->alone) return "it was fetched for one client only";
    if (record_varies(record, &asked->head)) return "Vary selects another one (RFC 9111 4.1)";
    if (record_hit_by(model, record, false, asked->at)) return "it was purged or invalidated before";
    if (record->came < asked->at) return why_not_stored(model, record, asked, out_refresh);
    if (!record_hit_by(model, record, true, asked->at)) return NULL;
    /* Stored stale, so that it has to be asked about; it may stand in when that fails (RFC 5861 section 4). */
    if (model_failed_since(model, asked->uri, record->came) &&
        record_may_answer_failure(record, asked, model->now.wall_s))
        return NULL;
    return "it was being fetched before a soft purge";
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

/* Of one message, not of the response. */
static bool is_of_message(const char *name) {
    static const char *const names[] = {"age", "cache-status", "via", "content-length", "content-range", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(names[i], name) == 0) return true;
    return false;
}

/* They are for caches, and end here. */
static bool is_of_tags(const char *name) {
    return strcasecmp(name, "surrogate-key") == 0 || strcasecmp(name, "cache-tag") == 0 ||
           strcasecmp(name, "xkey") == 0;
}

static int count_line(const struct trace_head *head, const struct trace_line *line) {
    int count = 0;
    for (uint32_t i = 0; i < head->count; i++)
        count += strcasecmp(head->lines[i].name, line->name) == 0 &&
                 strcmp(head->lines[i].value, line->value) == 0;
    return count;
}

/* The first line that is missing, repeated, or not of this response; NULL: none. */
static const struct trace_line *wrong_line(const struct record *record, const struct trace_head *head,
                                           bool new_type) {
    for (uint32_t i = 0; i < record->head.count; i++) {
        const struct trace_line *line = &record->head.lines[i];
        if (is_of_message(line->name) || (new_type && strcasecmp(line->name, "content-type") == 0)) continue;
        if (is_of_tags(line->name)) continue;
        if (count_line(head, line) != count_line(&record->head, line)) return line;
    }
    for (uint32_t i = 0; i < head->count; i++) {
        const struct trace_line *line = &head->lines[i];
        if (is_of_message(line->name) || (new_type && strcasecmp(line->name, "content-type") == 0)) continue;
        if (strcasecmp(line->name, "date") == 0 && !trace_value(&record->head, "date")) continue;
        if (is_of_tags(line->name) || !count_line(&record->head, line)) return line;
    }
    return NULL;
}

static void check_fields(struct model *model, const struct asked *asked, const struct record *record,
                         const struct trace_head *head, bool new_type) {
    const struct trace_line *line = wrong_line(record, head, new_type);
    if (line)
        model_complain(model, "request %u: the field %s: %s is missing, repeated or not of response %u",
                       asked->id, line->name, line->value, record->serial);
}

/* RFC 9111 5.1 */
static void check_age(struct model *model, const struct asked *asked, const struct record *record,
                      const struct trace_head *head) {
    const char *said = trace_value(head, "age"), *given = trace_value(&record->head, "age");
    char due[24];
    snprintf(due, sizeof due, "%lld", (long long)record_age(record, model->now.wall_s));
    if (said && strcmp(said, due) == 0) return;
    bool own = is_own(model, record, asked);
    if (own && !said == !given && (!said || strcmp(said, given) == 0)) return;
    if (own && record->validation && !said) return; /* just validated, and not kept */
    model_complain(model, "request %u: Age is %s, not %s (RFC 9111 4.2.3)", asked->id,
                   said ? said : "missing", due);
}

/* ---- the kinds of answers ------------------------------------------------------------------------------------------ */

static bool has_no_content(const struct asked *asked, uint16_t status) {
    return strcmp(asked->method, "HEAD") == 0 || status == 204 || status == 304;
}

/* A stored 200 is asked conditionally, or for a part, and answers whole. */
static void check_whole(struct model *model, const struct asked *asked, const struct record *record) {
    uint64_t first, end;
    if (record->status != 200 || is_own(model, record, asked)) return;
    if (record_condition(record, &asked->head, model->now.wall_s) != CONDITION_NONE)
        model_complain(model, "request %u: its condition was not obeyed (RFC 9110 section 13.2)", asked->id);
    bool known = record->complete && record->body_bytes > 0 && !model->may_forget;
    if (known && record_ranges(record, asked, record->body_bytes, &first, &end) == RANGES_ONE)
        model_complain(model, "request %u: its range was not answered from the stored response", asked->id);
}

/* Content-Range, and which content is due. */
static void check_part(struct model *model, struct asked *asked, const struct record *record,
                       const struct trace_head *head) {
    const char *text = trace_value(head, "content-range");
    unsigned long long first, last, total;
    uint64_t due_first = 0, due_end = 0;
    asked->loose = !text;
    if (!text) { /* several parts */
        if (record->complete &&
            record_ranges(record, asked, record->body_bytes, &due_first, &due_end) != RANGES_MANY)
            model_complain(model, "request %u: several parts, but one range", asked->id);
        return;
    }
    if (sscanf(text, "bytes %llu-%llu/%llu", &first, &last, &total) != 3) {
        model_complain(model, "request %u: Content-Range: %s", asked->id, text);
        return;
    }
    enum ranges ranges = record_ranges(record, asked, total, &due_first, &due_end);
    bool as_asked =
        ranges == RANGES_MANY || (ranges == RANGES_ONE && first == due_first && last + 1 == due_end);
    if (!as_asked)
        model_complain(model, "request %u: Content-Range: %s is not what was asked", asked->id, text);
    if (record->complete && record->body_bytes != total)
        model_complain(model, "request %u: Content-Range: %s, but there are %llu bytes", asked->id, text,
                       (unsigned long long)record->body_bytes);
    asked->first = first;
    asked->end = last + 1;
}

static void take_content(struct model *model, struct asked *asked, struct record *record,
                         const struct trace_head *head) {
    bool part = asked->status == 206 && record->status == 200;
    asked->record = record;
    asked->no_content = has_no_content(asked, asked->status);
    asked->end = UINT64_MAX;
    if (part)
        check_part(model, asked, record, head);
    else if (asked->status == record->status)
        check_whole(model, asked, record);
    else
        model_complain(model, "request %u: %u became %u", asked->id, record->status, asked->status);
    check_fields(model, asked, record, head, part && asked->loose);
    check_age(model, asked, record, head);
}

/* RFC 5861 section 4: an error never replaces a usable stale response. */
static void check_error(struct model *model, const struct asked *asked) {
    const struct record *record = asked->fallback;
    bool failure = asked->status == 500 || (asked->status >= 502 && asked->status <= 504);
    if (asked->stage == SERVING || !failure || !record || record->status >= 500) return;
    if (record_hit_by(model, record, false, model->clock)) return;
    if (model_newest(model, asked) != record) return;
    for (int i = 0; i < model->exchange_count; i++) /* it went alone */
        if (model->exchanges[i]->alone && model->exchanges[i]->request == asked->id) return;
    if (record_must_answer_failure(record, asked, model->now.wall_s))
        model_complain(model,
                       "request %u: %u although response %u could be served stale (RFC 5861 section 4)",
                       asked->id, asked->status, record->serial);
}

/* A response with the marks of the one it was made of. Where it may have been renewed in more than one way, the
 * fields show which it was. */
static void check_marked(struct model *model, struct asked *asked, const struct trace_head *head) {
    const char *serial = trace_value(head, "x-body"), *validation = trace_value(head, "x-validation");
    uint32_t wanted = serial ? (uint32_t)atoi(serial) : 0,
             renewed = validation ? (uint32_t)atoi(validation) : 0;
    const char *why = "the origin never gave it for this URI";
    struct record *found = NULL;
    bool refresh = false;
    for (int i = model->record_count - 1; i >= 0; i--) {
        struct record *record = model->records[i];
        bool refreshed;
        if (record->serial != wanted || record->validation != renewed || record->uri != asked->uri) continue;
        const char *why_this_not = why_not(model, record, asked, &refreshed);
        if (why_this_not) {
            why = why_this_not;
            continue;
        }
        if (found && wrong_line(record, head, asked->status == 206)) continue;
        found = record;
        refresh = refreshed;
    }
    if (!found) {
        model_complain(model, "request %u: answered with response %u (validation %u): %s", asked->id, wanted,
                       renewed, why);
        return;
    }
    asked->refresh_due = refresh && asked->stage == SERVING;
    take_content(model, asked, found, head);
    check_error(model, asked);
}

/* 304, 412 and 416 that Skerry made of a stored 200. */
static bool made_of(const struct model *model, struct asked *asked, const struct trace_head *head) {
    static const enum condition due[] = {CONDITION_NOT_MODIFIED, CONDITION_FAILED};
    for (int i = model->record_count - 1; i >= 0; i--) {
        struct record *record = model->records[i];
        const char *tag = trace_value(&record->head, "etag"), *said = trace_value(head, "etag");
        bool refresh;
        uint64_t first, end;
        if (record->uri != asked->uri || record->status != 200 || record->verdict == NEVER) continue;
        if (why_not(model, record, asked, &refresh)) continue;
        enum condition condition = record_condition(record, &asked->head, model->now.wall_s);
        if (asked->status == 416) {
            if (record_ranges(record, asked, record->body_bytes, &first, &end) != RANGES_NONE) continue;
        } else if (condition != due[asked->status == 412]) {
            continue;
        }
        if (asked->status == 304 && (!tag != !said || (tag && strcmp(tag, said) != 0))) continue;
        asked->refresh_due = refresh && asked->stage == SERVING;
        return true;
    }
    return false;
}

/* The origin's own 304, to a condition that was the client's own or to none. */
static bool origins_304(const struct model *model, const struct asked *asked) {
    for (int i = 0; i < model->exchange_count; i++) {
        const struct exchange *exchange = model->exchanges[i];
        if (exchange->request == asked->id && exchange->status == 304 &&
            (exchange->alone || !exchange->conditional))
            return true;
    }
    return false;
}

static bool unmarked_is_allowed(struct model *model, struct asked *asked, const struct trace_head *head) {
    switch (asked->status) {
    case 304: return made_of(model, asked, head) || origins_304(model, asked);
    case 412:
    case 416: asked->loose = true; return made_of(model, asked, head);
    case 504:
        if (asked->control.only_if_cached && asked->stage == SERVING) return true;
        [[fallthrough]];
    case 502: return model_failed_since(model, asked->uri, asked->at);
    case 503: return model->may_forget;
    default: return false;
    }
}

void model_seen(struct model *model, struct model_time now, uint32_t request, uint16_t status,
                const struct trace_head *head) {
    struct asked *asked = model_asked(model, request);
    model->now = now;
    model->clock++;
    asked->status = status;
    NARRATE(model, "<- client %u: %u, X-Body %s, X-Validation %s, Age %s, %s\n", request, status,
            trace_value(head, "x-body"), trace_value(head, "x-validation"), trace_value(head, "age"),
            trace_value(head, "cache-status"));
    if (trace_value(head, "x-body") || (trace_value(head, "x-validation") && status != 304)) {
        check_marked(model, asked, head);
    } else {
        asked->no_content = has_no_content(asked, status);
        asked->loose = true;
        if (asked->must && status != 304 && status != 412 && status != 416)
            model_complain(model, "request %u: %u although response %u is fresh and allowed", request, status,
                           asked->must->serial);
        else if (!unmarked_is_allowed(model, asked, head))
            model_complain(model, "request %u: %u, for which there is no reason", request, status);
        check_error(model, asked);
    }
    asked->stage = ANSWERED;
}

/* ---- content -------------------------------------------------------------------------------------------------------- */

static void check_content(struct model *model, const struct asked *asked, const char *body, uint64_t bytes,
                          bool broken) {
    const struct record *record = asked->record;
    bool part = asked->end != UINT64_MAX;
    uint64_t end = part ? asked->end : record->body_bytes;
    for (uint64_t i = 0; i < bytes; i++) {
        if (body[i] == trace_body_byte(record->serial, asked->first + i)) continue;
        model_complain(model, "request %u: byte %llu of the content is not of response %u", asked->id,
                       (unsigned long long)i, record->serial);
        return;
    }
    if (broken) {
        if (record->complete)
            model_complain(model, "request %u: cut off, but response %u is complete", asked->id,
                           record->serial);
        return;
    }
    if (!record->complete && !part)
        model_complain(model, "request %u: response %u was cut off and passed for complete", asked->id,
                       record->serial);
    else if (bytes != end - asked->first)
        model_complain(model, "request %u: %llu bytes instead of %llu", asked->id, (unsigned long long)bytes,
                       (unsigned long long)(end - asked->first));
}

void model_seen_end(struct model *model, uint32_t request, const char *body, uint64_t bytes, bool broken) {
    struct asked *asked = model_asked(model, request);
    model->clock++;
    asked->stage = ENDED;
    if (asked->gone) return;
    if (asked->no_content) {
        if (bytes) model_complain(model, "request %u: content where there is none", request);
    } else if (asked->record && !asked->loose) {
        check_content(model, asked, body, bytes, broken);
    } else if (broken && !(asked->record && asked->record->broken)) {
        model_complain(model, "request %u: cut off", request);
    }
}
