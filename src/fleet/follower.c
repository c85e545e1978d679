#include "fleet/follower.h"

#include <stdlib.h>

#include "base/log.h"
#include "fleet/applied.h"
#include "fleet/beating.h"
#include "fleet/bus_follow.h"
#include "fleet/others.h"
#include "fleet/publisher.h"

enum {
    READ_MOST = 16, /* entries at once: with the largest of them still within a reply */
    LOOK_MS = 1000, /* between looks at the server */
    CALL_MS = 5000,
    MEMBER_MS = 1000,
    PUBLISHERS_KEPT = 8,
    LEAVE_MS = 1000,
    LOOK_AGAIN_MS = 2,
    REFUSED_PAUSE_MS = 250,
    SAY_AGAIN_LEAST_MS = 500,
    ARENA_LIMIT = 64 << 20,
};

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

static void release(struct fleet_follower *follower) {
    fleet_valkey_destroy(follower->reading);
    fleet_valkey_destroy(follower->telling);
    fleet_signers_free(follower->signers);
    fleet_others_end(&follower->others);
    sk_arena_free(&follower->arena);
    free(follower);
}

static void end_fiber(struct fleet_follower *follower) {
    SK_ASSERT(follower->fibers > 0);
    if (--follower->fibers == 0 && follower->abandoned) release(follower);
}

static sk_err begin_fiber(struct fleet_follower *follower, const char *name, io_fiber_main *main,
                          struct io_fiber **out_fiber) {
    follower->fibers++; /* before it runs: it may end at once */
    sk_err err = io_fiber_spawn(follower->loop, name, main, follower, out_fiber);
    if (err) follower->fibers--;
    return err;
}

static sk_time_ns in_ms(int64_t ms) { return sk_time_now() + ms * SK_NS_PER_MS; }

/* ---- verdicts ---------------------------------------------------------------------------------------------------- */

static void revalidate(struct fleet_follower *follower, const char *why) {
    follower->options.revalidate(follower->options.arg, why);
}

/* The delay is by two clocks: good for a look at a fleet whose clocks are kept, and for nothing else. */
static void apply(struct fleet_follower *follower, const struct fleet_bus_entry *entry) {
    follower->options.apply(follower->options.arg, entry);
    int64_t delay_ns = sk_wall_now_ns() - (int64_t)entry->made_ms * SK_NS_PER_MS;
    observe_duration(follower->options.metrics, OBSERVE_BUS_SECONDS, SK_MAX(delay_ns, 0));
}

/* Who waits for a purge does so as long as our word counts (fleet_beating_expire_ms), and not longer: so who could not say
 * it for as long is as good as one who hears nobody. */
static bool is_out_of_touch(const struct fleet_follower *follower) {
    sk_time_ns last = SK_MIN(follower->since, follower->told);
    return sk_time_now() - last >= follower->options.silence_ms * SK_NS_PER_MS;
}

static void touch(struct fleet_follower *follower) {
    if (!follower->counts.silent || is_out_of_touch(follower)) return;
    follower->counts.silent = false;
    sk_log(SK_LOG_INFO, "bus", "somebody is heard again");
}

static void hear(struct fleet_follower *follower) {
    follower->since = sk_time_now();
    follower->counts.heard = follower->since;
    touch(follower);
}

/* True when the stream is to be read again from follow.read on. */
static bool obey(struct fleet_follower *follower, unsigned verdict, const struct fleet_bus_entry *entry) {
    if (verdict & FLEET_BUS_REVALIDATE) {
        revalidate(follower, "purges may have been missed");
        follower->counts.caught_up = true;
    }
    if (entry && verdict & FLEET_BUS_APPLY) apply(follower, entry);
    if (verdict & FLEET_BUS_ALIVE) hear(follower);
    if (verdict & FLEET_BUS_AGAIN) observe_count(follower->options.metrics, OBSERVE_BUS_AGAIN);
    return verdict & FLEET_BUS_AGAIN;
}

static void refuse(struct fleet_follower *follower, const struct fleet_stream_entry *in, sk_err why) {
    observe_count(follower->options.metrics, OBSERVE_BUS_REFUSED);
    SK_LOG_LIMITED(SK_LOG_WARN, "bus", "an entry is refused (%llu-%llu): %s", (unsigned long long)in->id.ms,
                   (unsigned long long)in->id.number, sk_err_text(why));
    fleet_bus_follow_skip(&follower->follow, in->id);
}

static sk_err check(struct fleet_follower *follower, const struct fleet_stream_entry *in,
                    const struct fleet_bus_entry *entry) {
    const struct fleet_follower_options *options = &follower->options;
    struct fleet_identity *identity = options->identity(options->arg);
    sk_err err = fleet_bus_check(in, entry, follower->signers, identity, options->expelled(options->arg),
                                 sk_wall_now_s());
    fleet_identity_unref(identity);
    return err;
}

static bool take(struct fleet_follower *follower, const struct fleet_stream_entry *in) {
    struct fleet_bus_entry entry;
    sk_err err = fleet_bus_unpack(in, &follower->arena, &entry);
    if (!err && !fleet_bus_follow_is_news(&follower->follow, &entry)) {
        fleet_bus_follow_skip(&follower->follow, in->id);
        return false;
    }
    if (!err) err = check(follower, in, &entry);
    if (err) {
        refuse(follower, in, err);
        return false;
    }
    observe_count(follower->options.metrics, OBSERVE_BUS_ENTRIES);
    bool again = obey(follower, fleet_bus_follow_entry(&follower->follow, in->id, &entry), &entry);
    /* Said before we looked, it may be as old as we were away. */
    follower->counts.caught_up |= !again && fleet_stream_id_compare(in->id, follower->end) > 0;
    return again;
}

/* In touch as is_out_of_touch says: whom the fleet has not heard either is waited for no longer. */
static void keep(struct fleet_follower *follower, bool last) {
    const struct fleet_follower_options *options = &follower->options;
    sk_time_ns heard = SK_MIN(follower->counts.heard, follower->told); /* 0: nobody yet */
    if (options->keep) options->keep(options->arg, &follower->follow, heard, last);
}

static void take_all(struct io_task *task) {
    struct fleet_follower *follower = SK_CONTAINER_OF(task, struct fleet_follower, task);
    const struct fleet_stream_entries *entries = &follower->entries;
    bool again = false;
    for (size_t i = 0; i < entries->count && !again && !follower->leaving; i++)
        again = take(follower, &entries->items[i]);
    if (!again && entries->count < READ_MOST) fleet_bus_follow_end(&follower->follow);
    keep(follower, false);
    follower->done = true;
    io_fiber_wake(follower->waiting);
}

/* ---- one round --------------------------------------------------------------------------------------------------- */

static sk_err look_at_server(struct fleet_follower *follower) {
    struct fleet_stream_source source;
    if (follower->generation == fleet_valkey_generation(follower->reading) &&
        sk_time_now() < follower->next_look)
        return SK_OK;
    sk_err err = fleet_valkey_source(follower->reading, SK_STR(FLEET_BUS_STREAM), in_ms(CALL_MS),
                                     &follower->arena, &source);
    if (err) return err;
    if (!follower->seen) follower->end = source.last;
    follower->seen = true;
    obey(follower, fleet_bus_follow_server(&follower->follow, source.history, source.last), NULL);
    follower->generation = fleet_valkey_generation(follower->reading);
    follower->next_look = in_ms(LOOK_MS);
    return SK_OK;
}

static sk_err read_round(struct fleet_follower *follower) {
    sk_arena_reset(&follower->arena);
    sk_err err = look_at_server(follower);
    if (err) return err;
    int64_t block_ms = SK_MAX((follower->next_look - sk_time_now()) / SK_NS_PER_MS, 1);
    err = fleet_valkey_read(follower->reading, SK_STR(FLEET_BUS_STREAM), follower->follow.read, READ_MOST,
                            block_ms, &follower->arena, &follower->entries);
    if (err) return err;
    if (fleet_valkey_generation(follower->reading) != follower->generation) return SK_OK; /* look first */
    follower->waiting = io_fiber_self();
    follower->done = false;
    follower->task.run = take_all;
    io_loop_defer(follower->loop, &follower->task);
    while (!follower->done) (void)!io_fiber_park(SK_TIME_NEVER); /* also when cancelled: the task is ours */
    if (follower->positions) io_fiber_wake(follower->positions);
    return SK_OK;
}

static sk_err pause_after(struct fleet_follower *follower, struct fleet_valkey *valkey, const char *what,
                          sk_err why) {
    sk_str refusal = fleet_valkey_refusal(valkey);
    SK_LOG_LIMITED(SK_LOG_WARN, "bus", "%s: %s %.*s", what, sk_err_text(why), SK_STR_ARGS(refusal));
    if (!fleet_valkey_connected(valkey)) return fleet_valkey_pause(valkey);
    sk_err err = io_fiber_sleep_until(in_ms(REFUSED_PAUSE_MS));
    return err == SK_ERR_CANCELLED ? err : SK_OK;
}

static void read_on(void *arg) {
    struct fleet_follower *follower = arg;
    sk_err err = SK_OK;
    while (!follower->leaving && err != SK_ERR_CANCELLED) {
        err = read_round(follower);
        if (err && err != SK_ERR_CANCELLED)
            err = pause_after(follower, follower->reading, "cannot read purges", err);
        follower->counts.connected = fleet_valkey_connected(follower->reading);
    }
    follower->reader = NULL;
    end_fiber(follower);
}

/* ---- telling how far one is ------------------------------------------------------------------------------------------ */

/* A fiber of its own: who cannot be told, or is slow, holds up no purge. Woken after each round. */
static void tell_positions_on(void *arg) {
    struct fleet_follower *follower = arg;
    const struct fleet_follower_options *options = &follower->options;
    struct fleet_applied_told told = {0};
    struct sk_arena arena;
    sk_err err = SK_OK;
    sk_arena_init(&arena, 1024, ARENA_LIMIT);
    while (!follower->leaving && err != SK_ERR_CANCELLED) {
        err = io_fiber_park(SK_TIME_NEVER);
        if (err || follower->leaving) continue;
        sk_arena_reset(&arena);
        err = fleet_applied_tell(&told, &follower->follow, follower->telling, sk_str_from_c(follower->name),
                                 options->bus_key(options->arg), in_ms(CALL_MS), &arena);
        if (err && err != SK_ERR_CANCELLED)
            err = pause_after(follower, follower->telling, "cannot tell how far it is", err);
    }
    sk_arena_free(&arena);
    follower->positions = NULL;
    end_fiber(follower);
}

/* ---- silence ------------------------------------------------------------------------------------------------------ */

/* What is stored during the silence must be revalidated too, so it is said again and again: nothing is used unasked
 * for longer than a part of the silence. */
static void on_timer(struct io_timer *timer) {
    struct fleet_follower *follower = SK_CONTAINER_OF(timer, struct fleet_follower, timer);
    int64_t silence_ms = follower->options.silence_ms;
    if (follower->leaving) return;
    if (is_out_of_touch(follower)) {
        const char *why = follower->told < follower->since ? "the fleet cannot be told that this edge lives"
                                                           : "nobody is heard on the bus";
        revalidate(follower, follower->counts.silent ? NULL : why);
        follower->counts.silent = true;
    }
    io_timer_start(follower->loop, timer, in_ms(SK_MAX(silence_ms / 8, SAY_AGAIN_LEAST_MS)), on_timer);
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
    sk_err err = fleet_beating_say(beating, follower->telling, identity, &beat,
                                   fleet_beating_expire_ms(options->silence_ms), in_ms(CALL_MS), arena);
    fleet_identity_unref(identity);
    if (err) return err;
    follower->told = begun;
    touch(follower);
    return SK_OK;
}

static void tell_on(void *arg) {
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
            err = pause_after(follower, follower->telling, "cannot tell that it lives", err);
        if (!err && !follower->leaving && io_fiber_sleep_until(in_ms(MEMBER_MS)) == SK_ERR_CANCELLED)
            err = SK_ERR_CANCELLED;
    }
    fleet_beating_free(&beating);
    sk_arena_free(&arena);
    end_fiber(follower);
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
    fleet_others_look(&follower->others, &question, in_ms(CALL_MS));
    follower->counts.others = follower->others.count;
    follower->counts.others_running = follower->others.running;
    follower->looking = false;
    end_fiber(follower);
}

void fleet_follower_look_around(struct fleet_follower *follower) {
    if (follower->looking || follower->leaving) return;
    follower->looking = true;
    if (begin_fiber(follower, "bus-look", look_around, NULL) != SK_OK) follower->looking = false;
}

/* ---- leaving ------------------------------------------------------------------------------------------------------- */

static void leave(void *arg) {
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
    end_fiber(follower);
}

/* ---- life -------------------------------------------------------------------------------------------------------------- */

sk_err fleet_follower_start(struct io_loop *loop, const struct fleet_follower_options *options,
                            struct fleet_follower **out_follower) {
    struct fleet_follower *follower = calloc(1, sizeof *follower);
    if (!follower) return SK_ERR_NO_MEMORY;
    follower->loop = loop;
    follower->options = *options;
    sk_arena_init(&follower->arena, 16384, ARENA_LIMIT);
    struct fleet_identity *identity = options->identity(options->arg);
    fleet_id_format(&fleet_identity_self(identity)->id, follower->name);
    fleet_identity_unref(identity);
    follower->since = sk_time_now();
    if (options->begin) {
        follower->follow = *options->begin;
        if (options->begin_heard) follower->since = follower->counts.heard = options->begin_heard;
    }
    follower->told = follower->since;
    sk_err err = fleet_valkey_create(loop, &options->where, &follower->reading);
    if (!err) err = fleet_valkey_create(loop, &options->primary, &follower->telling);
    if (!err) err = fleet_signers_create(PUBLISHERS_KEPT, &follower->signers);
    if (!err) err = begin_fiber(follower, "bus-positions", tell_positions_on, &follower->positions);
    if (!err) err = begin_fiber(follower, "bus-reader", read_on, &follower->reader);
    if (!err) err = begin_fiber(follower, "bus-teller", tell_on, NULL);
    if (err) {
        fleet_follower_free(follower);
        return err;
    }
    on_timer(&follower->timer);
    *out_follower = follower;
    return SK_OK;
}

void fleet_follower_counts(const struct fleet_follower *follower, struct fleet_follower_counts *out_counts) {
    *out_counts = follower->counts;
}

void fleet_follower_leave(struct fleet_follower *follower, void (*left)(void *arg), void *arg) {
    if (follower->leaving) return;
    follower->leaving = true;
    follower->left = left;
    follower->left_arg = arg;
    io_timer_stop(&follower->timer);
    keep(follower, true);
    if (follower->reader) io_fiber_cancel(follower->reader);
    if (follower->positions) io_fiber_wake(follower->positions); /* cancelled, it would end the connection */
    if (begin_fiber(follower, "bus-leave", leave, NULL) == SK_OK) return;
    sk_log(SK_LOG_INFO, "bus", "the fleet was not told that this node leaves");
    left(arg);
}

/* Its fibers are woken by the loop's end, or have ended: what they use lives until then. */
void fleet_follower_free(struct fleet_follower *follower) {
    if (!follower) return;
    follower->leaving = true;
    io_timer_stop(&follower->timer);
    follower->abandoned = true;
    if (follower->fibers == 0) release(follower);
}
