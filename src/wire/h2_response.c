/* Responses into frames. */
#include <stdio.h>

#include "wire/h2_internal.h"

/* RFC 9113 section 8.2.2; content-length is ours to say when there is none. */
static bool belongs_to_connection(sk_str name) {
    switch (http_field_lookup(name)) {
    case HTTP_FIELD_CONNECTION:
    case HTTP_FIELD_KEEP_ALIVE:
    case HTTP_FIELD_PROXY_CONNECTION:
    case HTTP_FIELD_TRANSFER_ENCODING:
    case HTTP_FIELD_UPGRADE: return true;
    default: return false;
    }
}

struct nv_list {
    nghttp2_nv *items;
    size_t count, capacity;
    struct sk_arena *arena;
};

static sk_err list_init(struct nv_list *list, struct sk_arena *arena, size_t capacity) {
    *list = (struct nv_list){sk_arena_alloc(arena, capacity * sizeof(nghttp2_nv)), 0, capacity, arena};
    return list->items ? SK_OK : SK_ERR_NO_MEMORY;
}

static void list_put(struct nv_list *list, sk_str name, sk_str value) {
    SK_ASSERT(list->count < list->capacity);
    list->items[list->count++] =
        (nghttp2_nv){(uint8_t *)(uintptr_t)name.data, (uint8_t *)(uintptr_t)(value.data ? value.data : ""),
                     name.len, value.len, NGHTTP2_NV_FLAG_NONE};
}

static sk_err list_field(struct nv_list *list, sk_str name, sk_str value) {
    if (!name.len || belongs_to_connection(name)) return SK_OK;
    char *lower = sk_arena_alloc(list->arena, name.len);
    if (!lower) return SK_ERR_NO_MEMORY;
    sk_ascii_lower(lower, name.data, name.len);
    list_put(list, (sk_str){lower, name.len}, value);
    return SK_OK;
}

static size_t count_lines(sk_str text) {
    size_t lines = 0;
    for (size_t at; text.len; lines++) {
        at = sk_str_find_byte(text, '\n');
        text = sk_str_slice(text, at + 1, text.len);
    }
    return lines;
}

static sk_err list_lines(struct nv_list *list, sk_str text) {
    sk_err err = SK_OK;
    while (text.len && !err) {
        size_t end = sk_str_find_byte(text, '\n');
        sk_str line = sk_str_slice(text, 0, end);
        text = sk_str_slice(text, end + 1, text.len);
        if (line.len && line.data[line.len - 1] == '\r') line.len--;
        size_t colon = sk_str_find_byte(line, ':');
        err = list_field(list, sk_str_slice(line, 0, colon),
                         sk_str_trim(sk_str_slice(line, SK_MIN(colon + 1, line.len), line.len)));
    }
    return err;
}

static void list_status(struct nv_list *list, uint16_t status, char text[4]) {
    snprintf(text, 4, "%03u", status % 1000u);
    list_put(list, SK_STR(":status"), (sk_str){text, 3});
}

static sk_err verdict(int result) {
    if (result == NGHTTP2_ERR_NOMEM) return SK_ERR_NO_MEMORY;
    return result < 0 ? SK_ERR_CLOSED : SK_OK;
}

sk_err wire_h2_respond(struct wire_h2 *h2, struct wire_h2_stream *stream, uint16_t status,
                       const sk_str *heads, int count, uint64_t length, bool content) {
    struct nv_list list;
    char status_text[4], length_text[24];
    size_t lines = 2;
    for (int i = 0; i < count; i++) lines += count_lines(heads[i]);
    sk_err err = list_init(&list, &stream->arena, lines);
    if (err) return err;
    list_status(&list, status, status_text);
    for (int i = 0; i < count && !err; i++) err = list_lines(&list, heads[i]);
    if (err) return err;
    if (length != UINT64_MAX)
        list_put(&list, SK_STR("content-length"), (sk_str){length_text, sk_u64_to_text(length, length_text)});
    nghttp2_data_provider2 provider = {.source.ptr = stream, .read_callback = h2_read_content};
    err = verdict(nghttp2_submit_response2(h2->session, stream->id, list.items, list.count,
                                           content ? &provider : NULL));
    if (!err) stream->answering = true;
    return err;
}

static sk_err list_fields(struct nv_list *list, const struct http_fields *fields) {
    sk_err err = SK_OK;
    for (uint32_t i = 0; fields && i < fields->count && !err; i++)
        err = list_field(list, fields->items[i].name, fields->items[i].value);
    return err;
}

sk_err wire_h2_inform(struct wire_h2 *h2, struct wire_h2_stream *stream, uint16_t status,
                      const struct http_fields *fields) {
    struct nv_list list;
    char text[4];
    sk_err err = list_init(&list, &stream->arena, 1 + (fields ? fields->count : 0));
    if (err) return err;
    list_status(&list, status, text);
    err = list_fields(&list, fields);
    if (err) return err;
    return verdict(nghttp2_submit_headers(h2->session, NGHTTP2_FLAG_NONE, stream->id, NULL, list.items,
                                          list.count, NULL));
}

sk_err h2_submit_trailers(struct wire_h2 *h2, struct wire_h2_stream *stream,
                          const struct http_fields *trailers) {
    struct nv_list list;
    sk_err err = list_init(&list, &stream->arena, trailers->count + 1);
    if (!err) err = list_fields(&list, trailers);
    return err ? err : verdict(nghttp2_submit_trailer(h2->session, stream->id, list.items, list.count));
}

nghttp2_ssize h2_read_content(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                              uint32_t *flags, nghttp2_data_source *source, void *user) {
    struct wire_h2 *h2 = user;
    struct wire_h2_stream *stream = source->ptr;
    const struct http_fields *trailers = NULL;
    size_t bytes = 0;
    bool last = false;
    sk_err err = h2->events->content(h2->owner, stream, length, &bytes, &last, &trailers);
    if (err == SK_ERR_AGAIN) return NGHTTP2_ERR_DEFERRED;
    if (err) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (last) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (last && trailers && trailers->count && h2_submit_trailers(h2, stream, trailers) == SK_OK)
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return (nghttp2_ssize)bytes;
}
