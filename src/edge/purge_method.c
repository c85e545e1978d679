#include "edge/purge_method.h"

#include <stdio.h>

#include "cache/vary.h"
#include "edge/answer.h"
#include "edge/error_page.h"
#include "edge/purge.h"
#include "edge/worker.h"
#include "http/tags.h"

#define ANSWER_BYTES 256

static bool may_purge(const struct edge_exchange *exchange) {
    const struct config_purge *purge = &exchange->site->purge;
    for (uint32_t i = 0; i < purge->allow_count; i++)
        if (io_prefix_match(&purge->allow[i], exchange->client)) return true;
    return false;
}

static bool says_yes(const struct http_fields *fields, sk_str name) {
    const struct http_field *field = http_fields_find_name(fields, name, NULL);
    return field && (sk_str_eq(field->value, SK_STR("1")) || sk_str_ieq(field->value, SK_STR("true")));
}

static bool wants_soft(const struct http_fields *fields) {
    return says_yes(fields, SK_STR("Skerry-Soft-Purge")) || says_yes(fields, SK_STR("Fastly-Soft-Purge")) ||
           http_fields_find_name(fields, SK_STR("xkey-softpurge"), NULL);
}

/* The fields that name tags, under the names that responses have for them. */
static sk_err tag_fields(struct sk_arena *arena, const struct http_fields *from,
                         struct http_fields *out_fields) {
    struct http_fields fields = {0};
    sk_err err = SK_OK;
    for (uint32_t i = 0; i < from->count && !err; i++) {
        const struct http_field *field = &from->items[i];
        bool xkey = sk_str_ieq(field->name, SK_STR("xkey-purge")) ||
                    sk_str_ieq(field->name, SK_STR("xkey-softpurge"));
        if (xkey || field->id == HTTP_FIELD_XKEY)
            err = http_fields_add_id(&fields, arena, HTTP_FIELD_XKEY, field->value);
        else if (field->id == HTTP_FIELD_SURROGATE_KEY || field->id == HTTP_FIELD_CACHE_TAG)
            err = http_fields_add_id(&fields, arena, (enum http_field_id)field->id, field->value);
    }
    *out_fields = fields;
    return err;
}

/* In the exchange's arena. SK_ERR_INVALID: fields for tags, and no tag in them, or too many. */
static sk_err list_of(struct edge_exchange *exchange, struct edge_purge_list *out_list) {
    struct sk_arena *arena = exchange->arena;
    struct http_fields fields;
    struct http_tags tags = {0};
    sk_err err = tag_fields(arena, &exchange->request.fields, &fields);
    if (!err) err = http_tags_of(&fields, (sk_str){0}, arena, &tags);
    if (err) return err == SK_ERR_TOO_LARGE ? SK_ERR_INVALID : err;
    if (fields.count && !tags.count) return SK_ERR_INVALID;
    uint32_t count = SK_MAX(tags.count, 1u);
    struct cache_purge *items = sk_arena_alloc(arena, count * sizeof *items);
    if (!items) return SK_ERR_NO_MEMORY;
    bool soft = wants_soft(&exchange->request.fields);
    for (uint32_t i = 0; i < tags.count; i++)
        items[i] = (struct cache_purge){
            .kind = CACHE_PURGE_TAG, .soft = soft, .site = exchange->site->name, .text = tags.items[i]};
    if (!tags.count)
        items[0] = (struct cache_purge){
            .kind = CACHE_PURGE_KEY, .soft = soft, .text = cache_key_primary(exchange->key.text)};
    *out_list = (struct edge_purge_list){items, count, count};
    return SK_OK;
}

static void answer(struct edge_exchange *exchange, sk_str body) {
    char head[ANSWER_BYTES], extra[EDGE_EXTRA_BYTES];
    sk_str date = edge_worker_date(exchange->worker);
    int len = snprintf(head, sizeof head,
                       "Date: %.*s\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n",
                       SK_STR_ARGS(date));
    struct edge_response response = {
        .status = 200,
        .head = {head, (size_t)len},
        .extra_head = edge_status_fields(exchange, NULL, extra),
        .body_length = body.len,
        .small_body = body,
    };
    exchange->ops->respond(exchange, &response);
}

static sk_err apply(struct edge_exchange *exchange, const struct edge_purge_list *list) {
    struct edge_worker *worker = exchange->worker;
    struct edge_purge_done done;
    struct sk_buf body;
    char ip[IO_ADDR_TEXT_BYTES];
    sk_str who = {ip, io_addr_format_ip(exchange->client, ip)};
    sk_err err = edge_purge_apply(cache_of(worker->cache), worker->metrics, list, who, &done);
    if (err) return err;
    sk_buf_init(&body, ANSWER_BYTES);
    err = edge_purge_write(list, &done, &body);
    if (!err) answer(exchange, sk_buf_str(&body));
    sk_buf_free(&body);
    return err;
}

void edge_purge_method(struct edge_exchange *exchange) {
    struct edge_purge_list list;
    if (!may_purge(exchange)) {
        observe_count(exchange->worker->metrics, OBSERVE_PURGES_REFUSED);
        edge_respond_error(exchange, 405, "PURGE is not allowed from this address: see purge.allow");
        return;
    }
    if (!exchange->key.text.len) {
        edge_respond_error(exchange, 400, "PURGE wants a path, and fields that are not too long for a key");
        return;
    }
    sk_err err = list_of(exchange, &list);
    if (!err) err = apply(exchange, &list);
    if (err == SK_ERR_INVALID)
        edge_respond_error(exchange, 400, "PURGE by tags wants 1 to 1024 of them, of at most 1024 bytes");
    else if (err)
        edge_respond_error(exchange, 503, "out of memory");
}
