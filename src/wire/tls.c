#include "wire/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#define CONTEXT_MAGIC 0x746c7363u
#define TLS_MAGIC 0x746c7331u
#define HOST_MAX 255
#define NAME_MAX_BYTES 255

/* A '*' marks what comes with a key share; others cost a second round trip when the peer wants them. */
#define MORE_HYBRID "?SecP256r1MLKEM768:?SecP384r1MLKEM1024"
#define MORE_CLASSICAL "secp256r1:secp384r1"
static const char *const groups[] = {
    [WIRE_TLS_PQ_OFF] = WIRE_TLS_CLASSICAL,
    [WIRE_TLS_PQ_OFFER] = "?*X25519MLKEM768:*X25519:" MORE_HYBRID ":" MORE_CLASSICAL,
    [WIRE_TLS_PQ_PREFER] = "?*X25519MLKEM768:" MORE_HYBRID ":" WIRE_TLS_CLASSICAL,
    [WIRE_TLS_PQ_REQUIRE] = "?*X25519MLKEM768:" MORE_HYBRID,
    [WIRE_TLS_PQ_ADVERTISE] = WIRE_TLS_HYBRID ":*X25519:" MORE_CLASSICAL,
};

struct wire_tls_context {
    uint32_t magic;
    SSL_CTX *ssl;
    bool verify, require_pq;
};

struct wire_tls {
    uint32_t magic;
    SSL *ssl;
    BIO *from_peer, *to_peer; /* owned by ssl */
    SSL_SESSION *session;     /* the newest offered by the peer, not yet taken */
    const char *error;
    char *uri; /* that the certificate must carry; NULL: none */
    bool verify, require_pq;
};

/* --- contexts -------------------------------------------------------------------------------------- */

/* The peer gave a session: kept with its connection until somebody takes it. Returning 1 keeps the
 * reference that the library counted for us. */
static int keep_session(SSL *ssl, SSL_SESSION *session) {
    struct wire_tls *tls = SSL_get_app_data(ssl);
    SSL_SESSION_free(tls->session);
    tls->session = session;
    return 1;
}

static bool load_authorities(SSL_CTX *ssl, const char *ca_file) {
    if (!ca_file) return SSL_CTX_set_default_verify_paths(ssl) == 1;
    /* Whoever pins a file means its certificates, also when one of them is an intermediate or the
     * server's own. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl), X509_V_FLAG_PARTIAL_CHAIN);
    return SSL_CTX_load_verify_file(ssl, ca_file) == 1;
}

static const struct {
    const char *text;
    unsigned bytes;
} offers[] = {
    [WIRE_TLS_HTTP_1] = {"\x08http/1.1", 9},
    [WIRE_TLS_HTTP_2] = {"\x02h2", 3},
    [WIRE_TLS_HTTP_1_AND_2] = {"\x02h2\x08http/1.1", 12},
};

static bool set_up_client(SSL_CTX *ssl, enum wire_tls_pq pq) {
    int lowest = pq == WIRE_TLS_PQ_REQUIRE ? TLS1_3_VERSION : TLS1_2_VERSION;
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ssl, keep_session);
    return SSL_CTX_set_min_proto_version(ssl, lowest) == 1 &&
           SSL_CTX_set1_groups_list(ssl, groups[pq]) == 1 &&
           SSL_CTX_set_cipher_list(ssl, WIRE_TLS_CIPHERS_1_2) == 1 &&
           SSL_CTX_set_ciphersuites(ssl, WIRE_TLS_CIPHERS_1_3) == 1 &&
           SSL_CTX_set_alpn_protos(ssl, (const unsigned char *)offers[WIRE_TLS_HTTP_1].text,
                                   offers[WIRE_TLS_HTTP_1].bytes) == 0;
}

static bool load_own(SSL_CTX *ssl, const struct wire_tls_client_options *options) {
    if (!options->cert_file) return true;
    return SSL_CTX_use_certificate_chain_file(ssl, options->cert_file) == 1 &&
           SSL_CTX_use_PrivateKey_file(ssl, options->key_file, SSL_FILETYPE_PEM) == 1 &&
           SSL_CTX_check_private_key(ssl) == 1;
}

sk_err wire_tls_client_context(const struct wire_tls_client_options *options,
                               struct wire_tls_context **out_context) {
    struct wire_tls_context *context = calloc(1, sizeof *context);
    if (!context) return SK_ERR_NO_MEMORY;
    ERR_clear_error();
    *context = (struct wire_tls_context){CONTEXT_MAGIC, SSL_CTX_new(TLS_client_method()), options->verify,
                                         options->pq == WIRE_TLS_PQ_REQUIRE};
    if (!context->ssl || !set_up_client(context->ssl, options->pq)) {
        wire_tls_context_free(context);
        return SK_ERR_NO_MEMORY;
    }
    if ((options->verify && !load_authorities(context->ssl, options->ca_file)) ||
        !load_own(context->ssl, options)) {
        ERR_clear_error();
        wire_tls_context_free(context);
        return SK_ERR_INVALID;
    }
    SSL_CTX_set_verify(context->ssl, options->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    *out_context = context;
    return SK_OK;
}

void wire_tls_context_free(struct wire_tls_context *context) {
    if (!context) return;
    SK_CHECK_MAGIC(context, CONTEXT_MAGIC);
    SSL_CTX_free(context->ssl);
    context->magic = 0;
    free(context);
}

/* --- one connection -------------------------------------------------------------------------------- */

/* HOST as a C string without the brackets of an IPv6 address and without a trailing dot, which neither
 * SNI (RFC 6066 section 3) nor a certificate has. False when it cannot be a host. */
static bool plain_host(sk_str host, char out[HOST_MAX + 1]) {
    if (host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']')
        host = sk_str_slice(host, 1, host.len - 1);
    if (host.len && host.data[host.len - 1] == '.') host.len--;
    if (host.len == 0 || host.len > HOST_MAX || memchr(host.data, 0, host.len)) return false;
    memcpy(out, host.data, host.len);
    out[host.len] = 0;
    return true;
}

static bool is_ip(const char *host) {
    unsigned char ip[16];
    return inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1;
}

static bool expect_host(struct wire_tls *tls, const char *host) {
    X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
    if (is_ip(host)) return !tls->verify || X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    if (SSL_set_tlsext_host_name(tls->ssl, host) != 1) return false;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return !tls->verify || X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

static bool attach_buffers(struct wire_tls *tls) {
    tls->from_peer = BIO_new(BIO_s_mem());
    tls->to_peer = BIO_new(BIO_s_mem());
    if (!tls->from_peer || !tls->to_peer) {
        BIO_free(tls->from_peer);
        BIO_free(tls->to_peer);
        return false;
    }
    BIO_set_mem_eof_return(tls->from_peer, -1); /* empty means "come again", not the end */
    BIO_set_mem_eof_return(tls->to_peer, -1);
    SSL_set_bio(tls->ssl, tls->from_peer, tls->to_peer);
    return true;
}

sk_err wire_tls_client(struct wire_tls_context *context, sk_str host, struct wire_tls **out_tls) {
    SK_CHECK_MAGIC(context, CONTEXT_MAGIC);
    char name[HOST_MAX + 1];
    if (!plain_host(host, name)) return SK_ERR_INVALID;
    struct wire_tls *tls = calloc(1, sizeof *tls);
    if (!tls) return SK_ERR_NO_MEMORY;
    *tls = (struct wire_tls){
        .magic = TLS_MAGIC, .error = "", .verify = context->verify, .require_pq = context->require_pq};
    tls->ssl = SSL_new(context->ssl);
    if (!tls->ssl || !attach_buffers(tls) || !expect_host(tls, name)) {
        wire_tls_free(tls);
        return SK_ERR_NO_MEMORY;
    }
    SSL_set_app_data(tls->ssl, tls);
    SSL_set_connect_state(tls->ssl);
    *out_tls = tls;
    return SK_OK;
}

sk_err wire_tls_expect(struct wire_tls *tls, sk_str name) {
    char text[NAME_MAX_BYTES + 1];
    if (!tls->verify) return SK_OK;
    if (!name.len || name.len > NAME_MAX_BYTES || memchr(name.data, 0, name.len)) return SK_ERR_INVALID;
    memcpy(text, name.data, name.len);
    text[name.len] = 0;
    X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
    bool uri = strstr(text, "://") != NULL;
    /* Either all names but this one are forgotten, or all of them: then it is looked for afterwards. */
    if (X509_VERIFY_PARAM_set1_ip(param, NULL, 0) != 1 ||
        X509_VERIFY_PARAM_set1_host(param, uri ? NULL : text, 0) != 1)
        return SK_ERR_NO_MEMORY;
    free(tls->uri);
    tls->uri = uri ? strdup(text) : NULL;
    return uri && !tls->uri ? SK_ERR_NO_MEMORY : SK_OK;
}

sk_err wire_tls_offer_protocols(struct wire_tls *tls, enum wire_tls_protocols protocols) {
    int result =
        SSL_set_alpn_protos(tls->ssl, (const unsigned char *)offers[protocols].text, offers[protocols].bytes);
    return result == 0 ? SK_OK : SK_ERR_NO_MEMORY;
}

void wire_tls_free(struct wire_tls *tls) {
    if (!tls) return;
    SK_CHECK_MAGIC(tls, TLS_MAGIC);
    /* Without this the library would call a session bad because its connection ended without a
     * close_notify, which happens at every turn. */
    if (tls->ssl) SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN);
    SSL_free(tls->ssl);
    SSL_SESSION_free(tls->session);
    free(tls->uri);
    tls->magic = 0;
    free(tls);
}

/* --- sessions: struct wire_tls_session is the library's SSL_SESSION under another name --------------- */

void wire_tls_offer(struct wire_tls *tls, const struct wire_tls_session *session) {
    /* A session that the library refuses only costs a full handshake. */
    if (session) (void)SSL_set_session(tls->ssl, (SSL_SESSION *)session);
}

struct wire_tls_session *wire_tls_take_session(struct wire_tls *tls) {
    SSL_SESSION *session = tls->session;
    tls->session = NULL;
    if (session && !SSL_SESSION_is_resumable(session)) {
        SSL_SESSION_free(session);
        session = NULL;
    }
    return (struct wire_tls_session *)session;
}

void wire_tls_session_free(struct wire_tls_session *session) { SSL_SESSION_free((SSL_SESSION *)session); }

void wire_tls_facts(const struct wire_tls *tls, struct wire_tls_facts *out_facts) {
    wire_tls_facts_of(tls->ssl, out_facts);
}

bool wire_tls_resumed(const struct wire_tls *tls) { return SSL_session_reused(tls->ssl) == 1; }

/* --- bytes ------------------------------------------------------------------------------------------ */

static sk_err fail(struct wire_tls *tls, const char *text) {
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    tls->error = reason ? reason : text;
    ERR_clear_error();
    return SK_ERR_TLS;
}

sk_err wire_tls_feed(struct wire_tls *tls, const char *data, size_t bytes) {
    while (bytes) {
        int n = BIO_write(tls->from_peer, data, (int)SK_MIN(bytes, (size_t)1 << 30));
        if (n <= 0) return SK_ERR_NO_MEMORY;
        data += n;
        bytes -= (size_t)n;
    }
    return SK_OK;
}

size_t wire_tls_drain(struct wire_tls *tls, char *data, size_t capacity) {
    int n = BIO_read(tls->to_peer, data, (int)SK_MIN(capacity, (size_t)1 << 30));
    return n > 0 ? (size_t)n : 0;
}

static bool carries_uri(const X509 *certificate, const char *uri) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI) continue;
        const ASN1_IA5STRING *text = name->d.uniformResourceIdentifier;
        found = (size_t)ASN1_STRING_length(text) == strlen(uri) &&
                memcmp(ASN1_STRING_get0_data(text), uri, strlen(uri)) == 0;
    }
    GENERAL_NAMES_free(names);
    return found;
}

/* The library's part is done. A resumed session was checked when it began. */
static sk_err check_peer(struct wire_tls *tls) {
    const X509 *certificate = tls->uri ? SSL_get0_peer_certificate(tls->ssl) : NULL;
    if (!tls->uri || (!certificate && wire_tls_resumed(tls))) return SK_OK;
    if (certificate && carries_uri(certificate, tls->uri)) return SK_OK;
    tls->error = "the certificate does not carry the expected URI";
    return SK_ERR_TLS_CERTIFICATE;
}

/* What a peer without a hybrid group makes of a ClientHello that has no other (RFC 8446 4.1.1), or one without
 * TLS 1.3. */
static bool lacks_group(unsigned long code) {
    if (ERR_GET_LIB(code) != ERR_LIB_SSL) return false;
    switch (ERR_GET_REASON(code)) {
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV13_ALERT_MISSING_EXTENSION: return true;
    default: return false;
    }
}

static sk_err failed_handshake(struct wire_tls *tls) {
    bool no_pq = tls->require_pq && lacks_group(ERR_peek_last_error());
    sk_err err = fail(tls, "handshake failed");
    if (no_pq) tls->error = "no post-quantum key exchange, which `pq: require` asks for";
    return err;
}

sk_err wire_tls_handshake(struct wire_tls *tls) {
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1) return check_peer(tls);
    if (SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_READ) return SK_ERR_AGAIN;
    long verdict = SSL_get_verify_result(tls->ssl);
    if (!tls->verify || verdict == X509_V_OK) return failed_handshake(tls);
    tls->error = X509_verify_cert_error_string(verdict);
    ERR_clear_error();
    return SK_ERR_TLS_CERTIFICATE;
}

sk_err wire_tls_read(struct wire_tls *tls, char *data, size_t bytes, size_t *out_n) {
    ERR_clear_error();
    size_t n;
    int result = SSL_read_ex(tls->ssl, data, bytes, &n);
    if (result == 1) {
        *out_n = n;
        return SK_OK;
    }
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ: return SK_ERR_AGAIN;
    case SSL_ERROR_ZERO_RETURN: return SK_ERR_END;
    default: return fail(tls, "malformed record");
    }
}

sk_err wire_tls_write(struct wire_tls *tls, const char *data, size_t bytes) {
    ERR_clear_error();
    size_t n;
    if (bytes == 0 || (SSL_write_ex(tls->ssl, data, bytes, &n) == 1 && n == bytes)) return SK_OK;
    return fail(tls, "cannot encrypt");
}

void wire_tls_close_notify(struct wire_tls *tls) {
    ERR_clear_error();
    (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

const char *wire_tls_error(const struct wire_tls *tls) { return tls->error; }

const char *wire_tls_group(const struct wire_tls *tls) {
    const char *name = SSL_get0_group_name(tls->ssl);
    return name ? name : "none";
}

const char *wire_tls_version(const struct wire_tls *tls) { return SSL_get_version(tls->ssl); }
