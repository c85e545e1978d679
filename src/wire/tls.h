/* TLS as a sans-I/O engine over OpenSSL memory buffers: ciphertext in and out, plaintext in and out. Own
 * thread; a context may be shared by threads once it is set up. */
#ifndef SK_WIRE_TLS_H
#define SK_WIRE_TLS_H

#include "base/buf.h"
#include "wire/tls_common.h"

struct wire_tls_context;
struct wire_tls;

struct wire_tls_client_options {
    const char *ca_file; /* PEM; NULL: the system's store */
    bool verify;
    enum wire_tls_pq pq;
    const char *cert_file, *key_file; /* PEM, our own to show when asked for one; NULL: none */
};
/* TLS 1.2 and 1.3 (1.3 alone where PQ requires it). SK_ERR_INVALID (a file), SK_ERR_NO_MEMORY. */
sk_err wire_tls_client_context(const struct wire_tls_client_options *options,
                               struct wire_tls_context **out_context);
void wire_tls_context_free(struct wire_tls_context *context);

/* HOST is verified against the certificate and sent as SNI (an IP address is verified, not sent). */
sk_err wire_tls_client(struct wire_tls_context *context, sk_str host, struct wire_tls **out_tls);
void wire_tls_free(struct wire_tls *tls);
/* Before the handshake: the certificate must carry NAME instead of the host: a DNS name, or with "://" in it a
 * URI (an id of SPIFFE), compared byte by byte. SNI stays the host. Nothing when the context does not verify.
 * SK_ERR_INVALID, SK_ERR_NO_MEMORY. */
sk_err wire_tls_expect(struct wire_tls *tls, sk_str name);
/* Before the handshake: what is offered by ALPN (RFC 7301), http/1.1 if this is not called. SK_ERR_NO_MEMORY. */
enum wire_tls_protocols { WIRE_TLS_HTTP_1, WIRE_TLS_HTTP_2, WIRE_TLS_HTTP_1_AND_2 };
sk_err wire_tls_offer_protocols(struct wire_tls *tls, enum wire_tls_protocols protocols);

/* A session that the peer offered for resumption; opaque, one owner. */
struct wire_tls_session;
/* Before the handshake: offers SESSION (borrowed) for resumption. Only one that came from the same context
 * and HOST, because a resumed handshake shows no certificate. */
void wire_tls_offer(struct wire_tls *tls, const struct wire_tls_session *session);
/* The newest session the peer gave since the last call, or NULL. The caller frees it. With TLS 1.3 it comes
 * after the handshake, with the first bytes read. */
struct wire_tls_session *wire_tls_take_session(struct wire_tls *tls);
void wire_tls_session_free(struct wire_tls_session *session);
/* After the handshake. */
void wire_tls_facts(const struct wire_tls *tls, struct wire_tls_facts *out_facts);
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
