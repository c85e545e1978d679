/* What the sources of wire/tls_server share: tls_server.c makes a policy and its contexts of the library, tls_conn.c has the
 * connections. Nobody else includes it. */
#ifndef SK_WIRE_TLS_SERVER_INTERNAL_H
#define SK_WIRE_TLS_SERVER_INTERNAL_H

#include <openssl/ssl.h>

#include "wire/tls_server.h"
#include "wire/tls_tickets.h"

#define WIRE_TLS_SERVER_MAGIC 0x746c7376u

struct wire_tls_server {
    _Atomic uint32_t references; /* any thread */
    /* set once at creation */
    uint32_t magic;
    SSL_CTX *ssl;
    SSL_CTX *quic; /* NULL: none */
    struct wire_tls_store *store;
    struct wire_tls_tickets *tickets;
    enum wire_tls_sharing sharing;
    bool http2;
    bool early_data;
    bool for_nodes;
};

/* tls_conn.c: before the first connection is made. False: out of memory. Any thread, as often as one likes. */
bool wire_tls_conn_prepare(void);
/* From now on the library tells SSL's connections of secrets, records and key updates. */
void wire_tls_conn_watch(SSL_CTX *ssl);

#endif
