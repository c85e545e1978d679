#include "origin/health.h"

/* The rules. */

#define LONGEST_OUT 32 /* times the configured while */
#define QUIET 8        /* times the configured while without a failure ends the doubling */
#define TRIAL_EVERY_NS SK_NS_PER_S

enum origin_state origin_health_verdict(const struct origin_health_state *state, sk_time_ns now) {
    if (state->check_down) return ORIGIN_STATE_DOWN;
    if (state->out_until == 0) return ORIGIN_STATE_UP;
    return now < state->out_until ? ORIGIN_STATE_OUT : ORIGIN_STATE_TRIAL;
}

static struct origin_health_state back_in(struct origin_health_state state, sk_time_ns now) {
    if (state.out_until) state.back_since = now;
    state.out_until = 0;
    state.failures = 0;
    return state;
}

struct origin_health_state origin_health_after_success(const struct origin_health_state *state,
                                                       sk_time_ns now) {
    struct origin_health_state next = back_in(*state, now);
    if (!next.check_down) next.why = NULL;
    return next;
}

static struct origin_health_state taken_out(struct origin_health_state state,
                                            const struct config_origin_options *options, sk_time_ns now) {
    sk_time_ns once = options->fail_for_ms * SK_NS_PER_MS;
    bool quiet = state.out_until == 0 && state.back_since && now - state.back_since > once * QUIET;
    uint32_t doublings = quiet ? 0 : state.times_out;
    state.times_out = doublings + 1;
    state.out_until = now + once * (doublings < 5 ? INT64_C(1) << doublings : LONGEST_OUT);
    state.failures = 0;
    return state;
}

struct origin_health_state origin_health_after_failure(const struct origin_health_state *state,
                                                       const struct config_origin_options *options,
                                                       const char *why, sk_time_ns now) {
    struct origin_health_state next = *state;
    next.why = why;
    if (options->fail_after == 0) return next;
    /* Out: a request that began before, or a last resort, says nothing new. */
    if (state->out_until && now < state->out_until) return next;
    if (state->out_until) return taken_out(next, options, now); /* the trial failed */
    return ++next.failures >= options->fail_after ? taken_out(next, options, now) : next;
}

struct origin_health_state origin_health_after_check(const struct origin_health_state *state,
                                                     const struct config_health_check *check, const char *why,
                                                     sk_time_ns now) {
    struct origin_health_state next = *state;
    bool contradicts = (why == NULL) == state->check_down;
    uint32_t needed = state->check_down ? check->healthy_after : check->unhealthy_after;
    next.check_run = contradicts ? state->check_run + 1 : 0;
    if (!contradicts || next.check_run < SK_MAX(needed, 1u)) return next;
    next.check_down = !state->check_down;
    next.check_run = 0;
    /* Checks that call it healthy again are newer evidence than what took it out. */
    if (!next.check_down) next = back_in(next, now);
    next.why = why;
    return next;
}

/* One state, many threads. */

void origin_health_init(struct origin_health *health) {
    *health = (struct origin_health){.lock = PTHREAD_MUTEX_INITIALIZER};
    atomic_init(&health->clean, true);
}

void origin_health_destroy(struct origin_health *health) { pthread_mutex_destroy(&health->lock); }

enum origin_state origin_health_state_now(struct origin_health *health, sk_time_ns now) {
    int64_t out_until = atomic_load_explicit(&health->out_until, memory_order_relaxed);
    return origin_health_verdict(
        &(struct origin_health_state){.out_until = out_until, .check_down = out_until == SK_TIME_NEVER}, now);
}

bool origin_health_take_trial(struct origin_health *health, sk_time_ns now) {
    int64_t at = atomic_load_explicit(&health->trial_at, memory_order_relaxed);
    return now >= at && atomic_compare_exchange_strong_explicit(&health->trial_at, &at, now + TRIAL_EVERY_NS,
                                                                memory_order_relaxed, memory_order_relaxed);
}

/* Under the lock. */
static void publish(struct origin_health *health, struct origin_health_state next) {
    health->state = next;
    atomic_store_explicit(&health->out_until, next.check_down ? SK_TIME_NEVER : next.out_until,
                          memory_order_relaxed);
    atomic_store_explicit(&health->clean, next.failures == 0 && next.out_until == 0 && !next.why,
                          memory_order_relaxed);
}

bool origin_health_succeeded(struct origin_health *health, sk_time_ns now) {
    if (atomic_load_explicit(&health->clean, memory_order_relaxed)) return false;
    pthread_mutex_lock(&health->lock);
    bool was_out = health->state.out_until != 0;
    publish(health, origin_health_after_success(&health->state, now));
    pthread_mutex_unlock(&health->lock);
    return was_out;
}

bool origin_health_failed(struct origin_health *health, const struct config_origin_options *options,
                          const char *why, sk_time_ns now) {
    pthread_mutex_lock(&health->lock);
    sk_time_ns before = health->state.out_until;
    publish(health, origin_health_after_failure(&health->state, options, why, now));
    bool taken = health->state.out_until != before;
    pthread_mutex_unlock(&health->lock);
    return taken;
}

bool origin_health_checked(struct origin_health *health, const struct config_health_check *check,
                           const char *why, sk_time_ns now) {
    pthread_mutex_lock(&health->lock);
    bool before = health->state.check_down;
    publish(health, origin_health_after_check(&health->state, check, why, now));
    bool changed = health->state.check_down != before;
    pthread_mutex_unlock(&health->lock);
    return changed;
}

void origin_health_forget_checks(struct origin_health *health) {
    pthread_mutex_lock(&health->lock);
    struct origin_health_state next = health->state;
    if (next.check_down) next.why = NULL;
    next.check_down = false;
    next.check_run = 0;
    publish(health, next);
    pthread_mutex_unlock(&health->lock);
}

struct origin_health_state origin_health_copy(struct origin_health *health) {
    pthread_mutex_lock(&health->lock);
    struct origin_health_state copy = health->state;
    pthread_mutex_unlock(&health->lock);
    return copy;
}
