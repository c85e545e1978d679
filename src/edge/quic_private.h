/* What edge/quic.c and edge/quic_socket.c share. Nobody else includes it. Own thread. */
#ifndef SK_EDGE_QUIC_PRIVATE_H
#define SK_EDGE_QUIC_PRIVATE_H

#include "edge/quic.h"

/* quic.c: DATAGRAM goes to whose it is. HANDED_OVER: by another thread, so it goes no further. True: a connection began
 * with it, which costs as much as hundreds of datagrams do. */
bool quic_take(struct edge_quic_socket *socket, const struct io_train *train, sk_str datagram,
               bool handed_over);
/* Connections that have received serve and send. */
void quic_run_touched(struct edge_quic *quic);

/* quic_socket.c: frees SOCKET, at once or when its task has run. */
void quic_socket_close(struct edge_quic_socket *socket);

#endif
