/* What happens, and what the model makes of it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "model_private.h"

/* How long Skerry remembers that a response was not shareable. */
#define REMEMBER_MS 30000

struct model *model_create(bool may_forget) {
    struct model *model = calloc(1, sizeof *model);
    if (!model) abort();
    model->may_forget = may_forget;
    return model;
}

void model_narrate(struct model *model) { model->narrate = true; }

void model_destroy(struct model *model) {
    for (int i = 0; i < model->record_count; i++) free(model->records[i]);
    for (int i = 0; i < model->exchange_count; i++) free(model->exchanges[i]);
    for (int i = 0; i < model->asked_count; i++) free(model->asked[i]);
    free(model);
}

const char *model_complaint(const struct model *model) { return *model->complaint ? model->complaint : NULL; }

void model_complain(struct model *model, const char *format, ...) {
    va_list args;
    if (*model->complaint) return;
    va_start(args, format);
    vsnprintf(model->complaint, sizeof model->complaint, format, args);
    va_end(args);
}

static void *add(void *list, int *count, size_t bytes) {
    void **slots = list;
    void *made = calloc(1, bytes);
    if (!made || *count == MODEL_MOST) abort();
    slots[(*count)++] = made;
    return made;
}

static void step(struct model *model, struct model_time now) {
    model->now = now;
    model->clock++;
}

struct asked *model_asked(const struct model *model, uint32_t id) {
    for (int i = 0; i < model->asked_count; i++)
        if (model->asked[i]->id == id) return model->asked[i];
    return NULL;
}

/* ---- what is stored for sure ------------------------------------------------------------------------------------ */

/* Equal in every field that any Vary of this URI has named. */
static bool same_slot(const struct model_uri *uri, const struct trace_head *a, const struct trace_head *b) {
    for (int i = 0; i < uri->name_count; i++) {
        char left[TRACE_VALUE_BYTES], right[TRACE_VALUE_BYTES];
        bool in_a = text_joined(a, uri->names[i], left, sizeof left);
        bool in_b = text_joined(b, uri->names[i], right, sizeof right);
        if (in_a != in_b || strcmp(left, right) != 0) return false;
    }
    return true;
}

struct record *model_newest(const struct model *model, const struct asked *request) {
    struct record *newest = NULL;
    for (int i = 0; i < model->record_count; i++) {
        struct record *record = model->records[i];
        if (record->uri != request->uri || record->verdict == NEVER) continue;
        if (record->alone) continue;
        /* One purged by its tag had taken the place of those before it, which may not have the tag. */
        const struct happening *hit = record_hit_by(model, record, false, model->clock);
        if (hit && !*hit->tag) continue;
        if (record_varies(record, &request->head)) continue;
        if (!newest || record->came >= newest->came) newest = record;
    }
    if (!newest || !newest->sure || newest->broken || newest->verdict != MUST) return NULL;
    if (record_hit_by(model, newest, false, model->clock)) return NULL;
    return same_slot(&model->uris[request->uri], newest->request, &request->head) ? newest : NULL;
}

bool model_failed_since(const struct model *model, uint32_t uri, uint64_t place) {
    for (int i = 0; i < model->exchange_count; i++) {
        const struct exchange *exchange = model->exchanges[i];
        if (exchange->uri == uri && exchange->failed && exchange->answered_at > place) return true;
    }
    return false;
}

/* ---- requests ----------------------------------------------------------------------------------------------------- */

void model_request(struct model *model, struct model_time now, const struct trace_op *op) {
    struct asked *asked = add(model->asked, &model->asked_count, sizeof *asked);
    bool refresh;
    step(model, now);
    asked->id = op->id;
    asked->uri = op->uri;
    asked->at = model->clock;
    asked->head = op->head;
    asked->content = op->content_bytes > 0;
    snprintf(asked->method, sizeof asked->method, "%s", op->method);
    text_request_control(&asked->head, &asked->control);
    asked->pass = asked->content || (strcmp(op->method, "GET") != 0 && strcmp(op->method, "HEAD") != 0);
    if (asked->pass || model->may_forget) return;
    struct record *record = model_newest(model, asked);
    if (!record) return;
    bool refused =
        record->status == 200 && record_condition(record, &asked->head, now.wall_s) == CONDITION_FAILED;
    if (refused) return; /* the origin's to say (RFC 9111 4.3.2) */
    if (record_must_answer(model, record, asked, &refresh)) asked->must = record;
    if (record->complete) asked->fallback = record;
}

/* A refresh runs, or Skerry may think that it would bring nothing shareable. */
static bool refreshing(const struct model *model, const struct asked *asked) {
    if (model->may_forget || model->uris[asked->uri].pass_until_ms > model->now.mono_ms) return true;
    for (int i = 0; i < model->exchange_count; i++) {
        const struct exchange *exchange = model->exchanges[i];
        if (exchange->uri == asked->uri && !exchange->answered && !exchange->failed && !exchange->alone)
            return true;
    }
    return false;
}

void model_served(struct model *model, struct model_time now, uint32_t request) {
    struct asked *asked = model_asked(model, request);
    step(model, now);
    bool answered = asked->stage != SERVING;
    if (!answered && asked->must)
        model_complain(
            model, "request %u: stored response %u (validation %u) is fresh and allowed, but was not used",
            request, asked->must->serial, asked->must->validation);
    if (!answered && asked->control.only_if_cached && !asked->pass)
        model_complain(model, "request %u: only-if-cached, but it had to wait (RFC 9111 5.2.1.7)", request);
    if (asked->refresh_due && !refreshing(model, asked))
        model_complain(model, "request %u: served stale, but nothing refreshes it (RFC 5861 section 3)",
                       request);
    if (!answered) asked->stage = WAITING;
}

void model_aborted(struct model *model, uint32_t request) { model_asked(model, request)->gone = true; }

/* ---- what goes to the origin ------------------------------------------------------------------------------------- */

/* The same fill asks again, without conditions, after a 304 that spoke of something else. */
static const struct exchange *asked_before(const struct model *model, uint32_t request) {
    const struct exchange *last = NULL;
    for (int i = 0; i < model->exchange_count; i++)
        if (model->exchanges[i]->request == request && !model->exchanges[i]->alone)
            last = model->exchanges[i];
    return last && last->conditional && last->status == 304 ? last : NULL;
}

static bool anything_since(const struct model *model, uint32_t uri, uint64_t place) {
    for (int i = 0; i < model->happening_count; i++)
        if (model->happenings[i].covers[uri] && model->happenings[i].at > place) return true;
    return false;
}

/* A promise: one request at a time for what one response can answer. */
static void check_collapse(struct model *model, const struct exchange *exchange) {
    const struct model_uri *uri = &model->uris[exchange->uri];
    const struct asked *asked = model_asked(model, exchange->request);
    for (int i = 0; i < model->exchange_count; i++) {
        const struct exchange *other = model->exchanges[i];
        if (other == exchange || other->uri != exchange->uri || other->alone) continue;
        if (other->answered || other->failed) continue;
        if (anything_since(model, exchange->uri, other->began)) continue;
        if (uri->vary_grew > other->began || uri->unsure_before > other->began) continue;
        if (!same_slot(uri, &model_asked(model, other->request)->head, &asked->head)) continue;
        model_complain(model,
                       "request %u went to the origin although exchange %d for request %u was under way",
                       asked->id, i, other->request);
    }
}

static void check_alone(struct model *model, const struct exchange *exchange, const struct asked *asked,
                        const char *method) {
    const struct model_uri *uri = &model->uris[asked->uri];
    static const char *const conditions[] = {
        "if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "range", "if-range"};
    if (strcmp(method, asked->method) != 0)
        model_complain(model, "request %u: %s became %s", asked->id, asked->method, method);
    for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
        const char *own = trace_value(&asked->head, conditions[i]),
                   *sent = trace_value(&exchange->head, conditions[i]);
        if ((own != NULL) != (sent != NULL) || (own && strcmp(own, sent) != 0))
            model_complain(model, "request %u: %s was not passed on as it was", asked->id, conditions[i]);
    }
    if (asked->pass || uri->pass_until_ms > model->now.mono_ms || asked->stage == WAITING) return;
    for (int i = 0; i < model->record_count; i++) { /* an If-Match that is the origin's to refuse */
        const struct record *record = model->records[i];
        if (record->uri != asked->uri || record->status != 200) continue;
        if (record_condition(record, &asked->head, model->now.wall_s) == CONDITION_FAILED) return;
    }
    if (!model->may_forget)
        model_complain(model, "request %u went alone, although no response for it was unshareable",
                       asked->id);
}

/* RFC 9111 4.3.1: with the validators of something stored for it, and with no others. */
static void check_validators(struct model *model, const struct exchange *exchange,
                             const struct asked *asked) {
    const char *tag = trace_value(&exchange->head, "if-none-match");
    const char *since = trace_value(&exchange->head, "if-modified-since");
    bool found = !tag && !since;
    for (int i = 0; i < model->record_count && !found; i++) {
        const struct record *record = model->records[i];
        const char *etag = trace_value(&record->head, "etag"),
                   *modified = trace_value(&record->head, "last-modified");
        if (record->uri != exchange->uri || record->verdict == NEVER || !record->complete) continue;
        if (record_gone(model, record, exchange->began)) continue;
        found = (!tag || (etag && strcmp(tag, etag) == 0)) &&
                (!since || (modified && strcmp(since, modified) == 0));
    }
    if (!found)
        model_complain(
            model, "request %u: asks with If-None-Match %s, If-Modified-Since %s, which nothing stored has",
            asked->id, tag ? tag : "(none)", since ? since : "(none)");
    const struct record *newest = model_newest(model, asked);
    const char *due = newest && newest->complete ? trace_value(&newest->head, "etag") : NULL;
    if (due && text_is_tag(due) && asked->stage == SERVING && !asked_before(model, asked->id) &&
        !model->may_forget && (!tag || strcmp(tag, due) != 0))
        model_complain(model, "request %u: asks without the stored validator %s", asked->id, due);
}

void model_forwarded(struct model *model, struct model_time now, uint32_t number, uint32_t request,
                     const char *method, uint32_t uri, const struct trace_head *head, bool alone) {
    const struct asked *asked = model_asked(model, request);
    const struct exchange *before = alone ? NULL : asked_before(model, request);
    step(model, now);
    struct exchange *exchange = add(model->exchanges, &model->exchange_count, sizeof *exchange);
    if (number + 1 != (uint32_t)model->exchange_count) abort();
    exchange->request = request;
    exchange->uri = uri;
    NARRATE(model, "-> origin: %s for request %u%s, If-None-Match %s, If-Modified-Since %s\n", method,
            request, alone ? " alone" : "", trace_value(head, "if-none-match"),
            trace_value(head, "if-modified-since"));
    exchange->began = before ? before->began : model->clock;
    exchange->head = *head;
    exchange->request_time = now.wall_s;
    exchange->alone = alone;
    exchange->conditional = trace_value(head, "if-none-match") || trace_value(head, "if-modified-since");
    if (uri != asked->uri) model_complain(model, "request %u went to another URI", request);
    if (asked->pass && !alone) model_complain(model, "request %u: %s is not for a cache", request, method);
    if (alone) {
        check_alone(model, exchange, asked, method);
        return;
    }
    if (strcmp(method, "GET") != 0) model_complain(model, "request %u: %s for the store", request, method);
    check_validators(model, exchange, asked);
    if (!before && !model->may_forget) check_collapse(model, exchange);
}

/* ---- what comes back ------------------------------------------------------------------------------------------------ */

static void happen(struct model *model, const struct happening *happening) {
    if (model->happening_count == MODEL_MOST) abort();
    model->happenings[model->happening_count++] = *happening;
    if (happening->soft || *happening->tag) return;
    for (int i = 0; i < TRACE_URIS; i++)
        if (happening->covers[i]) model->uris[i].known_count = 0;
}

/* Which of the URIs PLACE means in a response for URI, on the same host only; -1: none. */
static int resolve(uint32_t uri, const char *place) {
    const struct trace_uri *base = &trace_uris[uri];
    char path[TRACE_VALUE_BYTES];
    if (strncmp(place, "http://", 7) == 0) {
        size_t host = strlen(base->host);
        if (strncmp(place + 7, base->host, host) != 0) return -1;
        place += 7 + host;
    }
    size_t folder = strlen(base->target) - strlen(strrchr(base->target, '/')) + 1;
    snprintf(path, sizeof path, "%.*s%s", *place == '/' ? 0 : (int)folder, base->target, place);
    for (int i = 0; i < TRACE_URIS; i++)
        if (strcmp(trace_uris[i].host, base->host) == 0 && strcmp(trace_uris[i].target, path) == 0) return i;
    return -1;
}

/* RFC 9111 4.4. */
static void invalidate(struct model *model, uint32_t uri, const struct trace_head *head) {
    struct happening happening = {.at = model->clock, .invalidation = true};
    happening.covers[uri] = true;
    static const char *const names[] = {"location", "content-location"};
    for (size_t i = 0; i < 2; i++) {
        const char *place = trace_value(head, names[i]);
        int other = place ? resolve(uri, place) : -1;
        if (other >= 0) happening.covers[other] = true;
    }
    happen(model, &happening);
}

/* True when NAME was not in the list yet. */
static bool learn(char (*names)[TRACE_NAME_BYTES], int *count, const char *name) {
    for (int i = 0; i < *count; i++)
        if (strcasecmp(names[i], name) == 0) return false;
    if (*count < 16) snprintf(names[(*count)++], TRACE_NAME_BYTES, "%s", name);
    return true;
}

static void doubt(struct model *model, uint32_t uri) {
    for (int i = 0; i < model->record_count; i++)
        if (model->records[i]->uri == uri) model->records[i]->sure = false;
}

/* With a new name the variants that were stored before may be out of reach. */
static void learn_names(struct model *model, const struct record *record) {
    struct model_uri *uri = &model->uris[record->uri];
    char vary[TRACE_VALUE_BYTES], name[TRACE_VALUE_BYTES];
    bool grew = false;
    text_joined(&record->head, "vary", vary, sizeof vary);
    for (int n = 0; text_element(vary, n, name, sizeof name); n++) {
        learn(uri->names, &uri->name_count, name);
        grew |= learn(uri->known, &uri->known_count, name);
    }
    /* What does not vary may stand where the list of variants comes. */
    for (int i = 0; i < model->record_count && *vary; i++)
        if (model->records[i]->uri == record->uri && !trace_value(&model->records[i]->head, "vary"))
            model->records[i]->sure = false;
    if (!grew) return;
    doubt(model, record->uri);
    uri->vary_grew = model->clock;
}

static bool worth_keeping(const struct record *record) {
    const char *tag = trace_value(&record->head, "etag"),
               *modified = trace_value(&record->head, "last-modified");
    int64_t date;
    if (record->lifetime > record->initial_age && !record->control.no_cache) return true;
    if ((tag && text_is_tag(tag)) || (modified && text_date(modified, &date))) return true;
    return stale_window(&record->control, record->control.stale_while_revalidate) > 0 ||
           stale_window(&record->control, record->control.stale_if_error) > 0;
}

/* Would a plain GET have been given something for everybody? Else the key may be remembered. */
static void remember(struct model *model, const struct record *record) {
    struct record plain = *record;
    struct asked get = {.method = "GET"};
    record_judge(&plain, &get);
    bool shareable = plain.verdict == MUST && worth_keeping(&plain);
    if (!shareable && record->status < 500)
        model->uris[record->uri].pass_until_ms = model->now.mono_ms + REMEMBER_MS;
}

/* RFC 9110 7.6.1 */
static void strip(struct trace_head *head) {
    struct trace_head from = *head;
    head->count = 0;
    for (uint32_t i = 0; i < from.count; i++) {
        const char *name = from.lines[i].name;
        if (strcasecmp(name, "connection") == 0 || text_lists(&from, "connection", name)) continue;
        head->lines[head->count++] = from.lines[i];
    }
}

static void take_response(struct model *model, uint32_t number, uint32_t serial, uint16_t status,
                          const struct trace_head *head, uint64_t length, bool until_close) {
    struct exchange *exchange = model->exchanges[number];
    struct asked asked = *model_asked(model, exchange->request);
    struct record *record = add(model->records, &model->record_count, sizeof *record);
    record->serial = trace_value(head, "x-body") ? serial : 0;
    record->validation = record->serial ? 0 : serial;
    record->uri = exchange->uri;
    record->exchange = number;
    record->status = status;
    record->head = *head;
    record->body_bytes = length;
    record->until_close = until_close;
    record->request = &model_asked(model, exchange->request)->head;
    record->request_time = exchange->request_time;
    record->response_time = model->now.wall_s;
    record->began = exchange->began;
    record->came = model->clock;
    record->alone = exchange->alone;
    /* For the store Skerry asks with GET where the client said HEAD. */
    if (!exchange->alone && strcmp(asked.method, "HEAD") == 0)
        snprintf(asked.method, sizeof asked.method, "GET");
    record_judge(record, &asked);
    if (!exchange->alone) remember(model, record);
    strip(&record->head);
    if (exchange->alone || record->verdict == NEVER) return;
    learn_names(model, record);
    /* What was purged on its way is only for those who waited, once somebody asks again. */
    if (record_hit_by(model, record, false, model->clock) || record_hit_by(model, record, true, model->clock))
        return;
    record->sure = worth_keeping(record) && !model->may_forget &&
                   exchange->began > model->uris[exchange->uri].unsure_before;
}

/* ---- 304 -------------------------------------------------------------------------------------------------------------- */

static bool describes_body(const char *name) {
    return strcasecmp(name, "content-encoding") == 0 || strcasecmp(name, "content-length") == 0 ||
           strcasecmp(name, "content-range") == 0;
}

/* RFC 9111 3.2. Age is of the message that it stands in. */
static void lay_over(struct trace_head *stored, const struct trace_head *fresh) {
    struct trace_head from = *stored;
    stored->count = 0;
    for (uint32_t i = 0; i < from.count; i++) {
        const char *name = from.lines[i].name;
        if (strcasecmp(name, "age") == 0) continue;
        if (!describes_body(name) && trace_value(fresh, name)) continue;
        stored->lines[stored->count++] = from.lines[i];
    }
    for (uint32_t i = 0; i < fresh->count; i++)
        if (!describes_body(fresh->lines[i].name))
            trace_add(stored, fresh->lines[i].name, fresh->lines[i].value);
}

/* RFC 9111 4.3.4, 4.3.5: validators that came must be those of the stored one. */
static bool same_validators(const struct trace_head *fresh, const struct record *record) {
    const char *tag = trace_value(&record->head, "etag"),
               *modified = trace_value(&record->head, "last-modified");
    const char *said = trace_value(fresh, "etag"), *said_modified = trace_value(fresh, "last-modified");
    int64_t a, b;
    if (said && text_is_tag(said)) {
        if (!tag) return false;
        return strncmp(said, "W/", 2) == 0 ? text_weakly_equal(said, tag) : text_strongly_equal(said, tag);
    }
    if (!said_modified || !text_date(said_modified, &a) || !modified || !text_date(modified, &b)) return true;
    return a == b;
}

/* Is it this one that the request asked about, and that the 304 speaks of? */
static bool speaks_of(const struct exchange *exchange, const struct trace_head *fresh,
                      const struct record *record) {
    const char *asked = trace_value(&exchange->head, "if-none-match");
    const char *since = trace_value(&exchange->head, "if-modified-since");
    const char *tag = trace_value(&record->head, "etag"),
               *modified = trace_value(&record->head, "last-modified");
    if (asked && (!tag || strcmp(asked, tag) != 0)) return false;
    if (since && (!modified || strcmp(since, modified) != 0)) return false;
    return same_validators(fresh, record);
}

/* For each content only its latest form, and the one that was the latest when the fill began. */
static bool outdated(const struct model *model, const struct record *record, uint64_t began) {
    bool later = false, earlier = false;
    for (int i = 0; i < model->record_count; i++) {
        const struct record *other = model->records[i];
        if (other->serial != record->serial || other->came <= record->came || other->optional) continue;
        /* By a tag that only the 304 brought: it was for those who waited, and what it renewed is still there. */
        if (record_hit_by(model, other, false, other->came)) continue;
        later = true;
        earlier |= other->came < began;
    }
    return record->came < began ? earlier : later;
}

static bool same_head(const struct trace_head *a, const struct trace_head *b) {
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++)
        same = strcmp(a->lines[i].name, b->lines[i].name) == 0 &&
               strcmp(a->lines[i].value, b->lines[i].value) == 0;
    return same;
}

/* The last record is the same as one that the same 304 made of another form of the same content. */
static bool made_already(const struct model *model, const struct record *record) {
    for (int i = 0; i < model->record_count - 1; i++) {
        const struct record *other = model->records[i];
        if (other->serial != record->serial || other->validation != record->validation) continue;
        if (other->uri == record->uri && !record->sure && same_head(&other->head, &record->head)) return true;
    }
    return false;
}

static void validate(struct model *model, uint32_t number, uint32_t serial, const struct trace_head *head,
                     struct record *base, bool newest) {
    struct exchange *exchange = model->exchanges[number];
    struct asked *asked = model_asked(model, exchange->request), as_get = *asked;
    struct trace_head fresh = *head;
    struct record *record = add(model->records, &model->record_count, sizeof *record);
    strip(&fresh);
    *record = *base;
    record->base = base;
    record->validation = serial;
    record->exchange = number;
    record->validating = &asked->head;
    record->request_time = exchange->request_time;
    record->response_time = model->now.wall_s;
    record->began = exchange->began;
    record->came = model->clock;
    if (!trace_value(&fresh, "date")) /* then it is of now */
        for (uint32_t i = 0; i < record->head.count; i++)
            if (strcasecmp(record->head.lines[i].name, "date") == 0) record->head.lines[i].name[0] = '\0';
    lay_over(&record->head, &fresh);
    if (strcmp(as_get.method, "HEAD") == 0) snprintf(as_get.method, sizeof as_get.method, "GET");
    as_get.content = false;
    record_judge(record, &as_get);
    if (trace_value(&fresh, "vary")) learn_names(model, record);
    record->sure = newest && base->sure && record->verdict == MUST && worth_keeping(record) &&
                   !record_hit_by(model, record, true, model->clock) && !trace_value(&fresh, "vary") &&
                   exchange->began > model->uris[exchange->uri].unsure_before;
    base->sure = false;
    record->optional = !record->sure;
    if (record->verdict != MUST || !worth_keeping(record) || trace_value(&fresh, "vary")) {
        /* It may not be kept any more, and everything of its URI may go with it. */
        remember(model, record);
        doubt(model, record->uri);
        model->uris[record->uri].unsure_before = model->clock;
    }
    if (made_already(model, record)) record->uri = TRACE_URIS; /* of no URI: forgotten */
}

static void take_validation(struct model *model, uint32_t number, uint32_t serial,
                            const struct trace_head *head) {
    struct exchange *exchange = model->exchanges[number];
    const struct asked *asked = model_asked(model, exchange->request);
    const struct record *newest = model_newest(model, asked);
    int count = model->record_count;
    for (int i = 0; i < count; i++) {
        struct record *record = model->records[i];
        if (record->uri != exchange->uri || !record->complete || record->verdict == NEVER) continue;
        if (record->alone || record_gone(model, record, exchange->began)) continue;
        if (!speaks_of(exchange, head, record) || outdated(model, record, exchange->began)) continue;
        validate(model, number, serial, head, record, record == newest);
    }
}

/* RFC 9111 4.3.5: an answer to HEAD may renew what is stored, or end it. */
static void take_head_answer(struct model *model, uint32_t number, uint32_t serial,
                             const struct trace_head *head) {
    const struct exchange *exchange = model->exchanges[number];
    int count = model->record_count;
    doubt(model, exchange->uri);
    model->uris[exchange->uri].unsure_before = model->clock;
    for (int i = 0; i < count; i++) {
        struct record *record = model->records[i];
        if (record->uri != exchange->uri || !record->complete || record->verdict == NEVER) continue;
        if (record->alone || record_gone(model, record, exchange->began)) continue;
        if (!same_validators(head, record) || outdated(model, record, exchange->began)) continue;
        validate(model, number, serial, head, record, false);
    }
}

static bool is_failure(uint16_t status) { return status == 500 || (status >= 502 && status <= 504); }

void model_answered(struct model *model, struct model_time now, uint32_t number, uint32_t serial,
                    uint16_t status, const struct trace_head *head, uint64_t length, bool until_close) {
    struct exchange *exchange = model->exchanges[number];
    const struct asked *asked = model_asked(model, exchange->request);
    step(model, now);
    NARRATE(model, "<- origin: %u for request %u\n", status, exchange->request);
    exchange->answered = true;
    exchange->answered_at = model->clock;
    exchange->status = status;
    exchange->failed = is_failure(status);
    if (!method_is_safe(asked->method) && status >= 200 && status < 400)
        invalidate(model, exchange->uri, head);
    if (status == 304 && exchange->conditional && !exchange->alone) {
        take_validation(model, number, serial, head);
        return;
    }
    bool asked_head = exchange->alone && strcmp(asked->method, "HEAD") == 0;
    take_response(model, number, serial, status, head, length, until_close);
    if (asked_head && status == 200) take_head_answer(model, number, serial, head);
}

void model_failed(struct model *model, uint32_t number, bool cancelled) {
    struct exchange *exchange = model->exchanges[number];
    model->clock++;
    NARRATE(model, "<- origin: %s for request %u\n", cancelled ? "cancelled" : "failure", exchange->request);
    exchange->failed = exchange->answered = exchange->over = true;
    exchange->answered_at = cancelled ? 0 : model->clock;
}

void model_body_over(struct model *model, uint32_t number, uint64_t bytes, bool complete) {
    model->clock++;
    model->exchanges[number]->over = true;
    for (int i = 0; i < model->record_count; i++) {
        struct record *record = model->records[i];
        if (record->exchange != number || record->base) continue;
        record->complete = complete;
        record->broken = !complete;
        record->body_bytes = bytes;
    }
}

/* ---- purges ------------------------------------------------------------------------------------------------------------ */

void model_purged(struct model *model, const struct trace_op *op) {
    const struct trace_uri *named = &trace_uris[op->uri];
    model->clock++;
    struct happening happening = {.at = model->clock, .soft = op->soft};
    for (uint32_t i = 0; i < TRACE_URIS; i++) {
        const struct trace_uri *uri = &trace_uris[i];
        bool host = strcmp(uri->host, named->host) == 0;
        switch (op->purge) {
        case TRACE_PURGE_KEY: happening.covers[i] = i == op->uri; break;
        case TRACE_PURGE_PREFIX: /* all that is below it */
        case TRACE_PURGE_GLOB:   /* "host" target "*" */
            happening.covers[i] = host && strncmp(uri->target, named->target, strlen(named->target)) == 0;
            break;
        case TRACE_PURGE_HOST: happening.covers[i] = host; break;
        case TRACE_PURGE_TAG:
        case TRACE_PURGE_ALL: happening.covers[i] = true; break;
        }
    }
    if (op->purge == TRACE_PURGE_TAG) snprintf(happening.tag, sizeof happening.tag, "%s", op->purged_tag);
    happen(model, &happening);
}

void model_over(struct model *model) {
    for (int i = 0; i < model->asked_count; i++) {
        const struct asked *asked = model->asked[i];
        if (!asked->gone && asked->stage != ENDED)
            model_complain(model, "request %u was never answered%s", asked->id,
                           asked->stage == ANSWERED ? " to the end" : "");
    }
}
