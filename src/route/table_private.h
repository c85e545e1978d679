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
};

#endif
