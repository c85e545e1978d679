/* From address to place: MMDB files (libmaxminddb; City, Country, ASN, flat layouts too) compiled at load into
 * one prefix tree whose leaves are small class numbers, so that a query costs one longest-prefix match which also
 * gives the widest prefix for which the answer holds. Immutable once built; any thread. */
#ifndef SK_ROUTE_GEO_H
#define SK_ROUTE_GEO_H

#include "base/buf.h"
#include "io/addr.h"

struct geo_place {              /* what the databases say about a network */
    double latitude, longitude; /* NAN when unknown */
    char country[3];            /* ISO 3166-1 alpha-2 or "" */
    char continent[3];
    uint32_t as_number; /* 0 when unknown */
};

/* A prefix tree from 128-bit addresses (IPv4 as ::ffff:0:0/96) to 32-bit values; equal neighbours are merged. */
struct geo_tree;
struct geo_tree_builder;
sk_err geo_tree_builder_create(struct geo_tree_builder **out_builder);
/* Longer prefixes win over shorter ones, of equal ones the later; what no prefix covers is 0. SK_ERR_NO_MEMORY. */
sk_err geo_tree_builder_add(struct geo_tree_builder *builder, const struct io_prefix *prefix, uint32_t value);
/* Frees the builder in every case. */
sk_err geo_tree_build(struct geo_tree_builder *builder, struct geo_tree **out_tree);
void geo_tree_free(struct geo_tree *tree);
/* Value for IP, and in *out_bits (0 to 128, in the 128-bit space) the shortest prefix around IP for which this
 * value holds throughout. */
uint32_t geo_tree_find(const struct geo_tree *tree, const uint8_t ip[16], uint8_t *out_bits);
uint64_t geo_tree_bytes(const struct geo_tree *tree);

/* Databases merged into places; PATHS may mix City, Country and ASN files. A truncated, foreign or missing file
 * is a problem line and SK_ERR_INVALID; nothing is half loaded. */
struct geo;
sk_err geo_load(const char *const *paths, size_t count, struct geo **out_geo, struct sk_buf *problems);
void geo_free(struct geo *geo);
/* The place of an address; a place with nothing known when no database knows it. */
const struct geo_place *geo_find(const struct geo *geo, const uint8_t ip[16], uint8_t *out_bits);
/* Calls for every network with its place (for building tables). */
sk_err geo_walk(const struct geo *geo,
                sk_err (*visit)(void *arg, const struct io_prefix *prefix, uint32_t place_id), void *arg);
const struct geo_place *geo_place(const struct geo *geo, uint32_t place_id);
size_t geo_place_count(const struct geo *geo);
/* The tree whose values are place ids; lives with GEO. */
const struct geo_tree *geo_tree_of(const struct geo *geo);

#endif
