/* From a query's bytes to an answer's bytes: the whole of authoritative service as one function without I/O. The
 * server (UDP and TCP), the tests, the fuzzers and the benchmarks call the same. Threads each have an
 * answerer of their own; the data (zones, tables) is an immutable snapshot that is swapped by pointer. */
#ifndef SK_ROUTE_ANSWER_H
#define SK_ROUTE_ANSWER_H

#include "io/addr.h"
#include "observe/metrics.h"
#include "route/cookie.h"
#include "route/rate.h"
#include "route/table.h"
#include "route/tsig.h"
#include "route/zone.h"

/* --- what is answered from -------------------------------------------------------------------------- */

/* A name whose A, AAAA and HTTPS records come from the routing table instead of its zone. */
struct answer_routed {
    struct dns_name name; /* may begin with "*" */
    uint32_t ttl_s;
    uint16_t first_addresses; /* of the best site, per family; 0: all */
    uint16_t other_addresses; /* of each further site; 0: all */
    sk_str alpn;              /* SvcParam value in wire form ("\2h3\2h2"); empty: no HTTPS record */
    sk_str ech;               /* ECHConfigList; empty: none */
};
void answer_routed_default(const struct dns_name *name, struct answer_routed *out_routed);

/* The extra record that marks INDEX of the routed names in its zone (zone_load_with). DATA is its memory. */
struct zone_extra answer_routed_mark(const struct answer_routed *routed, uint32_t index, uint8_t data[4]);

struct answer_zones;    /* zones, with the answers that were encoded beforehand; counted */
struct answer_snapshot; /* zones, routing table, options; counted */

/* Takes the COUNT zones of LIST on success (their apexes differ), copies ROUTED (its indexes are those of the marks).
 * SK_ERR_EXISTS: an apex twice; SK_ERR_NO_MEMORY. */
sk_err answer_zones_create(struct zone *const *list, size_t count, const struct answer_routed *routed,
                           size_t routed_count, struct answer_zones **out_zones);
struct answer_zones *answer_zones_ref(struct answer_zones *zones);
void answer_zones_unref(struct answer_zones *zones);
/* The zone with this apex, or NULL. */
const struct zone *answer_zones_find(const struct answer_zones *zones, const struct dns_name *apex);

struct answer_options {
    sk_str nsid;  /* RFC 5001; empty: none */
    bool cookies; /* RFC 7873 */
    struct cookie_secrets secrets;
    uint32_t badcookie_above; /* queries a second of one thread, over which a wrong cookie gets BADCOOKIE */
    struct rate_options rate;
    struct tsig_keys tsig;    /* of who keeps them as long as the snapshot */
    sk_str version, identity; /* of version.bind and id.server in class CH; empty: refused */
};
void answer_options_default(struct answer_options *out_options);

struct dnssec_memo; /* route/dnssec.h */

struct answer_snapshot_input {
    struct answer_zones *zones; /* a reference is taken */
    struct table *table;        /* taken on success; NULL: routed names fall back to their zone's records */
    const struct table_site *sites; /* those that the table was built from; read during the call only */
    size_t site_count;
    const struct answer_options *options; /* texts are copied */
    struct dnssec_memo *memo; /* of the caller: signatures of routed names that did not change; NULL: none */
};
/* Encodes the answers of all routed names for all site lists. SK_ERR_NO_MEMORY. */
sk_err answer_snapshot_create(const struct answer_snapshot_input *input,
                              struct answer_snapshot **out_snapshot);
struct answer_snapshot *answer_snapshot_ref(struct answer_snapshot *snapshot);
void answer_snapshot_unref(struct answer_snapshot *snapshot);
const struct answer_zones *answer_snapshot_zones(const struct answer_snapshot *snapshot);
/* NULL: none. */
const struct table *answer_snapshot_table(const struct answer_snapshot *snapshot);

/* --- answering -------------------------------------------------------------------------------------- */

struct answerer; /* one a thread: rate limits, scratch */
struct overlay;  /* route/overlay.h */

/* METRICS may be NULL. SK_ERR_NO_MEMORY. */
sk_err answerer_create(struct observe_thread *metrics, struct answerer **out_answerer);
void answerer_free(struct answerer *answerer);
/* What lies over the zones of the snapshots from now on; the caller's, and stays while it is in force. NULL: nothing. */
void answerer_use_overlay(struct answerer *answerer, const struct overlay *overlay);

enum answer_transport { ANSWER_UDP, ANSWER_TCP };

struct answer_log { /* for the query log and explain */
    uint16_t type;
    struct dns_name name;
    enum dns_rcode rcode;
    enum rate_kind kind;
    bool routed, truncated, rate_limited, dnssec_ok;
    enum decide_reason reason; /* and what follows, where it was routed */
    uint16_t site;
    uint8_t scope_bits;
    struct dns_client_subnet subnet;
    uint8_t scope_sent; /* of the subnet, in its own family */
};

/* Writes at most CAPACITY bytes to OUT; returns the length, 0 when nothing may be sent (not a query, rate
 * limited). Over UDP never more than the client takes, and never more than DNS_UDP_PAYLOAD. CAPACITY is at least
 * 512. OUT_LOG may be NULL. */
size_t answer_query(struct answerer *answerer, const struct answer_snapshot *snapshot,
                    enum answer_transport transport, const struct io_addr *client, const uint8_t *query,
                    size_t query_bytes, sk_time_ns now, sk_unix_s wall_s, uint8_t *out, size_t capacity,
                    struct answer_log *out_log);

#endif
