/* What the sources of wire/h2_client share. Nobody else includes it. */
#ifndef SK_WIRE_H2_CLIENT_INTERNAL_H
#define SK_WIRE_H2_CLIENT_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "wire/h2_client.h"
#include "wire/h2_session.h"

#define WIRE_H2_CLIENT_MAGIC 0x68326363u

struct wire_h2_client {
    uint32_t magic;
    bool leaving;
    nghttp2_session *session;
    const struct wire_h2_client_events *events;
    void *owner;
    struct wire_h2_client_limits limits;
    struct h2_toll toll;
    struct sk_list calls; /* known to the engine */
    uint32_t call_count;
};

/* h2_client_head.c: a head or trailer section begins. */
void h2_client_begin(struct wire_h2_call *call);
/* One field of it, in its order. SK_ERR_TOO_LARGE, SK_ERR_MALFORMED, SK_ERR_NO_MEMORY. */
sk_err h2_client_field(const struct wire_h2_client *client, struct wire_h2_call *call, sk_str name,
                       sk_str value);
/* It is complete; END: so is the response. Sets `final` unless it is a 1xx. SK_ERR_MALFORMED. */
sk_err h2_client_finish(struct wire_h2_call *call, bool end);

/* h2_client_request.c */
sk_err h2_client_submit_trailers(struct wire_h2_client *client, int32_t id,
                                 const struct http_fields *trailers);

#endif
