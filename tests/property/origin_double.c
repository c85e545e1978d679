#include "origin_double.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "clocks.h"
#include "edge/fetch.h"
#include "text.h"
#include "wire/h1.h"

struct origin_double origin_double;

struct model_time double_now(void) {
    return (struct model_time){.wall_s = clocks.wall_s, .mono_ms = clocks.monotonic / SK_NS_PER_MS};
}

struct double_exchange *double_pick(bool head_due, uint32_t n) {
    uint32_t count = 0;
    enum double_state wanted = head_due ? DOUBLE_ASKED : DOUBLE_HEAD;
    SK_LIST_FOR_EACH(link, &origin_double.under_way)
    count += SK_CONTAINER_OF(link, struct double_exchange, link)->state == wanted;
    if (!count) return NULL;
    n %= count;
    SK_LIST_FOR_EACH(link, &origin_double.under_way) {
        struct double_exchange *exchange = SK_CONTAINER_OF(link, struct double_exchange, link);
        if (exchange->state == wanted && n-- == 0) return exchange;
    }
    return NULL;
}

static void wake(struct double_exchange *exchange) {
    if (exchange->waiting) io_fiber_wake(exchange->waiting);
}

/* ---- asked ---------------------------------------------------------------------------------------------------- */

static void take_head(struct double_exchange *exchange, const struct http_request *request) {
    for (uint32_t i = 0; i < request->fields.count; i++) {
        char name[TRACE_NAME_BYTES], value[TRACE_VALUE_BYTES];
        const struct http_field *field = &request->fields.items[i];
        snprintf(name, sizeof name, "%.*s", SK_STR_ARGS(field->name));
        snprintf(value, sizeof value, "%.*s", SK_STR_ARGS(field->value));
        trace_add(&exchange->head, name, value);
    }
    snprintf(exchange->method, sizeof exchange->method, "%.*s", SK_STR_ARGS(request->method_text));
    exchange->uri = TRACE_URIS;
    for (uint32_t i = 0; i < TRACE_URIS; i++)
        if (sk_str_eq(request->authority, sk_str_from_c(trace_uris[i].host)) &&
            sk_str_eq(request->target, sk_str_from_c(trace_uris[i].target)))
            exchange->uri = i;
    const char *number = trace_value(&exchange->head, "x-request");
    exchange->request = number ? (uint32_t)atoi(number) : 0;
    exchange->conditional =
        trace_value(&exchange->head, "if-none-match") || trace_value(&exchange->head, "if-modified-since");
}

/* The whole of the request's content, before anything is answered. */
static sk_err take_content(const struct origin_request *request) {
    sk_str piece;
    sk_err err = SK_OK;
    if (!request->body.read) return SK_OK;
    while (!err) err = request->body.read(request->body.arg, SK_TIME_NEVER, &piece);
    return err == SK_ERR_END ? SK_OK : err;
}

static void drop(struct double_exchange *exchange) {
    sk_list_remove(&exchange->link);
    sk_arena_free(&exchange->arena);
    free(exchange);
}

static sk_err await_head(struct double_exchange *exchange) {
    sk_err err = SK_OK;
    exchange->waiting = io_fiber_self();
    while (!err && exchange->state == DOUBLE_ASKED) err = io_fiber_park(SK_TIME_NEVER);
    exchange->waiting = NULL;
    if (exchange->state == DOUBLE_FAILED) return SK_ERR_RESET;
    if (err) model_failed(origin_double.model, exchange->number, true);
    return err;
}

sk_err __wrap_origin_exchange_open(struct origin_thread *thread, const struct origin_request *request,
                                   struct origin_exchange **out_exchange,
                                   const struct http_response **out_response,
                                   struct origin_result *out_result);
sk_err __wrap_origin_exchange_open(struct origin_thread *thread, const struct origin_request *request,
                                   struct origin_exchange **out_exchange,
                                   const struct http_response **out_response,
                                   struct origin_result *out_result) {
    struct double_exchange *exchange = calloc(1, sizeof *exchange);
    const struct edge_fetch *fetch = SK_CONTAINER_OF(request->request, struct edge_fetch, request);
    if (!exchange) abort();
    sk_arena_init(&exchange->arena, 4096, 0);
    exchange->number = origin_double.count++;
    sk_list_push_back(&origin_double.under_way, &exchange->link);
    take_head(exchange, request->request);
    model_forwarded(origin_double.model, double_now(), exchange->number, exchange->request, exchange->method,
                    exchange->uri, &exchange->head, fetch->pass);
    sk_err err = take_content(request);
    if (err)
        model_failed(origin_double.model, exchange->number, true);
    else
        err = await_head(exchange);
    if (err) {
        *out_result = (struct origin_result){.phase = ORIGIN_PHASE_FIRST_BYTE, .error = err, .tries = 1};
        drop(exchange);
        return err;
    }
    *out_exchange = (struct origin_exchange *)(void *)exchange;
    *out_response = &exchange->response;
    *out_result = (struct origin_result){.tries = 1};
    return SK_OK;
}

/* ---- answering --------------------------------------------------------------------------------------------------- */

static bool has_body(const struct double_exchange *exchange, uint16_t status) {
    return strcasecmp(exchange->method, "HEAD") != 0 && status != 204 && status != 304;
}

/* The text of the head, as it would come over a connection. */
static sk_str head_text(struct double_exchange *exchange, uint16_t status, const struct trace_head *head,
                        enum trace_framing framing) {
    char *text = sk_arena_alloc(&exchange->arena, 16384);
    int len = snprintf(text, 16384, "HTTP/1.1 %u Whatever\r\n", status);
    for (uint32_t i = 0; i < head->count; i++)
        len += snprintf(text + len, 16384 - (size_t)len, "%s: %s\r\n", head->lines[i].name,
                        head->lines[i].value);
    const char *line = framing == TRACE_CHUNKED ? "Transfer-Encoding: chunked\r\n" : "Connection: close\r\n";
    if (status == 204 || status == 304)
        line = "";
    else if (framing == TRACE_LENGTH)
        line =
            sk_arena_printf(&exchange->arena, "Content-Length: %llu\r\n", (unsigned long long)exchange->total)
                .data;
    len += snprintf(text + len, 16384 - (size_t)len, "%s\r\n", line);
    return (sk_str){text, (size_t)len};
}

static void parse(struct double_exchange *exchange, sk_str text) {
    struct wire_h1_parser parser;
    struct wire_h1_limits limits;
    size_t bytes;
    enum http_method method = http_method_lookup(sk_str_from_c(exchange->method));
    wire_h1_parser_init(&parser);
    wire_h1_limits_default(&limits);
    if (wire_h1_parse_response(&parser, &limits, method, text, &exchange->arena, &exchange->response,
                               &bytes) == WIRE_H1_HEAD)
        return;
    fprintf(stderr, "%s\n%.*s\n", wire_h1_refusal_text(parser.refusal), SK_STR_ARGS(text));
    abort();
}

/* Which tag a 304 names. */
static void set_tag(const struct double_exchange *exchange, enum trace_tag tag, struct trace_head *head) {
    struct trace_head from = *head;
    const char *asked = trace_value(&exchange->head, "if-none-match");
    if (tag == TRACE_TAG_OWN) return;
    head->count = 0;
    for (uint32_t i = 0; i < from.count; i++)
        if (strcasecmp(from.lines[i].name, "etag") != 0) head->lines[head->count++] = from.lines[i];
    if (tag == TRACE_TAG_OTHER) trace_add(head, "ETag", "\"other\"");
    if (tag == TRACE_TAG_SAME && asked && *asked != '*' && !strchr(asked, ','))
        trace_add(head, "ETag", asked);
}

static void note(struct double_exchange *exchange, const struct trace_head *head) {
    const char *tag = trace_value(head, "etag"), *modified = trace_value(head, "last-modified");
    snprintf(origin_double.last_tag[exchange->uri], 64, "%s", tag ? tag : "\"none\"");
    snprintf(origin_double.last_modified[exchange->uri], 64, "%s", modified ? modified : "none");
}

void double_answer(struct double_exchange *exchange, const struct trace_op *op,
                   const struct trace_head *head) {
    struct trace_head full = *head;
    char serial[16];
    bool validation = exchange->conditional && (op->not_modified || op->status == 304);
    uint16_t status = validation ? 304 : op->status;
    if (op->fail) {
        exchange->state = DOUBLE_FAILED;
        model_failed(origin_double.model, exchange->number, false);
        wake(exchange);
        return;
    }
    exchange->state = DOUBLE_HEAD;
    exchange->serial = op->id;
    exchange->has_body = has_body(exchange, status);
    exchange->total = exchange->has_body ? op->body_bytes : 0;
    exchange->announced = op->framing == TRACE_LENGTH;
    exchange->allowed = op->at_once;
    exchange->cut = op->cut;
    if (validation) set_tag(exchange, op->tag, &full);
    trace_add(&full, "Content-Type", validation ? "application/renewed" : "application/octet-stream");
    snprintf(serial, sizeof serial, "%u", op->id);
    bool mark = validation || strcasecmp(exchange->method, "HEAD") == 0; /* of a head without a body */
    trace_add(&full, mark ? "X-Validation" : "X-Body", serial);
    parse(exchange, head_text(exchange, status, &full, op->framing));
    if (!validation) note(exchange, &full);
    model_answered(origin_double.model, double_now(), exchange->number, op->id, status, &full,
                   exchange->announced || !exchange->has_body ? exchange->total : UINT64_MAX,
                   exchange->has_body && op->framing == TRACE_CLOSE);
    if (!exchange->has_body) model_body_over(origin_double.model, exchange->number, 0, true);
    wake(exchange);
}

void double_continue(struct double_exchange *exchange, uint64_t more, bool break_off) {
    exchange->allowed += more;
    exchange->cut |= break_off && exchange->allowed <= exchange->total;
    wake(exchange);
}

/* ---- content -------------------------------------------------------------------------------------------------------- */

static void end(struct double_exchange *exchange, bool complete) {
    if (exchange->state == DOUBLE_HEAD && exchange->has_body)
        model_body_over(origin_double.model, exchange->number, exchange->given, complete);
    exchange->state = DOUBLE_DONE;
}

static sk_err over(struct double_exchange *exchange, sk_err err) {
    end(exchange, err == SK_ERR_END);
    return err;
}

sk_err __wrap_origin_exchange_read(struct origin_exchange *opened, char *data, size_t bytes, size_t *out_n);
sk_err __wrap_origin_exchange_read(struct origin_exchange *opened, char *data, size_t bytes, size_t *out_n) {
    struct double_exchange *exchange = (struct double_exchange *)(void *)opened;
    for (;;) {
        uint64_t most = SK_MIN(exchange->total, exchange->allowed);
        if (exchange->given < most) {
            size_t n = SK_MIN(bytes, (size_t)(most - exchange->given));
            for (size_t i = 0; i < n; i++) data[i] = trace_body_byte(exchange->serial, exchange->given + i);
            exchange->given += n;
            *out_n = n;
            return SK_OK;
        }
        bool all = exchange->given == exchange->total;
        /* An announced length needs no end; else the end comes with the byte after the last. */
        if (all && (exchange->announced || exchange->allowed > exchange->total))
            return over(exchange, SK_ERR_END);
        /* Where only the connection's end marks the content's, nobody can tell a cut. */
        bool unseen = exchange->response.body_kind == HTTP_BODY_CLOSE;
        if (exchange->cut) return over(exchange, unseen ? SK_ERR_END : SK_ERR_CLOSED);
        exchange->waiting = io_fiber_self();
        sk_err err = io_fiber_park(SK_TIME_NEVER);
        exchange->waiting = NULL;
        if (err) return over(exchange, err);
    }
}

const struct http_fields *__wrap_origin_exchange_trailers(const struct origin_exchange *opened);
const struct http_fields *__wrap_origin_exchange_trailers(const struct origin_exchange *opened) {
    return NULL;
}

void __wrap_origin_exchange_close(struct origin_exchange *opened);
void __wrap_origin_exchange_close(struct origin_exchange *opened) {
    struct double_exchange *exchange = (struct double_exchange *)(void *)opened;
    end(exchange, false);
    drop(exchange);
}
