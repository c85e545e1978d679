/* How a node tells the fleet that it lives: its heartbeat, sealed anew now and then, into the members' table each time that
 * it is told to; and its farewell. Owner's thread, fibers. */
#ifndef SK_FLEET_BEATING_H
#define SK_FLEET_BEATING_H

#include "fleet/bus_key.h"
#include "fleet/heartbeat.h"

struct fleet_beating {
    struct fleet_sealed sealed;
    enum fleet_state state; /* as it was sealed */
    sk_time_ns sealed_at;   /* 0: not yet */
};
void fleet_beating_init(struct fleet_beating *beating);
void fleet_beating_free(struct fleet_beating *beating);

/* For how long the word of a node counts that would hear a silence of SILENCE_MS: until it revalidates by itself. Who waits
 * for a purge must not forget it before. */
int64_t fleet_beating_expire_ms(int64_t silence_ms);

/* BEAT is said, with the time of its sealing, for EXPIRE_MS: sealed by IDENTITY when its state is another than at the last
 * call or the seal is some seconds old, else what was sealed then. Parks. Errors as fleet_heartbeat_seal and
 * fleet_member_beat. */
sk_err fleet_beating_say(struct fleet_beating *beating, struct fleet_valkey *valkey,
                         struct fleet_identity *identity, struct fleet_heartbeat *beat, int64_t expire_ms,
                         sk_time_ns deadline, struct sk_arena *arena);

/* NAME leaves, proven with KEY (NULL: nobody believes it). Errors as fleet_valkey_call. */
sk_err fleet_beating_end(struct fleet_valkey *valkey, sk_str name, const struct fleet_bus_key *key,
                         int64_t expire_ms, sk_time_ns deadline, struct sk_arena *arena);

#endif
