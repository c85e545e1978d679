#include "wire/quic.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <threads.h>

#include "wire/quic_internal.h"
#include "wire/tls_quic.h"

#define QUIC_MAGIC 0x71756963u
/* Ours, the client's control streams and a few of kinds that nobody knows (RFC 9114 section 6.2.3). */
#define UNI_STREAMS 8
#define CONNECTION_IDS 4
#define UNI_WINDOW (64 * 1024)

ngtcp2_conn *quic_conn(struct wire_quic *quic) { return quic->conn; }

static ngtcp2_conn *conn_of_ref(ngtcp2_crypto_conn_ref *ref) {
    return SK_CONTAINER_OF(ref, struct wire_quic, ref)->conn;
}

/* --- errors ----------------------------------------------------------------------------------------------- */

static const char *tls_reason(void) {
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return reason ? reason : "TLS handshake failed";
}

/* RESULT of the library, which has to be told to the client. */
static sk_err fail(struct wire_quic *quic, int result) {
    if (quic->failed) return SK_ERR_MALFORMED;
    quic->failed = true;
    quic->why = ngtcp2_strerror(result);
    if (result == NGTCP2_ERR_CALLBACK_FAILURE && quic->error.type == NGTCP2_CCERR_TYPE_APPLICATION) {
        quic->why = "HTTP/3 connection error";
        return SK_ERR_MALFORMED;
    }
    if (result == NGTCP2_ERR_CRYPTO) {
        quic->why = quic->ssl ? tls_reason() : "a TLS message after the handshake";
        ngtcp2_ccerr_set_tls_alert(&quic->error, ngtcp2_conn_get_tls_alert(quic->conn), NULL, 0);
        return SK_ERR_TLS;
    }
    ngtcp2_ccerr_set_liberr(&quic->error, result, NULL, 0);
    return result == NGTCP2_ERR_NOMEM ? SK_ERR_NO_MEMORY : SK_ERR_MALFORMED;
}

/* --- life ------------------------------------------------------------------------------------------------- */

static once_flag library_once = ONCE_FLAG_INIT;
/* Fetches the algorithms once instead of for each connection. */
static void set_up_library(void) { (void)!ngtcp2_crypto_ossl_init(); }

static void make_settings(struct wire_quic *quic, const struct wire_quic_options *options,
                          ngtcp2_settings *settings) {
    ngtcp2_settings_default(settings);
    settings->initial_ts = (ngtcp2_tstamp)options->now;
    settings->handshake_timeout = (ngtcp2_duration)(options->handshake_ms * SK_NS_PER_MS);
    if (options->qlog) settings->qlog_write = quic_on_qlog;
    if (options->token == WIRE_QUIC_TOKEN_NONE) return;
    settings->token = (const uint8_t *)options->packet->token.data;
    settings->tokenlen = options->packet->token.len;
    settings->token_type =
        options->token == WIRE_QUIC_TOKEN_RETRY ? NGTCP2_TOKEN_TYPE_RETRY : NGTCP2_TOKEN_TYPE_NEW_TOKEN;
}

static bool make_params(struct wire_quic *quic, const struct wire_quic_options *options,
                        const ngtcp2_cid *ours, ngtcp2_transport_params *params) {
    bool retried = options->token == WIRE_QUIC_TOKEN_RETRY;
    ngtcp2_transport_params_default(params);
    params->original_dcid = quic_cid(retried ? &options->original : &options->packet->to);
    params->original_dcid_present = 1;
    if (retried) {
        params->retry_scid = quic_cid(&options->packet->to);
        params->retry_scid_present = 1;
    }
    params->initial_max_streams_bidi = WIRE_QUIC_STREAMS;
    params->initial_max_streams_uni = UNI_STREAMS;
    params->initial_max_stream_data_bidi_remote = WIRE_QUIC_STREAM_WINDOW;
    params->initial_max_stream_data_uni = UNI_WINDOW;
    params->initial_max_data = WIRE_QUIC_WINDOW;
    params->max_idle_timeout = (ngtcp2_duration)(options->idle_ms * SK_NS_PER_MS);
    params->active_connection_id_limit = CONNECTION_IDS;
    params->stateless_reset_token_present = 1;
    return ngtcp2_crypto_generate_stateless_reset_token(params->stateless_reset_token, quic->keys->secret,
                                                        sizeof quic->keys->secret, ours) == 0;
}

static ngtcp2_path path_of(const struct io_addr *local, const struct io_addr *peer) {
    return (ngtcp2_path){.local = {(ngtcp2_sockaddr *)(uintptr_t)&local->any, local->len},
                         .remote = {(ngtcp2_sockaddr *)(uintptr_t)&peer->any, peer->len}};
}

static sk_err make_conn(struct wire_quic *quic, const struct wire_quic_options *options) {
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    struct wire_quic_id id;
    wire_quic_id_make(quic->keys, quic->place, &id);
    ngtcp2_cid ours = quic_cid(&id), client = quic_cid(&options->packet->from);
    ngtcp2_path path = path_of(options->local, options->peer);
    make_settings(quic, options, &settings);
    if (!make_params(quic, options, &ours, &params)) return SK_ERR_NO_MEMORY;
    if (ngtcp2_conn_server_new(&quic->conn, &client, &ours, &path, options->packet->version, &quic_callbacks,
                               &settings, &params, NULL, quic) != 0)
        return SK_ERR_NO_MEMORY;
    ngtcp2_conn_set_tls_native_handle(quic->conn, quic->crypto);
    return quic->events->id_added(quic->owner, &id);
}

static sk_err make_tls(struct wire_quic *quic) {
    quic->ssl = wire_tls_server_quic(quic->tls);
    if (!quic->ssl) return SK_ERR_UNSUPPORTED;
    quic->ref = (ngtcp2_crypto_conn_ref){.get_conn = conn_of_ref, .user_data = quic};
    SSL_set_app_data(quic->ssl, &quic->ref);
    if (ngtcp2_crypto_ossl_configure_server_session(quic->ssl) != 0) return SK_ERR_NO_MEMORY;
    if (wire_tls_server_early_data(quic->tls) && SSL_set_quic_tls_early_data_enabled(quic->ssl, 1) != 1)
        return SK_ERR_NO_MEMORY;
    return ngtcp2_crypto_ossl_ctx_new(&quic->crypto, quic->ssl) == 0 ? SK_OK : SK_ERR_NO_MEMORY;
}

sk_err wire_quic_accept(const struct wire_quic_options *options, struct wire_quic **out_quic) {
    call_once(&library_once, set_up_library);
    struct wire_quic *quic = calloc(1, sizeof *quic);
    if (!quic) return SK_ERR_NO_MEMORY;
    ERR_clear_error();
    *quic = (struct wire_quic){.magic = QUIC_MAGIC,
                               .tls = wire_tls_server_ref(options->tls),
                               .keys = options->keys,
                               .place = options->place,
                               .events = options->events,
                               .owner = options->owner,
                               .app = options->app,
                               .app_arg = options->app_arg,
                               .offer.stream = -1,
                               .acked.stream = -1,
                               .why = "",
                               .now = options->now};
    ngtcp2_ccerr_default(&quic->error);
    sk_err err = make_tls(quic);
    if (!err) err = make_conn(quic, options);
    if (err) {
        wire_quic_free(quic);
        return err;
    }
    *out_quic = quic;
    return SK_OK;
}

static void free_tls(struct wire_quic *quic) {
    if (quic->ssl) SSL_set_app_data(quic->ssl, NULL);
    ngtcp2_crypto_ossl_ctx_del(quic->crypto);
    SSL_free(quic->ssl);
    wire_tls_server_unref(quic->tls);
    quic->crypto = NULL;
    quic->ssl = NULL;
    quic->tls = NULL;
}

/* The handshake is done, tickets are written: the keys are the library's, and nothing asks TLS any more. */
static void end_tls(struct wire_quic *quic) {
    ngtcp2_conn_set_tls_native_handle(quic->conn, NULL);
    free_tls(quic);
}

void wire_quic_free(struct wire_quic *quic) {
    if (!quic) return;
    SK_CHECK_MAGIC(quic, QUIC_MAGIC);
    ngtcp2_conn_del(quic->conn);
    free_tls(quic);
    quic->magic = 0;
    free(quic);
}

/* --- datagrams in and out --------------------------------------------------------------------------------- */

sk_err wire_quic_receive(struct wire_quic *quic, const struct io_train *train, sk_str datagram,
                         sk_time_ns now) {
    if (quic->failed) return SK_ERR_MALFORMED;
    ngtcp2_path path = path_of(&train->local, &train->peer);
    ngtcp2_pkt_info info = {.ecn = train->ecn};
    quic->now = now;
    ERR_clear_error();
    int result = ngtcp2_conn_read_pkt(quic->conn, &path, &info, (const uint8_t *)datagram.data, datagram.len,
                                      (ngtcp2_tstamp)now);
    if (result == 0) result = quic_tell_acked(quic);
    if (result == 0) {
        if (quic->handshaken && quic->ssl) end_tls(quic);
        return SK_OK;
    }
    if (result == NGTCP2_ERR_DRAINING || result == NGTCP2_ERR_DROP_CONN || result == NGTCP2_ERR_RETRY)
        return SK_ERR_END;
    return fail(quic, result);
}

sk_time_ns wire_quic_due(struct wire_quic *quic) {
    ngtcp2_tstamp due = ngtcp2_conn_get_expiry(quic->conn);
    return due >= (ngtcp2_tstamp)SK_TIME_NEVER ? SK_TIME_NEVER : (sk_time_ns)due;
}

sk_err wire_quic_tick(struct wire_quic *quic, sk_time_ns now) {
    if (quic->failed) return SK_ERR_MALFORMED;
    quic->now = now;
    int result = ngtcp2_conn_handle_expiry(quic->conn, (ngtcp2_tstamp)now);
    if (result == 0) return SK_OK;
    if (result == NGTCP2_ERR_IDLE_CLOSE || result == NGTCP2_ERR_HANDSHAKE_TIMEOUT) return SK_ERR_END;
    return fail(quic, result);
}

static void set_addr(struct io_addr *addr, const ngtcp2_addr *from) {
    SK_ASSERT(from->addrlen <= sizeof *addr - offsetof(struct io_addr, any));
    addr->len = from->addrlen;
    memcpy(&addr->any, from->addr, from->addrlen);
}

static void set_train(struct io_train *train, const ngtcp2_path *path, const ngtcp2_pkt_info *info,
                      const char *room, ngtcp2_ssize bytes, size_t segment) {
    *train = (struct io_train){.data = room, .ecn = (uint8_t)(info->ecn & NGTCP2_ECN_MASK)};
    if (bytes <= 0) return;
    train->bytes = (size_t)bytes;
    train->segment = segment && segment < train->bytes ? segment : train->bytes;
    set_addr(&train->local, &path->local);
    set_addr(&train->peer, &path->remote);
}

/* The last word: lost, it is said again by a stateless reset. */
static sk_err say_closed(struct wire_quic *quic, char *room, sk_time_ns now, struct io_train *out_train) {
    ngtcp2_path_storage path;
    ngtcp2_pkt_info info = {0};
    if (quic->closed) return SK_ERR_CLOSED;
    quic->closed = true;
    ngtcp2_path_storage_zero(&path);
    ngtcp2_ssize bytes =
        ngtcp2_conn_write_connection_close(quic->conn, &path.path, &info, (uint8_t *)room,
                                           NGTCP2_MAX_UDP_PAYLOAD_SIZE, &quic->error, (ngtcp2_tstamp)now);
    set_train(out_train, &path.path, &info, room, bytes, 0);
    return SK_ERR_CLOSED;
}

sk_err wire_quic_fill(struct wire_quic *quic, char *room, sk_time_ns now, struct io_train *out_train) {
    ngtcp2_path_storage path;
    ngtcp2_pkt_info info = {0};
    size_t segment = 0;
    *out_train = (struct io_train){.data = room};
    quic->now = now;
    quic->app->turn(quic->app_arg);
    if (quic->failed) return say_closed(quic, room, now, out_train);
    ngtcp2_path_storage_zero(&path);
    ngtcp2_ssize bytes =
        quic_write_train(quic, &path.path, &info, (uint8_t *)room, IO_TRAIN_BYTES, &segment, now);
    if (bytes < 0) {
        (void)!fail(quic, (int)bytes);
        return say_closed(quic, room, now, out_train);
    }
    set_train(out_train, &path.path, &info, room, bytes, segment);
    return SK_OK;
}

void wire_quic_close(struct wire_quic *quic, uint64_t error) {
    if (quic->failed) return;
    quic->failed = true;
    ngtcp2_ccerr_set_application_error(&quic->error, error, NULL, 0);
}

/* --- what it is ------------------------------------------------------------------------------------------- */

void wire_quic_facts(const struct wire_quic *quic, struct wire_tls_facts *out_facts) {
    SK_ASSERT(quic->ssl);
    wire_tls_facts_of(quic->ssl, out_facts);
}

bool wire_quic_handshaken(const struct wire_quic *quic) { return quic->handshaken; }

bool wire_quic_early(const struct wire_quic *quic) { return quic->early && !quic->handshaken; }

void wire_quic_peer(struct wire_quic *quic, struct io_addr *out_peer) {
    set_addr(out_peer, &ngtcp2_conn_get_path(quic->conn)->remote);
}

/* Three probe timeouts, as RFC 9000 section 10.2 waits for the last words of a peer. */
sk_time_ns wire_quic_patience(struct wire_quic *quic) {
    return SK_MAX(3 * (sk_time_ns)ngtcp2_conn_get_pto(quic->conn), SK_NS_PER_S);
}

uint32_t wire_quic_min_rtt_us(const struct wire_quic *quic) {
    ngtcp2_conn_info info;
    ngtcp2_conn_get_conn_info(quic->conn, &info);
    uint64_t us = info.min_rtt / NGTCP2_MICROSECONDS;
    return us < UINT32_MAX ? (uint32_t)us : 0; /* all ones before the first sample */
}

const char *wire_quic_why(const struct wire_quic *quic) { return quic->why; }
