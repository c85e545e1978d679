/* The sites as they are now: which of their edges can serve, how loaded they are. The configuration names them; checks
 * (route/prober.h), other observers and the edges' own reports change them. Main thread; tables are made from copies
 * (route/plan.h). */
#ifndef SK_ROUTE_SITES_H
#define SK_ROUTE_SITES_H

#include <yyjson.h>

#include "route/health.h"
#include "route/plan.h"
#include "route/shed.h"

struct sites_edge {
    struct io_addr addr;
    uint32_t site, index; /* index among the site's addresses */
    bool up;              /* the verdict */
    bool checked;         /* OWN is this router's own view */
    struct health_state own;
    struct health_votes votes;
    const char *why; /* constant: of the last bad result; NULL */
};

struct sites {
    uint32_t count, edge_count;
    struct table_site *items; /* names and addresses are the configuration's, which outlives this */
    bool *address_up;         /* of all edges; the items point into it */
    struct shed_state *sheds; /* of each item */
    struct sites_edge *edges;
    struct sites_report { /* of an edge, where it reports */
        struct io_addr addr;
        uint32_t site;
        sk_time_ns at; /* of the last report; 0: none */
        double load, hit_ratio;
    } *reports;
    uint32_t report_count;
};

/* A report about load that is older does not count. */
#define SITES_REPORT_NS (60 * SK_NS_PER_S)

/* All of CONFIG's sites; what OLD (may be NULL) knows about the same addresses is kept. SK_ERR_NO_MEMORY. */
sk_err sites_create(const struct route_config *config, const struct sites *old, struct sites **out_sites);
void sites_free(struct sites *sites);

/* Takes a result of a check of edge TARGET. True when its verdict changed. */
bool sites_checked(struct sites *sites, uint32_t target, const struct health_rules *rules,
                   enum health_result result, const char *why, sk_time_ns now);
/* Looks at all verdicts again, since reports grow old. True when one changed. */
bool sites_look(struct sites *sites, sk_time_ns now);
/* A report {"observer": "ams", "edges": {"203.0.113.10:443": true, ...}}: what another observer sees. Edges that are not
 * ours are passed over. *OUT_CHANGED is true when a verdict changed. SK_ERR_MALFORMED. */
sk_err sites_report(struct sites *sites, sk_str json, sk_time_ns now, bool *out_changed);
/* What the edge that reports at REPORT says about its load and hit ratio (NAN: nothing). */
void sites_loaded(struct sites *sites, uint32_t report, double load, double hit_ratio,
                  const struct decide_weights *weights, sk_time_ns now);
/* Sites that clients may be sent to. */
uint32_t sites_up(const struct sites *sites);
/* An array of all sites with their edges. NULL: no memory. */
yyjson_mut_val *sites_json(const struct sites *sites, yyjson_mut_doc *doc, sk_time_ns now);

#endif
