/* A byte ring for one producer and one consumer: records of any size, each contiguous, published by one
 * store. The access log's way from a request thread to the writer. */
#ifndef SK_OBSERVE_ACCESS_RING_H
#define SK_OBSERVE_ACCESS_RING_H

#include <stdatomic.h>

#include "base/str.h"

#define ACCESS_RING_ALIGN 64

struct access_ring {
    /* set once at creation */
    char *data;
    size_t capacity; /* bytes, a power of two */
    /* written by the producer, read by the consumer: bytes ever written, whole records only */
    alignas(ACCESS_RING_ALIGN) _Atomic uint64_t head;
    /* producer only */
    uint64_t next;       /* where the record being made begins */
    uint64_t known_tail; /* a tail seen earlier: enough while it says that there is room */
    /* written by the consumer, read by the producer */
    alignas(ACCESS_RING_ALIGN) _Atomic uint64_t tail;
};

/* CAPACITY is a power of two. SK_ERR_NO_MEMORY. */
sk_err access_ring_init(struct access_ring *ring, size_t capacity);
void access_ring_free(struct access_ring *ring);

/* Producer: room for a record of up to BYTES (at most a quarter of the capacity), 8-byte aligned; NULL when
 * the ring is full. */
void *access_ring_begin(struct access_ring *ring, size_t bytes);
/* Publishes the record begun, of BYTES (at most what was asked for). True when the ring is now more than
 * half full and was not before: time to hurry the consumer. */
bool access_ring_commit(struct access_ring *ring, size_t bytes);

/* Consumer: the oldest record; NULL data when there is none. */
sk_str access_ring_peek(struct access_ring *ring);
void access_ring_pop(struct access_ring *ring);
/* Any thread: where the next record will begin. Consumer: whether the oldest one begins before such a place. */
uint64_t access_ring_place(const struct access_ring *ring);
bool access_ring_before(const struct access_ring *ring, uint64_t place);
/* Consumer: nothing published that is not yet popped; more than half of the capacity is. Sequentially
 * consistent loads, see enum writer_state in access_log.c. */
bool access_ring_empty(struct access_ring *ring);
bool access_ring_half_full(struct access_ring *ring);

#endif
