/* What wire/quic needs of a TLS server; private to src/wire. */
#ifndef SK_WIRE_TLS_QUIC_H
#define SK_WIRE_TLS_QUIC_H

#include <openssl/ssl.h>

#include "wire/tls_server.h"

/* A connection of SERVER for QUIC (TLS 1.3, ALPN h3, RFC 9114 section 3.1), in accept state, without records.
 * Nothing holds a reference to SERVER: the caller does. NULL: it was not made with http3, or out of memory. */
SSL *wire_tls_server_quic(struct wire_tls_server *server);
/* Whether its connections accept early data. */
bool wire_tls_server_early_data(const struct wire_tls_server *server);

#endif
