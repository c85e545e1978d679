/* What clients measured, from the reports of edges to what a table is made of. Every edge reports the round trip times
 * of its own clients by network; here the newest report of each is kept, and together they give for each network the
 * median to every site that some edge measured. Where a network was not measured from a site, its AS in its country
 * stands in, then its country. Main thread; a set is immutable and counted. */
#ifndef SK_ROUTE_MEASURE_H
#define SK_ROUTE_MEASURE_H

#include "route/table.h"

#define MEASURE_NETWORKS_MAX 65536 /* in one report */
#define MEASURE_REPORT_BYTES (8 << 20)
#define MEASURE_COUNT_MIN 3 /* samples, below which a network says nothing about a site */
/* A report counts for so long after its edge fell silent: it comes back to what it was. */
#define MEASURE_REPORT_NS (3600 * SK_NS_PER_S)

struct measure_network {
    struct io_prefix prefix;
    uint32_t count;
    float p50_ms;
};
struct measure_report {
    double load, hit_ratio; /* NAN: not told */
    struct measure_network *networks;
    size_t count;
};
/* Reads a report: lines "load L", "hit_ratio R", "NETWORK COUNT P50 P90"; unknown words begin lines that are passed over.
 * SK_ERR_MALFORMED; SK_ERR_TOO_LARGE; SK_ERR_NO_MEMORY. */
sk_err measure_parse(sk_str text, struct measure_report *out_report);
void measure_report_free(struct measure_report *report);

struct measure;
sk_err measure_create(struct measure **out_measure);
void measure_free(struct measure *measure);
/* Takes REPORT of the edge of SITE that reports at ADDR, in place of its last. SK_ERR_NO_MEMORY (then REPORT stays the
 * caller's), SK_ERR_FULL (more than 4096 edges). */
sk_err measure_take(struct measure *measure, const struct io_addr *addr, sk_str site,
                    struct measure_report *report, sk_time_ns now);

struct measure_set;
/* Of all reports that are not too old, for COUNT sites. GEO (may be NULL) says which networks belong together. With no
 * report at all *OUT_SET is NULL. SK_ERR_NO_MEMORY. */
sk_err measure_set_create(const struct measure *measure, const struct table_site *sites, size_t count,
                          const struct geo *geo, sk_time_ns now, struct measure_set **out_set);
/* NULL gives NULL, here and below. */
const struct table_measurements *measure_set_items(const struct measure_set *set);
struct measure_set *measure_set_ref(struct measure_set *set);
void measure_set_unref(struct measure_set *set);

#endif
