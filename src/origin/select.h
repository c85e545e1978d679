/* Which origin of a group gets a request: a pure function of what is known of each. The caller
 * (origin/group.c) gathers that, and writes the answer's bookkeeping back.
 *
 * Turns are given by virtual time (stride scheduling, Waldspurger and Weihl 1995): each origin has a time
 * at which it is due, the earliest one is next and is then due again 1/weight later. That is as smooth as
 * weights allow, exact in the long run, and needs one number an origin, so that threads can share it. */
#ifndef SK_ORIGIN_SELECT_H
#define SK_ORIGIN_SELECT_H

#include "base/base.h"

/* What is known of an origin's health. */
#define ORIGIN_STATE_TABLE(X)                                                                                \
    X(UP, "up")                                                                                              \
    X(TRIAL, "trial") /* its time out has passed: one request at a time may find out */                      \
    X(OUT, "out")     /* failed too often lately */                                                          \
    X(DOWN, "down")   /* its health check says so */
enum origin_state {
#define X(name, text) ORIGIN_STATE_##name,
    ORIGIN_STATE_TABLE(X)
#undef X
};
const char *origin_state_text(enum origin_state state);

struct origin_candidate {
    uint32_t weight; /* 0: a spare, only when all others are down */
    enum origin_state state;
    bool tried;   /* by this request, in vain */
    uint64_t due; /* virtual time of its next turn */
    uint64_t id;  /* hash of its name: the same in every process, for affinity */
};

struct origin_wish {
    uint64_t clock; /* the group's virtual time: nobody's turn lies before it */
    uint64_t
        affinity; /* equal values prefer the same origin while it is not too far ahead; 0: turns by weight */
    bool may_retry; /* the request can be repeated, so it may be risked on a trial */
};

#define ORIGIN_CHOICE_TABLE(X)                                                                               \
    X(NONE, "no origin is left to be asked")                                                                 \
    X(TURN, "its turn by weight")                                                                            \
    X(AFFINITY, "preferred by this key, as far as shares allow")                                             \
    X(TRIAL, "a trial after it was out")                                                                     \
    X(SPARE, "a spare: all others are down")                                                                 \
    X(LAST_RESORT, "all have failed lately, one is asked all the same")
enum origin_choice_reason {
#define X(name, text) ORIGIN_CHOICE_##name,
    ORIGIN_CHOICE_TABLE(X)
#undef X
};
const char *origin_choice_text(enum origin_choice_reason reason);

struct origin_choice {
    enum origin_choice_reason reason;
    size_t index;        /* of the candidate, unless NONE */
    uint64_t due, clock; /* what becomes of the candidate's due and of the group's clock */
};

/* Untried candidates only. In this order: one on trial (when the request may be repeated), those up, one on
 * trial, spares, those out; never one that its health check calls down. */
struct origin_choice origin_select(const struct origin_candidate *candidates, size_t count,
                                   const struct origin_wish *wish);

/* Virtual time between two turns of an origin. */
uint64_t origin_stride(uint32_t weight);
/* Where an origin begins: half a stride, so that a light one is not among the first. */
uint64_t origin_first_due(uint32_t weight);

#endif
