/* What the library asks and tells while packets go in and out. */
#include "base/random.h"
#include "wire/quic_internal.h"

int quic_app_verdict(struct wire_quic *quic, sk_err err, uint64_t error) {
    if (!err) return 0;
    ngtcp2_ccerr_set_application_error(&quic->error, error, NULL, 0);
    return NGTCP2_ERR_CALLBACK_FAILURE;
}

/* After the handshake a client has nothing more to say in TLS: tickets are ours to give, and keys change in QUIC's own
 * way (RFC 9001 section 6). So TLS is gone by then. */
static int on_crypto_data(ngtcp2_conn *conn, ngtcp2_encryption_level level, uint64_t offset,
                          const uint8_t *data, size_t bytes, void *user) {
    struct wire_quic *quic = user;
    if (quic->ssl) return ngtcp2_crypto_recv_crypto_data_cb(conn, level, offset, data, bytes, user);
    ngtcp2_conn_set_tls_alert(conn, SSL_AD_UNEXPECTED_MESSAGE);
    return NGTCP2_ERR_CRYPTO;
}

static int on_stream_data(ngtcp2_conn *conn, uint32_t flags, int64_t stream, uint64_t offset,
                          const uint8_t *data, size_t bytes, void *user, void *stream_user) {
    struct wire_quic *quic = user;
    uint64_t error = 0;
    quic->early = !quic->handshaken; /* RFC 9001 section 5.7: nothing else is read before */
    sk_err err = quic->app->received(quic->app_arg, stream, (sk_str){(const char *)data, bytes},
                                     flags & NGTCP2_STREAM_DATA_FLAG_FIN, quic->now, &error);
    return quic_app_verdict(quic, err, error);
}

/* What the packets of a stream carried that one acknowledgement names, or several of one datagram, is told as one: the
 * application looks its stream up once for all of them. */
int quic_tell_acked(struct wire_quic *quic) {
    struct quic_acked acked = quic->acked;
    uint64_t error = 0;
    if (acked.stream < 0) return 0;
    quic->acked = (struct quic_acked){.stream = -1};
    return quic_app_verdict(quic, quic->app->acknowledged(quic->app_arg, acked.stream, acked.bytes, &error),
                            error);
}

static int on_acked(ngtcp2_conn *conn, int64_t stream, uint64_t offset, uint64_t bytes, void *user,
                    void *stream_user) {
    struct wire_quic *quic = user;
    int result = quic->acked.stream == stream ? 0 : quic_tell_acked(quic);
    quic->acked.stream = stream;
    quic->acked.bytes += bytes;
    return result;
}

static int on_stream_close(ngtcp2_conn *conn, uint32_t flags, int64_t stream, uint64_t code, void *user,
                           void *stream_user) {
    struct wire_quic *quic = user;
    uint64_t error = 0;
    bool coded = flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET;
    int result = quic_tell_acked(quic);
    if (result != 0) return result;
    sk_err err = quic->app->stream_over(quic->app_arg, stream, coded ? code : UINT64_MAX, &error);
    if (!ngtcp2_conn_is_local_stream(conn, stream)) {
        if (ngtcp2_is_bidi_stream(stream))
            ngtcp2_conn_extend_max_streams_bidi(conn, 1);
        else
            ngtcp2_conn_extend_max_streams_uni(conn, 1);
    }
    return quic_app_verdict(quic, err, error);
}

static int tell_reset(struct wire_quic *quic, int64_t stream, bool by_sender) {
    uint64_t error = 0;
    int result = quic_tell_acked(quic);
    if (result != 0) return result;
    return quic_app_verdict(quic, quic->app->stream_reset(quic->app_arg, stream, by_sender, &error), error);
}

static int on_stream_reset(ngtcp2_conn *conn, int64_t stream, uint64_t final_size, uint64_t code, void *user,
                           void *stream_user) {
    return tell_reset(user, stream, true);
}

static int on_stop_sending(ngtcp2_conn *conn, int64_t stream, uint64_t code, void *user, void *stream_user) {
    return tell_reset(user, stream, false);
}

static int on_stream_window(ngtcp2_conn *conn, int64_t stream, uint64_t window, void *user,
                            void *stream_user) {
    struct wire_quic *quic = user;
    quic->app->unblocked(quic->app_arg, stream);
    return 0;
}

static int on_tx_key(ngtcp2_conn *conn, ngtcp2_encryption_level level, void *user) {
    struct wire_quic *quic = user;
    uint64_t error = 0;
    if (level != NGTCP2_ENCRYPTION_LEVEL_1RTT) return 0;
    return quic_app_verdict(quic, quic->app->ready(quic->app_arg, &error), error);
}

/* A token, so that the client need not prove its address again (RFC 9000 section 8.1.3). */
static int on_handshake_completed(ngtcp2_conn *conn, void *user) {
    struct wire_quic *quic = user;
    uint8_t token[NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN];
    const ngtcp2_path *path = ngtcp2_conn_get_path(conn);
    quic->handshaken = true;
    quic->events->handshaken(quic->owner);
    ngtcp2_ssize bytes = ngtcp2_crypto_generate_regular_token(token, quic->keys->secret,
                                                              sizeof quic->keys->secret, path->remote.addr,
                                                              path->remote.addrlen, (ngtcp2_tstamp)quic->now);
    if (bytes > 0 && ngtcp2_conn_submit_new_token(conn, token, (size_t)bytes) != 0)
        return NGTCP2_ERR_CALLBACK_FAILURE;
    return 0;
}

static int on_new_id(ngtcp2_conn *conn, ngtcp2_cid *cid, ngtcp2_stateless_reset_token *token, size_t bytes,
                     void *user) {
    struct wire_quic *quic = user;
    struct wire_quic_id id;
    SK_ASSERT(bytes == WIRE_QUIC_ID_BYTES);
    wire_quic_id_make(quic->keys, quic->place, &id);
    *cid = quic_cid(&id);
    if (ngtcp2_crypto_generate_stateless_reset_token(token->data, quic->keys->secret,
                                                     sizeof quic->keys->secret, cid) != 0)
        return NGTCP2_ERR_CALLBACK_FAILURE;
    return quic->events->id_added(quic->owner, &id) == SK_OK ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int on_id_over(ngtcp2_conn *conn, const ngtcp2_cid *cid, void *user) {
    struct wire_quic *quic = user;
    struct wire_quic_id id = quic_id(cid);
    quic->events->id_removed(quic->owner, &id);
    return 0;
}

void quic_on_qlog(void *user, uint32_t flags, const void *data, size_t bytes) {
    struct wire_quic *quic = user;
    quic->events->qlog(quic->owner, (sk_str){data, bytes});
}

static void on_rand(uint8_t *out, size_t bytes, const ngtcp2_rand_ctx *context) {
    sk_random_secret(out, bytes);
}

const ngtcp2_callbacks quic_callbacks = {
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .recv_crypto_data = on_crypto_data,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = ngtcp2_crypto_decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .update_key = ngtcp2_crypto_update_key_cb,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .get_path_challenge_data2 = ngtcp2_crypto_get_path_challenge_data2_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
    .rand = on_rand,
    .get_new_connection_id2 = on_new_id,
    .remove_connection_id = on_id_over,
    .handshake_completed = on_handshake_completed,
    .recv_tx_key = on_tx_key,
    .recv_stream_data = on_stream_data,
    .acked_stream_data_offset = on_acked,
    .stream_close = on_stream_close,
    .stream_reset = on_stream_reset,
    .stream_stop_sending = on_stop_sending,
    .extend_max_stream_data = on_stream_window,
};
