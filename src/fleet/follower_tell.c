/* What a follower says to the fleet: how far it is, that it lives, that it leaves. And how the others are, which it asks. */
#include "base/log.h"
#include "fleet/applied.h"
#include "fleet/beating.h"
#include "fleet/follower_private.h"

enum { MEMBER_MS = 1000, LEAVE_MS = 1000, LOOK_AGAIN_MS = 2 };

/* ---- telling how far one is ------------------------------------------------------------------------------------------ */

void follower_tell_positions(void *arg) {
    struct fleet_follower *follower = arg;
    const struct fleet_follower_options *options = &follower->options;
    struct fleet_applied_told told = {0};
    struct sk_arena arena;
    sk_err err = SK_OK;
    sk_arena_init(&arena, 1024, FOLLOWER_ARENA_LIMIT);
    while (!follower->leaving && err != SK_ERR_CANCELLED) {
        err = io_fiber_park(SK_TIME_NEVER);
        if (err || follower->leaving) continue;
        sk_arena_reset(&arena);
        err = fleet_applied_tell(&told, &follower->follow, follower->telling, sk_str_from_c(follower->name),
                                 options->bus_key(options->arg), in_ms(FOLLOWER_CALL_MS), &arena);
        if (err && err != SK_ERR_CANCELLED)
            err = follower_pause(follower, follower->telling, "cannot tell how far it is", err);
    }
    sk_arena_free(&arena);
    follower->positions = NULL;
    follower_end_fiber(follower);
}

/* ---- telling that one lives ------------------------------------------------------------------------------------------ */

static sk_err tell_once(struct fleet_follower *follower, struct fleet_beating *beating,
                        struct sk_arena *arena) {
    const struct fleet_follower_options *options = &follower->options;
    struct fleet_heartbeat beat = {0};
    options->describe(options->arg, &beat, arena);
    beat.name = sk_str_from_c(follower->name);
    beat.silent = follower->counts.silent;
    struct fleet_identity *identity = options->identity(options->arg);
    sk_time_ns begun = sk_time_now();
    sk_err err =
        fleet_beating_say(beating, follower->telling, identity, &beat,
                          fleet_beating_expire_ms(options->silence_ms), in_ms(FOLLOWER_CALL_MS), arena);
    fleet_identity_unref(identity);
    if (err) return err;
    follower->told = begun;
    follower_touch(follower);
    return SK_OK;
}

void follower_tell_life(void *arg) {
    struct fleet_follower *follower = arg;
    struct fleet_beating beating;
    struct sk_arena arena;
    sk_err err = io_fiber_sleep_until(in_ms(1)); /* until the loop runs, which sealing needs */
    if (err != SK_ERR_CANCELLED) err = SK_OK;
    sk_arena_init(&arena, 1024, 1 << 20);
    fleet_beating_init(&beating);
    while (!follower->leaving && err != SK_ERR_CANCELLED) {
        sk_arena_reset(&arena);
        follower->beating = true;
        err = tell_once(follower, &beating, &arena);
        follower->beating = false;
        if (err && err != SK_ERR_CANCELLED)
            err = follower_pause(follower, follower->telling, "cannot tell that it lives", err);
        if (!err && !follower->leaving && io_fiber_sleep_until(in_ms(MEMBER_MS)) == SK_ERR_CANCELLED)
            err = SK_ERR_CANCELLED;
    }
    fleet_beating_free(&beating);
    sk_arena_free(&arena);
    follower_end_fiber(follower);
}

/* ---- the others ---------------------------------------------------------------------------------------------------- */

static struct fleet_identity *identity_unless_abandoned(void *arg) {
    const struct fleet_follower *follower = arg;
    return follower->abandoned ? NULL : follower->options.identity(follower->options.arg);
}

static const struct fleet_expelled *expelled_in_force(void *arg) {
    const struct fleet_follower *follower = arg;
    return follower->options.expelled(follower->options.arg);
}

static void look_around(void *arg) {
    struct fleet_follower *follower = arg;
    const struct fleet_others_question question = {follower->telling, follower, identity_unless_abandoned,
                                                   expelled_in_force};
    fleet_others_look(&follower->others, &question, in_ms(FOLLOWER_CALL_MS));
    follower->counts.others = follower->others.count;
    follower->counts.others_running = follower->others.running;
    follower->looking = false;
    follower_end_fiber(follower);
}

void fleet_follower_look_around(struct fleet_follower *follower) {
    if (follower->looking || follower->leaving) return;
    follower->looking = true;
    if (follower_begin_fiber(follower, "bus-look", look_around, NULL) != SK_OK) follower->looking = false;
}

/* ---- leaving ------------------------------------------------------------------------------------------------------- */

void follower_tell_leaving(void *arg) {
    struct fleet_follower *follower = arg;
    const struct fleet_follower_options *options = &follower->options;
    const struct fleet_bus_key *key = options->bus_key(options->arg);
    struct fleet_bus_key own = key ? *key : (struct fleet_bus_key){0};
    sk_time_ns deadline = in_ms(LEAVE_MS);
    struct sk_arena arena;
    sk_err err = SK_OK;
    sk_arena_init(&arena, 1024, 1 << 20);
    /* A heartbeat behind the farewell would be believed. */
    while (follower->beating && sk_time_now() < deadline && !err)
        err = io_fiber_sleep_until(in_ms(LOOK_AGAIN_MS));
    if (!err)
        err = fleet_beating_end(follower->telling, sk_str_from_c(follower->name), key ? &own : NULL,
                                fleet_beating_expire_ms(options->silence_ms), deadline, &arena);
    if (err) sk_log(SK_LOG_INFO, "bus", "the fleet was not told that this node leaves: %s", sk_err_text(err));
    sk_arena_free(&arena);
    if (!follower->abandoned) follower->left(follower->left_arg);
    follower_end_fiber(follower);
}
