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
struct table_input {
    const struct table_site *sites;
    size_t site_count;
    const struct table_override *overrides;
    size_t override_count;
    const struct geo *geo; /* NULL: no database */
    const struct decide_weights *weights;
    const struct table_measurements *measurements; /* route/measure.h; NULL: none */
    const struct table *previous;                  /* stickiness, last good; NULL at first */
    uint64_t version;
};
/* Deterministic. */
sk_err table_build(const struct table_input *input, struct table **out_table);
void table_free(struct table *table);
uint64_t table_version(const struct table *table);

struct table_choice {
    const struct decide_answer *answer;
    uint32_t list;      /* number of the site list, index of encoded answers */
    uint8_t scope_bits; /* in the 128-bit space */
};
/* The hot path. */
struct table_choice table_find(const struct table *table, const uint8_t ip[16]);
uint32_t table_list_count(const struct table *table);
const struct decide_answer *table_list(const struct table *table, uint32_t list);

/* On disk: versioned, checksummed; a damaged or older file is refused (SK_ERR_CORRUPT, SK_ERR_STALE). */
sk_err table_save(const struct table *table, const char *path);
sk_err table_load(const char *path, uint64_t newer_than, struct table **out_table);

#endif
