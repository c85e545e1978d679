#include "route/udp_send.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

enum { TRAIN_BYTES_MAX = 60000, TRAIN_ANSWERS_MAX = 64 /* what all kernels take */ };

void udp_sender_init(struct udp_sender *sender, int fd, struct observe_thread *metrics) {
    memset(sender, 0, sizeof *sender);
    sender->fd = fd;
    sender->metrics = metrics;
}

/* --- trains ----------------------------------------------------------------------------------------- */

/* Mixes, so that both halves of a product say something (Lemire). */
static uint64_t mix(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)(a ^ UINT64_C(0x9e3779b97f4a7c15)) * (b | 1);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t tag_of(const struct msghdr *query, size_t bytes) {
    const struct sockaddr *addr = query->msg_name;
    if (addr->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = query->msg_name;
        return (uint64_t)v4->sin_addr.s_addr << 32 | (uint64_t)v4->sin_port << 16 | (uint64_t)bytes;
    }
    const struct sockaddr_in6 *v6 = query->msg_name;
    uint64_t half[2];
    memcpy(half, &v6->sin6_addr, sizeof half);
    return mix(half[0] ^ v6->sin6_port, half[1]) ^ bytes;
}

/* The same client, and the same address of ours. */
static bool same_way(const struct msghdr *a, const struct msghdr *b) {
    return a->msg_namelen == b->msg_namelen && memcmp(a->msg_name, b->msg_name, a->msg_namelen) == 0 &&
           a->msg_controllen == b->msg_controllen &&
           (a->msg_controllen == 0 || memcmp(a->msg_control, b->msg_control, a->msg_controllen) == 0);
}

static void begin_train(struct udp_sender *sender, uint64_t tag, int answer, size_t bytes) {
    sender->trains[sender->train_count++] =
        (struct udp_train){tag, (int16_t)answer, (int16_t)answer, 1, (uint32_t)bytes};
}

/* The slot of TAG: of its newest train, or a free one. */
static size_t slot_of(const struct udp_sender *sender, uint64_t tag) {
    size_t slot = mix(tag, UINT64_C(0xd6e8feb86659fd93)) % SK_COUNT(sender->slots);
    while (sender->slots[slot] && sender->trains[sender->slots[slot] - 1].tag != tag)
        slot = (slot + 1) % SK_COUNT(sender->slots);
    return slot;
}

void udp_sender_add(struct udp_sender *sender, struct msghdr *query, const uint8_t *data, size_t bytes) {
    int index = sender->count++;
    SK_ASSERT(index < UDP_BATCH);
    sender->answers[index] = (struct udp_answer){query, data, (uint16_t)bytes, -1};
    uint64_t tag = tag_of(query, bytes);
    if (sender->no_trains) {
        begin_train(sender, tag, index, bytes);
        return;
    }
    size_t slot = slot_of(sender, tag);
    struct udp_train *train = sender->slots[slot] ? &sender->trains[sender->slots[slot] - 1] : NULL;
    if (train && train->count < TRAIN_ANSWERS_MAX && train->bytes + bytes <= TRAIN_BYTES_MAX &&
        sender->answers[train->first].bytes == bytes &&
        same_way(sender->answers[train->first].query, query)) {
        sender->answers[train->last].next = (int16_t)index;
        train->last = (int16_t)index;
        train->count++;
        train->bytes += (uint32_t)bytes;
        return;
    }
    begin_train(sender, tag, index, bytes);
    sender->slots[slot] = (int8_t)sender->train_count;
}

/* --- sending ---------------------------------------------------------------------------------------- */

/* What was there, and the length at which the train is cut. */
static void put_segment(struct msghdr *out, const struct msghdr *query, uint8_t *control, size_t segment) {
    size_t before = query->msg_controllen;
    uint16_t value = (uint16_t)segment;
    if (before) memcpy(control, query->msg_control, before);
    struct cmsghdr *c = (struct cmsghdr *)(void *)(control + CMSG_ALIGN(before));
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof value);
    memcpy(CMSG_DATA(c), &value, sizeof value);
    out->msg_control = control;
    out->msg_controllen = CMSG_ALIGN(before) + CMSG_SPACE(sizeof value);
}

static void lay_out(struct udp_sender *sender) {
    struct iovec *iov = sender->iov;
    for (int i = 0; i < sender->train_count; i++) {
        const struct udp_train *train = &sender->trains[i];
        const struct msghdr *query = sender->answers[train->first].query;
        struct msghdr *out = &sender->out[i].msg_hdr;
        *out = (struct msghdr){.msg_name = query->msg_name,
                               .msg_namelen = query->msg_namelen,
                               .msg_iov = iov,
                               .msg_iovlen = train->count,
                               .msg_control = query->msg_control,
                               .msg_controllen = query->msg_controllen};
        for (int k = train->first; k >= 0; k = sender->answers[k].next)
            *iov++ = (struct iovec){(void *)(uintptr_t)sender->answers[k].data, sender->answers[k].bytes};
        if (train->count > 1)
            put_segment(out, query, sender->control[i], sender->answers[train->first].bytes);
    }
}

/* One after another, what the kernel would not take as a train. */
static void send_each(struct udp_sender *sender, const struct udp_train *train) {
    for (int k = train->first; k >= 0; k = sender->answers[k].next) {
        struct msghdr *query = sender->answers[k].query;
        struct iovec iov = {(void *)(uintptr_t)sender->answers[k].data, sender->answers[k].bytes};
        struct msghdr out = {.msg_name = query->msg_name,
                             .msg_namelen = query->msg_namelen,
                             .msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = query->msg_control,
                             .msg_controllen = query->msg_controllen};
        if (sendmsg(sender->fd, &out, MSG_DONTWAIT) < 0)
            observe_count(sender->metrics, OBSERVE_DNS_SEND_FAILED);
    }
}

/* The kernel refused TRAIN. EIO: an interface without checksums of its own; EINVAL: an MTU below the answer, or an old
 * kernel. What it does to single answers is another matter. */
static void refused(struct udp_sender *sender, const struct udp_train *train, int error) {
    if (train->count == 1) {
        observe_count(sender->metrics, OBSERVE_DNS_SEND_FAILED);
        return;
    }
    if (error == EIO || error == EOPNOTSUPP || error == ENOPROTOOPT) sender->no_trains = true;
    send_each(sender, train);
}

void udp_sender_flush(struct udp_sender *sender) {
    lay_out(sender);
    for (int sent = 0; sent < sender->train_count;) {
        int n =
            sendmmsg(sender->fd, sender->out + sent, (unsigned)(sender->train_count - sent), MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) refused(sender, &sender->trains[sent], errno);
        sent += SK_MAX(n, 1);
    }
    memset(sender->slots, 0, sizeof sender->slots);
    sender->count = sender->train_count = 0;
}
