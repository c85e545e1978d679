/* Who is in the fleet: each node writes a hash with an expiry, and its name into a set. A node chooses the expiry
 * so that it can do no harm after it: an edge that nobody hears any more, and that hears nobody, revalidates by then.
 * Who beats is believed only what its signature covers (heartbeat.h); a name alone is anybody's word. Fibers. */
#ifndef SK_FLEET_MEMBERS_H
#define SK_FLEET_MEMBERS_H

#include "fleet/valkey.h"

#define FLEET_MEMBERS_KEY "skerry:members"
#define FLEET_MEMBER_PREFIX "skerry:member:"
#define FLEET_FAREWELL_PREFIX "skerry:farewell:"
#define FLEET_MEMBERS_MAX 10000

struct fleet_member {
    sk_str name; /* the node's id */
    const struct fleet_pair *pairs;
    size_t pair_count;
};
struct fleet_members {
    struct fleet_member *items; /* the living */
    size_t count;
};

/* NAME lives for EXPIRE_MS, and says PAIRS of itself (at most FLEET_PAIRS_MAX). Errors as fleet_valkey_call. */
sk_err fleet_member_beat(struct fleet_valkey *valkey, sk_str name, const struct fleet_pair *pairs,
                         size_t count, int64_t expire_ms, sk_time_ns deadline, struct sk_arena *arena);
/* The living; names of dead ones are removed from the set. */
sk_err fleet_members_read(struct fleet_valkey *valkey, sk_time_ns deadline, struct sk_arena *arena,
                          struct fleet_members *out_members);
struct fleet_member_life {
    sk_str name;
    int64_t left_ms; /* of its word; INT64_MAX: it does not expire */
};
/* Only names and for how long they live; array and texts are ARENA's. */
sk_err fleet_members_lives(struct fleet_valkey *valkey, sk_time_ns deadline, struct sk_arena *arena,
                           struct fleet_member_life **out_lives, size_t *out_count);
/* What each of NAMES (at least one) has said when it left (farewell.h): an array of COUNT, with empty texts for who has
 * said nothing. */
sk_err fleet_members_farewells(struct fleet_valkey *valkey, const sk_str *names, size_t count,
                               sk_time_ns deadline, struct sk_arena *arena,
                               const struct fleet_reply **out_texts);
/* NAME leaves, and says FAREWELL for EXPIRE_MS; empty: nothing. */
sk_err fleet_member_leave(struct fleet_valkey *valkey, sk_str name, sk_str farewell, int64_t expire_ms,
                          sk_time_ns deadline, struct sk_arena *arena);

#endif
