#include "fleet/follower.h"

#include <stdlib.h>

#include "base/log.h"
#include "fleet/follower_private.h"
#include "fleet/publisher.h"

enum {
    READ_MOST = 16, /* entries at once: with the largest of them still within a reply */
    LOOK_MS = 1000, /* between looks at the server */
    PUBLISHERS_KEPT = 8,
    REFUSED_PAUSE_MS = 250,
    SAY_AGAIN_LEAST_MS = 500,
};

static void release(struct fleet_follower *follower) {
    fleet_valkey_destroy(follower->reading);
    fleet_valkey_destroy(follower->telling);
    fleet_signers_free(follower->signers);
    fleet_others_end(&follower->others);
    sk_arena_free(&follower->arena);
    free(follower);
}

void follower_end_fiber(struct fleet_follower *follower) {
    SK_ASSERT(follower->fibers > 0);
    if (--follower->fibers == 0 && follower->abandoned) release(follower);
}

sk_err follower_begin_fiber(struct fleet_follower *follower, const char *name, io_fiber_main *main,
                            struct io_fiber **out_fiber) {
    follower->fibers++; /* before it runs: it may end at once */
    sk_err err = io_fiber_spawn(follower->loop, name, main, follower, out_fiber);
    if (err) follower->fibers--;
    return err;
}

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

void follower_touch(struct fleet_follower *follower) {
    if (!follower->counts.silent || is_out_of_touch(follower)) return;
    follower->counts.silent = false;
    sk_log(SK_LOG_INFO, "bus", "somebody is heard again");
}

static void hear(struct fleet_follower *follower) {
    follower->since = sk_time_now();
    follower->counts.heard = follower->since;
    follower_touch(follower);
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
    sk_err err = fleet_valkey_source(follower->reading, SK_STR(FLEET_BUS_STREAM), in_ms(FOLLOWER_CALL_MS),
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

sk_err follower_pause(struct fleet_follower *follower, struct fleet_valkey *valkey, const char *what,
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
            err = follower_pause(follower, follower->reading, "cannot read purges", err);
        follower->counts.connected = fleet_valkey_connected(follower->reading);
    }
    follower->reader = NULL;
    follower_end_fiber(follower);
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

/* ---- life -------------------------------------------------------------------------------------------------------------- */

sk_err fleet_follower_start(struct io_loop *loop, const struct fleet_follower_options *options,
                            struct fleet_follower **out_follower) {
    struct fleet_follower *follower = calloc(1, sizeof *follower);
    if (!follower) return SK_ERR_NO_MEMORY;
    follower->loop = loop;
    follower->options = *options;
    sk_arena_init(&follower->arena, 16384, FOLLOWER_ARENA_LIMIT);
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
    if (!err)
        err = follower_begin_fiber(follower, "bus-positions", follower_tell_positions, &follower->positions);
    if (!err) err = follower_begin_fiber(follower, "bus-reader", read_on, &follower->reader);
    if (!err) err = follower_begin_fiber(follower, "bus-teller", follower_tell_life, NULL);
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
    if (follower_begin_fiber(follower, "bus-leave", follower_tell_leaving, NULL) == SK_OK) return;
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
