#include "io/datagram.h"

#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/socket.h"

#define TRAIN_ROOM (64 * 1024)
#define CONTROL_BYTES 128
#define ECN_MASK 3

struct io_datagrams {
    struct mmsghdr messages[IO_TRAINS];
    struct iovec pieces[IO_TRAINS];
    struct io_train trains[IO_TRAINS];
    char control[IO_TRAINS][CONTROL_BYTES] __attribute__((aligned(sizeof(size_t))));
    char data[IO_TRAINS][TRAIN_ROOM];
};

sk_err io_datagrams_create(struct io_datagrams **out_room) {
    struct io_datagrams *room = malloc(sizeof *room);
    if (!room) return SK_ERR_NO_MEMORY;
    *out_room = room;
    return SK_OK;
}

void io_datagrams_free(struct io_datagrams *room) { free(room); }

static void set_option(int fd, int level, int option) {
    int on = 1;
    /* Without it only speed, or the answer's address where a machine has several, suffers. */
    (void)!setsockopt(fd, level, option, &on, sizeof on);
}

sk_err io_datagram_open(const struct io_addr *addr, bool reuse_port, int *out_fd) {
    struct io_listen_options options = {.reuse_port = reuse_port};
    int fd;
    sk_err err = io_bind_datagram(addr, &options, &fd);
    if (err) return err;
    set_option(fd, IPPROTO_IP, IP_PKTINFO);
    set_option(fd, IPPROTO_IP, IP_RECVTOS);
    if (addr->any.sa_family == AF_INET6) {
        set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);
        set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS);
    }
    set_option(fd, SOL_UDP, UDP_GRO);
    *out_fd = fd;
    return SK_OK;
}

/* --- receiving -------------------------------------------------------------------------------------------- */

static void set_local_v4(struct io_addr *local, struct in_addr ip) {
    if (local->any.sa_family == AF_INET) local->v4.sin_addr = ip;
}

static void read_control(struct cmsghdr *control, struct io_train *train) {
    const void *data = CMSG_DATA(control);
    int level = control->cmsg_level, type = control->cmsg_type;
    if (level == IPPROTO_IP && type == IP_PKTINFO) {
        set_local_v4(&train->local, ((const struct in_pktinfo *)data)->ipi_addr);
    } else if (level == IPPROTO_IPV6 && type == IPV6_PKTINFO && train->local.any.sa_family == AF_INET6) {
        train->local.v6.sin6_addr = ((const struct in6_pktinfo *)data)->ipi6_addr;
    } else if (level == IPPROTO_IP && type == IP_TOS) {
        train->ecn = *(const uint8_t *)data & ECN_MASK;
    } else if ((level == IPPROTO_IPV6 && type == IPV6_TCLASS) || (level == SOL_UDP && type == UDP_GRO)) {
        int value;
        memcpy(&value, data, sizeof value);
        if (level == SOL_UDP)
            train->segment = value > 0 ? (size_t)value : train->bytes;
        else
            train->ecn = (uint8_t)(value & ECN_MASK);
    }
}

static void prepare(struct io_datagrams *room) {
    for (int i = 0; i < IO_TRAINS; i++) {
        room->pieces[i] = (struct iovec){room->data[i], TRAIN_ROOM};
        room->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &room->trains[i].peer.any,
            .msg_namelen = sizeof room->trains[i].peer - offsetof(struct io_addr, any),
            .msg_iov = &room->pieces[i],
            .msg_iovlen = 1,
            .msg_control = room->control[i],
            .msg_controllen = CONTROL_BYTES,
        };
    }
}

static void read_message(struct io_datagrams *room, int i, const struct io_addr *bound) {
    struct io_train *train = &room->trains[i];
    struct msghdr *head = &room->messages[i].msg_hdr;
    train->peer.len = head->msg_namelen;
    train->local = *bound;
    train->data = room->data[i];
    train->bytes = train->segment = room->messages[i].msg_len;
    train->ecn = 0;
    train->cut = head->msg_flags & MSG_TRUNC;
    for (struct cmsghdr *control = CMSG_FIRSTHDR(head); control; control = CMSG_NXTHDR(head, control))
        read_control(control, train);
}

sk_err io_datagrams_receive(struct io_datagrams *room, int fd, const struct io_addr *bound,
                            const struct io_train **out_trains, size_t *out_count) {
    prepare(room);
    int count = recvmmsg(fd, room->messages, IO_TRAINS, MSG_DONTWAIT, NULL);
    if (count < 0) return errno == EAGAIN || errno == EINTR ? SK_ERR_AGAIN : SK_ERR_IO;
    for (int i = 0; i < count; i++) read_message(room, i, bound);
    *out_trains = room->trains;
    *out_count = (size_t)count;
    return count ? SK_OK : SK_ERR_AGAIN;
}

/* --- sending ---------------------------------------------------------------------------------------------- */

struct controls {
    struct msghdr *head;
    size_t used;
};

static void add_control(struct controls *controls, int level, int type, const void *data, size_t bytes) {
    struct cmsghdr *control =
        (struct cmsghdr *)(void *)((char *)controls->head->msg_control + controls->used);
    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(control), data, bytes);
    controls->used += CMSG_SPACE(bytes);
}

static void add_source(struct controls *controls, const struct io_addr *local) {
    if (local->any.sa_family == AF_INET) {
        struct in_pktinfo info = {.ipi_spec_dst = local->v4.sin_addr};
        add_control(controls, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else {
        struct in6_pktinfo info = {.ipi6_addr = local->v6.sin6_addr};
        add_control(controls, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
}

static void add_mark(struct controls *controls, const struct io_train *train) {
    int mark = train->ecn;
    bool v4 = train->peer.any.sa_family == AF_INET || IN6_IS_ADDR_V4MAPPED(&train->peer.v6.sin6_addr);
    if (!mark) return;
    if (v4)
        add_control(controls, IPPROTO_IP, IP_TOS, &mark, sizeof mark);
    else
        add_control(controls, IPPROTO_IPV6, IPV6_TCLASS, &mark, sizeof mark);
}

static sk_err verdict(void) {
    if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS) return SK_ERR_AGAIN;
    return errno == EMSGSIZE ? SK_ERR_TOO_LARGE : SK_ERR_IO;
}

static sk_err send_one(int fd, const struct io_train *train) {
    char room[CONTROL_BYTES] __attribute__((aligned(sizeof(size_t)))) = {0};
    struct iovec piece = {(void *)(uintptr_t)train->data, train->bytes};
    struct msghdr head = {.msg_name = (void *)(uintptr_t)&train->peer.any,
                          .msg_namelen = train->peer.len,
                          .msg_iov = &piece,
                          .msg_iovlen = 1,
                          .msg_control = room};
    struct controls controls = {&head, 0};
    add_source(&controls, &train->local);
    add_mark(&controls, train);
    if (train->segment < train->bytes) {
        uint16_t segment = (uint16_t)train->segment;
        add_control(&controls, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
    }
    head.msg_controllen = controls.used;
    return sendmsg(fd, &head, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? verdict() : SK_OK;
}

/* Where the interface cannot do it (no checksums of its own): one after another. What does not go out is lost, and
 * the protocol above sends it again. */
static sk_err send_each(int fd, const struct io_train *train) {
    sk_err err = SK_OK;
    for (size_t at = 0; at < train->bytes && !err; at += train->segment) {
        struct io_train one = *train;
        one.data += at;
        one.bytes = one.segment = SK_MIN(train->segment, train->bytes - at);
        err = send_one(fd, &one);
        if (err && at) err = SK_ERR_IO;
    }
    return err;
}

sk_err io_datagram_send(int fd, const struct io_train *train) {
    SK_ASSERT(train->segment && train->bytes <= IO_TRAIN_BYTES);
    sk_err err = send_one(fd, train);
    if (err == SK_ERR_IO && train->segment < train->bytes) err = send_each(fd, train);
    return err;
}
