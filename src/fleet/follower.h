/* The reader of the purge bus: follows the stream, looks at seals, says what to apply and when to revalidate, tells
 * publishers how far it is and the fleet that it lives. bus_follow.h decides; this drives. On one loop, in fibers of its
 * own; what it calls runs on the loop's own stack and must not park. */
#ifndef SK_FLEET_FOLLOWER_H
#define SK_FLEET_FOLLOWER_H

#include "fleet/bus_follow.h"
#include "fleet/bus_key.h"
#include "fleet/bus_seal.h"
#include "fleet/heartbeat.h"
#include "io/fiber.h"
#include "observe/metrics.h"

struct fleet_follower;

struct fleet_follower_options {
    struct fleet_valkey_where where, primary; /* to read from; to write to, the same or not */
    int64_t
        silence_ms; /* nothing heard for so long, or the fleet not told that we live: revalidate, again and again */
    struct observe_thread *metrics; /* of the loop's thread */
    /* Where it stood before, and when it heard somebody then (sk_time_now; 0: unknown); NULL: nowhere. Copied. */
    const struct fleet_bus_follow *begin;
    sk_time_ns begin_heard;
    void *arg; /* of all callbacks */
    /* The identity in force, a reference that is given back; never NULL. */
    struct fleet_identity *(*identity)(void *arg);
    /* The expelled, borrowed during a call; may give NULL. */
    const struct fleet_expelled *(*expelled)(void *arg);
    /* With which this edge proves how far it is, borrowed during a call; NULL: it has none, and nobody believes it. */
    const struct fleet_bus_key *(*bus_key)(void *arg);
    /* The purges of ENTRY are wanted: in force when it returns. */
    void (*apply)(void *arg, const struct fleet_bus_entry *entry);
    /* All that is stored must be revalidated before it is used. WHY is for the log; NULL when it is but said again. */
    void (*revalidate)(void *arg, const char *why);
    /* All up to FOLLOW is in force; HEARD as above, and the fleet has heard us since then too. LAST: we tell it that we
     * leave, and are waited for no more. Often, also when nothing has changed. May be NULL. */
    void (*keep)(void *arg, const struct fleet_bus_follow *follow, sk_time_ns heard, bool last);
    /* What to say of oneself in the members' table, texts in ARENA; who and when is filled in. */
    void (*describe)(void *arg, struct fleet_heartbeat *out_beat, struct sk_arena *arena);
};

/* Owner's thread. */
struct fleet_follower_counts {
    bool silent, connected;
    sk_time_ns heard; /* when somebody was heard last; 0: never */
    /* It stands where the fleet does now: somebody said something after it had begun, and all before that is in force
     * or was given to `revalidate`. */
    bool caught_up;
    /* Of fleet_follower_look_around: other edges of our PoP, and those that take clients. */
    uint32_t others, others_running;
};

/* Begins to follow. SK_ERR_NO_MEMORY, and what fleet_valkey_create gives. */
sk_err fleet_follower_start(struct io_loop *loop, const struct fleet_follower_options *options,
                            struct fleet_follower **out_follower);
void fleet_follower_counts(const struct fleet_follower *follower, struct fleet_follower_counts *out_counts);
/* Asks how the other edges of our PoP are; the counts tell, a moment later. Those of before count until then; after an
 * error there are none. */
void fleet_follower_look_around(struct fleet_follower *follower);
/* Leaves the members' table, if the server answers within a second, and calls nothing more but LEFT, at the end, once,
 * unless it is freed before; its fibers end by themselves. */
void fleet_follower_leave(struct fleet_follower *follower, void (*left)(void *arg), void *arg);
/* Calls nothing more. Outside of its callbacks, before the loop is destroyed; memory is given back when its fibers have
 * ended, at the latest then. NULL is allowed. */
void fleet_follower_free(struct fleet_follower *follower);

#endif
