/* The configuration of a router as plain, immutable structs, compiled from one YAML file (route_load.c) or the
 * command line. Names are text as written: what they mean on the wire is route/'s business. */
#ifndef SK_CONFIG_ROUTE_H
#define SK_CONFIG_ROUTE_H

#include "base/arena.h"
#include "config/load.h"
#include "io/addr.h"

enum config_route_check { CONFIG_ROUTE_CHECK_NONE, CONFIG_ROUTE_CHECK_HTTP, CONFIG_ROUTE_CHECK_HTTPS };

struct config_route_health { /* how each edge is asked whether it can serve */
    int check;               /* enum config_route_check */
    sk_str path, host;       /* HOST empty: the edge's address */
    int64_t interval_ms, timeout_ms;
    uint32_t down_after, up_after; /* results in a row */
    bool verify;
    sk_str ca_file; /* empty: the system's */
};

enum config_route_tsig { CONFIG_ROUTE_TSIG_SHA256, CONFIG_ROUTE_TSIG_SHA512 };

struct config_route_tsig_key {
    sk_str name;
    int algorithm; /* enum config_route_tsig */
    sk_str secret; /* base64 */
};

struct config_route_query_log {
    sk_str path; /* "-": stdout; empty: none */
    uint32_t one_in, per_second;
};

struct config_route_zone {
    sk_str name;
    sk_str file;
    struct io_prefix *allow_transfer;
    uint32_t allow_transfer_count;
    struct io_addr *notify; /* secondaries to tell of a new serial */
    uint32_t notify_count;
    sk_str tsig_key;         /* name of a key; empty: none */
    sk_str keys;             /* folder; empty: not signed */
    int64_t ksk_lifetime_ms; /* 0: for ever */
};

struct config_route_site {
    sk_str name;
    sk_str latitude, longitude; /* decimals; empty: unknown */
    sk_str capacity, cost;      /* decimals */
    struct io_addr *addresses;  /* of its edges, the port is that of their health check */
    uint32_t address_count;
    struct io_addr *reports; /* admin addresses of its edges, where they tell what their clients measure */
    uint32_t report_count;
    sk_str *hosts; /* names of its edges for redirects; when as many as addresses, in their order */
    uint32_t host_count;
};

struct config_route_reports { /* of edges: load, hit ratio, clients' round trip times */
    int64_t interval_ms, timeout_ms;
    bool round_trips;
    sk_str token;   /* of the edges' admin addresses; empty: none */
    sk_str explore; /* decimal */
};

enum config_route_scheme { CONFIG_ROUTE_SCHEME_HTTPS, CONFIG_ROUTE_SCHEME_HTTP };

struct config_route_http { /* routing by redirect */
    struct io_addr *listeners;
    uint32_t listener_count;
    int status; /* 0: 302, 1: 307 */
    int scheme; /* enum config_route_scheme, of where clients are sent */
    uint32_t connections;
};

struct config_route_name { /* answered from the routing table */
    sk_str name;
    int64_t ttl_ms;
    uint32_t first_addresses, other_addresses;
    bool https;
    sk_str alpn;     /* "h3,h2" */
    sk_str ech_file; /* ECHConfigList in base64; empty: none */
};

struct config_route_override {
    sk_str prefix;  /* one of the three */
    sk_str country; /* two letters */
    uint32_t as_number;
    sk_str *sites; /* names, best first */
    uint32_t site_count;
};

struct config_route_weights { /* decimals, as text */
    sk_str distance, load, hit_ratio, cost, low_watermark, high_watermark, hysteresis, max_step;
    uint32_t answer_sites;
};

struct config_route_rate { /* answers a second to one network; 0: no limit */
    uint32_t answers, no_data, no_name, referrals, errors, large;
    uint32_t slip;
};

struct config_route_tcp {
    uint32_t connections, connections_per_client; /* of one thread */
    int64_t idle_ms;
};

struct config_route {
    struct sk_arena arena;
    sk_str path;   /* of the file; empty when from the command line */
    sk_str folder; /* of the file, for paths in it; empty: the working directory */

    struct io_addr *listeners;
    uint32_t listener_count;
    uint32_t threads;
    sk_str admin, admin_token;
    sk_str user;
    sk_str state; /* folder; empty: nothing is kept */
    int log_level;
    sk_str nsid, version, identity;
    bool cookies;
    sk_str cookie_secret, cookie_secret_previous; /* 32 hex digits; empty: made at start */
    uint32_t badcookie_above;
    struct config_route_rate rate;
    struct config_route_tcp tcp;
    struct config_route_weights weights;
    struct config_route_health health;
    struct config_route_http http;
    struct config_route_reports reports;
    struct config_route_query_log query_log;
    sk_str *databases; /* MMDB files */
    uint32_t database_count;
    struct config_route_tsig_key *tsig_keys;
    uint32_t tsig_key_count;
    struct config_route_zone *zones;
    uint32_t zone_count;
    struct config_route_site *sites;
    uint32_t site_count;
    struct config_route_name *names;
    uint32_t name_count;
    struct config_route_override *overrides;
    uint32_t override_count;
};

sk_err config_route_parse(sk_str text, const char *name, struct config_route **out_config,
                          struct config_problems *problems);
sk_err config_route_load_file(const char *path, struct config_route **out_config,
                              struct config_problems *problems);

/* `skerry route --listen ... --zone NAME=FILE` without a file. NULL and 0 mean the default. */
struct config_route_arguments {
    const char *const *listen;
    size_t listen_count;
    const char *const *zones; /* NAME=FILE */
    size_t zone_count;
    const char *admin;
    uint32_t threads;
};
/* Lays the arguments over the configuration; CONFIG may be one of no file (config_route_empty). */
sk_err config_route_apply_arguments(struct config_route *config,
                                    const struct config_route_arguments *arguments,
                                    struct config_problems *problems);
/* All defaults, no zones. SK_ERR_NO_MEMORY. */
sk_err config_route_empty(struct config_route **out_config);
void config_route_free(struct config_route *config);

#endif
