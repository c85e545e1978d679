#include "edge/limits.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/hash.h"

#define SHARDS 64
#define FIRST_SLOTS 16

/* Open addressing with linear probing; a client is there while it has a connection. */
struct client {
    uint64_t id[2];
    uint32_t connections; /* 0: the slot is free */
};
struct shard {
    pthread_mutex_t mutex; /* protects the rest, for one probe or one growth */
    struct client *slots;
    size_t slot_count, used;
};

struct edge_limits {
    /* any thread, atomic */
    _Atomic uint32_t connections, maximum, per_client;
    struct shard shards[SHARDS];
};

sk_err edge_limits_create(struct edge_limits **out_limits) {
    struct edge_limits *limits = calloc(1, sizeof *limits);
    if (!limits) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < SHARDS; i++) pthread_mutex_init(&limits->shards[i].mutex, NULL);
    *out_limits = limits;
    return SK_OK;
}

void edge_limits_destroy(struct edge_limits *limits) {
    if (!limits) return;
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_destroy(&limits->shards[i].mutex);
        free(limits->shards[i].slots);
    }
    free(limits);
}

void edge_limits_set(struct edge_limits *limits, uint32_t maximum, uint32_t per_client) {
    /* relaxed: each limit stands alone */
    atomic_store_explicit(&limits->maximum, maximum, memory_order_relaxed);
    atomic_store_explicit(&limits->per_client, per_client, memory_order_relaxed);
}

static void client_id(const struct io_addr *addr, uint64_t id[2]) {
    uint8_t ip[16] = {0};
    if (io_addr_ip16(addr, ip) && addr->any.sa_family == AF_INET6 &&
        !IN6_IS_ADDR_V4MAPPED(&addr->v6.sin6_addr))
        memset(ip + 8, 0, 8);
    memcpy(id, ip, 16);
}

static size_t slot_of(const struct client *slots, size_t slot_count, const uint64_t id[2]) {
    size_t at = sk_hash64(id, 16) & (slot_count - 1);
    while (slots[at].connections && (slots[at].id[0] != id[0] || slots[at].id[1] != id[1]))
        at = (at + 1) & (slot_count - 1);
    return at;
}

static struct shard *shard_of(struct edge_limits *limits, const uint64_t id[2]) {
    return &limits->shards[sk_hash64(id, 16) >> 58];
}

static sk_err grow(struct shard *shard) {
    if (shard->slots && shard->used * 2 < shard->slot_count) return SK_OK;
    size_t slot_count = shard->slots ? shard->slot_count * 2 : FIRST_SLOTS;
    struct client *slots = calloc(slot_count, sizeof *slots);
    if (!slots) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; shard->slots && i < shard->slot_count; i++)
        if (shard->slots[i].connections)
            slots[slot_of(slots, slot_count, shard->slots[i].id)] = shard->slots[i];
    free(shard->slots);
    shard->slots = slots;
    shard->slot_count = slot_count;
    return SK_OK;
}

static sk_err enter_client(struct shard *shard, const uint64_t id[2], uint32_t per_client) {
    sk_err err = grow(shard);
    if (err) return err;
    struct client *client = &shard->slots[slot_of(shard->slots, shard->slot_count, id)];
    if (per_client && client->connections >= per_client) return SK_ERR_DENIED;
    if (!client->connections) {
        memcpy(client->id, id, sizeof client->id);
        shard->used++;
    }
    client->connections++;
    return SK_OK;
}

/* Backward shift: what was displaced by the slot that became free moves up, so no tombstones are needed. */
static void remove_slot(struct shard *shard, size_t hole) {
    size_t mask = shard->slot_count - 1;
    shard->slots[hole].connections = 0;
    for (size_t at = (hole + 1) & mask; shard->slots[at].connections; at = (at + 1) & mask) {
        size_t home = sk_hash64(shard->slots[at].id, 16) & mask;
        if (((at - home) & mask) < ((at - hole) & mask)) continue;
        shard->slots[hole] = shard->slots[at];
        shard->slots[at].connections = 0;
        hole = at;
    }
    shard->used--;
}

sk_err edge_limits_enter(struct edge_limits *limits, const struct io_addr *client) {
    uint32_t maximum = atomic_load_explicit(&limits->maximum, memory_order_relaxed);
    uint32_t per_client = atomic_load_explicit(&limits->per_client, memory_order_relaxed);
    /* relaxed: only the number matters, nothing is published by it */
    if (atomic_fetch_add_explicit(&limits->connections, 1, memory_order_relaxed) >= maximum && maximum) {
        atomic_fetch_sub_explicit(&limits->connections, 1, memory_order_relaxed);
        return SK_ERR_FULL;
    }
    uint64_t id[2];
    client_id(client, id);
    struct shard *shard = shard_of(limits, id);
    pthread_mutex_lock(&shard->mutex);
    sk_err err = enter_client(shard, id, per_client);
    pthread_mutex_unlock(&shard->mutex);
    if (err) atomic_fetch_sub_explicit(&limits->connections, 1, memory_order_relaxed);
    return err;
}

void edge_limits_leave(struct edge_limits *limits, const struct io_addr *client) {
    uint64_t id[2];
    client_id(client, id);
    struct shard *shard = shard_of(limits, id);
    pthread_mutex_lock(&shard->mutex);
    size_t at = slot_of(shard->slots, shard->slot_count, id);
    SK_ASSERT(shard->slots[at].connections);
    if (--shard->slots[at].connections == 0) remove_slot(shard, at);
    pthread_mutex_unlock(&shard->mutex);
    atomic_fetch_sub_explicit(&limits->connections, 1, memory_order_relaxed);
}

uint32_t edge_limits_count(const struct edge_limits *limits) {
    return atomic_load_explicit(&limits->connections, memory_order_relaxed);
}
