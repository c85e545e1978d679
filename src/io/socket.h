/* Sockets: listening ones, accepting, and non-blocking reads and writes with typed results, for owners
 * that are driven by a watch (client connections). Fibers use io/stream.h instead. Own thread. */
#ifndef SK_IO_SOCKET_H
#define SK_IO_SOCKET_H

#include <sys/uio.h>

#include "io/addr.h"
#include "io/loop.h"

struct io_listen_options {
    bool reuse_port; /* one socket a thread on the same address */
    int backlog;     /* 0 means 4096 (the kernel caps it at net.core.somaxconn) */
    bool v6_only;
    unsigned unix_mode; /* permission bits of a unix socket; 0 means 0600 */
};

/* A bound, listening, non-blocking, close-on-exec stream socket. A stale unix socket file (nobody
 * answers) is replaced. SK_ERR_EXISTS (address in use), SK_ERR_DENIED, SK_ERR_INVALID, SK_ERR_IO. */
sk_err io_listen(const struct io_addr *addr, const struct io_listen_options *options, int *out_fd);
/* A bound, non-blocking, close-on-exec datagram socket with a large receive buffer, for answering from: on a wildcard
 * address each datagram tells which address it came to (IP_PKTINFO, IPV6_RECVPKTINFO); what is sent is never cut
 * into fragments, and no forged "too big" holds it back (RFC 9715). REUSE_PORT and V6_ONLY of OPTIONS count. Errors as io_listen. */
sk_err io_bind_datagram(const struct io_addr *addr, const struct io_listen_options *options, int *out_fd);
/* SK_ERR_AGAIN when none waits; SK_ERR_FULL when out of descriptors; SK_ERR_IO. The socket is
 * non-blocking, close-on-exec, TCP_NODELAY. */
sk_err io_accept(int listen_fd, int *out_fd, struct io_addr *out_peer);
/* Starts a non-blocking connect; the result shows at IO_WRITABLE by io_socket_error. What is known at
 * once is returned at once; SK_ERR_BUSY when a unix socket's backlog is full. */
sk_err io_connect_start(const struct io_addr *addr, int *out_fd);
sk_err io_socket_error(int fd);

/* SK_OK with *out_n > 0, SK_ERR_END at end of stream, SK_ERR_AGAIN, SK_ERR_RESET, SK_ERR_IO. */
sk_err io_recv(int fd, void *data, size_t bytes, size_t *out_n);
/* Writes as much as the socket takes; SK_OK even when partial, SK_ERR_AGAIN when nothing was taken,
 * SK_ERR_CLOSED/RESET. MORE sets MSG_MORE. No SIGPIPE. */
sk_err io_sendv(int fd, const struct iovec *iov, int count, bool more, size_t *out_n);
/* sendfile(2) from FILE_FD at OFFSET, results as io_sendv, and fewer than BYTES only when the socket is full or
 * broken; SK_ERR_UNSUPPORTED where it cannot, SK_ERR_END when the file ends before them. */
sk_err io_sendfile(int fd, int file_fd, uint64_t offset, size_t bytes, size_t *out_n);
/* Bytes written but not yet acknowledged by the peer (SIOCOUTQ); 0 on failure. */
size_t io_socket_unsent(int fd);
/* Half close of the write side, then close with a bounded linger so that the last answer (a 400, say)
 * reaches a peer that is still sending. Takes the fd. */
void io_socket_close_lingering(struct io_loop *loop, int fd, int64_t linger_ms);
/* Aborts: RST to the peer. Takes the fd. */
void io_socket_abort(int fd);
/* Local and remote address of a connected socket. */
sk_err io_socket_local_addr(int fd, struct io_addr *out_addr);
sk_err io_socket_peer_addr(int fd, struct io_addr *out_addr);

#endif
