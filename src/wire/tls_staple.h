/* The response of OCSP that is shown beside a certificate (RFC 6066 section 8; RFC 8446 section 4.4.2.1); private to
 * src/wire. The certificate's store is shared by all threads and does not change, but this does: so it has a lock. */
#ifndef SK_WIRE_TLS_STAPLE_H
#define SK_WIRE_TLS_STAPLE_H

#include <openssl/ssl.h>
#include <pthread.h>

#include "base/str.h"
#include "base/time.h"

struct wire_tls_staple {
    pthread_mutex_t lock; /* protects what follows; held for a copy of the response */
    char *response;       /* NULL: none */
    size_t bytes;
    sk_unix_s until;
};

/* STAPLE is for LEAF, which lives as long as any connection that shows it does, and STAPLE with it. SK_ERR_NO_MEMORY. */
sk_err wire_tls_staple_init(struct wire_tls_staple *staple, X509 *leaf);
void wire_tls_staple_free(struct wire_tls_staple *staple);
/* As wire_tls_store_staple. */
sk_err wire_tls_staple_set(struct wire_tls_staple *staple, sk_str response, sk_unix_s until);
/* As SSL_CTX_set_tlsext_status_cb wants it: the response for the certificate that was chosen. */
int wire_tls_staple_on_status(SSL *ssl, void *arg);

#endif
