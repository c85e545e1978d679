#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/exchange.h"
#include "origin_double.h"
#include "wire/h1.h"

#define PIECES 8

struct client {
    struct sk_list link;
    struct edge_exchange exchange;
    struct model *model;
    uint32_t id;
    struct io_addr address;
    char *text; /* the request as it came */
    uint32_t content_left;
    /* the answer */
    bool slow, reading, answered;
    bool waiting; /* the reader calls */
    const struct edge_part *parts;
    uint32_t part, part_count;
    struct cache_reader reader;
    uint64_t promised; /* bytes of content, CACHE_LENGTH_UNKNOWN: framed otherwise */
    char *body;
    size_t bytes, room;
};

static struct client *client_of(struct edge_exchange *exchange) {
    return SK_CONTAINER_OF(exchange, struct client, exchange);
}

/* ---- the end --------------------------------------------------------------------------------------------------- */

static void go(struct client *client) {
    edge_exchange_end(&client->exchange);
    sk_list_remove(&client->link);
    free(client->text);
    free(client->body);
    free(client);
}

/* As a connection does when its answer has ended, whole or not. */
static void ended(struct client *client, bool broken) {
    struct edge_exchange *exchange = &client->exchange;
    if (client->answered) return;
    client->answered = true;
    client->reading = false;
    cache_reader_close(&client->reader);
    if (broken) exchange->client_gone = exchange->outcome.aborted = true;
    edge_exchange_account(exchange);
    if (!exchange->fiber)
        go(client);
    else if (broken && io_fiber_self() != exchange->fiber)
        io_fiber_cancel(exchange->fiber);
}

static void fiber_ended(struct edge_exchange *exchange) {
    struct client *client = client_of(exchange);
    if (client->answered) go(client);
}

static void finished(struct client *client, bool broken) {
    broken |= client->promised != CACHE_LENGTH_UNKNOWN && client->bytes != client->promised;
    model_seen_end(client->model, client->id, client->body, client->bytes, broken);
    ended(client, broken);
}

/* ---- content ------------------------------------------------------------------------------------------------------ */

static void take(struct client *client, const char *data, size_t bytes) {
    if (client->bytes + bytes > client->room) {
        client->room = (client->bytes + bytes) * 2;
        client->body = realloc(client->body, client->room);
        if (!client->body) abort();
    }
    if (bytes) memcpy(client->body + client->bytes, data, bytes);
    client->bytes += bytes;
}

static void read_all(struct client *client);

static void on_ready(struct cache_reader *reader) {
    struct client *client = SK_CONTAINER_OF(reader, struct client, reader);
    client->waiting = false;
    if (client->reading) read_all(client);
}

static void stand_alone(struct client *client) {
    cache_reader_keep(&client->reader);
    if (edge_exchange_keep(&client->exchange) != SK_OK) abort();
}

/* True when there was another part. */
static bool next_part(struct client *client) {
    struct cache_object *object = client->reader.object;
    struct cache_thread *thread = client->reader.thread;
    if (client->part + 1 >= client->part_count) return false;
    const struct edge_part *part = &client->parts[++client->part];
    cache_object_ref(object);
    cache_reader_close(&client->reader);
    cache_reader_open(&client->reader, thread, object, part->first, part->end);
    take(client, part->text.data, part->text.len);
    return true;
}

static void read_all(struct client *client) {
    struct cache_piece pieces[PIECES];
    size_t count;
    for (;;) {
        switch (cache_reader_peek(&client->reader, pieces, PIECES, &count)) {
        case CACHE_READ_DATA:
            for (size_t i = 0; i < count; i++) {
                take(client, pieces[i].data, pieces[i].bytes);
                cache_reader_advance(&client->reader, pieces[i].bytes);
            }
            break;
        case CACHE_READ_WAIT:
            stand_alone(client);
            client->waiting = true;
            cache_reader_wait(&client->reader, on_ready);
            return;
        case CACHE_READ_END:
            if (next_part(client)) break;
            finished(client, false);
            return;
        case CACHE_READ_FAILED: finished(client, true); return;
        }
    }
}

/* ---- the answer ------------------------------------------------------------------------------------------------------ */

static void take_lines(sk_str text, struct trace_head *head) {
    sk_str line;
    while (sk_str_cut(&text, '\n', &line)) {
        size_t colon = sk_str_find_byte(line, ':');
        char name[TRACE_NAME_BYTES], value[TRACE_VALUE_BYTES];
        if (colon == line.len) continue;
        sk_str rest = sk_str_slice(line, colon + 1, line.len ? line.len - 1 : 0);
        rest = sk_str_trim(rest);
        snprintf(name, sizeof name, "%.*s", (int)colon, line.data);
        snprintf(value, sizeof value, "%.*s", SK_STR_ARGS(rest));
        trace_add(head, name, value);
    }
}

static void open_body(struct client *client, const struct edge_response *response) {
    struct cache_thread *cache = client->exchange.worker->cache;
    client->promised =
        response->own_length || response->head_only ? CACHE_LENGTH_UNKNOWN : response->body_length;
    if (!response->object) return;
    if (response->head_only || !response->part_count) {
        if (!response->borrowed) cache_object_unref(cache, response->object);
        return;
    }
    client->parts = response->parts;
    client->part_count = response->part_count;
    const struct edge_part *part = &response->parts[0];
    if (response->borrowed)
        cache_reader_borrow(&client->reader, cache, response->object, part->first, part->end);
    else
        cache_reader_open(&client->reader, cache, response->object, part->first, part->end);
    take(client, part->text.data, part->text.len);
}

static void respond(struct edge_exchange *exchange, const struct edge_response *response) {
    struct client *client = client_of(exchange);
    struct trace_head head = {0};
    if (exchange->responded) model_complain(client->model, "request %u was answered twice", client->id);
    exchange->responded = true;
    exchange->outcome.status = response->status;
    take_lines(response->head, &head);
    take_lines(response->extra_head, &head);
    model_seen(client->model, double_now(), client->id, response->status, &head);
    open_body(client, response);
    if (!response->head_only) take(client, response->small_body.data, response->small_body.len);
    client->reading = !client->slow;
    if (!client->reader.object) {
        finished(client, false);
    } else if (client->reading) {
        read_all(client);
    } else {
        stand_alone(client);
    }
}

static void inform(struct edge_exchange *exchange, uint16_t status, const struct http_fields *fields) {
    (void)exchange, (void)status, (void)fields;
}

/* All of it at once. */
static sk_err read_body(struct edge_exchange *exchange, sk_str *out_piece) {
    static const char zeros[256];
    struct client *client = client_of(exchange);
    if (exchange->client_gone) return SK_ERR_CLOSED;
    if (!client->content_left) return SK_ERR_END;
    *out_piece = (sk_str){zeros, SK_MIN(client->content_left, sizeof zeros)};
    client->content_left -= (uint32_t)out_piece->len;
    return SK_OK;
}

static const struct http_fields *body_trailers(struct edge_exchange *exchange) {
    (void)exchange;
    return NULL;
}

static sk_err take_stream(struct edge_exchange *exchange, const struct http_response *response,
                          struct io_stream **out_stream, sk_str *out_read_already) {
    (void)exchange, (void)response, (void)out_stream, (void)out_read_already;
    return SK_ERR_UNSUPPORTED;
}

static const struct edge_exchange_ops ops = {
    .respond = respond,
    .inform = inform,
    .read_body = read_body,
    .body_trailers = body_trailers,
    .take_stream = take_stream,
    .fiber_ended = fiber_ended,
};

/* ---- asking ------------------------------------------------------------------------------------------------------------ */

static sk_str request_text(struct client *client, const struct trace_op *op) {
    const struct trace_uri *uri = &trace_uris[op->uri];
    client->text = malloc(8192);
    if (!client->text) abort();
    int len = snprintf(client->text, 8192, "%s %s HTTP/1.1\r\nHost: %s\r\nX-Request: %u\r\n", op->method,
                       uri->target, uri->host, op->id);
    for (uint32_t i = 0; i < op->head.count; i++)
        len += snprintf(client->text + len, 8192 - (size_t)len, "%s: %s\r\n", op->head.lines[i].name,
                        op->head.lines[i].value);
    if (op->content_bytes)
        len += snprintf(client->text + len, 8192 - (size_t)len, "Content-Length: %u\r\n", op->content_bytes);
    len += snprintf(client->text + len, 8192 - (size_t)len, "\r\n");
    return (sk_str){client->text, (size_t)len};
}

void client_start(struct edge_worker *worker, struct model *model, struct sk_list *clients,
                  const struct trace_op *op) {
    struct client *client = calloc(1, sizeof *client);
    struct wire_h1_parser parser;
    size_t bytes;
    if (!client) abort();
    client->model = model;
    client->id = op->id;
    client->slow = op->slow;
    client->content_left = op->content_bytes;
    client->exchange.ops = &ops;
    client->exchange.client = &client->address;
    sk_list_push_back(clients, &client->link);
    sk_arena_init(&client->exchange.own_arena, 4096, 0);
    if (io_addr_parse(SK_STR("192.0.2.1:4711"), &client->address) != SK_OK) abort();
    wire_h1_parser_init(&parser);
    sk_arena_reset(&worker->scratch);
    if (wire_h1_parse_request(&parser, &worker->snapshot->head_limits, request_text(client, op),
                              &worker->scratch, &client->exchange.request, &bytes) != WIRE_H1_HEAD) {
        fprintf(stderr, "%s\n%s\n", wire_h1_refusal_text(parser.refusal), client->text);
        abort();
    }
    edge_exchange_begin(&client->exchange, worker);
    client->exchange.request.scheme = SK_STR("http");
    edge_serve(&client->exchange);
}

/* ---- later --------------------------------------------------------------------------------------------------------------- */

static bool is_paused(const struct client *client) {
    return client->reader.object && !client->reading && !client->answered;
}

static struct client *pick(struct sk_list *clients, uint32_t n, bool paused) {
    uint32_t count = 0;
    SK_LIST_FOR_EACH(link, clients) {
        const struct client *client = SK_CONTAINER_OF(link, struct client, link);
        count += paused ? is_paused(client) : !client->answered;
    }
    if (!count) return NULL;
    n %= count;
    SK_LIST_FOR_EACH(link, clients) {
        struct client *client = SK_CONTAINER_OF(link, struct client, link);
        if ((paused ? is_paused(client) : !client->answered) && n-- == 0) return client;
    }
    return NULL;
}

void client_read_on(struct sk_list *clients, uint32_t n) {
    struct client *client = pick(clients, n, true);
    if (!client) return;
    client->reading = true;
    read_all(client);
}

void client_abort(struct sk_list *clients, uint32_t n) {
    struct client *client = pick(clients, n, false);
    if (!client) return;
    model_aborted(client->model, client->id);
    ended(client, true);
}
