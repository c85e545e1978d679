/* Heads and trailers that go out, as lists for the libraries. */
#include "wire/stream.h"

#define STATUS_DIGITS 3
#define LENGTH_DIGITS 20
/* Most heads have fewer. */
#define LINES_AT_FIRST 24

/* RFC 9113 section 8.2.2; content-length is ours to say when there is none. */
static bool belongs_to_connection(sk_str name) {
    switch (name.len) {
    case sizeof "upgrade" - 1:
    case sizeof "connection" - 1:
    case sizeof "proxy-connection" - 1:
    case sizeof "transfer-encoding" - 1: break;
    default: return false;
    }
    switch (http_field_lookup(name)) {
    case HTTP_FIELD_CONNECTION:
    case HTTP_FIELD_KEEP_ALIVE:
    case HTTP_FIELD_PROXY_CONNECTION:
    case HTTP_FIELD_TRANSFER_ENCODING:
    case HTTP_FIELD_UPGRADE: return true;
    default: return false;
    }
}
static_assert(sizeof "keep-alive" == sizeof "connection");

static sk_err list_init(struct wire_nv_list *list, struct sk_arena *arena, size_t capacity) {
    *list = (struct wire_nv_list){sk_arena_alloc(arena, capacity * sizeof(struct wire_nv)), 0, capacity};
    return list->items ? SK_OK : SK_ERR_NO_MEMORY;
}

static sk_err list_grow(struct wire_nv_list *list, struct sk_arena *arena) {
    struct wire_nv_list larger;
    sk_err err = list_init(&larger, arena, 2 * list->capacity);
    if (err) return err;
    memcpy(larger.items, list->items, list->count * sizeof *list->items);
    larger.count = list->count;
    *list = larger;
    return SK_OK;
}

static void list_put(struct wire_nv_list *list, sk_str name, sk_str value) {
    SK_ASSERT(list->count < list->capacity);
    const char *text = value.data ? value.data : "";
    list->items[list->count++] =
        (struct wire_nv){(const uint8_t *)name.data, (const uint8_t *)text, name.len, value.len, 0};
}

/* Unless it belongs to the connection: the name goes to LOWER, and what is behind it there is returned. */
static char *list_lower(struct wire_nv_list *list, sk_str name, sk_str value, char *lower) {
    if (!name.len || belongs_to_connection(name)) return lower;
    sk_ascii_lower(lower, name.data, name.len);
    list_put(list, (sk_str){lower, name.len}, value);
    return lower + name.len;
}

static sk_err list_field(struct wire_nv_list *list, struct sk_arena *arena, sk_str name, sk_str value) {
    if (!name.len) return SK_OK;
    char *lower = sk_arena_alloc(arena, name.len);
    if (!lower) return SK_ERR_NO_MEMORY;
    (void)list_lower(list, name, value, lower);
    return SK_OK;
}

static const char *find_or_end(const char *at, const char *end, char byte) {
    const char *hit = memchr(at, byte, (size_t)(end - at));
    return hit ? hit : end;
}

/* One line, from AT to its END, as list_lower. */
static char *list_line(struct wire_nv_list *list, const char *at, const char *end, char *lower) {
    const char *colon = find_or_end(at, end, ':'), *value = colon + (colon < end);
    return list_lower(list, (sk_str){at, (size_t)(colon - at)},
                      sk_str_trim((sk_str){value, (size_t)(end - value)}), lower);
}

/* Every hit over HTTP/2 and HTTP/3 comes by here: one pass, and one piece of memory for all names. */
static sk_err list_lines(struct wire_nv_list *list, struct sk_arena *arena, sk_str text) {
    if (!text.len) return SK_OK;
    const char *at = text.data, *all = text.data + text.len;
    char *lower = sk_arena_alloc(arena, text.len);
    if (!lower) return SK_ERR_NO_MEMORY;
    while (at < all) {
        const char *next = find_or_end(at, all, '\n');
        const char *end = next > at && next[-1] == '\r' ? next - 1 : next;
        if (list->count + 1 >= list->capacity && list_grow(list, arena) != SK_OK) return SK_ERR_NO_MEMORY;
        lower = list_line(list, at, end, lower);
        at = next + 1;
    }
    return SK_OK;
}

static sk_err list_status(struct wire_nv_list *list, struct sk_arena *arena, uint16_t status) {
    char *text = sk_arena_alloc(arena, STATUS_DIGITS);
    if (!text) return SK_ERR_NO_MEMORY;
    for (int i = STATUS_DIGITS - 1; i >= 0; i--, status /= 10) text[i] = (char)('0' + status % 10);
    list_put(list, SK_STR(":status"), (sk_str){text, STATUS_DIGITS});
    return SK_OK;
}

static sk_err list_length(struct wire_nv_list *list, struct sk_arena *arena, uint64_t length) {
    char *text = sk_arena_alloc(arena, LENGTH_DIGITS);
    if (!text) return SK_ERR_NO_MEMORY;
    list_put(list, SK_STR("content-length"), (sk_str){text, sk_u64_to_text(length, text)});
    return SK_OK;
}

sk_err wire_nv_response(struct wire_nv_list *out_list, struct wire_stream *stream, uint16_t status,
                        const sk_str *heads, int count, uint64_t length) {
    struct wire_nv_list list;
    sk_err err = list_init(&list, &stream->arena, LINES_AT_FIRST);
    if (!err) err = list_status(&list, &stream->arena, status);
    for (int i = 0; i < count && !err; i++) err = list_lines(&list, &stream->arena, heads[i]);
    if (!err && length != UINT64_MAX) err = list_length(&list, &stream->arena, length);
    if (!err) *out_list = list;
    return err;
}

sk_err wire_nv_fields(struct wire_nv_list *out_list, struct wire_stream *stream, uint16_t status,
                      const struct http_fields *fields) {
    struct wire_nv_list list;
    sk_err err = list_init(&list, &stream->arena, 1 + (fields ? fields->count : 0));
    if (!err && status) err = list_status(&list, &stream->arena, status);
    for (uint32_t i = 0; fields && i < fields->count && !err; i++)
        err = list_field(&list, &stream->arena, fields->items[i].name, fields->items[i].value);
    if (!err) *out_list = list;
    return err;
}
