/* What the nodes of the fleet say of themselves: the members' table read, and each seal in it checked. Edges look for
 * their neighbours so, and control for all. Fibers. */
#ifndef SK_FLEET_HEARTBEATS_H
#define SK_FLEET_HEARTBEATS_H

#include "fleet/heartbeat.h"

struct fleet_heartbeats_question {
    struct fleet_valkey *valkey;
    struct fleet_signers *signers; /* kept from one look to the next: room for as many as are wanted */
    const char *part;              /* of the log, for what is not believed */
    void *arg;                     /* of the callbacks, on the loop's own stack */
    /* The identity in force, a reference that is given back; NULL: who asks has gone. */
    struct fleet_identity *(*identity)(void *arg);
    /* The expelled, borrowed during a call; may give NULL. */
    const struct fleet_expelled *(*expelled)(void *arg);
    bool (*wanted)(void *arg, const struct fleet_id *id); /* NULL: all are */
};

/* Those that are wanted and believed; array and texts are ARENA's. Parks; errors as fleet_members_read; SK_ERR_BUSY: who
 * asked has gone meanwhile. */
sk_err fleet_heartbeats_read(const struct fleet_heartbeats_question *question, sk_time_ns deadline,
                             struct sk_arena *arena, struct fleet_heartbeat **out_beats, size_t *out_count);

#endif
