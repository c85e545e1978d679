#include "route/target.h"

#include <stdio.h>

static uint64_t text_hash(sk_str text) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a: the same on every router */
    for (size_t i = 0; i < text.len; i++) hash = (hash ^ (uint8_t)text.data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static sk_str edge_text(const struct config_route_site *config, const struct table_site *site, size_t index,
                        char out[IO_ADDR_TEXT_BYTES]) {
    if (config->host_count) return config->hosts[index];
    return (sk_str){out, io_addr_format(&site->addresses[index], out)};
}

/* Names that stand for addresses are as alive as these. */
static bool may_use(const struct config_route_site *config, const struct table_site *site, size_t index) {
    bool aligned = config->host_count == 0 || config->host_count == site->address_count;
    return !aligned || site->address_up[index];
}

static bool any_up(const struct table_site *site) {
    bool any = false;
    for (size_t i = 0; i < site->address_count; i++) any |= site->address_up[i];
    return any;
}

/* The edge of a site that TARGET belongs to. */
static void choose_edge(const struct config_route_site *config, const struct table_site *site, sk_str target,
                        struct target *out) {
    uint64_t hashes[TARGET_EDGES_MAX], key = text_hash(target);
    double weights[TARGET_EDGES_MAX];
    uint16_t indexes[TARGET_EDGES_MAX], order[TARGET_EDGES_MAX];
    char text[IO_ADDR_TEXT_BYTES];
    size_t count = 0, all = config->host_count ? config->host_count : site->address_count;
    bool choosy = any_up(site);
    for (size_t i = 0; i < all && count < TARGET_EDGES_MAX; i++) {
        if (choosy && !may_use(config, site, i)) continue;
        hashes[count] = text_hash(edge_text(config, site, i, text));
        weights[count] = 1;
        indexes[count++] = (uint16_t)i;
    }
    decide_rendezvous(hashes, weights, count, key, order);
    sk_str edge = edge_text(config, site, indexes[order[0]], text);
    snprintf(out->host, sizeof out->host, "%.*s", SK_STR_ARGS(edge));
}

bool target_choose(const struct route_plan *plan, const uint8_t ip[16], sk_str target,
                   struct target *out_target) {
    const struct table *table = answer_snapshot_table(plan->snapshot);
    if (!table) return false;
    const struct decide_answer *answer = table_find(table, ip).answer;
    if (!answer->count) return false;
    out_target->site = answer->sites[0];
    out_target->reason = answer->reason;
    choose_edge(&plan->config->config->sites[answer->sites[0]], &plan->sites[answer->sites[0]], target,
                out_target);
    return true;
}
