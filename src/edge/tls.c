#include "edge/tls.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "http/date.h"
#include "io/file.h"

#define SOON_S (7 * 86400)

/* --- every certificate of a configuration ---------------------------------------------------------------- */

/* The top's first, then those of each site in turn. NULL behind the last. */
struct walk {
    const struct config *config;
    uint32_t site, index;
    bool top_done;
};

static const struct config_certificate *walk_next(struct walk *walk) {
    const struct config *config = walk->config;
    if (!walk->top_done) {
        if (walk->index < config->certificate_count) return &config->certificates[walk->index++];
        walk->top_done = true;
        walk->index = 0;
    }
    for (; walk->site < config->site_count; walk->site++, walk->index = 0) {
        const struct config_site *site = &config->sites[walk->site];
        if (walk->index < site->certificate_count) return &site->certificates[walk->index++];
    }
    return NULL;
}

static sk_err told(struct sk_buf *report, const char *why) {
    sk_err err = sk_buf_printf(report, "%s\n", why);
    return err ? err : SK_ERR_INVALID;
}

static sk_err add(struct wire_tls_store *store, const char *cert, const char *key, bool ocsp,
                  char why[WIRE_TLS_WHY_BYTES]) {
    sk_err err = wire_tls_store_add(store, cert, key, why);
    if (!err && ocsp) wire_tls_store_want_status(store, wire_tls_store_count(store) - 1);
    return err;
}

/* Those by ACME come after all others. One that is not there yet, or cannot be used, is ordered: it must not keep
 * what else is there from being served. */
static sk_err load_ordered(const struct config_acme *acme, struct wire_tls_store *store) {
    sk_err err = SK_OK;
    for (uint32_t i = 0; i < acme->certificate_count && !err; i++) {
        char why[WIRE_TLS_WHY_BYTES];
        const char *file = acme->certificates[i].file.data;
        if (access(file, F_OK) != 0) continue;
        err = add(store, file, file, acme->certificates[i].ocsp, why);
        if (err != SK_ERR_INVALID) continue;
        sk_log(SK_LOG_WARN, "acme", "%s", why);
        err = SK_OK;
    }
    return err;
}

sk_err edge_tls_load(const struct config *config, struct sk_buf *report, struct wire_tls_store **out_store) {
    struct wire_tls_store *store;
    struct walk walk = {.config = config};
    const struct config_certificate *certificate;
    sk_err err = wire_tls_store_create(&store);
    if (err) return err;
    while (!err && (certificate = walk_next(&walk))) {
        char why[WIRE_TLS_WHY_BYTES];
        err = add(store, certificate->cert.data, certificate->key.data, certificate->ocsp, why);
        if (err == SK_ERR_INVALID) err = told(report, why);
    }
    if (!err) err = load_ordered(&config->acme, store);
    if (err)
        wire_tls_store_unref(store);
    else
        *out_store = store;
    return err;
}

/* --- servers ---------------------------------------------------------------------------------------------- */

static sk_err create_server(const struct config *config, const struct config_listener *listener,
                            struct wire_tls_store *store, struct wire_tls_tickets *tickets,
                            struct sk_buf *report, struct wire_tls_server **out_server) {
    const struct config_peers *nodes = &config->peers;
    static const enum wire_tls_pq pq[] = {
        [CONFIG_PQ_OFF] = WIRE_TLS_PQ_OFF,
        [CONFIG_PQ_OFFER] = WIRE_TLS_PQ_OFFER,
        [CONFIG_PQ_PREFER] = WIRE_TLS_PQ_PREFER,
        [CONFIG_PQ_REQUIRE] = WIRE_TLS_PQ_REQUIRE,
    };
    struct wire_tls_server_options options = {
        .pq = pq[listener->pq],
        .only_1_3 = listener->min_version == CONFIG_TLS_1_3,
        .http2 = listener->http2,
        .http3 = edge_speaks_http3(listener),
        .early_data = listener->early_data,
        .http3_promise = config->limits.header_bytes,
        .client_ca = listener->client_ca.len ? listener->client_ca.data : NULL,
        .node_cert = listener->for_nodes ? nodes->cert.data : NULL,
        .node_key = listener->for_nodes ? nodes->key.data : NULL,
        .store = store,
        .tickets = tickets,
    };
    sk_err err = wire_tls_server_create(&options, out_server);
    if (err != SK_ERR_INVALID) return err;
    if (listener->for_nodes)
        err = sk_buf_printf(report, "%s, %s, %s: cannot be used for nodes\n", options.client_ca,
                            options.node_cert, options.node_key);
    else
        err = sk_buf_printf(report, "%s: holds no certificates in PEM\n", options.client_ca);
    return err ? err : SK_ERR_INVALID;
}

sk_err edge_tls_create(const struct config *config, struct wire_tls_tickets *tickets, struct sk_buf *report,
                       struct edge_tls *out_tls) {
    struct edge_tls tls = {0};
    *out_tls = tls;
    if (!config_has_tls(config)) return SK_OK;
    tls.files = edge_tls_files(config); /* before they are read: what changes meanwhile is seen later */
    tls.servers = calloc(config->listener_count, sizeof(struct wire_tls_server *));
    sk_err err = tls.servers ? edge_tls_load(config, report, &tls.store) : SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < config->listener_count && !err; i++)
        if (config->listeners[i].tls)
            err = create_server(config, &config->listeners[i], tls.store, tickets, report, &tls.servers[i]);
    if (err)
        edge_tls_free(&tls, config);
    else
        *out_tls = tls;
    return err;
}

void edge_tls_free(struct edge_tls *tls, const struct config *config) {
    for (uint32_t i = 0; tls->servers && i < config->listener_count; i++)
        wire_tls_server_unref(tls->servers[i]);
    free(tls->servers);
    wire_tls_store_unref(tls->store);
    *tls = (struct edge_tls){0};
}

/* --- changed files ---------------------------------------------------------------------------------------- */

static uint64_t add_file(uint64_t stamp, sk_str path) {
    return path.len ? io_file_stamp(stamp, path.data) : stamp;
}

uint64_t edge_tls_files(const struct config *config) {
    struct walk walk = {.config = config};
    const struct config_certificate *certificate;
    uint64_t stamp = 0;
    while ((certificate = walk_next(&walk)))
        stamp = add_file(add_file(stamp, certificate->cert), certificate->key);
    for (uint32_t i = 0; i < config->acme.certificate_count; i++)
        stamp = add_file(stamp, config->acme.certificates[i].file);
    for (uint32_t i = 0; i < config->listener_count; i++)
        stamp = add_file(stamp, config->listeners[i].client_ca);
    stamp = add_file(add_file(stamp, config->peers.cert), config->peers.key);
    return stamp;
}

/* --- what is not quite right ------------------------------------------------------------------------------ */

static sk_err warn_time(const struct wire_tls_certificate *certificate, sk_unix_s now,
                        struct sk_buf *report) {
    bool early = now < certificate->not_before, late = now >= certificate->not_after;
    char date[HTTP_DATE_BYTES];
    if (!early && certificate->not_after - now > SOON_S) return SK_OK;
    http_date_format(early ? certificate->not_before : certificate->not_after, date);
    return sk_buf_printf(report, "%s: the certificate %s %.*s\n", certificate->file,
                         early  ? "is not valid before"
                         : late ? "has expired:"
                                : "expires soon:",
                         HTTP_DATE_BYTES, date);
}

/* RFC 7633: whoever looks refuses such a certificate without it. */
static sk_err warn_status(const struct wire_tls_certificate *certificate, struct sk_buf *report) {
    if (!certificate->must_staple || certificate->wants_status) return SK_OK;
    return sk_buf_printf(report, "%s: the certificate asks for its status beside it, but `ocsp` is false\n",
                         certificate->file);
}

static bool covered(const struct wire_tls_store *store, sk_str host) {
    return wire_tls_store_find(store, host, WIRE_TLS_ECDSA) || wire_tls_store_find(store, host, WIRE_TLS_RSA);
}

static sk_err warn_hosts(const struct config_site *site, const struct wire_tls_store *store,
                         struct sk_buf *report) {
    sk_err err = SK_OK;
    for (uint32_t i = 0; i < site->host_count && site->certificate_count && !err; i++)
        if (!sk_str_eq(site->hosts[i], SK_STR("*")) && !covered(store, site->hosts[i]))
            err = sk_buf_printf(report, "site %.*s: no certificate covers %.*s\n", SK_STR_ARGS(site->name),
                                SK_STR_ARGS(site->hosts[i]));
    return err;
}

sk_err edge_tls_warn(const struct config *config, const struct wire_tls_store *store, sk_unix_s now,
                     struct sk_buf *report) {
    sk_err err = SK_OK;
    for (uint32_t i = 0; i < wire_tls_store_count(store) && !err; i++) {
        const struct wire_tls_certificate *certificate = wire_tls_store_at(store, i);
        err = warn_time(certificate, now, report);
        if (!err) err = warn_status(certificate, report);
    }
    for (uint32_t i = 0; i < config->site_count && !err; i++)
        err = warn_hosts(&config->sites[i], store, report);
    return err;
}
