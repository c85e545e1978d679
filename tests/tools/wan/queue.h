/* Packets that wait for their time, the earliest first; those of one time leave in the order in which they came. */
#ifndef WAN_QUEUE_H
#define WAN_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUE_PACKET_BYTES 1600
#define QUEUE_PACKETS 16384

struct packet {
    uint64_t due_ns, number;
    int to; /* descriptor */
    size_t bytes;
    uint8_t data[QUEUE_PACKET_BYTES];
};

struct queue {
    size_t count;
    uint64_t numbers;
    struct packet *heap[QUEUE_PACKETS];
    struct packet *spare[QUEUE_PACKETS];
    size_t spare_count;
};

/* A place for a packet, to be filled and given to queue_put; NULL when QUEUE_PACKETS wait: it is lost, as on a full link. */
struct packet *queue_take(struct queue *queue);
void queue_put(struct queue *queue, struct packet *packet);
/* The earliest, which stays in the queue; NULL: none. */
struct packet *queue_first(const struct queue *queue);
void queue_drop_first(struct queue *queue);

#endif
