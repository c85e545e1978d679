/* `peers`: the other nodes, and the listener that they reach us by. */
#include <stdio.h>
#include <string.h>

#include "config/compile_private.h"
#include "config/value.h"

static void told(struct compile *c, const char *key, const char *text) {
    char path[CONFIG_PATH_BYTES];
    snprintf(path, sizeof(path), "peers.%s", key);
    config_compile_problem(c, path, "%s", text);
}

/* A file of its own, or that of the fleet's folder, which `skerry join` may yet make. */
static sk_str file_of(struct compile *c, const char *key, sk_str file, const char *of_fleet) {
    char path[CONFIG_PATH_BYTES];
    sk_str state = c->config->fleet.state;
    snprintf(path, sizeof(path), "peers.%s", key);
    if (file.len) return config_compile_file(c, path, file);
    if (!state.len) {
        told(c, key, "found no path, expected one because there is no fleet.state");
        return file;
    }
    file = sk_arena_printf(&c->config->arena, "%.*s/%s", SK_STR_ARGS(state), of_fleet);
    if (!file.data) c->err = SK_ERR_NO_MEMORY;
    return file;
}

static void compile_nodes(struct compile *c, const struct config_raw_PEERS *raw, struct config_peers *peers) {
    const struct config_section *section =
        config_compile_section(config_compile_section(config_top, "peers"), "nodes");
    peers->nodes = config_compile_allocate(c, raw->nodes_count, sizeof(*peers->nodes));
    if (!peers->nodes) return;
    for (unsigned i = 0; i < raw->nodes_count; i++) {
        char key[32];
        struct config_peer *peer = &peers->nodes[i];
        config_compile_fill(c, section, &raw->nodes[i], peer);
        snprintf(key, sizeof(key), "nodes[%u]", i);
        if (!peer->name.len) told(c, key, "found no name, expected one (example: name: b)");
        for (unsigned j = 0; j < i; j++)
            if (sk_str_eq(peers->nodes[j].name, peer->name) && sk_str_eq(peers->nodes[j].pop, peer->pop))
                told(c, key, "found the name of another one of the same PoP again");
    }
    peers->node_count = raw->nodes_count;
}

/* HTTP/2 with certificates of nodes, and nothing else. */
static void add_listener(struct compile *c, const struct config_peers *peers) {
    struct config *config = c->config;
    struct config_listener *listener = &config->listeners[config->listener_count];
    bool tls = false;
    *listener = (struct config_listener){.tls = true,
                                         .http2 = true,
                                         .pq = CONFIG_PQ_REQUIRE,
                                         .min_version = CONFIG_TLS_1_3,
                                         .client_ca = peers->ca,
                                         .for_nodes = true};
    if (config_endpoint_parse(peers->listen, &listener->addr, &tls)) {
        if (!c->err) c->err = SK_ERR_INVALID;
        return;
    }
    for (uint32_t i = 0; i < config->listener_count; i++)
        if (io_addr_eq(&config->listeners[i].addr, &listener->addr))
            told(c, "listen", "found the address of clients again, expected one for nodes alone");
    config->listener_count++;
}

static bool is_any(const struct io_addr *addr) {
    static const uint8_t any[16], any4[16] = {[10] = 0xff, [11] = 0xff};
    uint8_t ip[16];
    return io_addr_ip16(addr, ip) && (!memcmp(ip, any, 16) || !memcmp(ip, any4, 16));
}

/* What others are to connect to; a listener on all addresses says nothing to them. */
static void set_address(struct compile *c, struct config_peers *peers) {
    struct io_addr addr;
    bool tls = false;
    if (peers->address.len || peers->node_count || !c->config->fleet.bus.len) return;
    if (config_endpoint_parse(peers->listen, &addr, &tls) == SK_OK && !is_any(&addr))
        peers->address = peers->listen;
    else
        told(c, "address", "found none, expected where other nodes reach `listen` (example: 10.0.0.1:7444)");
}

void config_compile_peers(struct compile *c, const struct config_raw_PEERS *raw, struct config_peers *peers) {
    config_compile_fill(c, config_compile_section(config_top, "peers"), raw, peers);
    if (!raw) return;
    if (!raw->listen) {
        config_compile_problem(c, "peers", "found no listen, expected one (example: listen: 10.0.0.1:7444)");
        return;
    }
    if (!raw->cert != !raw->key)
        config_compile_problem(c, "peers", "found one of cert and key, expected both or none");
    compile_nodes(c, raw, peers);
    peers->ca = file_of(c, "ca", peers->ca, "roots.pem");
    peers->cert = file_of(c, "cert", peers->cert, "node.pem");
    peers->key = file_of(c, "key", peers->key, "node.pem");
    peers->state = peers->state.len ? config_compile_path(c, peers->state) : c->config->fleet.state;
    set_address(c, peers);
    if (c->config->listeners) add_listener(c, peers);
}
