/* A follower's inside, for follower*.c: follower.c reads the stream and has its life, follower_tell.c says and asks. */
#ifndef SK_FLEET_FOLLOWER_PRIVATE_H
#define SK_FLEET_FOLLOWER_PRIVATE_H

#include "fleet/bus_follow.h"
#include "fleet/follower.h"
#include "fleet/others.h"
#include "fleet/signers.h"

#define FOLLOWER_CALL_MS 5000            /* to one call of the server */
#define FOLLOWER_ARENA_LIMIT (64u << 20) /* of what one answer of it becomes */

struct fleet_follower {
    struct io_loop *loop;
    struct fleet_follower_options options;
    struct fleet_valkey *reading, *telling;
    struct io_fiber *reader, *positions;
    unsigned fibers; /* that have not ended; the last one releases an abandoned follower */
    bool abandoned;
    char name[FLEET_ID_TEXT_BYTES];
    bool leaving, looking, beating;
    void (*left)(void *arg);
    void *left_arg;

    struct fleet_others others;
    struct fleet_bus_follow follow;
    struct fleet_signers *signers;
    struct sk_arena arena; /* of one round */
    uint64_t generation;   /* of the connection whose server was looked at */
    sk_time_ns next_look;

    struct fleet_stream_id end; /* of the stream, as it was first seen */
    bool seen;                  /* END is set */

    /* silence */
    struct io_timer timer;
    sk_time_ns since; /* somebody was heard, or the start */
    sk_time_ns told;  /* before the fleet was told last that we live, or the start */
    struct fleet_follower_counts counts;

    /* a round's entries on their way to the loop's own stack */
    struct io_task task;
    struct fleet_stream_entries entries;
    struct io_fiber *waiting;
    bool done;
};

static inline sk_time_ns in_ms(int64_t ms) { return sk_time_now() + ms * SK_NS_PER_MS; }

/* --- follower.c ---------------------------------------------------------------------------------------------- */

/* A fiber that ends with follower_end_fiber. As io_fiber_spawn. */
sk_err follower_begin_fiber(struct fleet_follower *follower, const char *name, io_fiber_main *main,
                            struct io_fiber **out_fiber);
/* FOLLOWER may be gone then. */
void follower_end_fiber(struct fleet_follower *follower);
/* After WHY has kept it from what WHAT says: until it is time to try again. SK_ERR_CANCELLED. */
sk_err follower_pause(struct fleet_follower *follower, struct fleet_valkey *valkey, const char *what,
                      sk_err why);
/* Somebody was heard, or the fleet was told: the silence may be over. */
void follower_touch(struct fleet_follower *follower);

/* --- follower_tell.c: fibers, until the follower leaves ------------------------------------------------------ */

/* How far it is: woken after each round. Who cannot be told, or is slow, holds up no purge. */
void follower_tell_positions(void *follower);
/* That it lives: each second. */
void follower_tell_life(void *follower);
/* That it leaves: once. */
void follower_tell_leaving(void *follower);

#endif
