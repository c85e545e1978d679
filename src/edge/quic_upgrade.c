#include "edge/quic_upgrade.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

#define DATAGRAM_BYTES 65536

/* Both are the same program's, on one machine: plain memory will do. */
struct greeting {
    struct wire_quic_keys keys;
    uint8_t generation;
};
struct parcel_head {
    struct io_addr listener;
    struct io_train train; /* its pointer says nothing */
};
struct parcel {
    struct parcel_head head;
    char data[DATAGRAM_BYTES];
};

void edge_quic_begin(struct edge_process *process) {
    wire_quic_keys_make(&process->quic_keys);
    process->quic_before = process->quic_after.fd = -1;
}

void edge_quic_inherit(struct edge_process *process, int fd) {
    struct greeting greeting;
    if (recv(fd, &greeting, sizeof greeting, MSG_DONTWAIT) != sizeof greeting) {
        sk_log(SK_LOG_WARN, "edge", "upgrade: QUIC connections of the old process cannot go on");
        close(fd);
        return;
    }
    process->quic_keys = greeting.keys;
    process->quic_generation = (uint8_t)(greeting.generation + 1);
    process->quic_before = fd;
}

sk_err edge_quic_pair(struct edge_process *process, int *out_ours, int *out_theirs) {
    int ends[2];
    struct greeting greeting = {.keys = process->quic_keys, .generation = process->quic_generation};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return SK_ERR_FULL;
    if (send(ends[0], &greeting, sizeof greeting, MSG_NOSIGNAL) != sizeof greeting) {
        close(ends[0]);
        close(ends[1]);
        return SK_ERR_FULL;
    }
    *out_ours = ends[0];
    *out_theirs = ends[1];
    return SK_OK;
}

bool edge_quic_send_back(struct edge_process *process, const struct io_addr *listener,
                         const struct io_train *train, sk_str datagram) {
    struct parcel_head head = {*listener, *train};
    head.train.data = NULL;
    struct iovec pieces[] = {{&head, sizeof head}, {(void *)(uintptr_t)datagram.data, datagram.len}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = SK_COUNT(pieces)};
    if (process->quic_before < 0) return false;
    /* Full: lost, as datagrams may be. */
    return sendmsg(process->quic_before, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 || errno == EAGAIN;
}

/* To the thread that its id names, or on to the process before. */
static void deliver(struct edge_process *process, const struct parcel *parcel, size_t bytes) {
    struct wire_quic_packet packet;
    struct wire_quic_place place;
    sk_str datagram = {parcel->data, bytes};
    wire_quic_look(datagram, &packet);
    if (!wire_quic_id_read(&process->quic_keys, &packet.to, &place)) return;
    if (place.generation != process->quic_generation)
        (void)edge_quic_send_back(process, &parcel->head.listener, &parcel->head.train, datagram);
    else
        edge_quic_hand_to(process, place.thread, &parcel->head.listener, &parcel->head.train, datagram);
}

static void on_parcels(struct io_watch *watch, unsigned ready) {
    static struct parcel parcel; /* main thread only; too large for a stack to be sure of */
    struct edge_process *process = SK_CONTAINER_OF(watch, struct edge_process, quic_after);
    for (;;) {
        ssize_t n = recv(watch->fd, &parcel, sizeof parcel, MSG_DONTWAIT);
        if (n <= 0) return; /* none waits; or the new process is gone, and its sockets with it */
        if ((size_t)n > sizeof parcel.head) deliver(process, &parcel, (size_t)n - sizeof parcel.head);
    }
}

void edge_quic_hand_over(struct edge_process *process, int fd) {
    process->quic_after = (struct io_watch){.fd = fd, .on_ready = on_parcels};
    if (io_watch_start(process->loop, &process->quic_after) != SK_OK)
        sk_log(SK_LOG_WARN, "edge", "upgrade: QUIC connections cannot go on: out of memory");
}

void edge_quic_end(struct edge_process *process) {
    if (process->quic_after.fd >= 0) {
        io_watch_stop(&process->quic_after);
        close(process->quic_after.fd);
    }
    if (process->quic_before >= 0) close(process->quic_before);
    process->quic_before = process->quic_after.fd = -1;
}
