#include "queue.h"

#include <stdlib.h>

struct packet *queue_take(struct queue *queue) {
    if (queue->spare_count) return queue->spare[--queue->spare_count];
    return queue->count < QUEUE_PACKETS ? malloc(sizeof(struct packet)) : NULL;
}

static bool before(const struct packet *a, const struct packet *b) {
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->number < b->number;
}

static void swap(struct queue *queue, size_t a, size_t b) {
    struct packet *kept = queue->heap[a];
    queue->heap[a] = queue->heap[b];
    queue->heap[b] = kept;
}

void queue_put(struct queue *queue, struct packet *packet) {
    size_t at = queue->count;
    if (at == QUEUE_PACKETS) {
        free(packet);
        return;
    }
    packet->number = queue->numbers++;
    queue->heap[queue->count++] = packet;
    for (; at && before(queue->heap[at], queue->heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap(queue, at, (at - 1) / 2);
}

struct packet *queue_first(const struct queue *queue) { return queue->count ? queue->heap[0] : NULL; }

void queue_drop_first(struct queue *queue) {
    size_t at = 0;
    if (queue->spare_count < QUEUE_PACKETS)
        queue->spare[queue->spare_count++] = queue->heap[0];
    else
        free(queue->heap[0]);
    queue->heap[0] = queue->heap[--queue->count];
    for (;;) {
        size_t least = at, left = 2 * at + 1, right = left + 1;
        if (left < queue->count && before(queue->heap[left], queue->heap[least])) least = left;
        if (right < queue->count && before(queue->heap[right], queue->heap[least])) least = right;
        if (least == at) return;
        swap(queue, at, least);
        at = least;
    }
}
