/* What the parts of answering share: answer.c and answer_exchange.c (a query from end to end), answer_compose.c (the rules
 * of RFC 1034 for any name), answer_zones.c and answer_snapshot.c (everything that can be made before a query comes). */
#ifndef SK_ROUTE_ANSWER_PRIVATE_H
#define SK_ROUTE_ANSWER_PRIVATE_H

#include <stdatomic.h>

#include "route/answer.h"
#include "route/dnssec.h"

#define ANSWER_CHAIN_MAX 8 /* CNAMEs and DNAMEs followed for one question */

/* The sections of an answer, ready to be copied behind the question of the name they were made for. */
struct answer_body {
    uint16_t type;
    uint16_t bytes;
    uint16_t counts[3];
    uint8_t rcode;
    uint8_t rate_kind;
    uint16_t flags;
    uint8_t data[];
};

/* A name with its answers. [0] is for queries without DO, [1] with; the same where nothing is signed. */
struct answer_node {
    const struct zone *zone;
    const struct answer_body *(*bodies)[2]; /* one for each type that has its own answer */
    const struct answer_body *other[2];     /* for all other types, if has_other */
    int32_t routed;                         /* index, -1: none */
    uint16_t body_count;
    bool has_other;
    uint8_t name_bytes;
    uint8_t name[]; /* beside the rest: one line of memory is touched, not two */
};

struct answer_slot { /* of the hash table of names; open addressing, at most half full */
    uint64_t hash;
    const struct answer_node *node; /* NULL: free */
};

struct answer_zones {
    _Atomic uint32_t references;
    struct sk_arena arena;
    struct zone **zones;
    size_t zone_count;
    const struct zone **apexes; /* hash table by apex, open addressing */
    size_t apex_mask;
    struct answer_slot *slots;
    size_t slot_mask;
    struct answer_routed *routed;
    size_t routed_count;
};

enum answer_routed_type { ROUTED_A, ROUTED_AAAA, ROUTED_HTTPS, ROUTED_TYPES };
/* ROUTED_TYPES when TYPE is none of them. */
static inline enum answer_routed_type answer_routed_type(uint16_t type) {
    return type == DNS_TYPE_A       ? ROUTED_A
           : type == DNS_TYPE_AAAA  ? ROUTED_AAAA
           : type == DNS_TYPE_HTTPS ? ROUTED_HTTPS
                                    : ROUTED_TYPES;
}

/* What a routed name answers for one site list and type. */
struct answer_set {
    const struct zone_rrset *rrset; /* NULL: no such records; owner is the routed name */
    const struct answer_body *body[2];
};

struct answer_snapshot {
    _Atomic uint32_t references;
    struct answer_zones *zones;
    struct table *table;
    uint32_t list_count;
    struct sk_arena arena;
    struct answer_set *sets; /* [routed][list][type] */
    struct answer_options options;
};

static inline const struct answer_set *answer_set_of(const struct answer_snapshot *snapshot, size_t routed,
                                                     uint32_t list, enum answer_routed_type type) {
    return &snapshot->sets[(routed * snapshot->list_count + list) * ROUTED_TYPES + type];
}

/* The zone to answer NAME and TYPE from: the longest apex; for DS at an apex its parent's. NULL: none. */
const struct zone *answer_zone_for(const struct answer_zones *zones, const struct dns_name *name,
                                   uint16_t type);
/* HASH is the name's sk_hash64. */
const struct answer_node *answer_node_find(const struct answer_zones *zones, const struct dns_name *name,
                                           uint64_t hash);
/* Index of the routed name that RRSET (a mark) stands for. */
uint32_t answer_mark_index(const struct zone_rrset *mark);

/* One question on its way through a zone. */
struct answer_compose {
    /* set by the caller */
    const struct zone *zone;
    bool dnssec_ok, compact_ok;
    struct dnssec_memo *memo; /* of the thread; NULL while encoding: what needs it is `dynamic` */
    const struct answer_snapshot *snapshot; /* NULL while encoding: routed names make the result `dynamic` */
    /* The list of sites for this client, asked for when a routed name is met; NULL while encoding. */
    uint32_t (*choose)(void *arg);
    void *choose_arg;
    struct dns_writer *writer; /* begun */
    int hop;                   /* names that were followed */
    /* the outcome */
    enum dns_rcode rcode;
    uint16_t flags;
    enum rate_kind kind;
    bool dynamic;  /* depends on the client, or on a name that does not exist */
    bool tailored; /* depends on the client */
    bool routed;   /* a routed set was used */
};
/* Writes all sections for the name FIRST and TYPE. */
void answer_compose(struct answer_compose *c, const struct dns_name *first, uint16_t type);

#endif
