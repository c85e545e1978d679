/* What the two halves of a zone share: zone_file.c reads records, zone.c makes the tree of them. */
#ifndef SK_ROUTE_ZONE_PRIVATE_H
#define SK_ROUTE_ZONE_PRIVATE_H

#include "route/zone.h"

#define ZONE_MAGIC 0x5a4f4e45u

struct dnssec_signer;

struct zone_node {
    struct dns_name name;
    struct zone_rrset *rrsets;
};

struct zone {
    uint32_t magic;
    struct dns_name apex;
    struct sk_arena arena;
    struct zone_node **table; /* open addressing, power of two, at most half full */
    size_t mask;
    struct zone_node **sorted; /* canonical order */
    size_t count;
    const struct zone_rrset *soa;
    struct dnssec_signer *signer; /* NULL: not signed */
};

struct zone_record {
    struct dns_name owner;
    uint16_t type;
    uint32_t ttl_s;
    struct dns_rdata rdata; /* in the arena */
};

/* Records as they are read; grows by malloc, freed by zone_build. */
struct zone_records {
    struct zone_record *items;
    size_t count, capacity;
};

#define ZONE_RECORDS_MAX 10000000

/* Copies RDATA into ARENA. SK_ERR_TOO_LARGE, SK_ERR_NO_MEMORY. */
sk_err zone_records_add(struct zone_records *records, struct sk_arena *arena, const struct dns_name *owner,
                        uint16_t type, uint32_t ttl_s, struct dns_rdata rdata);

/* Reads NAME's TEXT into RECORDS, rdata into ARENA. Problems as zone_parse; their number is returned. */
uint32_t zone_file_read(sk_str text, const char *name, const struct dns_name *apex, struct sk_arena *arena,
                        struct zone_records *records, struct sk_buf *problems);
/* Takes ARENA's contents and sorts RECORDS in place (the caller frees them). */
sk_err zone_build(struct sk_arena *arena, const struct dns_name *apex, struct zone_records *records,
                  struct zone **out_zone, struct sk_buf *problems, const char *name);

#endif
