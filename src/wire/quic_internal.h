/* What the sources of wire/quic and wire/h3 share. Nobody else includes it. */
#ifndef SK_WIRE_QUIC_INTERNAL_H
#define SK_WIRE_QUIC_INTERNAL_H

#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_ossl.h>

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
    /* Before the stream is over or reset, and at the latest when what told of it is received to its end. */
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

/* What the application has to send on one stream, while packets are made of it. */
#define QUIC_PIECES 8
struct quic_offer {
    ngtcp2_vec pieces[QUIC_PIECES];
    size_t first, count; /* those from FIRST on are left */
    size_t written;      /* bytes that the application does not know of */
    int64_t stream;      /* -1: none */
    bool fin;            /* with the last piece the stream ends */
};

/* What the client has, and the application does not know of. */
struct quic_acked {
    int64_t stream; /* -1: there is nothing */
    uint64_t bytes;
};

struct wire_quic {
    uint32_t magic;
    bool failed, closed, handshaken, early;
    ngtcp2_conn *conn;
    ngtcp2_crypto_ossl_ctx *crypto;
    ngtcp2_crypto_conn_ref ref;
    SSL *ssl; /* NULL: the handshake is done */
    struct wire_tls_server *tls;
    const struct wire_quic_keys *keys;
    struct wire_quic_place place;
    const struct wire_quic_events *events;
    void *owner;
    const struct wire_quic_app *app;
    void *app_arg;
    struct quic_offer offer;
    bool begun, elsewhere; /* of a train: it has a packet; that goes to another address than the client's */
    struct quic_acked acked;
    ngtcp2_ccerr error;
    const char *why;
    sk_time_ns now;
};

ngtcp2_conn *quic_conn(struct wire_quic *quic);
/* quic_events.c: what the library calls. */
extern const ngtcp2_callbacks quic_callbacks;
int quic_tell_acked(struct wire_quic *quic); /* 0, or what a callback of the library returns */
void quic_on_qlog(void *user, uint32_t flags, const void *data, size_t bytes);
/* What the application said of its own failure, for the library's callbacks. */
int quic_app_verdict(struct wire_quic *quic, sk_err err, uint64_t error);
/* quic_write.c: a train of packets, as ngtcp2_conn_write_aggregate_pkt. */
ngtcp2_ssize quic_write_train(struct wire_quic *quic, ngtcp2_path *path, ngtcp2_pkt_info *info, uint8_t *out,
                              size_t room, size_t *out_segment, sk_time_ns now);

#endif
