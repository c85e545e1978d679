/* How a new configuration reaches the fleet: one edge first (the canary), then its PoP, then all; back by itself when
 * an edge that has it fares worse than before. Pure: what control knows of the nodes in, what to do out. */
#ifndef SK_CONTROL_ROLLOUT_H
#define SK_CONTROL_ROLLOUT_H

#include "fleet/id.h"

/* Stage, word. */
#define CONTROL_STAGE_TABLE(X)                                                                               \
    X(CANARY, "canary")                                                                                      \
    X(POP, "pop")                                                                                            \
    X(ALL, "all")
enum control_stage {
#define X(name, word) CONTROL_STAGE_##name,
    CONTROL_STAGE_TABLE(X)
#undef X
        CONTROL_STAGE_COUNT_
};
const char *control_stage_word(enum control_stage stage);
/* SK_ERR_NOT_FOUND. */
sk_err control_stage_lookup(sk_str word, enum control_stage *out_stage);

struct control_rollout {
    uint64_t number;   /* that is on its way, or everywhere; 0: there is none yet */
    uint64_t previous; /* for who is not yet to have it; 0: nothing */
    enum control_stage stage;
    char canary[FLEET_ID_TEXT_BYTES], pop[FLEET_WORD_BYTES]; /* not of ALL */
    sk_unix_s since;                                         /* the stage began */
};

/* Requests answered in a time and how they went. */
struct control_health {
    uint64_t requests, errors; /* errors: answered with 5xx */
    uint64_t p99_us;
};

struct control_node {
    struct fleet_id id;
    bool alive;
    uint64_t in_force;                   /* the number it runs; 0: none */
    uint64_t refused;                    /* the highest that it would not take */
    sk_unix_s took_at;                   /* when it was first seen with what is in force */
    struct control_health before, after; /* of the time before that, and since */
};

/* The number that NODE is to run. */
uint64_t control_rollout_target(const struct control_rollout *rollout, const struct fleet_id *node);
/* Whether a node fares worse with AFTER than with BEFORE: errors or the slow ones, beyond what chance does. */
bool control_worse(const struct control_health *before, const struct control_health *after);

#define CONTROL_SOAK_S 5   /* a stage's nodes must have run it for so long */
#define CONTROL_GRACE_S 60 /* a living node that has not taken it by then holds it up: it goes back */

enum control_move { CONTROL_STAY, CONTROL_NEXT, CONTROL_BACK };
struct control_verdict {
    enum control_move move;
    const struct control_node *because; /* of BACK */
    const char *why;                    /* of BACK: "answers with more errors" */
};
struct control_verdict control_rollout_step(const struct control_rollout *rollout,
                                            const struct control_node *nodes, size_t count, sk_unix_s now);
/* The beginning of a rollout of NUMBER over the present one: with the first living edge as canary, or all at once
 * when there is none. */
struct control_rollout control_rollout_begin(const struct control_rollout *present, uint64_t number,
                                             const struct control_node *nodes, size_t count, sk_unix_s now);

#endif
