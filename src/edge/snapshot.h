/* A configuration in force together with the origin groups made from it: immutable, counted, shared by all
 * threads. A worker holds the one in force; an exchange that outlives its callback holds the one it began
 * with. */
#ifndef SK_EDGE_SNAPSHOT_H
#define SK_EDGE_SNAPSHOT_H

#include "config/config.h"
#include "edge/tls.h"
#include "origin/origin.h"
#include "wire/h1.h"

struct edge_snapshot {
    _Atomic uint32_t references;
    struct config *config;             /* a reference */
    struct origin_group **groups;      /* by site index */
    struct wire_h1_limits head_limits; /* of client requests */
    struct edge_tls tls;
    _Atomic uint64_t qlog_left; /* bytes of qlog that may yet be written; any thread */
};

/* Takes over the reference to CONFIG on success. SK_ERR_INVALID (an origin's CA file; a file of TLS, which is
 * told in REPORT), SK_ERR_NO_MEMORY. */
sk_err edge_snapshot_create(struct config *config, struct origin_registry *registry,
                            struct wire_tls_tickets *tickets, struct sk_buf *report,
                            struct edge_snapshot **out_snapshot);
struct edge_snapshot *edge_snapshot_ref(struct edge_snapshot *snapshot);
void edge_snapshot_unref(struct edge_snapshot *snapshot);
struct origin_group *edge_snapshot_group(const struct edge_snapshot *snapshot,
                                         const struct config_site *site);

/* The TLS of the listener at ADDR (as configured), or NULL when it is plain. */
struct wire_tls_server *edge_snapshot_tls(const struct edge_snapshot *snapshot, const struct io_addr *addr);
/* The same, where HTTP/3 is spoken too. */
struct wire_tls_server *edge_snapshot_quic(const struct edge_snapshot *snapshot, const struct io_addr *addr);

#endif
