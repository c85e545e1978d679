#include "wire/tls_early.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define SLOTS (2 * WIRE_TLS_EARLY_MOST)

/* What came in one span of WIRE_TLS_EARLY_S. */
struct span {
    uint64_t *slots; /* hashes, 0: free; NULL: nothing came yet */
    uint32_t count;
};

struct wire_tls_early {
    pthread_mutex_t
        lock; /* protects what follows; held for a look at a few slots, twice a minute for clearing them */
    struct span now, before;
    sk_time_ns until; /* the end of NOW */
};

sk_err wire_tls_early_create(struct wire_tls_early **out_early) {
    struct wire_tls_early *early = calloc(1, sizeof *early);
    if (!early) return SK_ERR_NO_MEMORY;
    if (pthread_mutex_init(&early->lock, NULL) != 0) {
        free(early);
        return SK_ERR_NO_MEMORY;
    }
    *out_early = early;
    return SK_OK;
}

void wire_tls_early_free(struct wire_tls_early *early) {
    if (!early) return;
    pthread_mutex_destroy(&early->lock);
    free(early->now.slots);
    free(early->before.slots);
    free(early);
}

/* The slot of HASH, or the free one that it would take: there always is one, as half of them stay free. */
static uint32_t find(const struct span *span, uint64_t hash) {
    uint32_t at = (uint32_t)(hash % SLOTS);
    while (span->slots[at] && span->slots[at] != hash) at = (at + 1) % SLOTS;
    return at;
}

static bool holds(const struct span *span, uint64_t hash) {
    return span->count && span->slots[find(span, hash)] == hash;
}

static void turn(struct wire_tls_early *early, sk_time_ns now) {
    if (now < early->until) return;
    bool long_ago = now - early->until >= WIRE_TLS_EARLY_S * SK_NS_PER_S;
    struct span oldest = early->before;
    early->before = early->now;
    early->now = oldest;
    if (long_ago) early->before.count = 0;
    if (early->now.slots) memset(early->now.slots, 0, SLOTS * sizeof *early->now.slots);
    if (long_ago && early->before.slots) memset(early->before.slots, 0, SLOTS * sizeof *early->before.slots);
    early->now.count = 0;
    early->until = now + WIRE_TLS_EARLY_S * SK_NS_PER_S;
}

static bool remember(struct span *span, uint64_t hash) {
    if (!span->slots) span->slots = calloc(SLOTS, sizeof *span->slots);
    if (!span->slots || span->count == WIRE_TLS_EARLY_MOST) return false;
    span->slots[find(span, hash)] = hash;
    span->count++;
    return true;
}

bool wire_tls_early_first(struct wire_tls_early *early, const unsigned char random[WIRE_TLS_RANDOM_BYTES],
                          sk_time_ns now) {
    uint64_t hash = sk_hash64(random, WIRE_TLS_RANDOM_BYTES);
    if (!hash) hash = 1;
    pthread_mutex_lock(&early->lock);
    turn(early, now);
    bool first = !holds(&early->now, hash) && !holds(&early->before, hash) && remember(&early->now, hash);
    pthread_mutex_unlock(&early->lock);
    return first;
}
