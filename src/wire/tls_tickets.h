/* The callback of tls_server.c into the ticket keys; private to src/wire. */
#ifndef SK_WIRE_TLS_TICKETS_H
#define SK_WIRE_TLS_TICKETS_H

#include <openssl/ssl.h>

#include "wire/tls_server.h"

/* What a server's connections do with the keys that other nodes have too. */
enum wire_tls_sharing {
    WIRE_TLS_SHARES_NOTHING, /* they know none of them */
    WIRE_TLS_SHARES_OTHERS,  /* they take tickets of other nodes, and make their own under our own keys */
    WIRE_TLS_SHARES,         /* they take them and make them */
};

/* As SSL_CTX_set_tlsext_ticket_key_evp_cb wants it, for the connection's keys. */
int wire_tls_tickets_on_ticket(struct wire_tls_tickets *tickets, enum wire_tls_sharing sharing, SSL *ssl,
                               unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                               EVP_MAC_CTX *mac, int encrypt);
/* As SSL_CTX_set_allow_early_data_cb wants it, with the struct wire_tls_tickets as its argument: 1 for what was not here
 * before (wire/tls_early.h), and never with a ticket of a shared key. */
int wire_tls_tickets_on_early(SSL *ssl, void *tickets);

#endif
