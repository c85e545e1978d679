#include "wire/tls_server.h"

#include <inttypes.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/tls_quic.h"
#include "wire/tls_server_internal.h"
#include "wire/tls_staple.h"

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

/* --- choices in a handshake ----------------------------------------------------------------------------- */

static int choose_certificate(SSL *ssl, void *arg) {
    const struct wire_tls_server *server = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    return wire_tls_store_use(server->store, sk_str_from_c(name ? name : ""), ssl);
}

/* Of MINE, in the order of our preference. RFC 7301 section 3.2: a client that speaks only what we do not is told so. */
static int choose_of(sk_str mine, const unsigned char **out, unsigned char *out_bytes,
                     const unsigned char *offered, unsigned bytes) {
    unsigned char *chosen;
    int found = SSL_select_next_proto(&chosen, out_bytes, (const unsigned char *)mine.data,
                                      (unsigned)mine.len, offered, bytes);
    if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
                           const unsigned char *offered, unsigned bytes, void *arg) {
    const struct wire_tls_server *server = arg;
    sk_str mine = server->http2 ? SK_STR("\x02h2\x08http/1.1") : SK_STR("\x08http/1.1");
    return choose_of(mine, out, out_bytes, offered, bytes);
}

/* Over QUIC nothing else is spoken, and a client that says nothing is refused too (RFC 9001 section 8.1). */
static int choose_h3(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
                     const unsigned char *offered, unsigned bytes, void *arg) {
    return choose_of(SK_STR("\x02h3"), out, out_bytes, offered, bytes);
}

static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int encrypt) {
    const struct wire_tls_server *server = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    return wire_tls_tickets_on_ticket(server->tickets, server->sharing, ssl, name, iv, cipher, mac, encrypt);
}

/* --- contexts of the library ---------------------------------------------------------------------------- */

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
    /* Each costs a twentieth of a handshake; who resumes gets the next one. */
    SSL_CTX_set_num_tickets(ssl, 1);
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
    SSL_CTX_set_app_data(ssl, server);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket);
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
    wire_tls_conn_watch(server->ssl);
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

/* --- servers -------------------------------------------------------------------------------------------- */

/* Where clients show certificates, a session says that this was looked at, by the authorities of this machine: no other
 * has to believe that. Tickets for early data are one node's, which sees each use of them (wire/tls_early.h). */
static enum wire_tls_sharing sharing_of(const struct wire_tls_server_options *options) {
    if (options->client_ca || options->node_cert) return WIRE_TLS_SHARES_NOTHING;
    return options->early_data ? WIRE_TLS_SHARES_OTHERS : WIRE_TLS_SHARES;
}

sk_err wire_tls_server_create(const struct wire_tls_server_options *options,
                              struct wire_tls_server **out_server) {
    SK_ASSERT((size_t)options->pq < SK_COUNT(groups));
    struct wire_tls_server *server = wire_tls_conn_prepare() ? calloc(1, sizeof *server) : NULL;
    if (!server) return SK_ERR_NO_MEMORY;
    ERR_clear_error();
    server->magic = WIRE_TLS_SERVER_MAGIC;
    server->references = 1;
    server->store = wire_tls_store_ref(options->store);
    server->tickets = wire_tls_tickets_ref(options->tickets);
    server->sharing = sharing_of(options);
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
    SK_CHECK_MAGIC(server, WIRE_TLS_SERVER_MAGIC);
    SSL_CTX_free(server->ssl);
    SSL_CTX_free(server->quic);
    wire_tls_store_unref(server->store);
    wire_tls_tickets_unref(server->tickets);
    server->magic = 0;
    free(server);
}

SSL *wire_tls_server_quic(struct wire_tls_server *server) {
    SK_CHECK_MAGIC(server, WIRE_TLS_SERVER_MAGIC);
    SSL *ssl = server->quic ? SSL_new(server->quic) : NULL;
    if (ssl) SSL_set_accept_state(ssl);
    return ssl;
}

bool wire_tls_server_early_data(const struct wire_tls_server *server) { return server->early_data; }
