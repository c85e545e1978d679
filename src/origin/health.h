/* How an origin fares. Passive: so many failures in a row take it out for a while, then one request at a
 * time tries it; each time out without a quiet while between is twice as long as the last (damping).
 * Active: so many results of a check in a row that contradict what is believed change it.
 *
 * The rules are pure functions of a state; struct origin_health shares one state between threads. The
 * fibers that run active checks are in origin/check.c. */
#ifndef SK_ORIGIN_HEALTH_H
#define SK_ORIGIN_HEALTH_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/time.h"
#include "config/config.h"
#include "origin/select.h"

struct origin_health_state {
    /* passive */
    uint32_t failures;     /* in a row, while in */
    uint32_t times_out;    /* in a row, no quiet while between */
    sk_time_ns out_until;  /* 0: in */
    sk_time_ns back_since; /* when it last came back; 0: never was out */
    /* active */
    bool check_down;
    uint32_t check_run; /* results in a row that contradict check_down */
    const char *why;    /* constant text: the last failure's; NULL when all is well */
};

enum origin_state origin_health_verdict(const struct origin_health_state *state, sk_time_ns now);
struct origin_health_state origin_health_after_success(const struct origin_health_state *state,
                                                       sk_time_ns now);
struct origin_health_state origin_health_after_failure(const struct origin_health_state *state,
                                                       const struct config_origin_options *options,
                                                       const char *why, sk_time_ns now);
/* WHY is NULL for a good result. */
struct origin_health_state origin_health_after_check(const struct origin_health_state *state,
                                                     const struct config_health_check *check, const char *why,
                                                     sk_time_ns now);

struct origin_health {
    pthread_mutex_t lock; /* protects state; held for the rules' few instructions, only when something failed
                             or comes back */
    struct origin_health_state state;
    /* any thread, atomic: what the request path reads instead of the lock. Relaxed: each is a hint by
     * itself, and acting on one that is a moment old is harmless. */
    _Atomic int64_t out_until; /* 0: in; SK_TIME_NEVER: down by its check */
    _Atomic bool clean;        /* a success changes nothing */
    _Atomic int64_t trial_at;  /* no trial before it */
};
void origin_health_init(struct origin_health *health);
void origin_health_destroy(struct origin_health *health);
enum origin_state origin_health_state_now(struct origin_health *health, sk_time_ns now);
/* For an origin on trial: true for one request a second, which is then the one to find out. */
bool origin_health_take_trial(struct origin_health *health, sk_time_ns now);
/* True when this success brought it back. */
bool origin_health_succeeded(struct origin_health *health, sk_time_ns now);
/* True when this failure took the origin out. */
bool origin_health_failed(struct origin_health *health, const struct config_origin_options *options,
                          const char *why, sk_time_ns now);
/* True when this result changed what is believed. */
bool origin_health_checked(struct origin_health *health, const struct config_health_check *check,
                           const char *why, sk_time_ns now);
/* No check looks at it any more: what the last one believed no longer counts. */
void origin_health_forget_checks(struct origin_health *health);
/* A consistent copy, for those who look. */
struct origin_health_state origin_health_copy(struct origin_health *health);

#endif
