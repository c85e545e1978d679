/* The callback of tls_server.c into the ticket keys; private to src/wire. */
#ifndef SK_WIRE_TLS_TICKETS_H
#define SK_WIRE_TLS_TICKETS_H

#include <openssl/ssl.h>

#include "wire/tls_server.h"

/* As SSL_CTX_set_tlsext_ticket_key_evp_cb wants it; the context's app data is its struct wire_tls_tickets. */
int wire_tls_tickets_on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                               EVP_MAC_CTX *mac, int encrypt);
/* As SSL_CTX_set_allow_early_data_cb wants it, with the struct wire_tls_tickets as its argument: 1 for what was not here
 * before (wire/tls_early.h). */
int wire_tls_tickets_on_early(SSL *ssl, void *tickets);

#endif
