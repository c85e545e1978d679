/* Whose is which key: the nodes of one PoP divide all keys among them, and every node that knows the same nodes finds
 * the same answer, without a word between them.
 *
 * Rendezvous hashing (Thaler and Ravishankar, 1998) of slots rather than keys, with bounded load (Mirrokni, Thorup and
 * Zadimoghaddam, 2016): a key belongs to one of GRID_SLOTS slots by its hash; each slot, in order, goes to the node that
 * scores highest for it among those that are not full. Full is a share of 1 + 1/GRID_SLACK of an even one. So a node that
 * goes or comes moves its own slots and, where others were full, few more. Pure. */
#ifndef SK_GRID_RING_H
#define SK_GRID_RING_H

#include "base/str.h"

#define GRID_SLOTS 16384
#define GRID_NODES_MAX 64
#define GRID_SLACK 16  /* an even share and a sixteenth is the most that one node has */
#define GRID_CHOICES 3 /* the owner, and who is asked when it cannot be */
#define GRID_NOBODY 0xff

struct grid_ring {
    uint32_t count; /* of nodes; 0: every slot is nobody's */
    uint8_t slots[GRID_SLOTS][GRID_CHOICES];
};

/* NAMES are all different; a node is meant by its place among them. Their order does not matter to who owns what.
 * COUNT is at most GRID_NODES_MAX. */
void grid_ring_make(struct grid_ring *ring, const sk_str *names, uint32_t count);
/* The slot of a key's text: the same everywhere, so no secret is in it. */
uint32_t grid_slot_of(sk_str key);
/* The nodes of a slot, the owner first; GRID_NOBODY where there are no more. */
static inline const uint8_t *grid_choices(const struct grid_ring *ring, uint32_t slot) {
    return ring->slots[slot];
}

#endif
