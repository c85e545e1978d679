/* The prefix tree of geo.h as what it is kept as: the address space cut into ranges, one value each, neighbours
 * always different. A lookup is a binary search that an index over the first 16 bits of IPv4 shortens to a few
 * steps; the ranges of several trees can be walked side by side, which is how databases and tables are merged. */
#ifndef SK_ROUTE_GEO_TREE_H
#define SK_ROUTE_GEO_TREE_H

#include "route/geo.h"

struct geo_ip { /* an address in the 128-bit space, host order; compares as a number */
    uint64_t high, low;
};
static inline bool geo_ip_less(struct geo_ip a, struct geo_ip b) {
    return a.high != b.high ? a.high < b.high : a.low < b.low;
}
struct geo_ip geo_ip_of(const uint8_t ip[16]);
void geo_ip_bytes(struct geo_ip ip, uint8_t out[16]);

/* Ranges in ascending order; each begins where the one before ends, the first at 0. */
size_t geo_tree_ranges(const struct geo_tree *tree);
struct geo_ip geo_tree_range_start(const struct geo_tree *tree, size_t range);
uint32_t geo_tree_range_value(const struct geo_tree *tree, size_t range);

/* A builder that takes ranges instead of prefixes: STARTs ascending from 0; equal values are merged. */
struct geo_ranges {
    struct geo_range {
        struct geo_ip start;
        uint32_t value;
    } *items;
    size_t count, capacity;
};
/* The same start again replaces the value. SK_ERR_NO_MEMORY. */
sk_err geo_ranges_add(struct geo_ranges *ranges, struct geo_ip start, uint32_t value);
/* Takes the items; frees them in every case. */
sk_err geo_ranges_build(struct geo_ranges *ranges, struct geo_tree **out_tree);

/* Goes over up to GEO_TREES_MAX trees at once, from boundary to boundary: VISIT gets where a stretch begins and the
 * value of each tree there. Stops at the first error. */
#define GEO_TREES_MAX 8
typedef sk_err geo_trees_visit(void *arg, struct geo_ip start, const uint32_t *values);
sk_err geo_trees_walk(const struct geo_tree *const *trees, size_t count, geo_trees_visit *visit, void *arg);

/* Calls for each prefix of which RANGE consists, largest first from its start. */
sk_err geo_range_prefixes(const struct geo_tree *tree, size_t range,
                          sk_err (*visit)(void *arg, const struct io_prefix *prefix, uint32_t value),
                          void *arg);

#endif
