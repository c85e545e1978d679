#include "observe/access_ring.h"

#include <stdlib.h>

/* Before each record. A record never wraps: what is left at the end is a gap, which the consumer jumps. */
struct prefix {
    uint32_t bytes; /* of the record, prefix and padding included */
    uint32_t used;  /* of the record's own bytes; GAP: nothing here */
};
#define GAP UINT32_MAX
#define PADDED(bytes) (((bytes) + sizeof(struct prefix) + 7) / 8 * 8)

sk_err access_ring_init(struct access_ring *ring, size_t capacity) {
    SK_ASSERT(capacity >= 64 && (capacity & (capacity - 1)) == 0 && capacity < GAP);
    char *data = malloc(capacity);
    if (!data) return SK_ERR_NO_MEMORY;
    *ring = (struct access_ring){.data = data, .capacity = capacity};
    return SK_OK;
}

void access_ring_free(struct access_ring *ring) {
    free(ring->data);
    ring->data = NULL;
}

static struct prefix *at(const struct access_ring *ring, uint64_t position) {
    return (struct prefix *)(void *)(ring->data + (position & (ring->capacity - 1)));
}

/* acquire: the bytes before the tail are the producer's again only once the consumer has read them. */
static bool has_room(struct access_ring *ring, uint64_t end) {
    if (end - ring->known_tail <= ring->capacity) return true;
    ring->known_tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    return end - ring->known_tail <= ring->capacity;
}

void *access_ring_begin(struct access_ring *ring, size_t bytes) {
    size_t whole = PADDED(bytes);
    SK_ASSERT(whole <= ring->capacity / 4);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed); /* our own */
    size_t to_edge = ring->capacity - (size_t)(head & (ring->capacity - 1));
    size_t gap = to_edge < whole ? to_edge : 0;
    if (!has_room(ring, head + gap + whole)) return NULL;
    if (gap) *at(ring, head) = (struct prefix){.bytes = (uint32_t)gap, .used = GAP};
    ring->next = head + gap;
    return at(ring, ring->next) + 1;
}

bool access_ring_commit(struct access_ring *ring, size_t bytes) {
    size_t whole = PADDED(bytes);
    *at(ring, ring->next) = (struct prefix){.bytes = (uint32_t)whole, .used = (uint32_t)bytes};
    uint64_t before = atomic_load_explicit(&ring->head, memory_order_relaxed), after = ring->next + whole;
    /* seq_cst: releases the record, and comes before the producer's look at whether the writer sleeps. */
    atomic_store_explicit(&ring->head, after, memory_order_seq_cst);
    if (after - ring->known_tail <= ring->capacity / 2) return false;
    ring->known_tail = atomic_load_explicit(&ring->tail, memory_order_acquire); /* as in has_room */
    uint64_t half = ring->known_tail + ring->capacity / 2;
    return after > half && before <= half;
}

sk_str access_ring_peek(struct access_ring *ring) {
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed); /* our own */
    /* acquire: the record's bytes are there when its head is */
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    if (tail == head) return (sk_str){0};
    struct prefix *prefix = at(ring, tail);
    if (prefix->used == GAP) { /* a record is published together with the gap before it */
        tail += prefix->bytes;
        /* release: gives the gap back only after it was read */
        atomic_store_explicit(&ring->tail, tail, memory_order_release);
        prefix = at(ring, tail);
    }
    return sk_str_make((const char *)(prefix + 1), prefix->used);
}

uint64_t access_ring_place(const struct access_ring *ring) {
    return atomic_load_explicit(&ring->head,
                                memory_order_acquire); /* a place seen is one whose records are there */
}

bool access_ring_before(const struct access_ring *ring, uint64_t place) {
    return atomic_load_explicit(&ring->tail, memory_order_relaxed) < place; /* our own */
}

void access_ring_pop(struct access_ring *ring) {
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed); /* our own */
    /* release: as in peek */
    atomic_store_explicit(&ring->tail, tail + at(ring, tail)->bytes, memory_order_release);
}

static uint64_t waiting(struct access_ring *ring) {
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_seq_cst);
    return head - atomic_load_explicit(&ring->tail, memory_order_relaxed); /* our own */
}

bool access_ring_empty(struct access_ring *ring) { return waiting(ring) == 0; }

bool access_ring_half_full(struct access_ring *ring) { return waiting(ring) > ring->capacity / 2; }
