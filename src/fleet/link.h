/* TLS between a node's socket and what it reads and writes, as a layer (io/layer.h). The context says who may be at
 * the other end (identity.h). Own thread. */
#ifndef SK_FLEET_LINK_H
#define SK_FLEET_LINK_H

#include <openssl/types.h>

#include "fleet/id.h"
#include "io/layer.h"

struct fleet_link;

enum fleet_link_side { FLEET_LINK_CLIENT, FLEET_LINK_SERVER };

/* CONTEXT is counted by the link; FD stays its owner's. SK_ERR_NO_MEMORY. */
sk_err fleet_link_create(SSL_CTX *context, enum fleet_link_side side, int fd, struct fleet_link **out_link);
/* Before the handshake, as a client: the certificate must be of HOST, a name or an IP, which is sent as SNI if it is a
 * name. SK_ERR_INVALID, SK_ERR_NO_MEMORY. */
sk_err fleet_link_expect(struct fleet_link *link, sk_str host);
/* The layer, which frees the link with itself. */
struct io_layer *fleet_link_layer(struct fleet_link *link);
/* Before any byte. SK_OK: done; SK_ERR_AGAIN: when the socket is readable, or writable if *OUT_WRITE; SK_ERR_TLS,
 * SK_ERR_TLS_CERTIFICATE, SK_ERR_CLOSED. */
sk_err fleet_link_handshake(struct fleet_link *link, bool *out_write);
/* Who is there: fleet_caller_of. */
sk_err fleet_link_caller(struct fleet_link *link, struct fleet_caller *out_caller);

#endif
