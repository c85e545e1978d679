/* The configuration of an edge as plain, immutable structs, compiled from one YAML file (config/load.h) or
 * the command line. A request holds a reference to the snapshot it began with. */
#ifndef SK_CONFIG_CONFIG_H
#define SK_CONFIG_CONFIG_H

#include <stdatomic.h>

#include "base/arena.h"
#include "config/rule.h"
#include "http/early_hints.h"
#include "http/freshness.h"
#include "http/uri.h"
#include "io/addr.h"

enum config_pq {
    CONFIG_PQ_OFF,
    CONFIG_PQ_OFFER,
    CONFIG_PQ_PREFER,
    CONFIG_PQ_REQUIRE,
    CONFIG_PQ_ADVERTISE /* of origins only */
};

enum config_http2 { CONFIG_HTTP2_OFF, CONFIG_HTTP2_AUTO, CONFIG_HTTP2_ON };

struct config_origin {
    sk_str url; /* as written */
    struct http_uri uri;
    bool tls;
    uint16_t port;
    uint32_t weight;    /* 1 to 1000, default 1; 0: only when all others are down */
    sk_str host;        /* Host and SNI sent; empty: the client's Host for http and SNI by url */
    sk_str ca_file;     /* PEM; empty: system store */
    bool verify;        /* default true */
    sk_str verify_name; /* that the certificate must carry instead of the host; with "://": a URI */
    sk_str client_cert, client_key; /* paths of PEM files, our own to show; empty: none */
    enum config_pq pq;
    enum config_http2 http2; /* ON over http: by prior knowledge */
};

struct config_certificate {
    sk_str cert, key; /* paths of PEM files; end with NUL */
    sk_str
        fleet; /* name of one that control gives, which may not be there yet; empty: the files are a person's */
    bool ocsp; /* its status is to be shown with it */
};
/* Below config_fleet.state, NAME.pem each: certificates with their keys that control has given. */
#define CONFIG_FLEET_CERTIFICATES "certificates"

enum config_acme_challenge { CONFIG_ACME_HTTP_01, CONFIG_ACME_DNS_01 };
enum config_acme_key { CONFIG_ACME_ECDSA, CONFIG_ACME_RSA };
/* One to be ordered. */
struct config_acme_certificate {
    sk_str *names; /* lower case, end with NUL; "*.example.com" allowed with dns-01 */
    uint32_t name_count;
    enum config_acme_challenge challenge;
    enum config_acme_key key;
    bool ocsp;   /* as of config_certificate */
    sk_str file; /* path of the certificate with its key, once it is there; ends with NUL */
};
struct config_acme {
    struct config_acme_certificate *certificates;
    uint32_t certificate_count; /* 0: nothing is ordered */
    sk_str directory, email;    /* end with NUL */
    bool agreed;
    sk_str state, client; /* paths; end with NUL */
    sk_str *routers;      /* admin addresses */
    uint32_t router_count;
    sk_str router_token_file; /* path; ends with NUL; empty: none */
    int64_t check_ms, retry_ms, timeout_ms;
};

enum config_tls_version { CONFIG_TLS_1_2, CONFIG_TLS_1_3 };

struct config_listener {
    struct io_addr addr;
    bool tls;
    bool http2; /* offered by ALPN */
    bool http3; /* over UDP, where there is TLS */
    bool early_data;
    enum config_pq pq;
    enum config_tls_version min_version;
    sk_str client_ca; /* path of a PEM file; ends with NUL; empty: clients need no certificate */
    bool for_nodes;   /* other nodes connect there, and nobody else (config.peers) */
};

struct config_hosts;

struct config_health_check {
    bool enabled;
    sk_str path; /* default "/" */
    int64_t interval_ms, timeout_ms;
    uint32_t healthy_after, unhealthy_after; /* consecutive results */
    uint32_t expect_status_min, expect_status_max;
};

struct config_origin_options {
    int64_t connect_timeout_ms, first_byte_timeout_ms, between_bytes_timeout_ms, idle_timeout_ms;
    uint32_t max_connections, max_idle; /* per thread and origin */
    uint32_t retries;                   /* further tries for one request */
    uint32_t retry_budget_percent;      /* retries allowed as a share of requests */
    uint32_t fail_after;                /* consecutive failures that take an origin out (passive) */
    int64_t fail_for_ms;                /* for how long */
    int64_t
        patience_ms; /* over HTTP/2: without any sign of life it has failed; 0: no matter (between nodes alone) */
    struct config_health_check health;
};

enum config_agent { CONFIG_AGENT_EXACT, CONFIG_AGENT_CLASSES };
/* What requests are reduced to before they select a variant, and before an origin is asked. */
struct config_vary {
    sk_str *languages; /* the site's default first */
    uint32_t language_count;
    sk_str *media_types;
    uint32_t media_type_count;
    uint32_t agent; /* enum config_agent */
    bool any;       /* one of them is in use */
};

enum config_cache_status { CONFIG_CACHE_STATUS_OFF, CONFIG_CACHE_STATUS_ON, CONFIG_CACHE_STATUS_KEY };
struct config_compress {
    bool enabled;
    uint8_t codings[3]; /* enum http_coding, the favourite first */
    uint32_t coding_count;
    sk_str *types; /* "text/html", "text/" and a star, or a star and "+json" */
    uint32_t type_count;
    uint64_t min_bytes, max_bytes;
    uint32_t level, popular_level;
    bool dictionaries;
};

/* The fleet that the edge belongs to. */
struct config_fleet {
    sk_str state;                     /* folder of the identity; empty: none */
    sk_str bus;                       /* fleet/valkey.h's address; empty: none */
    sk_str bus_primary;               /* empty: BUS takes writes */
    sk_str bus_ca, bus_cert, bus_key; /* of TLS to them: paths of PEM files; empty: none */
    int64_t silence_ms;
};

/* Another node of the ring. */
struct config_peer {
    sk_str name, pop, address;
};
/* The ring of a PoP (grid/ring.h). */
struct config_peers {
    sk_str listen;        /* empty: there is none */
    sk_str address;       /* where others reach it; empty: by its members' table nobody does */
    sk_str state;         /* folder, ends with NUL; empty: nothing is remembered */
    sk_str ca, cert, key; /* paths of PEM files; end with NUL */
    struct config_peer *nodes;
    uint32_t node_count;
    int64_t timeout_ms, patience_ms, warm_up_ms;
    uint32_t hot; /* requests in ten seconds; 0: nothing is */
};

/* Who may use the PURGE method. */
struct config_purge {
    struct io_prefix *allow;
    uint32_t allow_count;
};

/* Whose QUIC connections are told in files. */
struct config_qlog {
    sk_str folder; /* empty: nobody's */
    struct io_prefix *clients;
    uint32_t client_count;
    uint64_t bytes; /* of all files together */
};

struct config_site {
    sk_str name;
    sk_str *hosts; /* lower case; "*.example.com" and "*" allowed */
    uint32_t host_count;
    struct config_origin *origins;
    uint32_t origin_count;
    struct config_origin_options origin;
    struct config_rule base;   /* what holds where no rule says otherwise */
    struct config_rule *rules; /* config_rule_for */
    uint32_t rule_count;
    bool pass_tags;
    sk_str shield;             /* PoP; empty: none */
    struct config_purge purge; /* its own, or the top's */
    struct config_vary vary;
    uint32_t cache_status; /* enum config_cache_status */
    uint32_t early_hints;  /* enum http_early_hints_mode */
    struct config_compress compress;
    struct config_certificate *certificates;
    uint32_t certificate_count;
    uint32_t index; /* in config.sites */
};

struct config_limits {
    uint32_t connections; /* of the process; 0: from the descriptor limit */
    uint32_t connections_per_client;
    uint32_t header_bytes, header_fields, target_bytes;
    uint64_t request_body_bytes;
    uint32_t pipelined_requests; /* answered in a row before others get a turn */
};
struct config_timeouts {
    int64_t header_ms, body_ms, write_ms, keep_alive_ms, drain_ms,
        tunnel_ms;     /* body, write: without any progress */
    uint64_t min_rate; /* bytes a second, over a window, for bodies in and out; 0: off */
};

struct config_device {
    sk_str path;    /* ends with NUL */
    uint64_t bytes; /* 0: as it is */
};
/* The SSD tier. */
struct config_disk {
    sk_str path; /* as written; DEVICES has it first */
    uint64_t bytes;
    struct config_device *devices;
    uint32_t device_count; /* 0: there is no such tier */
    uint32_t admit;        /* per cent of what was asked for once */
    uint64_t write_limit;  /* bytes a second; 0: none */
    sk_str state;          /* path of the log; ends with NUL */
    sk_str key_file;       /* ends with NUL; empty: no encryption */
};

enum config_log_format { CONFIG_LOG_JSON, CONFIG_LOG_COMMON };

struct config {
    _Atomic uint32_t references;
    uint64_t number; /* of this process, counts up at each reload */
    struct sk_arena arena;
    sk_str path; /* of the file; empty when from the command line */

    struct config_listener *listeners;
    uint32_t listener_count;
    struct config_certificate *certificates; /* beside those of the sites */
    uint32_t certificate_count;
    struct config_acme acme;
    sk_str admin; /* "unix:PATH" or "ADDR:PORT"; empty: none */
    sk_str admin_token;
    uint32_t threads;
    uint64_t memory_bytes, max_object_bytes;
    uint32_t capacity; /* requests a second that are a load of 1; 0: unknown */
    struct config_disk disk;
    sk_str user;        /* to become after binding; empty: stay */
    sk_str server_name; /* in Via, CDN-Loop, Cache-Status */
    sk_str access_log;  /* path, "-" or empty for none */
    enum config_log_format access_log_format;
    int log_level;
    sk_str resolver; /* "ip:port,..." or empty for the system's */
    struct io_prefix *trusted_proxies;
    uint32_t trusted_proxy_count;
    struct config_fleet fleet;
    struct config_peers peers;
    struct config_purge purge;
    struct config_qlog qlog;
    struct config_limits limits;
    struct config_timeouts timeouts;
    struct config_site *sites;
    uint32_t site_count;
    struct config_hosts *hosts; /* config_site_for's index */
};

/* References may be taken and given back on any thread; the last one frees. NULL may be given back. */
struct config *config_ref(struct config *config);
void config_unref(struct config *config);

bool config_disk_same(const struct config_disk *a, const struct config_disk *b);
/* True when a listener speaks TLS. */
bool config_has_tls(const struct config *config);
/* True when one for clients does, so that a certificate is needed. */
bool config_serves_tls(const struct config *config);

/* The site for a host: exact, then the longest wildcard, then "*". NULL when none serves it. HOST may carry a
 * port and is compared without regard to case. Allocates nothing. */
const struct config_site *config_site_for(const struct config *config, sk_str host);

#endif
