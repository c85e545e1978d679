#include "fleet/link.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "fleet/identity.h"

struct fleet_link {
    struct io_layer layer;
    SSL *tls;
};

static struct fleet_link *link_of(struct io_layer *layer) {
    return SK_CONTAINER_OF(layer, struct fleet_link, layer);
}

static sk_err failure(struct fleet_link *link, int result) {
    int why = SSL_get_error(link->tls, result);
    bool certificate = SSL_get_verify_result(link->tls) != X509_V_OK;
    ERR_clear_error();
    switch (why) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return SK_ERR_AGAIN;
    case SSL_ERROR_ZERO_RETURN: return SK_ERR_END;
    case SSL_ERROR_SYSCALL: return SK_ERR_CLOSED; /* cut off without a word (RFC 8446 6.1) */
    default: return certificate ? SK_ERR_TLS_CERTIFICATE : SK_ERR_TLS;
    }
}

/* --- the layer ----------------------------------------------------------------------------------------------- */

static sk_err layer_recv(struct io_layer *layer, int fd, void *data, size_t bytes, size_t *out_n) {
    struct fleet_link *link = link_of(layer);
    ERR_clear_error();
    int result = SSL_read_ex(link->tls, data, bytes, out_n);
    sk_err err = result == 1 ? SK_OK : failure(link, result);
    layer->drained = err == SK_ERR_AGAIN;
    return err;
}

/* What was offered and not taken is offered again first, as the layer's contract says: so the library's own rule for
 * repeated writes holds. */
static sk_err layer_sendv(struct io_layer *layer, int fd, const struct iovec *iov, int count, bool more,
                          size_t *out_n) {
    struct fleet_link *link = link_of(layer);
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        for (size_t at = 0; at < iov[i].iov_len;) {
            size_t n = 0;
            ERR_clear_error();
            int result = SSL_write_ex(link->tls, (const char *)iov[i].iov_base + at, iov[i].iov_len - at, &n);
            if (result != 1) {
                sk_err err = failure(link, result);
                if (total && err == SK_ERR_AGAIN) *out_n = total;
                return total && err == SK_ERR_AGAIN ? SK_OK : err;
            }
            at += n;
            total += n;
        }
    }
    *out_n = total;
    return SK_OK;
}

static void layer_flush(struct io_layer *layer, int fd) {} /* the library keeps nothing back */

static void layer_finish(struct io_layer *layer, int fd) {
    (void)SSL_shutdown(link_of(layer)->tls);
    ERR_clear_error();
}

static void layer_free(struct io_layer *layer) {
    struct fleet_link *link = link_of(layer);
    layer_finish(layer, -1);
    SSL_free(link->tls);
    free(link);
}

static const struct io_layer_ops ops = {layer_recv, layer_sendv, layer_flush, layer_finish, layer_free};

/* --- the beginning ------------------------------------------------------------------------------------------- */

sk_err fleet_link_create(SSL_CTX *context, enum fleet_link_side side, int fd, struct fleet_link **out_link) {
    struct fleet_link *link = calloc(1, sizeof *link);
    if (!link) return SK_ERR_NO_MEMORY;
    link->layer.ops = &ops;
    link->tls = SSL_new(context);
    if (!link->tls || SSL_set_fd(link->tls, fd) != 1) {
        SSL_free(link->tls);
        free(link);
        ERR_clear_error();
        return SK_ERR_NO_MEMORY;
    }
    if (side == FLEET_LINK_CLIENT)
        SSL_set_connect_state(link->tls);
    else
        SSL_set_accept_state(link->tls);
    *out_link = link;
    return SK_OK;
}

sk_err fleet_link_expect(struct fleet_link *link, sk_str host) {
    char text[256];
    if (!host.len || host.len >= sizeof text) return SK_ERR_INVALID;
    memcpy(text, host.data, host.len);
    text[host.len] = 0;
    X509_VERIFY_PARAM *expected = SSL_get0_param(link->tls);
    if (X509_VERIFY_PARAM_set1_ip_asc(expected, text) == 1) return SK_OK;
    ERR_clear_error();
    bool set = SSL_set1_host(link->tls, text) == 1 && SSL_set_tlsext_host_name(link->tls, text) == 1;
    return set ? SK_OK : SK_ERR_NO_MEMORY;
}

struct io_layer *fleet_link_layer(struct fleet_link *link) { return &link->layer; }

sk_err fleet_link_handshake(struct fleet_link *link, bool *out_write) {
    ERR_clear_error();
    int result = SSL_do_handshake(link->tls);
    if (result == 1) return SK_OK;
    *out_write = SSL_want_write(link->tls);
    return failure(link, result);
}

sk_err fleet_link_caller(struct fleet_link *link, struct fleet_caller *out_caller) {
    return fleet_caller_of(link->tls, out_caller);
}
