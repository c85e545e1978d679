/* Responses into frames. */
#include <stddef.h>

#include "wire/h2_internal.h"

/* wire/stream.h has the library's own fields under another name. */
static_assert(sizeof(struct wire_nv) == sizeof(nghttp2_nv) &&
              offsetof(struct wire_nv, value) == offsetof(nghttp2_nv, value) &&
              offsetof(struct wire_nv, name_bytes) == offsetof(nghttp2_nv, namelen) &&
              offsetof(struct wire_nv, value_bytes) == offsetof(nghttp2_nv, valuelen) &&
              offsetof(struct wire_nv, flags) == offsetof(nghttp2_nv, flags));
static const nghttp2_nv *fields_of(const struct wire_nv_list *list) {
    return (const nghttp2_nv *)list->items;
}

static int32_t id_of(const struct wire_stream *stream) { return (int32_t)stream->id; }

static sk_err verdict(int result) {
    if (result == NGHTTP2_ERR_NOMEM) return SK_ERR_NO_MEMORY;
    return result < 0 ? SK_ERR_CLOSED : SK_OK;
}

sk_err wire_h2_respond(struct wire_h2 *h2, struct wire_stream *stream, uint16_t status, const sk_str *heads,
                       int count, uint64_t length, bool content) {
    struct wire_nv_list list;
    sk_err err = wire_nv_response(&list, stream, status, heads, count, length);
    if (err) return err;
    nghttp2_data_provider2 provider = {.source.ptr = stream, .read_callback = h2_read_content};
    err = verdict(nghttp2_submit_response2(h2->session, id_of(stream), fields_of(&list), list.count,
                                           content ? &provider : NULL));
    if (!err) stream->answering = true;
    return err;
}

sk_err wire_h2_inform(struct wire_h2 *h2, struct wire_stream *stream, uint16_t status,
                      const struct http_fields *fields) {
    struct wire_nv_list list;
    sk_err err = wire_nv_fields(&list, stream, status, fields);
    if (err) return err;
    return verdict(nghttp2_submit_headers(h2->session, NGHTTP2_FLAG_NONE, id_of(stream), NULL,
                                          fields_of(&list), list.count, NULL));
}

sk_err h2_submit_trailers(struct wire_h2 *h2, struct wire_stream *stream,
                          const struct http_fields *trailers) {
    struct wire_nv_list list;
    sk_err err = wire_nv_fields(&list, stream, 0, trailers);
    return err ? err
               : verdict(nghttp2_submit_trailer(h2->session, id_of(stream), fields_of(&list), list.count));
}

nghttp2_ssize h2_read_content(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                              uint32_t *flags, nghttp2_data_source *source, void *user) {
    struct wire_h2 *h2 = user;
    struct wire_stream *stream = source->ptr;
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
