/* The edges that live, as far as who publishes purges can know: those of the members' table, and those that it has seen
 * there before, until their word would have expired, or they say themselves that they leave (farewell.h). So an edge that
 * Valkey has forgotten (a restart, a failover that lost its word) or that somebody hides is waited for all the same.
 * One loop; fibers, several at a time. */
#ifndef SK_FLEET_ROLL_H
#define SK_FLEET_ROLL_H

#include "fleet/bus_key.h"
#include "fleet/valkey.h"

struct fleet_roll;

struct fleet_roll_options {
    struct fleet_valkey *valkey; /* lives as long as the roll */
    /* The keys of EDGE, to prove that it leaves. */
    struct fleet_bus_keys (*keys)(void *arg, sk_str edge);
    void *arg;
};

/* SK_ERR_NO_MEMORY. */
sk_err fleet_roll_create(const struct fleet_roll_options *options, struct fleet_roll **out_roll);
/* No call may be under way. NULL is allowed. */
void fleet_roll_free(struct fleet_roll *roll);

/* The ids of all that live now, sorted, array and texts ARENA's. That one lives is believed to whoever says it. Parks.
 * Errors as fleet_valkey_call; the memory of before stays then. */
sk_err fleet_roll_call(struct fleet_roll *roll, sk_time_ns deadline, struct sk_arena *arena,
                       sk_str **out_names, uint32_t *out_count);

#endif
