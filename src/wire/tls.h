/* TLS as a sans-I/O engine over OpenSSL memory buffers: ciphertext in and out, plaintext in and out. Own
 * thread; a context may be shared by threads once it is set up. */
#ifndef SK_WIRE_TLS_H
#define SK_WIRE_TLS_H

#include "base/buf.h"

struct wire_tls_context;
struct wire_tls;

struct wire_tls_client_options {
    const char *ca_file; /* PEM; NULL: the system's store */
    bool verify;
};
/* TLS 1.2 and 1.3, groups X25519MLKEM768 first, ALPN http/1.1. SK_ERR_INVALID (CA file), SK_ERR_NO_MEMORY. */
sk_err wire_tls_client_context(const struct wire_tls_client_options *options,
                               struct wire_tls_context **out_context);
void wire_tls_context_free(struct wire_tls_context *context);

/* HOST is verified against the certificate and sent as SNI (an IP address is verified, not sent). */
sk_err wire_tls_client(struct wire_tls_context *context, sk_str host, struct wire_tls **out_tls);
void wire_tls_free(struct wire_tls *tls);

/* A session that the peer offered for resumption; opaque, one owner. */
struct wire_tls_session;
/* Before the handshake: offers SESSION (borrowed) for resumption. Only one that came from the same context
 * and HOST, because a resumed handshake shows no certificate. */
void wire_tls_offer(struct wire_tls *tls, const struct wire_tls_session *session);
/* The newest session the peer gave since the last call, or NULL. The caller frees it. With TLS 1.3 it comes
 * after the handshake, with the first bytes read. */
struct wire_tls_session *wire_tls_take_session(struct wire_tls *tls);
void wire_tls_session_free(struct wire_tls_session *session);
/* After the handshake: true when it was abbreviated by an offered session. */
bool wire_tls_resumed(const struct wire_tls *tls);

/* Ciphertext from the peer; takes all (kept inside) or SK_ERR_NO_MEMORY. */
sk_err wire_tls_feed(struct wire_tls *tls, const char *data, size_t bytes);
/* Ciphertext for the peer; 0 bytes when there is none. */
size_t wire_tls_drain(struct wire_tls *tls, char *data, size_t capacity);
/* SK_OK when done, SK_ERR_AGAIN (drain, then feed), SK_ERR_TLS, SK_ERR_TLS_CERTIFICATE. */
sk_err wire_tls_handshake(struct wire_tls *tls);
/* SK_ERR_AGAIN, SK_ERR_END (close_notify), SK_ERR_TLS. An end of the connection without SK_ERR_END before
 * it is a truncation (RFC 8446 6.1): only the caller, who sees the socket, can tell. */
sk_err wire_tls_read(struct wire_tls *tls, char *data, size_t bytes, size_t *out_n);
/* Takes all BYTES (drain afterwards, so offer a bounded piece). SK_ERR_TLS. */
sk_err wire_tls_write(struct wire_tls *tls, const char *data, size_t bytes);
void wire_tls_close_notify(struct wire_tls *tls);
/* Why the last call failed: constant text, never NULL. */
const char *wire_tls_error(const struct wire_tls *tls);
/* Name of the negotiated group and version, e.g. "X25519MLKEM768", "TLSv1.3". */
const char *wire_tls_group(const struct wire_tls *tls);
const char *wire_tls_version(const struct wire_tls *tls);

#endif
