/* A zone's static data: master files (RFC 1035 section 5, $ORIGIN, $TTL, $INCLUDE) to an immutable tree, and
 * the lookup of RFC 1034 section 4.3.2 with wildcards (RFC 4592), delegations with glue, CNAME and DNAME. Built
 * once, then read by any thread. */
#ifndef SK_ROUTE_ZONE_H
#define SK_ROUTE_ZONE_H

#include "base/arena.h"
#include "base/buf.h"
#include "wire/dns.h"

struct zone;

struct zone_rrset {
    struct dns_name *owner;
    uint16_t type;
    uint32_t ttl_s;
    uint16_t count;
    struct dns_rdata *records;
    struct zone_rrset *signatures; /* RRSIGs that cover it, or NULL */
    struct zone_rrset *next;       /* of the same owner */
};

/* Reads a master file. PROBLEMS gets "file:line: text" lines, at most 20. Bounds: 64 MiB, 10 million records,
 * $INCLUDE depth 8 inside the file's own folder. SK_ERR_INVALID, SK_ERR_NOT_FOUND, SK_ERR_NO_MEMORY. */
sk_err zone_load(const char *path, const struct dns_name *apex, struct zone **out_zone,
                 struct sk_buf *problems);
sk_err zone_parse(sk_str text, const char *name, const struct dns_name *apex, struct zone **out_zone,
                  struct sk_buf *problems);

/* Marks that a program adds to a zone's names: a private-use type (RFC 6895 3.1) that no master file may hold, no
 * query finds and no answer shows. */
#define ZONE_TYPE_MARK 65280
/* A record besides those of the file (a mark, a signer's key). Copied. */
struct zone_extra {
    struct dns_name owner; /* in the zone */
    uint16_t type;
    uint32_t ttl_s;
    struct dns_rdata rdata;
};
/* As zone_load and zone_parse, with COUNT more records. */
sk_err zone_load_with(const char *path, const struct dns_name *apex, const struct zone_extra *extras,
                      size_t count, struct zone **out_zone, struct sk_buf *problems);
sk_err zone_parse_with(sk_str text, const char *name, const struct dns_name *apex,
                       const struct zone_extra *extras, size_t count, struct zone **out_zone,
                       struct sk_buf *problems);
void zone_free(struct zone *zone);
const struct dns_name *zone_apex(const struct zone *zone);
uint32_t zone_serial(const struct zone *zone);

enum zone_found {
    ZONE_ANSWER,     /* rrset is the answer */
    ZONE_CNAME,      /* rrset is the CNAME at (or synthesised for) the name */
    ZONE_DNAME,      /* rrset is a DNAME above the name: the CNAME is the caller's to make (RFC 6672 3) */
    ZONE_DELEGATION, /* rrset is the NS set of the cut */
    ZONE_NO_DATA,    /* the name exists, the type does not; soa */
    ZONE_NO_NAME,    /* soa */
    ZONE_NOT_HERE,   /* outside of this zone */
};
struct zone_result {
    enum zone_found found;
    const struct zone_rrset *rrset; /* first of several for ANY */
    const struct zone_rrset *soa;
    bool wildcard;                  /* the answer was synthesised from *. */
    const struct dns_name *closest; /* closest encloser, for denial */
};
struct zone_result zone_lookup(const struct zone *zone, const struct dns_name *name, uint16_t type);
/* All RRsets of an owner name, or NULL. */
const struct zone_rrset *zone_node(const struct zone *zone, const struct dns_name *name);
/* The names that own something or lie above one that does, in canonical order: how many, and the RRsets of the
 * one with this index (NULL when it has none). */
size_t zone_node_count(const struct zone *zone);
const struct zone_rrset *zone_node_at(const struct zone *zone, size_t index);
/* Calls for each RRset in canonical order (AXFR, signing, NSEC). Stops at the first error. */
sk_err zone_walk(const struct zone *zone, sk_err (*visit)(void *arg, const struct zone_rrset *rrset),
                 void *arg);

#endif
