/* Sending a batch of answers over one UDP socket with as little as the kernel can be made to do: answers of one length to
 * the same client go as one train, which the kernel cuts up behind its routing and filtering (UDP_SEGMENT), and all
 * trains by one call. What resolvers, load balancers and stubs ask from one socket comes back so; where each query comes
 * from a port of its own, nothing changes. Own thread. */
#ifndef SK_ROUTE_UDP_SEND_H
#define SK_ROUTE_UDP_SEND_H

#include <sys/socket.h>

#include "base/str.h"
#include "observe/metrics.h"

#define UDP_BATCH 64

struct udp_answer {
    struct msghdr *query; /* as it came: where to send, and in its control where from */
    const uint8_t *data;
    uint16_t bytes;
    int16_t next; /* of the same train; -1: the last */
};

struct udp_sender {
    /* set once */
    int fd;
    struct observe_thread *metrics; /* gets what the kernel did not take */
    bool no_trains;                 /* the kernel or an interface cannot: one after another from then on */
    /* the batch */
    int count;
    struct udp_answer answers[UDP_BATCH];
    struct udp_train {
        uint64_t tag; /* equal ones are of one client and length, but for collisions */
        int16_t first, last;
        uint16_t count;
        uint32_t bytes;
    } trains[UDP_BATCH];
    int train_count;
    int8_t slots[UDP_BATCH * 2]; /* hash table of trains by tag, index + 1 */
    struct iovec iov[UDP_BATCH];
    struct mmsghdr out[UDP_BATCH];
    _Alignas(struct cmsghdr) uint8_t control[UDP_BATCH][96];
};

void udp_sender_init(struct udp_sender *sender, int fd, struct observe_thread *metrics);
/* One more answer; what it points to stays as it is until udp_sender_flush. At most UDP_BATCH of them. */
void udp_sender_add(struct udp_sender *sender, struct msghdr *query, const uint8_t *data, size_t bytes);
/* Sends all. What the kernel refuses (no route, no buffer) is left out: UDP promises nothing. */
void udp_sender_flush(struct udp_sender *sender);

#endif
