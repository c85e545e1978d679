/* A table as it lies in memory: what builds it (table.c) and what stores it (table_file.c) share this. */
#ifndef SK_ROUTE_TABLE_PRIVATE_H
#define SK_ROUTE_TABLE_PRIVATE_H

#include "route/geo_tree.h"
#include "route/table.h"

#define TABLE_MAGIC 0x5441424cu

struct table {
    uint32_t magic;
    uint64_t version, sites_digest;
    struct geo_tree *tree; /* values are indexes into lists */
    struct decide_answer *lists;
    uint32_t list_count;
    uint32_t waiting;
};

/* A piece of the address space and what is known about it. */
struct table_piece {
    struct geo_ip start;
    uint32_t place;       /* of the geo database, 0 without one */
    uint32_t override;    /* index + 1, or 0 */
    uint32_t measurement; /* index + 1, or 0 */
    uint32_t block;       /* of the grid for clients of unknown place */
    uint32_t list;        /* the result */
};

/* A table while it is made. */
struct table_making {
    const struct table_input *input;
    struct decide_weights weights; /* the input's; nothing is better enough where all shall stay */
    struct table *table;
    struct decide_site *sites;
    struct decide_score *scores;
    float *rtts;
    bool *measured; /* by site: by the network itself */
    struct table_piece *pieces;
    size_t piece_count, piece_capacity;
    uint32_t *list_table; /* of list indexes + 1, open addressing */
    size_t list_mask;
    uint32_t list_capacity;
    uint32_t waiting;
};

/* For deciding only, without a table. SK_ERR_NO_MEMORY. */
sk_err table_making_init(struct table_making *build, const struct table_input *input);
void table_making_free(struct table_making *build);
/* Number of the block of the grid that IP is in, as the grid's tree says it. */
uint32_t table_grid_block(const struct table_input *input, const uint8_t ip[16]);

/* table_decide.c */
const struct geo_place *table_place_of(const struct table_making *build, const struct table_piece *piece);
const struct table_override *table_override_of(const struct table_making *build,
                                               const struct table_piece *piece);
/* NULL: nothing was measured. */
const struct table_measurement *table_measurement_of(const struct table_making *build,
                                                     const struct table_piece *piece, uint8_t *out_level);
/* Scores for PIECE and all others of its group. */
void table_rank(struct table_making *build, const struct table_piece *piece);
/* What PIECE gets, from the scores. */
struct decide_answer table_decide(struct table_making *build, const struct table_piece *piece);

#endif
