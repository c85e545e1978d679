#include "edge/snapshot.h"

#include <stdlib.h>

static void set_head_limits(const struct config_limits *limits, struct wire_h1_limits *out) {
    wire_h1_limits_default(out);
    if (limits->header_bytes) out->head_bytes = limits->header_bytes;
    if (limits->target_bytes) out->target_bytes = limits->target_bytes;
    if (limits->header_fields) out->field_count = limits->header_fields;
}

static void snapshot_free(struct edge_snapshot *snapshot) {
    for (uint32_t i = 0; snapshot->groups && i < snapshot->config->site_count; i++)
        if (snapshot->groups[i]) origin_group_destroy(snapshot->groups[i]);
    free(snapshot->groups);
    edge_tls_free(&snapshot->tls, snapshot->config);
    free(snapshot);
}

static sk_err create_groups(struct edge_snapshot *snapshot, struct origin_registry *registry) {
    for (uint32_t i = 0; i < snapshot->config->site_count; i++) {
        sk_err err = origin_group_create(registry, &snapshot->config->sites[i], &snapshot->groups[i]);
        if (err) return err;
    }
    return SK_OK;
}

sk_err edge_snapshot_create(struct config *config, struct origin_registry *registry,
                            struct wire_tls_tickets *tickets, struct sk_buf *report,
                            struct edge_snapshot **out_snapshot) {
    struct edge_snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (!snapshot) return SK_ERR_NO_MEMORY;
    snapshot->references = 1;
    snapshot->config = config;
    snapshot->qlog_left = config->qlog.bytes;
    snapshot->groups = calloc(config->site_count + 1, sizeof(struct origin_group *));
    sk_err err = snapshot->groups ? create_groups(snapshot, registry) : SK_ERR_NO_MEMORY;
    if (!err) err = edge_tls_create(config, tickets, report, &snapshot->tls);
    if (err) {
        snapshot_free(snapshot);
        return err;
    }
    set_head_limits(&config->limits, &snapshot->head_limits);
    *out_snapshot = snapshot;
    return SK_OK;
}

struct edge_snapshot *edge_snapshot_ref(struct edge_snapshot *snapshot) {
    /* relaxed: whoever hands the pointer over holds a reference already */
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
    return snapshot;
}

void edge_snapshot_unref(struct edge_snapshot *snapshot) {
    /* release: our reads come before the free; acquire: the last one sees everybody's */
    if (atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) != 1) return;
    struct config *config = snapshot->config;
    snapshot_free(snapshot);
    config_unref(config);
}

struct origin_group *edge_snapshot_group(const struct edge_snapshot *snapshot,
                                         const struct config_site *site) {
    return snapshot->groups[site->index];
}

static struct wire_tls_server *find_tls(const struct edge_snapshot *snapshot, const struct io_addr *addr,
                                        bool http3) {
    const struct config *config = snapshot->config;
    for (uint32_t i = 0; snapshot->tls.servers && i < config->listener_count; i++)
        if (io_addr_eq(&config->listeners[i].addr, addr))
            return http3 && !edge_speaks_http3(&config->listeners[i]) ? NULL : snapshot->tls.servers[i];
    return NULL;
}

struct wire_tls_server *edge_snapshot_tls(const struct edge_snapshot *snapshot, const struct io_addr *addr) {
    return find_tls(snapshot, addr, false);
}

struct wire_tls_server *edge_snapshot_quic(const struct edge_snapshot *snapshot, const struct io_addr *addr) {
    return find_tls(snapshot, addr, true);
}
