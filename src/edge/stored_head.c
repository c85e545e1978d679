#include "edge/stored_head.h"

#include "http/date.h"
#include "http/forward.h"
#include "http/tags.h"

static sk_err copy_list(struct sk_arena *arena, const struct http_fields *from, struct http_fields *out) {
    uint32_t room = from->count + 4;
    struct http_field *items = sk_arena_alloc(arena, room * sizeof *items);
    if (!items) return SK_ERR_NO_MEMORY;
    if (from->count) memcpy(items, from->items, from->count * sizeof *items);
    *out = (struct http_fields){.items = items, .count = from->count, .capacity = room};
    return SK_OK;
}

/* RFC 9111 3.1: what the proxy before us agreed with us is for nobody else. */
static void remove_of_proxy(struct http_fields *fields) {
    http_fields_remove(fields, HTTP_FIELD_PROXY_AUTHENTICATE);
    http_fields_remove(fields, HTTP_FIELD_PROXY_AUTHENTICATION_INFO);
    http_fields_remove(fields, HTTP_FIELD_PROXY_AUTHORIZATION);
}

static sk_err add_date(struct sk_arena *arena, struct http_fields *fields, sk_unix_s now) {
    char text[HTTP_DATE_BYTES];
    http_date_format(now, text);
    sk_str date = sk_arena_copy(arena, (sk_str){text, sizeof text});
    return date.data ? http_fields_add_id(fields, arena, HTTP_FIELD_DATE, date) : SK_ERR_NO_MEMORY;
}

sk_err edge_head_fields(struct sk_arena *arena, const struct http_response *response,
                        const struct edge_head_rules *rules, struct http_fields *out_fields) {
    struct http_fields fields;
    sk_err err = copy_list(arena, &response->fields, &fields);
    if (err) return err;
    http_forward_strip_hop_by_hop(&fields);
    http_fields_remove(&fields, HTTP_FIELD_TRANSFER_ENCODING);
    http_fields_remove(&fields, HTTP_FIELD_ALT_SVC);     /* RFC 7838: it speaks of the origin's own address */
    http_fields_remove(&fields, HTTP_FIELD_SKERRY_PEER); /* between nodes only */
    http_fields_remove(&fields, HTTP_FIELD_TRAILER); /* only who gets trailers is told (edge_trailer_names) */
    if (!rules->keep_length) http_fields_remove(&fields, HTTP_FIELD_CONTENT_LENGTH);
    if (rules->shared) http_fields_remove(&fields, HTTP_FIELD_AGE);
    if (rules->shared) remove_of_proxy(&fields);
    if (rules->drop_cache_status) http_fields_remove(&fields, HTTP_FIELD_CACHE_STATUS);
    if (rules->drop_set_cookie) http_fields_remove(&fields, HTTP_FIELD_SET_COOKIE);
    if (!rules->keep_tags) http_tags_strip(&fields);
    if (!http_fields_find(&fields, HTTP_FIELD_DATE)) err = add_date(arena, &fields, rules->now);
    if (!err) err = http_forward_response_fields(&fields, arena, rules->pseudonym, response->version);
    if (!err) *out_fields = fields;
    return err;
}

static bool is_named(sk_str list, sk_str name) {
    sk_str option;
    while (http_list_next(&list, &option))
        if (sk_str_ieq(option, name)) return true;
    return false;
}

sk_err edge_trailer_fields(struct sk_arena *arena, sk_str connection, const struct http_fields *trailers,
                           struct http_fields *out_fields) {
    struct http_fields fields = {0};
    sk_err err = SK_OK;
    for (uint32_t i = 0; i < trailers->count && !err; i++) {
        const struct http_field *field = &trailers->items[i];
        if (field->id != HTTP_FIELD_UNKNOWN || is_named(connection, field->name)) continue;
        sk_str name = sk_arena_copy(arena, field->name), value = sk_arena_copy(arena, field->value);
        err = name.data && value.data ? http_fields_add(&fields, arena, name, value) : SK_ERR_NO_MEMORY;
    }
    if (!err) *out_fields = fields;
    return err;
}

static bool may_be_announced(sk_str connection, sk_str name) {
    return http_token_valid(name) && http_field_lookup(name) == HTTP_FIELD_UNKNOWN &&
           !is_named(connection, name);
}

sk_str edge_trailer_names(struct sk_arena *arena, const struct http_response *response) {
    if (!http_fields_find(&response->fields, HTTP_FIELD_TRAILER)) return (sk_str){0};
    sk_str rest = http_fields_joined(&response->fields, HTTP_FIELD_TRAILER, arena), name;
    sk_str connection = http_fields_joined(&response->fields, HTTP_FIELD_CONNECTION, arena);
    char *names = sk_arena_alloc(arena, EDGE_TRAILER_NAMES_MAX);
    size_t at = 0;
    while (names && http_list_next(&rest, &name)) {
        if (!may_be_announced(connection, name)) continue;
        if (at + 2 + name.len > EDGE_TRAILER_NAMES_MAX) return (sk_str){0};
        if (at) memcpy(names + at, ", ", 2);
        if (at) at += 2;
        memcpy(names + at, name.data, name.len);
        at += name.len;
    }
    return (sk_str){names, at};
}

/* How to read the stored bytes, whatever a 304 says: its coding is part of them, its range is of no 304. All
 * else is renewed, Content-Type too: the name's beginning means nothing (3.2). */
static bool describes_body(uint16_t id) {
    switch (id) {
    case HTTP_FIELD_CONTENT_ENCODING:
    case HTTP_FIELD_CONTENT_LENGTH:
    case HTTP_FIELD_CONTENT_RANGE: return true;
    default: return false;
    }
}

static bool renewed(const struct http_fields *fresh, const struct http_field *field) {
    if (describes_body(field->id)) return false;
    if (field->id != HTTP_FIELD_UNKNOWN)
        return http_fields_find(fresh, (enum http_field_id)field->id) != NULL;
    return http_fields_find_name(fresh, field->name, NULL) != NULL;
}

sk_err edge_head_update(struct sk_arena *arena, const struct http_fields *stored,
                        const struct http_fields *fresh, struct http_fields *out_fields) {
    uint32_t room = stored->count + fresh->count, count = 0;
    struct http_field *items = sk_arena_alloc(arena, (room + 1) * sizeof *items);
    if (!items) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < stored->count; i++)
        if (!renewed(fresh, &stored->items[i])) items[count++] = stored->items[i];
    for (uint32_t i = 0; i < fresh->count; i++)
        if (!describes_body(fresh->items[i].id)) items[count++] = fresh->items[i];
    *out_fields = (struct http_fields){.items = items, .count = count, .capacity = room + 1};
    return SK_OK;
}
