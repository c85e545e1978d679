/* A client's connection from accept to the end of its TLS handshake, then handed to the protocol that was
 * agreed on. Owner thread only. */
#ifndef SK_EDGE_HANDSHAKE_H
#define SK_EDGE_HANDSHAKE_H

#include "edge/worker.h"
#include "wire/tls_server.h"

/* Takes FD. The caller has counted it in by edge_limits_enter. The handshake has the time of a request's
 * head. */
void edge_handshake_start(struct edge_worker *worker, int fd, const struct io_addr *peer,
                          struct wire_tls_server *server, uint16_t http3_port);

#endif
