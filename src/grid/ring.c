#include "grid/ring.h"

#include "base/hash.h"

/* The finaliser of SplitMix64 (Steele, Lea and Flood, 2014). */
static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

struct nodes {
    uint32_t count, full;
    uint64_t hashes[GRID_NODES_MAX];
    uint32_t loads[GRID_NODES_MAX];
};

/* Two of one score are told apart by their names' hashes, so that the order in which they are known says nothing. */
static bool better(const struct nodes *nodes, const uint64_t *scores, uint32_t a, uint32_t b) {
    if (scores[a] != scores[b]) return scores[a] > scores[b];
    return nodes->hashes[a] > nodes->hashes[b];
}

/* The best that is not among the TAKEN; with FULL, none that is full. GRID_NOBODY: there is none. */
static uint32_t best(const struct nodes *nodes, const uint64_t *scores, uint64_t taken, bool full) {
    uint32_t found = GRID_NOBODY;
    for (uint32_t i = 0; i < nodes->count; i++) {
        if (taken >> i & 1 || (full && nodes->loads[i] >= nodes->full)) continue;
        if (found == GRID_NOBODY || better(nodes, scores, i, found)) found = i;
    }
    return found;
}

static void fill_slot(struct nodes *nodes, uint32_t slot, uint8_t choices[GRID_CHOICES]) {
    uint64_t scores[GRID_NODES_MAX], taken = 0;
    for (uint32_t i = 0; i < nodes->count; i++)
        scores[i] = mix(nodes->hashes[i] ^ (slot + 1) * UINT64_C(0x9e3779b97f4a7c15));
    for (uint32_t c = 0; c < GRID_CHOICES; c++) {
        uint32_t node = best(nodes, scores, taken, c == 0);
        choices[c] = (uint8_t)node;
        if (node == GRID_NOBODY) continue;
        taken |= UINT64_C(1) << node;
        if (c == 0) nodes->loads[node]++;
    }
}

/* The smallest whole number that is an even share and a GRID_SLACK-th, or more. */
static uint32_t full_share(uint32_t count) {
    uint32_t divisor = count * GRID_SLACK;
    return (GRID_SLOTS * (GRID_SLACK + 1) + divisor - 1) / divisor;
}

void grid_ring_make(struct grid_ring *ring, const sk_str *names, uint32_t count) {
    SK_ASSERT(count <= GRID_NODES_MAX);
    struct nodes nodes = {.count = count, .full = count ? full_share(count) : 0};
    for (uint32_t i = 0; i < count; i++) nodes.hashes[i] = sk_hash64_plain(names[i].data, names[i].len);
    ring->count = count;
    for (uint32_t slot = 0; slot < GRID_SLOTS; slot++) fill_slot(&nodes, slot, ring->slots[slot]);
}

uint32_t grid_slot_of(sk_str key) {
    return (uint32_t)(sk_hash64_plain(key.data, key.len) >> 32) % GRID_SLOTS;
}
