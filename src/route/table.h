/* The routing table: for every network a ranked list of sites, computed off the hot path every few seconds and
 * swapped in one pointer. A query costs one longest-prefix match (route/geo.h's tree), whose value selects a site
 * list, whose answer sets (A, AAAA, HTTPS, signed if the zone is) are encoded beforehand. */
#ifndef SK_ROUTE_TABLE_H
#define SK_ROUTE_TABLE_H

#include "route/decide.h"
#include "route/geo.h"
#include "wire/dns.h"

struct table;

struct table_site {
    struct decide_site decide;
    struct io_addr *addresses; /* of its edges, both families */
    bool *address_up;
    size_t address_count;
};
struct table_override { /* operator's word: by prefix, country ("DE") or AS number */
    struct io_prefix prefix;
    bool by_prefix;
    char country[3];
    uint32_t as_number;
    uint16_t sites[DECIDE_ANSWER_MAX];
    uint16_t site_count;
};
/* What clients measured (route/measure.h): median round trips from a network, or where a network itself was not
 * measured, from its AS in its country, or its country. */
struct table_rtt {
    uint16_t site;
    bool over_light; /* the time is what it takes beyond light's (DECIDE_KM_PER_MS) over the distance */
    float p50_ms;
    bool own; /* the network itself measured it, not another one that stands in */
};
struct table_measurement {
    struct io_prefix prefix; /* by_prefix; else COUNTRY and, when not 0, AS_NUMBER */
    bool by_prefix;
    char country[3];
    uint32_t as_number;
    const struct table_rtt *rtts;
    uint16_t rtt_count;
};
struct table_measurements {
    const struct table_measurement *items; /* those by prefix first */
    size_t count;
    size_t prefix_count; /* of them by prefix */
    float over_light_ms; /* what it usually takes beyond light's time, of all; 0: not known */
};
struct table_input {
    const struct table_site *sites;
    size_t site_count;
    const struct table_override *overrides;
    size_t override_count;
    const struct geo *geo; /* NULL: no database */
    const struct decide_weights *weights;
    const struct table_measurements *measurements; /* route/measure.h; NULL: none */
    /* Share of networks that for a while get a site first which they did not measure yet and which might be better than
     * their best: the most promising one. 0: none. */
    double explore;
    uint64_t explore_round;       /* says which ones */
    const struct table *previous; /* stickiness, last good; NULL at first */
    /* What PREVIOUS says stays wherever its site can still serve, piece by piece: too little is known to do better. */
    bool stay;
    uint64_t version;
};
/* The same input gives the same table. At most max_step of a site's networks leave it for a better one at once. SK_ERR_INVALID
 * when there is no site; SK_ERR_NO_MEMORY. */
sk_err table_build(const struct table_input *input, struct table **out_table);
void table_free(struct table *table);
uint64_t table_version(const struct table *table);
/* Of the names of the sites in their order: a table is only good for these. */
uint64_t table_sites_digest(const struct table *table);
uint64_t table_digest_of(const struct table_site *sites, size_t count);

/* Why an address gets what it gets: a ranking made now, as for a table of INPUT. */
struct table_explanation {
    struct geo_place place;
    const struct table_override *override;       /* of INPUT; NULL: none */
    const struct table_measurement *measurement; /* of INPUT; NULL: none */
    uint8_t rtt_level;                           /* 1 network, 2 AS in the country, 3 country */
};
/* OUT_SCORES has room for all sites and gets them best first. SK_ERR_NO_MEMORY. */
sk_err table_explain(const struct table_input *input, const uint8_t ip[16], struct decide_score *out_scores,
                     struct table_explanation *out_explanation);

struct table_choice {
    const struct decide_answer *answer;
    uint32_t list;      /* number of the site list, index of encoded answers */
    uint8_t scope_bits; /* in the 128-bit space */
};
/* The hot path. */
struct table_choice table_find(const struct table *table, const uint8_t ip[16]);
/* Networks that max_step held back: the next table moves more of them. 0 for one that was loaded. */
uint32_t table_waiting(const struct table *table);
uint32_t table_list_count(const struct table *table);
const struct decide_answer *table_list(const struct table *table, uint32_t list);

/* On disk: versioned, checksummed, replaced as a whole. A damaged file is refused (SK_ERR_CORRUPT), one that is not newer
 * than NEWER_THAN too (SK_ERR_STALE), and one for other sites (SK_ERR_INVALID). */
sk_err table_save(const struct table *table, const char *path);
sk_err table_load(const char *path, uint64_t newer_than, uint64_t sites_digest, size_t site_count,
                  struct table **out_table);

#endif
