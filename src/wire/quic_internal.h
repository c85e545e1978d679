/* What the sources of wire/quic and wire/h3 share. Nobody else includes it. */
#ifndef SK_WIRE_QUIC_INTERNAL_H
#define SK_WIRE_QUIC_INTERNAL_H

#include <ngtcp2/ngtcp2.h>

#include "wire/quic.h"

static inline ngtcp2_cid quic_cid(const struct wire_quic_id *id) {
    ngtcp2_cid cid = {.datalen = id->bytes};
    memcpy(cid.data, id->data, id->bytes);
    return cid;
}
static inline struct wire_quic_id quic_id(const ngtcp2_cid *cid) {
    struct wire_quic_id id = {.bytes = (uint8_t)cid->datalen};
    memcpy(id.data, cid->data, cid->datalen);
    return id;
}

/* What is spoken over the connection. Its functions are called from within wire_quic_receive, _fill and _tick. An
 * error is told by *out_error, a code of the application's own. */
struct wire_quic_app {
    /* Each wire_quic_fill begins with it, outside of everything else. */
    void (*turn)(void *app);
    /* Streams may be opened and answers sent from now on. */
    sk_err (*ready)(void *app, uint64_t *out_error);
    sk_err (*received)(void *app, int64_t stream, sk_str bytes, bool fin, sk_time_ns now,
                       uint64_t *out_error);
    sk_err (*acknowledged)(void *app, int64_t stream, uint64_t bytes, uint64_t *out_error);
    /* Neither end has anything on it any more; ERROR: UINT64_MAX when there was none. */
    sk_err (*stream_over)(void *app, int64_t stream, uint64_t error, uint64_t *out_error);
    /* The client gave up sending (RESET_STREAM), or wants no more of it (STOP_SENDING). */
    sk_err (*stream_reset)(void *app, int64_t stream, bool by_sender, uint64_t *out_error);
    void (*unblocked)(void *app, int64_t stream);
    /* What to send next, in *OUT_COUNT pieces of VECTOR (room for as many); *out_stream -1: nothing. */
    sk_err (*next)(void *app, ngtcp2_vec *vector, size_t *out_count, int64_t *out_stream, bool *out_fin,
                   uint64_t *out_error);
    /* FIN: and with them the last. */
    void (*wrote)(void *app, int64_t stream, size_t bytes, bool fin);
    void (*blocked)(void *app, int64_t stream);
    void (*shut)(void *app, int64_t stream); /* for sending */
};

ngtcp2_conn *quic_conn(struct wire_quic *quic);

#endif
