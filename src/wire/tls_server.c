#include "wire/tls_server.h"

#include <inttypes.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <threads.h>

#include "wire/tls_quic.h"
#include "wire/tls_record.h"
#include "wire/tls_staple.h"
#include "wire/tls_tickets.h"

#define SERVER_MAGIC 0x746c7376u
#define CONN_MAGIC 0x746c7363u

/* A '/' ends a rank: a group of a higher rank is asked for (HelloRetryRequest) before one of a lower rank is
 * taken. */
static const char *const groups[] = {
    [WIRE_TLS_PQ_OFF] = WIRE_TLS_CLASSICAL,
    [WIRE_TLS_PQ_OFFER] = WIRE_TLS_HYBRID ":" WIRE_TLS_CLASSICAL,
    [WIRE_TLS_PQ_PREFER] = WIRE_TLS_HYBRID "/" WIRE_TLS_CLASSICAL,
    [WIRE_TLS_PQ_REQUIRE] = WIRE_TLS_HYBRID,
};
#define SESSION_S (6 * 3600)
#define EARLY_BYTES 16384 /* of one connection */
/* Nobody needs so many on one connection (RFC 8446 4.6.3); each costs us an answer. */
#define KEY_UPDATES_MAX 64

struct wire_tls_server {
    uint32_t magic;
    _Atomic uint32_t references;
    SSL_CTX *ssl;
    SSL_CTX *quic; /* NULL: none */
    struct wire_tls_store *store;
    struct wire_tls_tickets *tickets;
    bool http2;
    bool early_data;
    bool for_nodes;
};

struct wire_tls_conn {
    uint32_t magic;
    uint32_t key_updates; /* those that the library has seen */
    SSL *ssl;             /* NULL: RECORD has taken over */
    struct wire_tls_server *server;
    const char *error;
    struct wire_tls_record record;
    struct wire_tls_facts facts; /* after the handshake */
    bool in_secret, out_secret;  /* RECORD has them */
    bool done;                   /* the handshake is */
    bool early_open;             /* early data may still come */
    bool early_seen;
    struct sk_buf early; /* of it, what nobody has read */
    /* during a call */
    sk_str *input;
    struct sk_buf *output;
    bool no_memory;
};

/* --- bytes in and out of the library -------------------------------------------------------------------- */

static int take_input(BIO *bio, char *data, int bytes) {
    struct wire_tls_conn *conn = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (!conn->input || !conn->input->len) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = SK_MIN((size_t)bytes, conn->input->len);
    memcpy(data, conn->input->data, n);
    *conn->input = sk_str_slice(*conn->input, n, conn->input->len);
    return (int)n;
}

static int give_output(BIO *bio, const char *data, int bytes) {
    struct wire_tls_conn *conn = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (conn->output && sk_buf_append(conn->output, (sk_str){data, (size_t)bytes}) == SK_OK) return bytes;
    conn->no_memory = true;
    return -1;
}

static long control(BIO *bio, int command, long number, void *pointer) { return command == BIO_CTRL_FLUSH; }

static BIO_METHOD *method;
static once_flag method_once = ONCE_FLAG_INIT;

static void make_method(void) {
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "skerry");
    if (!method) return;
    BIO_meth_set_read(method, take_input);
    BIO_meth_set_write(method, give_output);
    BIO_meth_set_ctrl(method, control);
}

/* --- servers -------------------------------------------------------------------------------------------- */

static int choose_certificate(SSL *ssl, void *arg) {
    const struct wire_tls_server *server = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    return wire_tls_store_use(server->store, sk_str_from_c(name ? name : ""), ssl);
}

/* RFC 7301 section 3.2: a client that speaks only what we do not is told so. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
                           const unsigned char *offered, unsigned bytes, void *arg) {
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    const struct wire_tls_server *server = arg;
    const unsigned char *mine = server->http2 ? ours : ours + 3;
    unsigned mine_bytes = (unsigned)(ours + sizeof ours - 1 - mine);
    unsigned char *chosen;
    int found = SSL_select_next_proto(&chosen, out_bytes, mine, mine_bytes, offered, bytes);
    if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* Over QUIC nothing else is spoken, and a client that says nothing is refused too (RFC 9001 section 8.1). */
static int choose_h3(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
                     const unsigned char *offered, unsigned bytes, void *arg) {
    static const unsigned char h3[] = "\x02h3";
    unsigned char *chosen;
    int found = SSL_select_next_proto(&chosen, out_bytes, h3, sizeof h3 - 1, offered, bytes);
    if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void note_message(int writing, int version, int type, const void *data, size_t bytes, SSL *ssl,
                         void *arg) {
    bool handshake = !writing && type == SSL3_RT_HANDSHAKE && bytes;
    struct wire_tls_conn *conn = SSL_get_app_data(ssl);
    if (!conn) return;
    if (handshake && *(const unsigned char *)data == SSL3_MT_KEY_UPDATE) conn->key_updates++;
    if (writing && type == SSL3_RT_HEADER && conn->out_secret) conn->record.out.sequence++;
}

/* SECRET gets the bytes that TEXT has as hexadecimal digits behind its last blank. */
static bool read_secret(const char *text, uint8_t secret[WIRE_TLS_SECRET_BYTES]) {
    const char *digits = strrchr(text, ' ');
    long bytes = 0;
    unsigned char *made = digits ? OPENSSL_hexstr2buf(digits + 1, &bytes) : NULL;
    bool fits = made && bytes <= WIRE_TLS_SECRET_BYTES;
    if (fits) memcpy(secret, made, (size_t)bytes);
    OPENSSL_clear_free(made, (size_t)bytes);
    return fits;
}

/* The library tells the secrets of TLS 1.3 when it begins to use them (the lines are those of NSS's key log). */
static void note_secret(const SSL *ssl, const char *line) {
    struct wire_tls_conn *conn = SSL_get_app_data(ssl);
    if (!conn) return;
    if (!strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24)) {
        conn->in_secret = read_secret(line, conn->record.in.secret);
    } else if (!strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24)) {
        conn->out_secret = read_secret(line, conn->record.out.secret);
        conn->record.out.sequence = 0;
    }
}

/* A session of one list of authorities is none of another, or of none at all; nor is one of another promise. */
static bool set_context_id(SSL_CTX *ssl, const char *client_ca, uint64_t promise) {
    unsigned char id[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    char text[PATH_MAX + 32];
    int length = snprintf(text, sizeof text, "%" PRIu64 " %s", promise, client_ca ? client_ca : "");
    return EVP_Digest(text, (size_t)SK_MIN(length, (int)sizeof text - 1), id, &bytes, EVP_sha256(), NULL) ==
               1 &&
           SSL_CTX_set_session_id_context(ssl, id, bytes) == 1;
}

static sk_err ask_clients(SSL_CTX *ssl, const char *client_ca) {
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(client_ca);
    if (!names) return SK_ERR_INVALID;
    SSL_CTX_set_client_CA_list(ssl, names);
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl), X509_V_FLAG_PARTIAL_CHAIN);
    if (SSL_CTX_load_verify_file(ssl, client_ca) != 1) return SK_ERR_INVALID;
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return SK_OK;
}

static bool set_policy(SSL_CTX *ssl, const struct wire_tls_server_options *options) {
    bool only_1_3 = options->only_1_3 || options->pq == WIRE_TLS_PQ_REQUIRE;
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_NO_TX_CERTIFICATE_COMPRESSION | SSL_OP_NO_RX_CERTIFICATE_COMPRESSION);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ssl, SESSION_S);
    SSL_CTX_set_num_tickets(ssl,
                            1); /* each costs a twentieth of a handshake; who resumes gets the next one */
    return SSL_CTX_set_min_proto_version(ssl, only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1 &&
           SSL_CTX_set1_groups_list(ssl, groups[options->pq]) == 1 &&
           SSL_CTX_set_cipher_list(ssl, WIRE_TLS_CIPHERS_1_2) == 1 &&
           SSL_CTX_set_ciphersuites(ssl, WIRE_TLS_CIPHERS_1_3) == 1;
}

/* Whoever is expelled must not come back by an old ticket. */
static sk_err set_up_for_nodes(SSL_CTX *ssl, const struct wire_tls_server_options *options) {
    SK_ASSERT(options->client_ca && !options->http3);
    SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
    if (SSL_CTX_set_num_tickets(ssl, 0) != 1) return SK_ERR_NO_MEMORY;
    if (SSL_CTX_use_certificate_chain_file(ssl, options->node_cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(ssl, options->node_key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ssl) != 1)
        return SK_ERR_INVALID;
    return ask_clients(ssl, options->client_ca);
}

/* Copies are told by us and not by the library, which knows no register that all its contexts share. */
static void set_early_data(SSL_CTX *ssl, const struct wire_tls_server_options *options, uint32_t most) {
    if (!options->early_data) return;
    SSL_CTX_set_options(ssl, SSL_OP_NO_ANTI_REPLAY);
    SSL_CTX_set_allow_early_data_cb(ssl, wire_tls_tickets_on_early, options->tickets);
    SSL_CTX_set_max_early_data(ssl, most);
}

/* What TLS over TCP and over QUIC have in common. */
static sk_err set_up(struct wire_tls_server *server, SSL_CTX *ssl,
                     const struct wire_tls_server_options *options) {
    uint64_t promise = ssl == server->quic ? options->http3_promise : 0;
    if (!ssl || !set_policy(ssl, options) || !set_context_id(ssl, options->client_ca, promise))
        return SK_ERR_NO_MEMORY;
    if (options->node_cert) return set_up_for_nodes(ssl, options);
    SSL_CTX_set_app_data(ssl, server->tickets);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, wire_tls_tickets_on_ticket);
    SSL_CTX_set_cert_cb(ssl, choose_certificate, server);
    SSL_CTX_set_tlsext_status_cb(ssl, wire_tls_staple_on_status);
    return options->client_ca ? ask_clients(ssl, options->client_ca) : SK_OK;
}

static sk_err set_up_tcp(struct wire_tls_server *server, const struct wire_tls_server_options *options) {
    server->ssl = SSL_CTX_new(TLS_server_method());
    sk_err err = set_up(server, server->ssl, options);
    if (err) return err;
    set_early_data(server->ssl, options, EARLY_BYTES);
    SSL_CTX_set_alpn_select_cb(server->ssl, choose_protocol, server);
    SSL_CTX_set_msg_callback(server->ssl, note_message);
    SSL_CTX_set_keylog_callback(server->ssl, note_secret);
    return SK_OK;
}

/* RFC 9001 section 4.2: 1.3 at least. */
static sk_err set_up_quic(struct wire_tls_server *server, const struct wire_tls_server_options *options) {
    if (!options->http3) return SK_OK;
    struct wire_tls_server_options ours = *options;
    ours.only_1_3 = true;
    server->quic = SSL_CTX_new(TLS_server_method());
    sk_err err = set_up(server, server->quic, &ours);
    if (err) return err;
    set_early_data(server->quic, options, UINT32_MAX); /* RFC 9001 section 4.6.1; the windows bound it */
    SSL_CTX_set_alpn_select_cb(server->quic, choose_h3, server);
    return SK_OK;
}

sk_err wire_tls_server_create(const struct wire_tls_server_options *options,
                              struct wire_tls_server **out_server) {
    SK_ASSERT((size_t)options->pq < SK_COUNT(groups));
    call_once(&method_once, make_method);
    struct wire_tls_server *server = method ? calloc(1, sizeof *server) : NULL;
    if (!server) return SK_ERR_NO_MEMORY;
    ERR_clear_error();
    server->magic = SERVER_MAGIC;
    server->references = 1;
    server->store = wire_tls_store_ref(options->store);
    server->tickets = wire_tls_tickets_ref(options->tickets);
    server->http2 = options->http2;
    server->for_nodes = options->node_cert != NULL;
    server->early_data = options->early_data && !server->for_nodes;
    sk_err err = set_up_tcp(server, options);
    if (!err) err = set_up_quic(server, options);
    ERR_clear_error();
    if (err)
        wire_tls_server_unref(server);
    else
        *out_server = server;
    return err;
}

struct wire_tls_server *wire_tls_server_ref(struct wire_tls_server *server) {
    /* relaxed: whoever hands the pointer over holds a reference already */
    atomic_fetch_add_explicit(&server->references, 1, memory_order_relaxed);
    return server;
}

void wire_tls_server_unref(struct wire_tls_server *server) {
    /* acq_rel: the last one frees only after all others have read what they wanted to */
    if (!server || atomic_fetch_sub_explicit(&server->references, 1, memory_order_acq_rel) != 1) return;
    SK_CHECK_MAGIC(server, SERVER_MAGIC);
    SSL_CTX_free(server->ssl);
    SSL_CTX_free(server->quic);
    wire_tls_store_unref(server->store);
    wire_tls_tickets_unref(server->tickets);
    server->magic = 0;
    free(server);
}

/* --- connections ---------------------------------------------------------------------------------------- */

sk_err wire_tls_accept(struct wire_tls_server *server, struct wire_tls_conn **out_conn) {
    SK_CHECK_MAGIC(server, SERVER_MAGIC);
    struct wire_tls_conn *conn = calloc(1, sizeof *conn);
    if (!conn) return SK_ERR_NO_MEMORY;
    *conn = (struct wire_tls_conn){.magic = CONN_MAGIC, .error = "", .ssl = SSL_new(server->ssl)};
    BIO *bio = conn->ssl ? BIO_new(method) : NULL;
    if (!bio) {
        SSL_free(conn->ssl);
        free(conn);
        return SK_ERR_NO_MEMORY;
    }
    conn->server = wire_tls_server_ref(server);
    conn->early_open = server->early_data;
    sk_buf_init(&conn->early, 0);
    BIO_set_data(bio, conn);
    BIO_set_init(bio, 1);
    SSL_set_bio(conn->ssl, bio, bio);
    SSL_set_app_data(conn->ssl, conn);
    SSL_set_accept_state(conn->ssl);
    *out_conn = conn;
    return SK_OK;
}

void wire_tls_conn_free(struct wire_tls_conn *conn) {
    if (!conn) return;
    SK_CHECK_MAGIC(conn, CONN_MAGIC);
    SSL_free(conn->ssl);
    sk_buf_free(&conn->early);
    wire_tls_record_free(&conn->record);
    wire_tls_server_unref(conn->server);
    conn->magic = 0;
    free(conn);
}

static void begin(struct wire_tls_conn *conn, sk_str *input, struct sk_buf *output) {
    ERR_clear_error();
    conn->input = input;
    conn->output = output;
    conn->no_memory = false;
}

/* The verdict on RESULT of the library's call, which was not success. */
static sk_err finish(struct wire_tls_conn *conn, int result) {
    int why = SSL_get_error(conn->ssl, result);
    conn->input = NULL;
    conn->output = NULL;
    if (conn->no_memory) return SK_ERR_NO_MEMORY;
    if (why == SSL_ERROR_WANT_READ) return SK_ERR_AGAIN;
    if (why == SSL_ERROR_ZERO_RETURN) return SK_ERR_END;
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    conn->error = reason ? reason : "malformed record";
    ERR_clear_error();
    return SK_ERR_TLS;
}

/* After a handshake of TLS 1.3 the library is not needed any more: records are protected by RECORD, which costs a
 * tenth of the memory. What is out of the ordinary stays with the library. */
static void take_over(struct wire_tls_conn *conn) {
    const SSL_CIPHER *cipher = SSL_get_current_cipher(conn->ssl);
    const SSL_SESSION *session = SSL_get0_session(conn->ssl);
    bool plain = SSL_version(conn->ssl) == TLS1_3_VERSION && conn->in_secret && conn->out_secret && cipher &&
                 session && !SSL_has_pending(conn->ssl) &&
                 SSL_SESSION_get_max_fragment_length(session) == TLSEXT_max_fragment_length_DISABLED;
    if (!plain || wire_tls_record_start(&conn->record, SSL_CIPHER_get_protocol_id(cipher)) != SK_OK) return;
    SSL_free(conn->ssl);
    conn->ssl = NULL;
}

/* All early data that is there. SK_OK: no more of it comes. */
static sk_err take_early(struct wire_tls_conn *conn) {
    while (conn->early_open) {
        char piece[4096];
        size_t n = 0;
        int result = SSL_read_early_data(conn->ssl, piece, sizeof piece, &n);
        if (result == SSL_READ_EARLY_DATA_ERROR) return finish(conn, 0);
        if (result == SSL_READ_EARLY_DATA_FINISH) {
            conn->early_open = false;
        } else {
            if (sk_buf_append(&conn->early, (sk_str){piece, n}) != SK_OK) return SK_ERR_NO_MEMORY;
            if (!conn->early_seen) wire_tls_facts_of(conn->ssl, &conn->facts);
            conn->early_seen = conn->facts.early = true;
        }
    }
    return SK_OK;
}

sk_err wire_tls_conn_handshake(struct wire_tls_conn *conn, sk_str *input, struct sk_buf *output) {
    begin(conn, input, output);
    sk_err err = take_early(conn);
    if (err) return err;
    int result = SSL_do_handshake(conn->ssl);
    if (result != 1) return finish(conn, result);
    conn->done = true;
    wire_tls_facts_of(conn->ssl, &conn->facts);
    conn->facts.for_nodes = conn->server->for_nodes;
    if (!conn->facts.for_nodes) take_over(conn); /* who a node is, the library still has to say */
    return SK_OK;
}

bool wire_tls_conn_early(const struct wire_tls_conn *conn) { return conn->early_seen && !conn->done; }

const void *wire_tls_conn_inside(const struct wire_tls_conn *conn) { return conn->ssl; }

void wire_tls_conn_facts(const struct wire_tls_conn *conn, struct wire_tls_facts *out_facts) {
    *out_facts = conn->facts;
}

SSL *wire_tls_server_quic(struct wire_tls_server *server) {
    SK_CHECK_MAGIC(server, SERVER_MAGIC);
    SSL *ssl = server->quic ? SSL_new(server->quic) : NULL;
    if (ssl) SSL_set_accept_state(ssl);
    return ssl;
}

/* A failure of the handshake behind it is told at the next call. */
static sk_err read_early(struct wire_tls_conn *conn, char *data, size_t bytes, size_t *out_n) {
    sk_str early = sk_buf_str(&conn->early);
    *out_n = SK_MIN(bytes, early.len);
    memcpy(data, early.data, *out_n);
    sk_buf_consume(&conn->early, *out_n);
    if (!sk_buf_len(&conn->early)) sk_buf_shrink(&conn->early);
    return SK_OK;
}

bool wire_tls_server_early_data(const struct wire_tls_server *server) { return server->early_data; }

sk_err wire_tls_conn_read(struct wire_tls_conn *conn, sk_str *input, struct sk_buf *output, char *data,
                          size_t bytes, size_t *out_n) {
    sk_err err = conn->done ? SK_OK : wire_tls_conn_handshake(conn, input, output);
    if (SK_UNLIKELY(sk_buf_len(&conn->early))) return read_early(conn, data, bytes, out_n);
    if (err) return err;
    if (!conn->ssl) return wire_tls_record_read(&conn->record, input, output, data, bytes, out_n);
    begin(conn, input, output);
    int result = SSL_read_ex(conn->ssl, data, bytes, out_n);
    if (conn->key_updates > KEY_UPDATES_MAX) {
        conn->error = "too many key updates";
        return SK_ERR_TLS;
    }
    return result == 1 ? SK_OK : finish(conn, result);
}

bool wire_tls_conn_has_plaintext(const struct wire_tls_conn *conn) {
    if (SK_UNLIKELY(sk_buf_len(&conn->early))) return true;
    return conn->ssl ? SSL_pending(conn->ssl) > 0 : wire_tls_record_has_plaintext(&conn->record);
}

sk_err wire_tls_conn_write(struct wire_tls_conn *conn, const char *data, size_t bytes,
                           struct sk_buf *output) {
    size_t n;
    if (!bytes) return SK_OK;
    if (!conn->ssl) return wire_tls_record_write(&conn->record, data, bytes, output);
    begin(conn, NULL, output);
    int result = conn->done ? SSL_write_ex(conn->ssl, data, bytes, &n)
                            : SSL_write_early_data(conn->ssl, data, bytes, &n);
    if (result == 1 && n == bytes) return SK_OK;
    sk_err err = finish(conn, result);
    return err == SK_ERR_AGAIN ? SK_ERR_TLS : err; /* nothing can be awaited here */
}

void wire_tls_conn_close_notify(struct wire_tls_conn *conn, struct sk_buf *output) {
    if (!conn->ssl) {
        wire_tls_record_close_notify(&conn->record, output);
        return;
    }
    if (!conn->done) return;
    begin(conn, NULL, output);
    (void)SSL_shutdown(conn->ssl);
    ERR_clear_error();
}

const char *wire_tls_conn_error(const struct wire_tls_conn *conn) {
    return conn->ssl ? conn->error : conn->record.error;
}
