/* What nodes say of themselves on the bus, as far as it is proven: their heartbeats, and how far behind the purges of
 * this control they are. Fibers. */
#ifndef SK_CONTROL_MEMBERS_H
#define SK_CONTROL_MEMBERS_H

#include "control/process.h"
#include "fleet/heartbeat.h"

struct control_member {
    struct fleet_heartbeat beat; /* beat.name: the node's id */
    bool has_position;           /* it has told how far it is with our purges */
    uint64_t behind;             /* purges */
};

/* All that live, in no order; texts and array in ARENA. What is not proven is left out, with a line in the log. As
 * fleet_members_read. */
sk_err control_members(struct control_process *process, struct sk_arena *arena,
                       struct control_member **out_members, size_t *out_count);

#endif
