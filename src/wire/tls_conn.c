/* The connections of wire/tls_server: ciphertext through the library until the handshake is over, then mostly by
 * wire/tls_record. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

#include "wire/tls_record.h"
#include "wire/tls_server.h"
#include "wire/tls_server_internal.h"

#define CONN_MAGIC 0x746c7363u
/* Nobody needs so many on one connection (RFC 8446 4.6.3); each costs us an answer. */
#define KEY_UPDATES_MAX 64

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

bool wire_tls_conn_prepare(void) {
    call_once(&method_once, make_method);
    return method != NULL;
}

/* --- what the library tells ----------------------------------------------------------------------------- */

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
    const char *blank = strrchr(text, ' ');
    sk_str digits = sk_str_from_c(blank ? blank + 1 : NULL);
    return digits.len && digits.len <= 2 * WIRE_TLS_SECRET_BYTES &&
           sk_str_hex_to_bytes(digits, secret, digits.len / 2) == SK_OK;
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

void wire_tls_conn_watch(SSL_CTX *ssl) {
    SSL_CTX_set_msg_callback(ssl, note_message);
    SSL_CTX_set_keylog_callback(ssl, note_secret);
}

/* --- life ----------------------------------------------------------------------------------------------- */

sk_err wire_tls_accept(struct wire_tls_server *server, struct wire_tls_conn **out_conn) {
    SK_CHECK_MAGIC(server, WIRE_TLS_SERVER_MAGIC);
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

/* --- calls of the library ------------------------------------------------------------------------------- */

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

/* --- the handshake -------------------------------------------------------------------------------------- */

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

/* --- plaintext ------------------------------------------------------------------------------------------ */

/* A failure of the handshake behind it is told at the next call. */
static sk_err read_early(struct wire_tls_conn *conn, char *data, size_t bytes, size_t *out_n) {
    sk_str early = sk_buf_str(&conn->early);
    *out_n = SK_MIN(bytes, early.len);
    memcpy(data, early.data, *out_n);
    sk_buf_consume(&conn->early, *out_n);
    if (!sk_buf_len(&conn->early)) sk_buf_shrink(&conn->early);
    return SK_OK;
}

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