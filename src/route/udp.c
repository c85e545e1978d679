/* Answering over UDP: as many datagrams as wait are taken with one call, answered where they lie, and sent with
 * one call. A short batch tells that the socket is empty, so a turn costs two calls whatever its size. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "route/worker.h"

enum { ROUNDS_MAX = 16, CONTROL_BYTES = 64 };

/* A worker's buffers: one batch is worked on at a time. */
struct udp_batch {
    struct mmsghdr in[WORKER_UDP_BATCH], out[WORKER_UDP_BATCH];
    struct iovec in_iov[WORKER_UDP_BATCH], out_iov[WORKER_UDP_BATCH];
    struct io_addr clients[WORKER_UDP_BATCH];
    _Alignas(struct cmsghdr) uint8_t control[WORKER_UDP_BATCH][CONTROL_BYTES];
    uint8_t queries[WORKER_UDP_BATCH][WORKER_UDP_QUERY];
    uint8_t answers[WORKER_UDP_BATCH][DNS_UDP_PAYLOAD];
};

sk_err udp_create(struct route_worker *worker) {
    struct udp_batch *batch = worker->batch = calloc(1, sizeof *batch);
    if (!batch) return SK_ERR_NO_MEMORY;
    for (int i = 0; i < WORKER_UDP_BATCH; i++) {
        batch->in_iov[i] = (struct iovec){batch->queries[i], WORKER_UDP_QUERY};
        batch->in[i].msg_hdr = (struct msghdr){.msg_name = &batch->clients[i].any,
                                               .msg_namelen = sizeof(struct sockaddr_in6),
                                               .msg_iov = &batch->in_iov[i],
                                               .msg_iovlen = 1};
    }
    return SK_OK;
}

void udp_free(struct route_worker *worker) { free(worker->batch); }

/* Room for the address that was asked, where it is not known from the socket. */
static void prepare(struct udp_batch *batch, bool wildcard, int count) {
    for (int i = 0; i < count; i++) {
        struct msghdr *header = &batch->in[i].msg_hdr;
        header->msg_namelen = sizeof(struct sockaddr_in6);
        header->msg_control = wildcard ? batch->control[i] : NULL;
        header->msg_controllen = wildcard ? CONTROL_BYTES : 0;
    }
}

/* The control message that came, as one that says where to send from. The interface is left to the routing table,
 * except where the address means nothing without it. */
static void turn_control(struct msghdr *header) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo *info = (struct in_pktinfo *)(void *)CMSG_DATA(c);
            info->ipi_ifindex = 0;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo *info = (struct in6_pktinfo *)(void *)CMSG_DATA(c);
            if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr)) info->ipi6_ifindex = 0;
        }
    }
}

/* Answers datagram FROM into place TO of what is sent; false when there is nothing to send. */
static bool answer_one(struct udp_socket *socket, int from, int to, sk_time_ns now, sk_unix_s wall_s) {
    struct route_worker *worker = socket->worker;
    struct udp_batch *batch = worker->batch;
    struct msghdr *in = &batch->in[from].msg_hdr;
    batch->clients[from].len = in->msg_namelen;
    size_t bytes = answer_query(worker->answerer, worker->plan->snapshot, ANSWER_UDP, &batch->clients[from],
                                batch->queries[from], batch->in[from].msg_len, now, wall_s,
                                batch->answers[to], DNS_UDP_PAYLOAD, NULL);
    if (bytes == 0) return false;
    if (socket->wildcard) turn_control(in);
    batch->out_iov[to] = (struct iovec){batch->answers[to], bytes};
    batch->out[to].msg_hdr = (struct msghdr){.msg_name = in->msg_name,
                                             .msg_namelen = in->msg_namelen,
                                             .msg_iov = &batch->out_iov[to],
                                             .msg_iovlen = 1,
                                             .msg_control = in->msg_control,
                                             .msg_controllen = in->msg_controllen};
    return true;
}

/* One that the kernel refuses (no route, no buffer) is left out; UDP promises nothing. */
static void send_all(struct udp_socket *socket, int count) {
    struct udp_batch *batch = socket->worker->batch;
    for (int sent = 0; sent < count;) {
        int n = sendmmsg(socket->watch.fd, batch->out + sent, (unsigned)(count - sent), MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) observe_count(socket->worker->metrics, OBSERVE_DNS_SEND_FAILED);
        sent += SK_MAX(n, 1);
    }
}

/* One batch; how many datagrams came. */
static int turn(struct udp_socket *socket) {
    struct route_worker *worker = socket->worker;
    struct udp_batch *batch = worker->batch;
    sk_time_ns now = io_loop_now(worker->loop);
    sk_unix_s wall_s = io_loop_wall_s(worker->loop);
    int answers = 0;
    prepare(batch, socket->wildcard, WORKER_UDP_BATCH);
    int count = recvmmsg(socket->watch.fd, batch->in, WORKER_UDP_BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) answers += answer_one(socket, i, answers, now, wall_s);
    send_all(socket, answers);
    return count;
}

static void go_on(struct io_task *task);

static void serve(struct udp_socket *socket) {
    for (int round = 0; round < ROUNDS_MAX; round++)
        if (turn(socket) < WORKER_UDP_BATCH) return;
    /* Others' turn; readiness is told once only, so this socket asks for its next turn itself. */
    if (socket->queued) return;
    socket->queued = true;
    socket->again.run = go_on;
    io_loop_defer(socket->worker->loop, &socket->again);
}

static void go_on(struct io_task *task) {
    struct udp_socket *socket = SK_CONTAINER_OF(task, struct udp_socket, again);
    socket->queued = false;
    if (socket->watch.fd >= 0) serve(socket);
}

static void on_ready(struct io_watch *watch, unsigned ready) {
    if (ready & (IO_READABLE | IO_HANGUP)) serve(SK_CONTAINER_OF(watch, struct udp_socket, watch));
}

static bool is_wildcard(int fd) {
    struct io_addr addr;
    uint8_t ip[16];
    static const uint8_t any4[16] = {[10] = 0xff, [11] = 0xff}, any6[16];
    if (io_socket_local_addr(fd, &addr) || !io_addr_ip16(&addr, ip)) return false;
    return memcmp(ip, any4, 16) == 0 || memcmp(ip, any6, 16) == 0;
}

sk_err udp_start(struct udp_socket *socket, int fd) {
    socket->wildcard = is_wildcard(fd);
    socket->watch.fd = fd;
    socket->watch.on_ready = on_ready;
    socket->watch.read_only = true;
    return io_watch_start(socket->worker->loop, &socket->watch);
}

void udp_stop(struct udp_socket *socket) {
    if (socket->watch.fd < 0) return;
    while (turn(socket) > 0) continue; /* what came before the end is answered */
    io_watch_stop(&socket->watch);
    close(socket->watch.fd);
    socket->watch.fd = -1;
}
