#include "wire/h3.h"

#include <stdlib.h>

#include "base/random.h"
#include "wire/h3_internal.h"

#define CHUNKS_KEPT 1024
#define OUTS_KEPT 256
/* Of the table that the client may keep here for its requests' fields, and of requests that wait for it. */
#define QPACK_TABLE_BYTES 4096
#define QPACK_BLOCKED_STREAMS 16
/* Bytes of frames that brought nothing, for which is paid as for one of HTTP/2's, and of such as a piece of content pays. */
#define UNSEEN_BYTES 256
#define DATA_FRAME_BYTES 16

void wire_h3_room_init(struct wire_h3_room *room) {
    sk_pool_init(&room->chunks, sizeof(struct h3_chunk) + H3_CHUNK_BYTES, CHUNKS_KEPT);
    sk_pool_init(&room->loans, sizeof(struct h3_chunk), CHUNKS_KEPT);
    sk_pool_init(&room->outs, sizeof(struct h3_out), OUTS_KEPT);
    wire_memory_init(&room->memory);
}

void wire_h3_room_free(struct wire_h3_room *room) {
    sk_pool_free_all(&room->chunks);
    sk_pool_free_all(&room->loans);
    sk_pool_free_all(&room->outs);
    wire_memory_free(&room->memory);
}

/* --- abuse ------------------------------------------------------------------------------------------------ */

static bool charge(struct wire_h3 *h3, enum wire_h2_cost cost) {
    if (wire_h2_charge(&h3->account, cost, h3->now)) return true;
    if (!h3->denied && h3->quic) wire_quic_close(h3->quic, NGHTTP3_H3_EXCESSIVE_LOAD);
    h3->denied = true;
    return false;
}

/* The library tells of heads and content; frames without any, and those that nobody knows (RFC 9114 section 9), show only
 * as bytes of a request's stream. What is over does not pay for much that brings nothing later. */
static void charge_unseen(struct wire_h3 *h3, int64_t bytes) {
    h3->unseen += bytes;
    while (h3->unseen > UNSEEN_BYTES && charge(h3, WIRE_H2_COST_EMPTY)) h3->unseen -= UNSEEN_BYTES;
    h3->unseen = SK_MAX(h3->unseen, -(int64_t)UNSEEN_BYTES);
}

bool wire_h3_blame(struct wire_h3 *h3, enum wire_h2_cost cost, sk_time_ns now) {
    h3->now = now;
    return charge(h3, cost);
}

const char *wire_h3_abuse(const struct wire_h3 *h3) {
    return h3->denied ? wire_h2_cost_text(h3->account.worst) : NULL;
}

/* --- streams ---------------------------------------------------------------------------------------------- */

static void out_free(struct wire_h3 *h3, struct h3_out *out) {
    h3_free_chunks(h3, out);
    sk_list_remove(&out->link);
    sk_list_remove(&out->drop);
    sk_pool_put(&h3->room->outs, out);
}

/* The owner's stream is over; what was sent stays until it is acknowledged. */
static void tell_closed(struct wire_h3 *h3, struct h3_out *out, bool whole) {
    struct wire_stream *stream = out->stream;
    if (!stream) return;
    out->stream = NULL;
    if (out->wrote > out->content) h3->events->framed(h3->owner, stream, out->wrote - out->content);
    if (whole) wire_h2_credit(&h3->account);
    h3->events->closed(h3->owner, stream, whole);
}

void h3_drop(struct wire_h3 *h3, struct h3_out *out, uint64_t error) {
    if (!out->stream) return;
    out->stream->reset = true;
    if (sk_list_linked(&out->drop)) return;
    sk_list_push_back(&h3->dropped, &out->drop);
    /* Unknown to QUIC: it is over already. */
    (void)ngtcp2_conn_shutdown_stream(quic_conn(h3->quic), 0, out->id, error);
}

void wire_h3_reset(struct wire_h3 *h3, struct wire_stream *stream) {
    if (stream->reset) return;
    /* RFC 9220 section 3: as what a TCP connection's reset is told. */
    h3_drop(h3, stream->sent,
            wire_stream_in_tunnel(stream) ? NGHTTP3_H3_REQUEST_CANCELLED : NGHTTP3_H3_INTERNAL_ERROR);
}

static void turn(void *app) {
    struct wire_h3 *h3 = app;
    struct sk_list *link;
    while ((link = sk_list_pop_front(&h3->dropped))) {
        struct h3_out *out = SK_CONTAINER_OF(link, struct h3_out, drop);
        nghttp3_conn_shutdown_stream_write(h3->conn, out->id);
        (void)nghttp3_conn_shutdown_stream_read(h3->conn, out->id); /* fails with the connection */
        tell_closed(h3, out, false);
    }
}

/* --- requests --------------------------------------------------------------------------------------------- */

static int on_begin_headers(nghttp3_conn *conn, int64_t id, void *user, void *stream_user) {
    struct wire_h3 *h3 = user;
    struct h3_out *out = h3->denied ? NULL : sk_pool_get(&h3->room->outs);
    struct wire_stream *stream = out ? h3->events->open(h3->owner) : NULL;
    if (!stream) {
        if (out) sk_pool_put(&h3->room->outs, out);
        charge(h3, WIRE_H2_COST_REFUSED);
        (void)ngtcp2_conn_shutdown_stream(quic_conn(h3->quic), 0, id, NGHTTP3_H3_REQUEST_REJECTED);
        return 0;
    }
    stream->id = out->id = id;
    stream->sent = out;
    out->stream = stream;
    sk_list_push_back(&h3->outs, &out->link);
    sk_list_init(&out->drop);
    bool known = ngtcp2_conn_set_stream_user_data(quic_conn(h3->quic), id, out) == 0 &&
                 nghttp3_conn_set_stream_user_data(conn, id, out) == 0;
    return known ? 0 : NGHTTP3_ERR_CALLBACK_FAILURE;
}

static struct wire_stream *stream_of(void *stream_user) {
    struct h3_out *out = stream_user;
    return out && out->stream && !out->stream->reset ? out->stream : NULL;
}

static int on_begin_trailers(nghttp3_conn *conn, int64_t id, void *user, void *stream_user) {
    struct wire_stream *stream = stream_of(stream_user);
    if (stream) stream->in_trailer = true;
    return 0;
}

static int on_header(nghttp3_conn *conn, int64_t id, int32_t token, nghttp3_rcbuf *name, nghttp3_rcbuf *value,
                     uint8_t flags, void *user, void *stream_user) {
    struct wire_h3 *h3 = user;
    struct wire_stream *stream = stream_of(stream_user);
    if (!stream) return 0;
    nghttp3_vec n = nghttp3_rcbuf_get_buf(name), v = nghttp3_rcbuf_get_buf(value);
    uint16_t before = stream->refusal;
    h3->head_seen = true;
    sk_err err = wire_stream_field(&h3->rules, stream, (sk_str){(const char *)n.base, n.len},
                                   (sk_str){(const char *)v.base, v.len});
    if (before) charge(h3, WIRE_H2_COST_BIG_FIELD);
    if (!before && stream->refusal == 431) charge(h3, WIRE_H2_COST_BIG_HEAD);
    return err ? NGHTTP3_ERR_CALLBACK_FAILURE : 0;
}

static int on_end_headers(nghttp3_conn *conn, int64_t id, int fin, void *user, void *stream_user) {
    struct wire_h3 *h3 = user;
    struct wire_stream *stream = stream_of(stream_user);
    if (!stream) return 0;
    stream->ended = fin;
    if (wire_stream_head_end(&h3->rules, stream, fin) != SK_OK) return NGHTTP3_ERR_CALLBACK_FAILURE;
    if (stream->refusal && stream->refusal != 431) charge(h3, WIRE_H2_COST_MALFORMED);
    stream->begun = true;
    h3->events->request(h3->owner, stream);
    return 0;
}

/* A refused trailer section leaves nothing of the request to be trusted. */
static int on_end_trailers(nghttp3_conn *conn, int64_t id, int fin, void *user, void *stream_user) {
    struct wire_h3 *h3 = user;
    struct wire_stream *stream = stream_of(stream_user);
    if (stream && stream->refusal) h3_drop(h3, stream_user, NGHTTP3_H3_MESSAGE_ERROR);
    return 0;
}

static void give_back(struct wire_h3 *h3, int64_t id, size_t bytes) {
    /* Unknown: the stream is over, only the connection's window counts. */
    (void)ngtcp2_conn_extend_max_stream_offset(quic_conn(h3->quic), id, bytes);
    ngtcp2_conn_extend_max_offset(quic_conn(h3->quic), bytes);
}

static int on_data(nghttp3_conn *conn, int64_t id, const uint8_t *data, size_t bytes, void *user,
                   void *stream_user) {
    struct wire_h3 *h3 = user;
    struct wire_stream *stream = stream_of(stream_user);
    h3->unseen -= (int64_t)SK_MIN(bytes, DATA_FRAME_BYTES);
    if (stream)
        h3->events->data(h3->owner, stream, (sk_str){(const char *)data, bytes});
    else
        give_back(h3, id, bytes);
    return 0;
}

static int on_deferred_consume(nghttp3_conn *conn, int64_t id, size_t bytes, void *user, void *stream_user) {
    give_back(user, id, bytes);
    return 0;
}

static int on_end_stream(nghttp3_conn *conn, int64_t id, void *user, void *stream_user) {
    struct wire_h3 *h3 = user;
    struct wire_stream *stream = stream_of(stream_user);
    if (!stream || stream->ended) return 0;
    stream->ended = true;
    if (stream->begun) h3->events->end(h3->owner, stream);
    return 0;
}

static int on_stop_sending(nghttp3_conn *conn, int64_t id, uint64_t error, void *user, void *stream_user) {
    struct wire_h3 *h3 = user;
    (void)ngtcp2_conn_shutdown_stream_read(quic_conn(h3->quic), 0, id, error);
    return 0;
}

/* The library found the request malformed (RFC 9114 section 4.1.2). */
static int on_reset_stream(nghttp3_conn *conn, int64_t id, uint64_t error, void *user, void *stream_user) {
    struct wire_h3 *h3 = user;
    struct h3_out *out = stream_user;
    charge(h3, WIRE_H2_COST_MALFORMED);
    if (out)
        h3_drop(h3, out, error);
    else
        (void)ngtcp2_conn_shutdown_stream_write(quic_conn(h3->quic), 0, id, error);
    return 0;
}

static int on_acked(nghttp3_conn *conn, int64_t id, uint64_t bytes, void *user, void *stream_user) {
    if (stream_user) h3_acknowledged(user, stream_user, bytes);
    return 0;
}

static int on_stream_close(nghttp3_conn *conn, int64_t id, uint64_t error, void *user, void *stream_user) {
    struct wire_h3 *h3 = user;
    struct h3_out *out = stream_user;
    if (!out) return 0;
    tell_closed(h3, out, false);
    out_free(h3, out);
    return 0;
}

static void on_rand(uint8_t *out, size_t bytes) { sk_random_secret(out, bytes); }

/* --- what QUIC asks --------------------------------------------------------------------------------------- */

static sk_err verdict(nghttp3_ssize result, uint64_t *out_error) {
    if (result >= 0) return SK_OK;
    *out_error = nghttp3_err_infer_quic_app_error_code((int)result);
    return result == NGHTTP3_ERR_NOMEM ? SK_ERR_NO_MEMORY : SK_ERR_MALFORMED;
}

static const nghttp3_callbacks callbacks = {
    .acked_stream_data = on_acked,
    .stream_close = on_stream_close,
    .recv_data = on_data,
    .deferred_consume = on_deferred_consume,
    .begin_headers = on_begin_headers,
    .recv_header = on_header,
    .end_headers = on_end_headers,
    .begin_trailers = on_begin_trailers,
    .recv_trailer = on_header,
    .end_trailers = on_end_trailers,
    .stop_sending = on_stop_sending,
    .end_stream = on_end_stream,
    .reset_stream = on_reset_stream,
    .rand = on_rand,
};

static int make_conn(struct wire_h3 *h3) {
    nghttp3_settings settings;
    nghttp3_settings_default(&settings);
    settings.max_field_section_size = h3->rules.limits.head_bytes;
    settings.qpack_max_dtable_capacity = QPACK_TABLE_BYTES;
    settings.qpack_encoder_max_dtable_capacity = 0; /* no memory for it: answers differ too much to gain */
    settings.qpack_blocked_streams = QPACK_BLOCKED_STREAMS;
    settings.enable_connect_protocol = 1; /* RFC 9220 */
    int result = nghttp3_conn_server_new(&h3->conn, &callbacks, &settings, &h3->memory, h3);
    if (!result) nghttp3_conn_set_max_client_streams_bidi(h3->conn, WIRE_QUIC_STREAMS);
    return result;
}

/* The control stream and QPACK's two (RFC 9114 section 6.2, RFC 9204 section 4.2). */
static int open_streams(struct wire_h3 *h3) {
    int64_t ids[3];
    for (int i = 0; i < 3; i++)
        if (ngtcp2_conn_open_uni_stream(quic_conn(h3->quic), &ids[i], NULL) != 0)
            return NGHTTP3_ERR_H3_STREAM_CREATION_ERROR;
    int result = nghttp3_conn_bind_control_stream(h3->conn, ids[0]);
    return result ? result : nghttp3_conn_bind_qpack_streams(h3->conn, ids[1], ids[2]);
}

static sk_err ready(void *app, uint64_t *out_error) {
    struct wire_h3 *h3 = app;
    int result = make_conn(h3);
    if (!result) result = open_streams(h3);
    return verdict(result, out_error);
}

/* Of a head or trailers, which have limits of their own; one field may take several packets. */
static bool brings_head(const struct wire_h3 *h3, int64_t id) {
    const struct h3_out *out = ngtcp2_conn_get_stream_user_data(quic_conn(h3->quic), id);
    const struct wire_stream *stream = out ? out->stream : NULL;
    return h3->head_seen || (stream && (!stream->begun || stream->in_trailer));
}

static sk_err received(void *app, int64_t stream, sk_str bytes, bool fin, sk_time_ns now,
                       uint64_t *out_error) {
    struct wire_h3 *h3 = app;
    if (!h3->conn) return SK_ERR_MALFORMED;
    h3->now = now;
    h3->head_seen = false;
    nghttp3_ssize n = nghttp3_conn_read_stream2(h3->conn, stream, (const uint8_t *)bytes.data, bytes.len, fin,
                                                (nghttp3_tstamp)now);
    if (n > 0) give_back(h3, stream, (size_t)n);
    if (n > 0 && ngtcp2_is_bidi_stream(stream) && !brings_head(h3, stream)) charge_unseen(h3, n);
    return verdict(n, out_error);
}

static sk_err acknowledged(void *app, int64_t stream, uint64_t bytes, uint64_t *out_error) {
    struct wire_h3 *h3 = app;
    return verdict(h3->conn ? nghttp3_conn_add_ack_offset(h3->conn, stream, bytes) : 0, out_error);
}

static sk_err stream_over(void *app, int64_t stream, uint64_t error, uint64_t *out_error) {
    struct wire_h3 *h3 = app;
    if (!h3->conn) return SK_OK;
    /* Those that a client needs stay open (RFC 9114 section 6.2): one that ends was of a kind that nobody knows. */
    if (!ngtcp2_is_bidi_stream(stream)) charge(h3, WIRE_H2_COST_UNKNOWN);
    int result =
        nghttp3_conn_close_stream(h3->conn, stream, error == UINT64_MAX ? NGHTTP3_H3_NO_ERROR : error);
    return verdict(result == NGHTTP3_ERR_STREAM_NOT_FOUND ? 0 : result, out_error);
}

static struct h3_out *find_out(const struct wire_h3 *h3, int64_t id) {
    return ngtcp2_conn_get_stream_user_data(quic_conn(h3->quic), id);
}

/* A request whose other half is gone is over: nobody waits for its answer, or nobody sends the rest of it. */
static sk_err stream_reset(void *app, int64_t stream, bool by_sender, uint64_t *out_error) {
    struct wire_h3 *h3 = app;
    struct h3_out *out = find_out(h3, stream);
    if (!h3->conn) return SK_OK;
    /* When all is said we ask for it ourselves, by STOP_SENDING (RFC 9000 section 3.5). */
    if (!out || out->stream) charge(h3, WIRE_H2_COST_RESET);
    if (by_sender) {
        sk_err err = verdict(nghttp3_conn_shutdown_stream_read(h3->conn, stream), out_error);
        if (err) return err;
    }
    if (out && !(by_sender && out->stream && out->stream->ended))
        h3_drop(h3, out, NGHTTP3_H3_REQUEST_CANCELLED);
    return SK_OK;
}

static void unblocked(void *app, int64_t stream) {
    struct wire_h3 *h3 = app;
    if (h3->conn) (void)nghttp3_conn_unblock_stream(h3->conn, stream); /* only memory could be missing */
}

static sk_err next(void *app, ngtcp2_vec *vector, size_t *out_count, int64_t *out_stream, bool *out_fin,
                   uint64_t *out_error) {
    struct wire_h3 *h3 = app;
    int fin = 0;
    if (!h3->conn) {
        *out_count = 0;
        return SK_OK;
    }
    nghttp3_ssize n =
        nghttp3_conn_writev_stream(h3->conn, out_stream, &fin, (nghttp3_vec *)vector, *out_count);
    *out_count = n > 0 ? (size_t)n : 0;
    *out_fin = fin;
    return verdict(n, out_error);
}

/* RFC 9114 section 4.1: when all is said, the rest of the request is not needed. */
static void end_answer(struct wire_h3 *h3, struct h3_out *out) {
    struct wire_stream *stream = out->stream;
    if (!stream || stream->reset) return;
    stream->answered = true;
    if (!stream->ended)
        (void)ngtcp2_conn_shutdown_stream_read(quic_conn(h3->quic), 0, out->id, NGHTTP3_H3_NO_ERROR);
    tell_closed(h3, out, true);
}

static void wrote(void *app, int64_t stream, size_t bytes, bool fin) {
    struct wire_h3 *h3 = app;
    (void)nghttp3_conn_add_write_offset(h3->conn, stream, bytes); /* only memory could be missing */
    struct h3_out *out = find_out(h3, stream);
    if (!out) return;
    out->wrote += bytes;
    if (fin) end_answer(h3, out);
}

static void blocked(void *app, int64_t stream) {
    struct wire_h3 *h3 = app;
    nghttp3_conn_block_stream(h3->conn, stream);
}

static void shut(void *app, int64_t stream) {
    struct wire_h3 *h3 = app;
    nghttp3_conn_shutdown_stream_write(h3->conn, stream);
}

const struct wire_quic_app wire_h3_app = {
    .turn = turn,
    .ready = ready,
    .received = received,
    .acknowledged = acknowledged,
    .stream_over = stream_over,
    .stream_reset = stream_reset,
    .unblocked = unblocked,
    .next = next,
    .wrote = wrote,
    .blocked = blocked,
    .shut = shut,
};

/* --- life ------------------------------------------------------------------------------------------------- */

sk_err wire_h3_create(const struct wire_stream_events *events, void *owner,
                      const struct wire_head_limits *limits, struct wire_h3_room *room,
                      struct wire_h3 **out_h3) {
    struct wire_h3 *h3 = calloc(1, sizeof *h3);
    if (!h3) return SK_ERR_NO_MEMORY;
    *h3 = (struct wire_h3){.magic = WIRE_H3_MAGIC,
                           .events = events,
                           .owner = owner,
                           .rules = {*limits, HTTP_3, SK_STR("https")},
                           .room = room,
                           .memory = {&room->memory, wire_memory_get, wire_memory_put, wire_memory_get_zeros,
                                      wire_memory_resize}};
    sk_list_init(&h3->outs);
    sk_list_init(&h3->dropped);
    *out_h3 = h3;
    return SK_OK;
}

void wire_h3_attach(struct wire_h3 *h3, struct wire_quic *quic) { h3->quic = quic; }

void wire_h3_free(struct wire_h3 *h3) {
    if (!h3) return;
    SK_CHECK_MAGIC(h3, WIRE_H3_MAGIC);
    nghttp3_conn_del(h3->conn);
    SK_LIST_FOR_EACH(link, &h3->outs) out_free(h3, SK_CONTAINER_OF(link, struct h3_out, link));
    h3->magic = 0;
    free(h3);
}

void wire_h3_limit_heads(struct wire_h3 *h3, const struct wire_head_limits *limits) {
    h3->rules.limits = *limits;
}

void wire_h3_resume(struct wire_h3 *h3, struct wire_stream *stream) {
    (void)nghttp3_conn_resume_stream(h3->conn, stream->id); /* not deferred: nothing to do */
}

void wire_h3_consumed(struct wire_h3 *h3, struct wire_stream *stream, size_t bytes) {
    if (bytes) give_back(h3, stream->id, bytes);
}

void wire_h3_goaway(struct wire_h3 *h3, bool final) {
    if (!h3->conn) return;
    if (!h3->goaway_said) (void)nghttp3_conn_submit_shutdown_notice(h3->conn);
    h3->goaway_said = true;
    if (final && !h3->goaway_final) {
        (void)nghttp3_conn_shutdown(h3->conn);
        h3->goaway_final = true;
    }
}

bool wire_h3_over(const struct wire_h3 *h3) {
    return !h3->conn || (h3->goaway_final && nghttp3_conn_is_drained(h3->conn));
}
