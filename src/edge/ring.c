#include "edge/ring.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "cache/purge.h"
#include "cache/vary.h"
#include "edge/explain.h"
#include "edge/neighbours.h"
#include "edge/process.h"
#include "fleet/identity.h"
#include "io/file.h"

#define LOOK_MS 1000

struct edge_ring {
    struct edge_process *process;
    struct edge_peers_self how;
    struct edge_neighbours *neighbours; /* NULL: the configuration names the nodes */
    struct io_timer timer;
    uint64_t files;         /* stamp of our identity's files as they were read */
    pthread_mutex_t lock;   /* protects NOW, for one look */
    struct edge_peers *now; /* a reference, or NULL */
    struct grid_heat heat;
    _Atomic bool any; /* NOW is not NULL; relaxed, a hint that saves the lock */
};

struct edge_peers *edge_ring_get(struct edge_ring *ring) {
    if (!ring || !atomic_load_explicit(&ring->any, memory_order_relaxed)) return NULL;
    pthread_mutex_lock(&ring->lock);
    struct edge_peers *peers = ring->now ? edge_peers_ref(ring->now) : NULL;
    pthread_mutex_unlock(&ring->lock);
    return peers;
}

static void put(struct edge_ring *ring, struct edge_peers *peers) {
    pthread_mutex_lock(&ring->lock);
    struct edge_peers *old = ring->now;
    ring->now = peers;
    atomic_store_explicit(&ring->any, peers != NULL, memory_order_relaxed);
    pthread_mutex_unlock(&ring->lock);
    edge_peers_unref(old);
}

void edge_ring_explain(struct edge_ring *ring, struct sk_arena *arena, struct edge_explanation *explanation) {
    struct edge_peers *peers = explanation->key.text.len ? edge_ring_get(ring) : NULL;
    if (!peers) return;
    sk_str primary = cache_key_primary(explanation->key.text);
    const struct edge_peer *owner = edge_peers_owner(peers, primary, 0),
                           *next = edge_peers_owner(peers, primary, 1);
    if (owner) explanation->owner = sk_arena_copy(arena, owner->label);
    if (next) explanation->next_owner = sk_arena_copy(arena, next->label);
    explanation->owned = owner && owner->self;
    edge_peers_unref(peers);
}

/* ---- our identity ------------------------------------------------------------------------------------------------ */

static uint64_t stamp(const struct config *config) {
    char path[FLEET_PATH_BYTES];
    uint64_t value = io_file_stamp(1, config->peers.ca.data);
    value = io_file_stamp(io_file_stamp(value, config->peers.cert.data), config->peers.key.data);
    if (config->fleet.state.len && fleet_path(config->fleet.state, FLEET_FILE_EXPELLED, path) == SK_OK)
        value = io_file_stamp(value, path);
    return value;
}

/* ---- views -------------------------------------------------------------------------------------------------------- */

static size_t read_list(const struct config_peers *peers, struct edge_peer_heard *out) {
    SK_ASSERT(peers->node_count <= FLEET_NEIGHBOURS_MAX); /* options.h says so */
    for (uint32_t i = 0; i < peers->node_count; i++)
        out[i] = (struct edge_peer_heard){peers->nodes[i].name, peers->nodes[i].pop, peers->nodes[i].address};
    return peers->node_count;
}

/* The configuration's list, or who lives. */
static size_t all_others(const struct edge_ring *ring, const struct config *config,
                         struct edge_peer_heard out[FLEET_NEIGHBOURS_MAX]) {
    if (config->peers.node_count) return read_list(&config->peers, out);
    return ring->neighbours ? edge_neighbours_list(ring->neighbours, out, FLEET_NEIGHBOURS_MAX) : 0;
}

/* Whoever comes back into the ring has not got what the others have had meanwhile. */
static struct edge_peers_self how_now(const struct edge_ring *ring, const struct config *config) {
    struct edge_peers_self how = ring->how;
    how.out = !config->peers.node_count && ring->neighbours && edge_neighbours_self_out(ring->neighbours);
    if (ring->how.out && !how.out) how.warm_until = sk_time_now() + config->peers.warm_up_ms * SK_NS_PER_MS;
    return how;
}

static void on_purge(void *arg, sk_time_ns at) { edge_past_purged(arg, at); }

/* From the first ring on. What was purged in this life before it is known in this one, and would not be in the next. */
static sk_err remember(struct edge_ring *ring, const struct config *config) {
    const struct config_peers *peers = &config->peers;
    if (ring->how.past) return SK_OK;
    sk_err err = edge_past_open(peers->state.len ? peers->state.data : NULL, &ring->how.past);
    if (err) return err;
    if (cache_purge_clock(ring->process->cache)) edge_past_purged(ring->how.past, sk_time_now());
    cache_purge_witness(ring->process->cache, on_purge, ring->how.past);
    return SK_OK;
}

static sk_err make(struct edge_ring *ring, struct config *config) {
    struct edge_peers *peers = NULL;
    if (!config->peers.listen.len) {
        put(ring, NULL);
        return SK_OK;
    }
    sk_err err = remember(ring, config);
    if (err) return err;
    uint64_t files = stamp(config); /* before they are read: what changes meanwhile is seen later */
    struct edge_peer_heard *heard = calloc(FLEET_NEIGHBOURS_MAX, sizeof *heard);
    struct edge_peers_self how = how_now(ring, config);
    if (!heard) return SK_ERR_NO_MEMORY;
    size_t count = all_others(ring, config, heard);
    err = edge_peers_make(config, ring->process->registry, heard, count, &how, &peers);
    free(heard);
    if (err) return err;
    ring->files = files;
    ring->how = how;
    put(ring, peers);
    return SK_OK;
}

static void make_again(struct edge_ring *ring) {
    sk_err err = make(ring, ring->process->snapshot->config);
    if (err) sk_log(SK_LOG_ERROR, "peers", "the ring stays as it was: %s", sk_err_text(err));
}

static void on_neighbours(void *arg) {
    struct edge_ring *ring = arg;
    const struct config_peers *peers = &ring->process->snapshot->config->peers;
    if (!peers->listen.len || peers->node_count) return;
    make_again(ring);
    sk_log(SK_LOG_INFO, "peers", "the ring has %u nodes%s", ring->now->rings[0].ring->count,
           ring->how.out ? ", and we take no part" : "");
}

/* Where the configuration names no nodes, once it has a ring and a bus; then for good. */
static sk_err look_for_neighbours(struct edge_ring *ring, struct config *config) {
    if (ring->neighbours || !ring->now || config->peers.node_count || !config->fleet.bus.len) return SK_OK;
    sk_err err =
        edge_neighbours_start(ring->process, &ring->now->self, on_neighbours, ring, &ring->neighbours);
    return err ? err : make(ring, config);
}

void edge_ring_config_changes(struct edge_ring *ring, struct config *config) {
    if (!ring) return;
    sk_err err = make(ring, config);
    if (!err) err = look_for_neighbours(ring, config);
    if (err) sk_log(SK_LOG_ERROR, "peers", "the ring stays as it was: %s", sk_err_text(err));
}

/* A certificate is renewed, or somebody expelled. */
static void on_look(struct io_timer *timer) {
    struct edge_ring *ring = SK_CONTAINER_OF(timer, struct edge_ring, timer);
    struct edge_process *process = ring->process;
    struct config *config = process->snapshot->config;
    if (config->peers.listen.len && stamp(config) != ring->files) make_again(ring);
    if (ring->how.past) edge_past_look(ring->how.past);
    io_timer_start(process->loop, timer, io_loop_now(process->loop) + LOOK_MS * SK_NS_PER_MS, on_look);
}

sk_err edge_ring_start(struct edge_process *process, struct edge_ring **out_ring) {
    struct config *config = process->snapshot->config;
    struct edge_ring *ring = calloc(1, sizeof *ring);
    *out_ring = NULL;
    if (!ring) return SK_ERR_NO_MEMORY;
    ring->process = process;
    ring->how.heat = &ring->heat;
    ring->how.warm_until = sk_time_now() + config->peers.warm_up_ms * SK_NS_PER_MS;
    pthread_mutex_init(&ring->lock, NULL);
    cache_purge_forget_history(process->cache); /* what begins a process is about its own disk */
    sk_err err = make(ring, config);
    if (!err) err = look_for_neighbours(ring, config);
    if (err) {
        edge_ring_free(ring);
        return err;
    }
    io_timer_start(process->loop, &ring->timer, io_loop_now(process->loop) + LOOK_MS * SK_NS_PER_MS, on_look);
    *out_ring = ring;
    return SK_OK;
}

void edge_ring_free(struct edge_ring *ring) {
    if (!ring) return;
    io_timer_stop(&ring->timer);
    edge_neighbours_free(ring->neighbours);
    cache_purge_witness(ring->process->cache, NULL, NULL);
    edge_peers_unref(ring->now);
    edge_past_close(ring->how.past);
    pthread_mutex_destroy(&ring->lock);
    free(ring);
}
