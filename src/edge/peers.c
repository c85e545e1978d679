#include "edge/peers.h"

#include <openssl/x509.h>
#include <stdlib.h>

#include "base/log.h"
#include "fleet/certificate.h"
#include "io/file.h"

/* An owner that has failed once is left alone for so long: the next owner has its keys meanwhile. */
#define OUT_FOR_MS 2000
#define IDLE_MS 60000
#define EXPELLED_MOST (4u << 20)

/* ---- who we are ------------------------------------------------------------------------------------------------ */

static sk_err read_self(struct edge_peers *peers) {
    struct sk_buf text;
    struct fleet_caller caller;
    sk_buf_init(&text, 0); /* io_file_load bounds it */
    sk_err err = io_file_load(peers->config->peers.cert.data, FLEET_PEM_MAX, &text);
    X509 *certificate = err ? NULL : fleet_certificate_find(sk_buf_str(&text));
    if (!err && !certificate) err = SK_ERR_INVALID;
    if (!err) err = fleet_caller_read(certificate, NULL, &caller);
    if (!err && caller.id.role != FLEET_ROLE_EDGE) err = SK_ERR_INVALID;
    if (!err) peers->self = caller.id;
    X509_free(certificate);
    sk_buf_free(&text);
    return err;
}

/* Whom not to believe: known to nodes of a fleet alone. */
static sk_err read_expelled(struct edge_peers *peers) {
    char path[FLEET_PATH_BYTES];
    struct sk_buf text;
    if (!peers->config->fleet.state.len) return SK_OK;
    sk_buf_init(&text, 0);
    sk_err err = fleet_path(peers->config->fleet.state, FLEET_FILE_EXPELLED, path);
    if (!err) err = io_file_load(path, EXPELLED_MOST, &text);
    if (!err) err = fleet_expelled_parse(sk_buf_str(&text), &peers->expelled);
    sk_buf_free(&text);
    return err == SK_ERR_NOT_FOUND ? SK_OK : err;
}

static bool is_expelled(const struct edge_peers *peers, const struct fleet_id *id) {
    for (uint32_t i = 0; i < peers->expelled.count; i++)
        if (fleet_id_eq(&peers->expelled.ones[i].id, id)) return true;
    return false;
}

static sk_str label_of(struct edge_peers *peers, const struct fleet_id *id) {
    return sk_arena_printf(&peers->arena, "%s/%s", id->pop, id->name);
}

/* ---- the nodes --------------------------------------------------------------------------------------------------- */

/* The owner waits for its origin as long as the site says; only its first byte is bounded here. That it lives must show
 * sooner: one that is stopped, or cut off, costs whoever asks it no more than our patience. */
static void set_options(const struct config_peers *config, struct config_origin_options *options) {
    *options = (struct config_origin_options){
        .connect_timeout_ms = SK_MIN(config->patience_ms, config->timeout_ms),
        .first_byte_timeout_ms = config->timeout_ms,
        .between_bytes_timeout_ms = config->timeout_ms,
        .idle_timeout_ms = IDLE_MS,
        .max_connections = 64,
        .max_idle = 4,
        .fail_after = 1,
        .fail_for_ms = OUT_FOR_MS,
        .patience_ms = config->patience_ms,
    };
}

static sk_err set_origin(struct edge_peers *peers, const struct fleet_id *id, sk_str address,
                         struct config_origin *origin) {
    char text[FLEET_ID_TEXT_BYTES];
    const struct config_peers *config = &peers->config->peers;
    *origin = (struct config_origin){
        .url = sk_arena_printf(&peers->arena, "https://%.*s", SK_STR_ARGS(address)),
        .tls = true,
        .port = 443,
        .weight = 1,
        .verify = true,
        .ca_file = config->ca,
        .client_cert = config->cert,
        .client_key = config->key,
        .verify_name = sk_arena_copy(&peers->arena, fleet_id_format(id, text)),
        .pq = CONFIG_PQ_REQUIRE,
        .http2 = CONFIG_HTTP2_ON,
    };
    if (!origin->url.data || !origin->verify_name.data) return SK_ERR_NO_MEMORY;
    if (http_uri_parse_absolute(origin->url, &origin->uri)) return SK_ERR_MALFORMED;
    if (origin->uri.port) origin->port = origin->uri.port;
    return SK_OK;
}

static sk_err add_peer(struct edge_peers *peers, const struct fleet_id *id, sk_str address,
                       struct origin_registry *registry) {
    struct edge_peer *peer = &peers->peers[peers->peer_count];
    *peer = (struct edge_peer){.label = label_of(peers, id), .self = fleet_id_eq(id, &peers->self)};
    if (!peer->label.data) return SK_ERR_NO_MEMORY;
    peer->pop = sk_str_slice(peer->label, 0, sk_str_find_byte(peer->label, '/'));
    sk_err err = peer->self ? SK_OK : set_origin(peers, id, address, &peer->origin);
    if (err) return err;
    peer->site = (struct config_site){.name = peer->label, .origins = &peer->origin, .origin_count = 1};
    set_options(&peers->config->peers, &peer->site.origin);
    if (!peer->self) err = origin_group_create(registry, &peer->site, &peer->group);
    if (!err) peers->peer_count++;
    return err;
}

static bool is_known(const struct edge_peers *peers, const struct fleet_id *id) {
    for (uint32_t i = 0; i < peers->peer_count; i++) {
        const struct edge_peer *peer = &peers->peers[i];
        sk_str name = sk_str_slice(peer->label, peer->pop.len + 1, peer->label.len);
        if (sk_str_eq(peer->pop, sk_str_from_c(id->pop)) && sk_str_eq(name, sk_str_from_c(id->name)))
            return true;
    }
    return false;
}

/* One that cannot be meant is passed over. Files of ours that cannot be used are another matter: a certificate that is
 * being replaced must not cost us the ring that is in force. */
static sk_err add_heard(struct edge_peers *peers, const struct edge_peer_heard *heard,
                        struct origin_registry *registry) {
    struct fleet_id id;
    sk_str pop = heard->pop.len ? heard->pop : sk_str_from_c(peers->self.pop);
    sk_err err = fleet_id_make(sk_str_from_c(peers->self.fleet), pop, FLEET_ROLE_EDGE, heard->name, &id);
    if (!err && is_expelled(peers, &id)) return SK_OK;
    if (!err && is_known(peers, &id)) return SK_OK;
    if (err || (!heard->address.len && !fleet_id_eq(&id, &peers->self))) err = SK_ERR_MALFORMED;
    if (!err) err = add_peer(peers, &id, heard->address, registry);
    if (err == SK_ERR_MALFORMED)
        sk_log(SK_LOG_ERROR, "peers", "%.*s at %.*s: no node can have that name and address",
               SK_STR_ARGS(heard->name), SK_STR_ARGS(heard->address));
    return err == SK_ERR_MALFORMED ? SK_OK : err;
}

/* ---- the rings ---------------------------------------------------------------------------------------------------- */

static sk_err add_ring(struct edge_peers *peers, sk_str pop) {
    struct edge_peer_ring *ring = &peers->rings[peers->ring_count];
    sk_str names[GRID_NODES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < peers->peer_count; i++) {
        if (!sk_str_eq(peers->peers[i].pop, pop) || (peers->peers[i].self && peers->how.out)) continue;
        if (count == GRID_NODES_MAX) return SK_ERR_TOO_LARGE;
        names[count] = peers->peers[i].label;
        ring->peers[count++] = &peers->peers[i];
    }
    ring->pop = pop;
    ring->ring = malloc(sizeof *ring->ring);
    if (!ring->ring) return SK_ERR_NO_MEMORY;
    grid_ring_make(ring->ring, names, count);
    peers->ring_count++;
    return SK_OK;
}

static sk_err add_rings(struct edge_peers *peers) {
    peers->rings = sk_arena_zalloc(&peers->arena, (peers->peer_count + 1) * sizeof *peers->rings);
    if (!peers->rings) return SK_ERR_NO_MEMORY;
    sk_err err = add_ring(peers, sk_str_from_c(peers->self.pop));
    for (uint32_t i = 0; i < peers->peer_count && !err; i++)
        if (!edge_peers_ring_of(peers, peers->peers[i].pop)) err = add_ring(peers, peers->peers[i].pop);
    return err;
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static void peers_free(struct edge_peers *peers) {
    for (uint32_t i = 0; i < peers->peer_count; i++) origin_group_destroy(peers->peers[i].group);
    for (uint32_t i = 0; i < peers->ring_count; i++) free(peers->rings[i].ring);
    fleet_expelled_free(&peers->expelled);
    sk_arena_free(&peers->arena);
    config_unref(peers->config);
    free(peers);
}

static sk_err fill_in(struct edge_peers *peers, struct origin_registry *registry,
                      const struct edge_peer_heard *heard, size_t count) {
    sk_err err = read_self(peers);
    if (!err) err = read_expelled(peers);
    if (err) {
        sk_log(SK_LOG_ERROR, "peers",
               "%.*s names no edge (spiffe://FLEET/POP/edge/NAME), or is not to be read: %s",
               SK_STR_ARGS(peers->config->peers.cert), sk_err_text(err));
        return err == SK_ERR_NO_MEMORY ? err : SK_ERR_INVALID;
    }
    peers->label = label_of(peers, &peers->self);
    peers->peers = sk_arena_zalloc(&peers->arena, (count + 1) * sizeof *peers->peers);
    if (!peers->label.data || !peers->peers) return SK_ERR_NO_MEMORY;
    err = add_peer(peers, &peers->self, (sk_str){0}, registry);
    for (size_t i = 0; i < count && !err; i++) err = add_heard(peers, &heard[i], registry);
    return err ? err : add_rings(peers);
}

sk_err edge_peers_make(struct config *config, struct origin_registry *registry,
                       const struct edge_peer_heard *heard, size_t count, const struct edge_peers_self *how,
                       struct edge_peers **out_peers) {
    struct edge_peers *peers = calloc(1, sizeof *peers);
    if (!peers) return SK_ERR_NO_MEMORY;
    atomic_init(&peers->references, 1);
    sk_arena_init(&peers->arena, 4096, 0);
    peers->config = config_ref(config);
    peers->how = *how;
    sk_err err = fill_in(peers, registry, heard, count);
    if (err)
        peers_free(peers);
    else
        *out_peers = peers;
    return err;
}

struct edge_peers *edge_peers_ref(struct edge_peers *peers) {
    /* relaxed: whoever hands the pointer over holds a reference already */
    atomic_fetch_add_explicit(&peers->references, 1, memory_order_relaxed);
    return peers;
}

void edge_peers_unref(struct edge_peers *peers) {
    /* acq_rel: the last one frees only after all others have read what they wanted to */
    if (!peers || atomic_fetch_sub_explicit(&peers->references, 1, memory_order_acq_rel) != 1) return;
    peers_free(peers);
}

/* ---- whom to ask ------------------------------------------------------------------------------------------------- */

const struct edge_peer_ring *edge_peers_ring_of(const struct edge_peers *peers, sk_str pop) {
    for (uint32_t i = 0; i < peers->ring_count; i++)
        if (sk_str_eq(peers->rings[i].pop, pop)) return &peers->rings[i];
    return NULL;
}

static const struct edge_peer *choice_of(const struct edge_peer_ring *ring, uint32_t slot, uint32_t choice) {
    uint8_t node = grid_choices(ring->ring, slot)[choice];
    return node == GRID_NOBODY ? NULL : ring->peers[node];
}

const struct edge_peer *edge_peers_owner(const struct edge_peers *peers, sk_str primary, uint32_t choice) {
    return choice < GRID_CHOICES ? choice_of(&peers->rings[0], grid_slot_of(primary), choice) : NULL;
}

bool edge_peers_elsewhere(const struct edge_peers *peers, sk_str primary) {
    const struct edge_peer *owner = edge_peers_owner(peers, primary, 0);
    return owner && !owner->self;
}

struct steps {
    struct edge_peer_step *items;
    uint32_t count;
    const struct grid_ask *by_node;
};

/* Whoever has asked already is not asked: that, and no more, makes loops impossible. */
static bool came_through(const struct steps *steps, const struct edge_peer *peer) {
    for (uint32_t i = 0; steps->by_node && i < steps->by_node->hop_count; i++)
        if (sk_str_eq(steps->by_node->hops[i], peer->label)) return true;
    return false;
}

static void add_step(struct steps *steps, const struct edge_peer *peer, bool only_stored) {
    if (!peer || peer->self || steps->count == EDGE_PEER_STEPS || came_through(steps, peer)) return;
    steps->items[steps->count++] = (struct edge_peer_step){peer, only_stored};
}

static bool came_through_pop(const struct steps *steps, sk_str pop) {
    for (uint32_t i = 0; steps->by_node && i < steps->by_node->hop_count; i++) {
        sk_str hop = steps->by_node->hops[i];
        if (sk_str_eq(sk_str_slice(hop, 0, sk_str_find_byte(hop, '/')), pop)) return true;
    }
    return false;
}

/* The two owners, or those before us when one of them is ours: we are to fetch it ourselves then. */
static void add_owners(struct steps *steps, const struct edge_peer_ring *ring, uint32_t slot) {
    for (uint32_t c = 0; c < 2; c++) {
        const struct edge_peer *peer = choice_of(ring, slot, c);
        if (!peer || peer->self) return;
        add_step(steps, peer, false);
    }
}

/* Who has had our keys before us: the next owner. */
static void add_former(struct steps *steps, const struct edge_peer_ring *ring, uint32_t slot) {
    for (uint32_t c = 0; c < GRID_CHOICES; c++) {
        const struct edge_peer *peer = choice_of(ring, slot, c);
        if (!peer || peer->self || came_through(steps, peer)) continue;
        add_step(steps, peer, true);
        return;
    }
}

uint32_t edge_peers_steps(const struct edge_peers *peers, const struct config_site *site, sk_str primary,
                          const struct grid_ask *by_node, sk_time_ns now,
                          struct edge_peer_step items[EDGE_PEER_STEPS]) {
    struct steps steps = {.items = items, .by_node = by_node};
    const struct edge_peer_ring *own = &peers->rings[0], *shield = NULL;
    uint32_t slot = grid_slot_of(primary);
    if (by_node && (by_node->only_stored || by_node->hop_count >= GRID_HOPS_MAX)) return 0;
    if (!by_node) add_owners(&steps, own, slot);
    if (now < peers->how.warm_until && !steps.count) add_former(&steps, own, slot);
    if (site->shield.len && !sk_str_eq(site->shield, own->pop) && !came_through_pop(&steps, site->shield))
        shield = edge_peers_ring_of(peers, site->shield);
    if (shield) add_owners(&steps, shield, slot);
    return steps.count;
}
