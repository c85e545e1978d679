/* How far edges are: each tells a publisher up to which of its purges all is in force ("EPOCH:SEQUENCE:CODE", the code
 * under the edge's own key), and a publisher asks until all that live have said so. Fibers. */
#ifndef SK_FLEET_APPLIED_H
#define SK_FLEET_APPLIED_H

#include "fleet/bus_follow.h"
#include "fleet/bus_key.h"
#include "fleet/roll.h"

#define FLEET_BUS_APPLIED "skerry:applied:" /* and the publisher: a hash of edge to position */

/* What EDGE says to PUBLISHER. KEY NULL: unproven, which counts for nothing. Text is ARENA's; empty: no memory. */
sk_str fleet_applied_text(sk_str publisher, sk_str edge, struct fleet_bus_mark mark,
                          const struct fleet_bus_key *key, struct sk_arena *arena);
/* What TEXT says under one of KEYS; false: nothing that EDGE has said to PUBLISHER. */
bool fleet_applied_read(sk_str text, sk_str publisher, sk_str edge, const struct fleet_bus_keys *keys,
                        struct fleet_bus_mark *out_mark);
/* Whether TEXT says, under one of KEYS, that EDGE is at or behind WANTED. */
bool fleet_applied_reached(sk_str text, sk_str publisher, sk_str edge, struct fleet_bus_mark wanted,
                           const struct fleet_bus_keys *keys);

/* What an edge has told already, and on which connection: a server that has come back may have forgotten it. Zeroed:
 * nothing. */
struct fleet_applied_told {
    struct fleet_bus_mark marks[FLEET_BUS_PUBLISHERS_MAX]; /* of follow.publishers, by place */
    uint64_t generation;
};
/* Tells each publisher of FOLLOW how far EDGE is with it, where that is news. KEY as above, not borrowed beyond the first
 * time that it parks. Errors as fleet_valkey_call. */
sk_err fleet_applied_tell(struct fleet_applied_told *told, const struct fleet_bus_follow *follow,
                          struct fleet_valkey *valkey, sk_str edge, const struct fleet_bus_key *key,
                          sk_time_ns deadline, struct sk_arena *arena);

/* Who of the living edges has not yet applied it. */
struct fleet_stragglers {
    uint32_t living, behind;
    sk_str *names; /* BEHIND of them, in the arena */
};
struct fleet_applied_question {
    struct fleet_valkey *valkey;
    struct fleet_roll *roll; /* who lives */
    sk_str publisher;
    struct fleet_bus_mark wanted;
    /* The keys of EDGE. */
    struct fleet_bus_keys (*keys)(void *arg, sk_str edge);
    void *arg;
};
/* Asks until all living edges have applied it, or DEADLINE: then OUT names those that have not. Parks. SK_OK also at the deadline; else what
 * asking the server gives. */
sk_err fleet_applied_wait(const struct fleet_applied_question *question, sk_time_ns deadline,
                          struct sk_arena *arena, struct fleet_stragglers *out);

#endif
