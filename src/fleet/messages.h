/* What nodes and control say to each other, as JSON: reports and orders, joining and renewal. Both directions in one
 * place, bounded. Texts live in the caller's arena. Pure. */
#ifndef SK_FLEET_MESSAGES_H
#define SK_FLEET_MESSAGES_H

#include "base/arena.h"
#include "base/buf.h"
#include "fleet/token.h"

#define FLEET_MESSAGE_MAX (1u << 20)
#define FLEET_WHY_MAX 512

/* A node to control: how it is. */
struct fleet_report {
    uint64_t in_force, refused;        /* configurations; 0: none */
    sk_str why;                        /* it refused; printable, at most FLEET_WHY_MAX */
    sk_str roots, expelled;            /* digests of what it has (FLEET_HEX_BYTES - 1), or empty */
    uint64_t requests, errors, p99_us; /* since the report before */
    sk_str version;
    bool drained;   /* takes no clients, as it was told; older nodes say nothing of it */
    sk_str secrets; /* digest of the list that it has, or empty (secrets.h); no data: it knows of none */
};
/* Control to a node: what it is to have. */
struct fleet_orders {
    uint64_t number;   /* of the configuration; 0: none yet */
    bool renew;        /* the certificate, now */
    bool drain;        /* take no clients; older controls say nothing of it */
    sk_str roots;      /* PEM */
    sk_str expelled;   /* fleet_expelled_format */
    uint64_t again_ms; /* how long control may keep the next report waiting */
    sk_str secrets;    /* digest of the list that is to be had; empty: none for this node */
};
/* A machine that wants to be a node. */
struct fleet_join {
    sk_str token, name, request; /* request: PKCS #10, PEM */
};
struct fleet_joined {
    sk_str id, certificate, roots; /* the latter PEM */
    sk_str bus_key;                /* fleet_bus_key_format */
};

/* SK_ERR_MALFORMED: not such an object: a member is missing, of another type or too long. SK_ERR_NO_MEMORY. What else
 * is in it counts for nothing, so that newer nodes may say more. */
sk_err fleet_report_parse(sk_str json, struct sk_arena *arena, struct fleet_report *out_report);
sk_err fleet_orders_parse(sk_str json, struct sk_arena *arena, struct fleet_orders *out_orders);
sk_err fleet_join_parse(sk_str json, struct sk_arena *arena, struct fleet_join *out_join);
sk_err fleet_joined_parse(sk_str json, struct sk_arena *arena, struct fleet_joined *out_joined);
/* Append. SK_ERR_NO_MEMORY, SK_ERR_TOO_LARGE. */
sk_err fleet_report_write(const struct fleet_report *report, struct sk_buf *out);
sk_err fleet_orders_write(const struct fleet_orders *orders, struct sk_buf *out);
sk_err fleet_join_write(const struct fleet_join *join, struct sk_buf *out);
sk_err fleet_joined_write(const struct fleet_joined *joined, struct sk_buf *out);

#endif
