/* What the listeners of a configuration need to speak TLS: certificates read from their files, one server for
 * each listener that speaks it. Part of a snapshot, immutable once made. */
#ifndef SK_EDGE_TLS_H
#define SK_EDGE_TLS_H

#include "base/buf.h"
#include "config/config.h"
#include "wire/tls_server.h"

struct edge_tls {
    struct wire_tls_store *store;
    struct wire_tls_server **servers; /* by listener index; NULL: plain */
    uint64_t files;                   /* stamp of all files read: edge_tls_files */
};

/* HTTP/3 is to be spoken there: over UDP, so not at a local address. */
static inline bool edge_speaks_http3(const struct config_listener *listener) {
    return listener->tls && listener->http3 && listener->addr.any.sa_family != AF_UNIX;
}

/* Problems go to REPORT, one a line. TLS of nothing when no listener speaks it. SK_ERR_INVALID (a file),
 * SK_ERR_NO_MEMORY. */
sk_err edge_tls_create(const struct config *config, struct wire_tls_tickets *tickets, struct sk_buf *report,
                       struct edge_tls *out_tls);
void edge_tls_free(struct edge_tls *tls, const struct config *config);
/* A stamp of the names, sizes and times of all files that edge_tls_create would read: another one means that
 * one of them has changed. */
uint64_t edge_tls_files(const struct config *config);
/* All certificates of CONFIG, whether a listener speaks TLS or not, for `skerry check`. Errors as above. */
sk_err edge_tls_load(const struct config *config, struct sk_buf *report, struct wire_tls_store **out_store);
/* A line for each thing that is wrong at the time NOW without being a reason to refuse: certificates out of
 * their time or soon so, hosts of a site with certificates that none covers. */
sk_err edge_tls_warn(const struct config *config, const struct wire_tls_store *store, sk_unix_s now,
                     struct sk_buf *report);

#endif
