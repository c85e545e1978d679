/* Packets that go out. What the application has is asked for once for many packets: its lists and queues cost as much
 * as a packet does. */
#include "wire/quic_internal.h"

#define CACHE_LINE 64
/* About as much as one packet takes. */
#define PACKET_BYTES 1500

/* The application learns how far it came. WHOLE: to the last byte, and to the stream's end where that was offered. An
 * end alone that no packet took is not told of: the application would take it for sent. */
static void settle(struct wire_quic *quic, bool whole) {
    struct quic_offer *offer = &quic->offer;
    if (offer->stream >= 0 && (offer->written || whole))
        quic->app->wrote(quic->app_arg, offer->stream, offer->written, whole && offer->fin);
    offer->stream = -1;
    offer->first = offer->count = offer->written = 0;
    offer->fin = false;
}

/* Something to send, if there is anything and the client's window has room. */
static sk_err ask(struct wire_quic *quic, uint64_t *out_error) {
    struct quic_offer *offer = &quic->offer;
    if ((!quic->handshaken && !quic->early) || !ngtcp2_conn_get_max_data_left(quic->conn)) {
        settle(quic, false);
        return SK_OK;
    }
    if (offer->stream >= 0) return SK_OK;
    offer->count = QUIC_PIECES;
    sk_err err =
        quic->app->next(quic->app_arg, offer->pieces, &offer->count, &offer->stream, &offer->fin, out_error);
    if (err || offer->stream < 0) {
        offer->stream = -1;
        offer->count = 0;
    }
    return err;
}

/* BYTES of it are in a packet. */
static void take(struct wire_quic *quic, size_t bytes) {
    struct quic_offer *offer = &quic->offer;
    offer->written += bytes;
    while (offer->first < offer->count && bytes >= offer->pieces[offer->first].len)
        bytes -= offer->pieces[offer->first++].len;
    if (offer->first < offer->count) {
        offer->pieces[offer->first].base += bytes;
        offer->pieces[offer->first].len -= bytes;
    } else {
        settle(quic, true);
    }
}

/* A train goes to one address: the first packet's. That one may be a question to an address that the client has left
 * (RFC 9000 section 9.3.3), of full size until a larger one has proved to get through: nothing else may follow it there. */
static bool goes_elsewhere(ngtcp2_conn *conn, const ngtcp2_path *path) {
    return path && !ngtcp2_path_eq(path, ngtcp2_conn_get_path(conn));
}

static ngtcp2_ssize note_packet(struct wire_quic *quic, const ngtcp2_path *path, ngtcp2_ssize bytes) {
    if (bytes > 0 && !quic->begun) quic->elsewhere = goes_elsewhere(quic->conn, path);
    quic->begun = true;
    return bytes;
}

/* As many pieces as fill ROOM; what the packet after it takes of the last of them comes from memory while this one is
 * encrypted. */
static size_t enough(const struct quic_offer *offer, size_t room) {
    size_t bytes = 0, at = offer->first;
    while (at < offer->count && bytes < room) bytes += offer->pieces[at++].len;
    if (bytes > room) {
        const ngtcp2_vec *last = &offer->pieces[at - 1];
        size_t ahead = SK_MIN(bytes - room, (size_t)PACKET_BYTES);
        for (size_t i = 0; i < ahead; i += CACHE_LINE)
            __builtin_prefetch(last->base + last->len - (bytes - room) + i);
    }
    return at - offer->first;
}

/* One packet, with as much of the streams as it holds. */
static ngtcp2_ssize write_packet(ngtcp2_conn *conn, ngtcp2_path *path, ngtcp2_pkt_info *info, uint8_t *out,
                                 size_t room, ngtcp2_tstamp now, void *user) {
    struct wire_quic *quic = user;
    struct quic_offer *offer = &quic->offer;
    if (quic->elsewhere) return 0;
    for (;;) {
        uint64_t error = 0;
        ngtcp2_ssize taken = -1;
        sk_err err = ask(quic, &error);
        if (err) return quic_app_verdict(quic, err, error);
        int64_t stream = offer->stream;
        uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE | NGTCP2_WRITE_STREAM_FLAG_PADDING;
        size_t count = enough(offer, room);
        if (offer->fin && offer->first + count == offer->count) flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
        ngtcp2_ssize n = ngtcp2_conn_writev_stream(conn, path, info, out, room, &taken, flags, stream,
                                                   offer->pieces + offer->first, count, now);
        if (stream >= 0 && taken >= 0) take(quic, (size_t)taken);
        switch (n) {
        case NGTCP2_ERR_WRITE_MORE: continue;
        case NGTCP2_ERR_STREAM_DATA_BLOCKED:
            settle(quic, false);
            quic->app->blocked(quic->app_arg, stream);
            continue;
        case NGTCP2_ERR_STREAM_SHUT_WR:
        case NGTCP2_ERR_STREAM_NOT_FOUND:
            settle(quic, false);
            quic->app->shut(quic->app_arg, stream);
            continue;
        default: return note_packet(quic, path, n);
        }
    }
}

ngtcp2_ssize quic_write_train(struct wire_quic *quic, ngtcp2_path *path, ngtcp2_pkt_info *info, uint8_t *out,
                              size_t room, size_t *out_segment, sk_time_ns now) {
    quic->begun = quic->elsewhere = false;
    ngtcp2_ssize bytes = ngtcp2_conn_write_aggregate_pkt(quic->conn, path, info, out, room, out_segment,
                                                         write_packet, (ngtcp2_tstamp)now);
    settle(quic, false);
    return bytes;
}
