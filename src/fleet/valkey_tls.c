#include "fleet/valkey_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/log.h"
#include "fleet/deep.h"
#include "fleet/link.h"

/* Those with a hybrid first; a server that knows none of them may have an old one. */
#define GROUPS "X25519MLKEM768:SecP256r1MLKEM768:X25519:P-256:P-384"

/* Paths end with NUL (fleet_valkey_create). */
static sk_err use_files(SSL_CTX *context, const struct fleet_valkey_where *where) {
    const char *bad = NULL;
    if (where->ca.len ? SSL_CTX_load_verify_file(context, where->ca.data) != 1
                      : SSL_CTX_set_default_verify_paths(context) != 1)
        bad = where->ca.len ? where->ca.data : "the system's authorities";
    else if (where->cert.len && SSL_CTX_use_certificate_chain_file(context, where->cert.data) != 1)
        bad = where->cert.data;
    else if (where->key.len &&
             (SSL_CTX_use_PrivateKey_file(context, where->key.data, SSL_FILETYPE_PEM) != 1 ||
              SSL_CTX_check_private_key(context) != 1))
        bad = where->key.data;
    if (!bad) return SK_OK;
    SK_LOG_LIMITED(SK_LOG_ERROR, "valkey", "%s cannot be used for TLS: %s", bad,
                   ERR_reason_error_string(ERR_peek_last_error()));
    ERR_clear_error();
    return SK_ERR_INVALID;
}

sk_err fleet_valkey_context(const struct fleet_valkey_where *where, SSL_CTX **out_context) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context) return SK_ERR_NO_MEMORY;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_AUTO_RETRY);
    bool set = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
               SSL_CTX_set1_groups_list(context, GROUPS) == 1;
    sk_err err = set ? use_files(context, where) : SK_ERR_NO_MEMORY;
    if (err)
        SSL_CTX_free(context);
    else
        *out_context = context;
    return err;
}

struct securing {
    const struct fleet_valkey_where *where;
    struct fleet_link *link; /* NULL before the first step */
    int fd;
    bool write;
};

static sk_err begin(struct securing *securing) {
    SSL_CTX *context;
    sk_err err = fleet_valkey_context(securing->where, &context);
    if (err) return err;
    err = fleet_link_create(context, FLEET_LINK_CLIENT, securing->fd, &securing->link);
    SSL_CTX_free(context); /* the link counts it */
    return err ? err : fleet_link_expect(securing->link, securing->where->host);
}

static sk_err step_now(void *arg) {
    struct securing *securing = arg;
    sk_err err = securing->link ? SK_OK : begin(securing);
    return err ? err : fleet_link_handshake(securing->link, &securing->write);
}

sk_err fleet_valkey_secure(const struct fleet_valkey_where *where, struct io_stream *stream,
                           sk_time_ns deadline) {
    struct securing securing = {.where = where, .fd = io_stream_fd(stream)};
    sk_err err = SK_ERR_AGAIN;
    while (err == SK_ERR_AGAIN) {
        err = fleet_deeply(step_now, &securing);
        if (err != SK_ERR_AGAIN) break;
        sk_err waited = io_stream_wait(stream, !securing.write, securing.write, deadline);
        if (waited) err = waited;
    }
    /* It belongs to the stream also when it is of no use: closing the one frees the other. */
    if (securing.link) io_stream_set_layer(stream, fleet_link_layer(securing.link));
    return err;
}
