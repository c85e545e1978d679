/* What the sources of wire/h2 share. Nobody else includes it. */
#ifndef SK_WIRE_H2_INTERNAL_H
#define SK_WIRE_H2_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "wire/h2.h"
#include "wire/h2_session.h"

#define WIRE_H2_MAGIC 0x68327777u

struct wire_h2 {
    uint32_t magic;
    bool head_open;
    nghttp2_session *session;
    const struct wire_stream_events *events;
    void *owner;
    struct wire_stream_rules rules;
    struct h2_toll toll;
    struct sk_buf *out; /* during wire_h2_fill */
};

/* h2_response.c: the trailers of STREAM's answer. */
sk_err h2_submit_trailers(struct wire_h2 *h2, struct wire_stream *stream, const struct http_fields *trailers);
/* The source of a response's content for the library. */
nghttp2_ssize h2_read_content(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                              uint32_t *flags, nghttp2_data_source *source, void *user);

#endif
