#include "io/socket.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_BACKLOG 4096
#define DATAGRAM_BUFFER (4 * 1024 * 1024) /* the kernel caps it at net.core.rmem_max */
#define SOCKET_FLAGS (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
/* An accept that fails because its client is gone already is tried again, but not for ever. */
#define ACCEPT_TRIES 64

static sk_err last_error(void) { return sk_err_from_errno(errno); }

/* Closes FD and keeps errno's meaning for the caller. */
static sk_err fail(int fd, sk_err err) {
    close(fd);
    return err;
}

static bool set_option(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static void set_no_delay(int fd, int family) {
    if (family != AF_UNIX) set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

/* --- listening ---------------------------------------------------------------------------------------- */

/* True when a socket file is there and nobody listens behind it. */
static bool is_stale_socket(const struct io_addr *addr) {
    struct stat st;
    if (stat(addr->local.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) return false;
    int fd = socket(AF_UNIX, SOCKET_FLAGS, 0);
    if (fd < 0) return false;
    bool stale = connect(fd, &addr->any, addr->len) < 0 && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static sk_err bind_local(int fd, const struct io_addr *addr, unsigned mode) {
    mode = mode ? mode : 0600;
    /* The file gets the mode of the unbound socket less the umask, so there is no moment at which it is
     * open to others; what the umask took comes back after. */
    if (fchmod(fd, mode) < 0) return last_error();
    int failed = bind(fd, &addr->any, addr->len);
    if (failed && errno == EADDRINUSE && is_stale_socket(addr)) {
        unlink(addr->local.sun_path);
        failed = bind(fd, &addr->any, addr->len);
    }
    if (failed || chmod(addr->local.sun_path, mode) < 0) return last_error();
    return SK_OK;
}

static sk_err bind_ip(int fd, const struct io_addr *addr, const struct io_listen_options *options) {
    if (!set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1)) return last_error();
    if (options->reuse_port && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) return last_error();
    if (addr->any.sa_family == AF_INET6 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->v6_only))
        return last_error();
    return bind(fd, &addr->any, addr->len) < 0 ? last_error() : SK_OK;
}

sk_err io_listen(const struct io_addr *addr, const struct io_listen_options *options, int *out_fd) {
    bool local = addr->any.sa_family == AF_UNIX;
    int fd = socket(addr->any.sa_family, SOCKET_FLAGS, 0);
    if (fd < 0) return last_error();
    sk_err err = local ? bind_local(fd, addr, options->unix_mode) : bind_ip(fd, addr, options);
    /* An address that this machine does not have is a wrong value here, not a matter of reachability. */
    if (err) return fail(fd, err == SK_ERR_UNREACHABLE ? SK_ERR_INVALID : err);
    if (listen(fd, options->backlog ? options->backlog : DEFAULT_BACKLOG) < 0) return fail(fd, last_error());
    *out_fd = fd;
    return SK_OK;
}

static bool is_wildcard(const struct io_addr *addr) {
    if (addr->any.sa_family == AF_INET6) return IN6_IS_ADDR_UNSPECIFIED(&addr->v6.sin6_addr);
    return addr->v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

static void set_datagram_options(int fd, int family) {
    /* What the kernel refuses of these costs speed or convenience, not correctness. */
    (void)!set_option(fd, SOL_SOCKET, SO_RCVBUF, DATAGRAM_BUFFER);
    (void)!set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    if (family == AF_INET6) (void)!set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
}

sk_err io_bind_datagram(const struct io_addr *addr, const struct io_listen_options *options, int *out_fd) {
    int family = addr->any.sa_family;
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return last_error();
    bool told = !is_wildcard(addr)   ? true
                : family == AF_INET6 ? set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
                                     : set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
    if (!told) return fail(fd, last_error());
    set_datagram_options(fd, family);
    if (options->reuse_port && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) return fail(fd, last_error());
    if (family == AF_INET6 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->v6_only))
        return fail(fd, last_error());
    if (bind(fd, &addr->any, addr->len) == 0) {
        *out_fd = fd;
        return SK_OK;
    }
    sk_err err = last_error();
    return fail(fd, err == SK_ERR_UNREACHABLE ? SK_ERR_INVALID : err);
}

/* Errors of the connection, not of the listener: accept(2), "Error handling". */
static bool belongs_to_one_client(int error) {
    static const int errors[] = {ECONNABORTED, EINTR,        EPROTO,     ENOPROTOOPT, ENETDOWN,  EHOSTDOWN,
                                 ENONET,       EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, ETIMEDOUT, EPERM};
    for (size_t i = 0; i < SK_COUNT(errors); i++)
        if (errors[i] == error) return true;
    return false;
}

sk_err io_accept(int listen_fd, int *out_fd, struct io_addr *out_peer) {
    struct io_addr peer = {0};
    int fd = -1;
    for (int i = 0; i < ACCEPT_TRIES; i++) {
        peer.len = sizeof peer - offsetof(struct io_addr, any);
        fd = accept4(listen_fd, &peer.any, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 || !belongs_to_one_client(errno)) break;
    }
    if (fd < 0 && (errno == ENOBUFS || errno == ENOMEM)) return SK_ERR_FULL;
    if (fd < 0) return belongs_to_one_client(errno) ? SK_ERR_AGAIN : last_error();
    set_no_delay(fd, peer.any.sa_family);
    *out_fd = fd;
    if (out_peer) *out_peer = peer;
    return SK_OK;
}

/* --- connecting --------------------------------------------------------------------------------------- */

sk_err io_connect_start(const struct io_addr *addr, int *out_fd) {
    int fd = socket(addr->any.sa_family, SOCKET_FLAGS, 0);
    if (fd < 0) return last_error();
    set_no_delay(fd, addr->any.sa_family);
    int failed;
    do failed = connect(fd, &addr->any, addr->len);
    while (failed && errno == EINTR);
    /* A unix socket whose backlog is full says EAGAIN, and nothing is under way then. */
    if (failed && errno == EAGAIN) return fail(fd, SK_ERR_BUSY);
    if (failed && errno != EINPROGRESS) return fail(fd, last_error());
    *out_fd = fd;
    return SK_OK;
}

sk_err io_socket_error(int fd) {
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) return last_error();
    return sk_err_from_errno(error);
}

/* --- bytes -------------------------------------------------------------------------------------------- */

sk_err io_recv(int fd, void *data, size_t bytes, size_t *out_n) {
    ssize_t n;
    do n = recv(fd, data, bytes, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0) return errno == EPIPE ? SK_ERR_RESET : last_error();
    if (n == 0 && bytes > 0) return SK_ERR_END;
    *out_n = (size_t)n;
    return SK_OK;
}

sk_err io_sendv(int fd, const struct iovec *iov, int count, bool more, size_t *out_n) {
    int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)SK_MIN(count, IOV_MAX)};
    ssize_t n;
    do n = count == 1 ? send(fd, iov->iov_base, iov->iov_len, flags) : sendmsg(fd, &message, flags);
    while (n < 0 && errno == EINTR);
    if (n < 0) return last_error();
    *out_n = (size_t)n;
    return SK_OK;
}

sk_err io_sendfile(int fd, int file_fd, uint64_t offset, size_t bytes, size_t *out_n) {
    off_t at = (off_t)offset;
    size_t sent = 0;
    /* It also stops short when the system wants the thread for a moment, as a completion of io_uring does: only
     * EAGAIN says that the socket is full, and that it will tell when it is not. */
    while (sent < bytes) {
        ssize_t n = sendfile(fd, file_fd, &at, bytes - sent);
        if (n == 0) return SK_ERR_END; /* the file is shorter than that */
        if (n > 0)
            sent += (size_t)n;
        else if (sent && errno != EINTR)
            break;
        else if (errno != EINTR)
            return errno == EINVAL || errno == ENOSYS || errno == ESPIPE ? SK_ERR_UNSUPPORTED : last_error();
    }
    *out_n = sent;
    return SK_OK;
}

size_t io_socket_unsent(int fd) {
    int bytes;
    return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? (size_t)bytes : 0;
}

/* --- the end ------------------------------------------------------------------------------------------ */

void io_socket_abort(int fd) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

static sk_err take_name(int (*get_name)(int, struct sockaddr *, socklen_t *), int fd,
                        struct io_addr *out_addr) {
    struct io_addr addr = {.len = sizeof addr - offsetof(struct io_addr, any)};
    if (get_name(fd, &addr.any, &addr.len) < 0) return last_error();
    *out_addr = addr;
    return SK_OK;
}

sk_err io_socket_local_addr(int fd, struct io_addr *out_addr) { return take_name(getsockname, fd, out_addr); }

sk_err io_socket_peer_addr(int fd, struct io_addr *out_addr) { return take_name(getpeername, fd, out_addr); }
