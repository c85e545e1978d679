#include "fleet/follower.h"

#include <stdlib.h>

#include "base/log.h"
#include "fleet/applied.h"
#include "fleet/bus_follow.h"
#include "fleet/deep.h"
#include "fleet/members.h"
#include "fleet/publisher.h"

enum {
    READ_MOST = 16, /* entries at once: with the largest of them still within a reply */
    LOOK_MS = 1000, /* between looks at the server */
    CALL_MS = 5000,
    MEMBER_MS = 1000,
    SEAL_MS =
        3000, /* a heartbeat is sealed anew after that, or when the state changes; until then it is said again */
    PUBLISHERS_KEPT = 8,
    LEAVE_MS = 1000,
    REFUSED_PAUSE_MS = 250,
    SAY_AGAIN_LEAST_MS = 500,
    ARENA_LIMIT = 64 << 20,
};

struct fleet_follower {
    struct io_loop *loop;
    struct fleet_follower_options options;
    struct fleet_valkey *reading, *telling;
    struct io_fiber *reader;
    unsigned fibers; /* that have not ended; the last one releases an abandoned follower */
    bool abandoned;
    char name[FLEET_ID_TEXT_BYTES];
    bool leaving, looking;
    void (*left)(void *arg);
    void *left_arg;

    struct fleet_bus_follow follow;
    struct fleet_signers *signers;
    struct sk_arena arena; /* of one round */
    uint64_t generation;   /* of the connection whose server was looked at */
    sk_time_ns next_look;
    struct fleet_bus_mark told[FLEET_BUS_PUBLISHERS_MAX]; /* of follow.publishers, by place */
    uint64_t told_generation;

    struct fleet_stream_id end; /* of the stream, as it was first seen */
    bool seen;                  /* END is set */

    /* silence */
    struct io_timer timer;
    sk_time_ns since; /* somebody was heard, or the start */
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

static void hear(struct fleet_follower *follower) {
    follower->since = sk_time_now();
    follower->counts.heard = follower->since;
    if (!follower->counts.silent) return;
    follower->counts.silent = false;
    sk_log(SK_LOG_INFO, "bus", "somebody is heard again");
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

static void keep(struct fleet_follower *follower, bool last) {
    const struct fleet_follower_options *options = &follower->options;
    if (options->keep) options->keep(options->arg, &follower->follow, follower->counts.heard, last);
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

/* What of the publishers' is in force and not yet told. Returns how many. */
static uint32_t untold(const struct fleet_follower *follower, uint32_t out_at[FLEET_BUS_PUBLISHERS_MAX]) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < follower->follow.count; i++) {
        const struct fleet_bus_mark *mark = &follower->follow.publishers[i].mark, *told = &follower->told[i];
        if (told->epoch != mark->epoch || told->sequence != mark->sequence) out_at[count++] = i;
    }
    return count;
}

/* HSET of one position: four words. */
static sk_err write_position(const struct fleet_follower *follower, const struct fleet_bus_heard *heard,
                             struct sk_arena *arena, sk_str words[4]) {
    const struct fleet_follower_options *options = &follower->options;
    sk_str publisher = sk_str_make(heard->publisher, heard->publisher_bytes);
    words[0] = SK_STR("HSET");
    words[1] = sk_arena_printf(arena, FLEET_BUS_APPLIED "%.*s", SK_STR_ARGS(publisher));
    words[2] = sk_str_from_c(follower->name);
    words[3] = fleet_applied_text(publisher, words[2], heard->mark, options->bus_key(options->arg), arena);
    return words[1].data && words[3].data ? SK_OK : SK_ERR_NO_MEMORY;
}

/* To the publishers, how far all of theirs is in force; a server that has come back may have forgotten it. */
static sk_err tell_positions(struct fleet_follower *follower) {
    sk_str words[FLEET_BUS_PUBLISHERS_MAX][4];
    struct fleet_command commands[FLEET_BUS_PUBLISHERS_MAX];
    const struct fleet_reply *replies[FLEET_BUS_PUBLISHERS_MAX];
    struct fleet_bus_mark marks[FLEET_BUS_PUBLISHERS_MAX];
    uint32_t at[FLEET_BUS_PUBLISHERS_MAX];
    sk_err err = SK_OK;
    uint64_t generation = fleet_valkey_generation(follower->telling);
    if (generation != follower->told_generation) memset(follower->told, 0, sizeof follower->told);
    follower->told_generation = generation;
    uint32_t count = untold(follower, at);
    for (uint32_t i = 0; i < count && !err; i++) {
        const struct fleet_bus_heard *heard = &follower->follow.publishers[at[i]];
        marks[i] = heard->mark;
        commands[i] = (struct fleet_command){words[i], 4};
        err = write_position(follower, heard, &follower->arena, words[i]);
    }
    if (!err && count)
        err =
            fleet_valkey_calls(follower->telling, commands, count, in_ms(CALL_MS), &follower->arena, replies);
    for (uint32_t i = 0; i < count && !err; i++) follower->told[at[i]] = marks[i];
    return err;
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
    return tell_positions(follower);
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

/* ---- silence ------------------------------------------------------------------------------------------------------ */

/* What is stored during the silence must be revalidated too, so it is said again and again: nothing is used unasked
 * for longer than a part of the silence. */
static void on_timer(struct io_timer *timer) {
    struct fleet_follower *follower = SK_CONTAINER_OF(timer, struct fleet_follower, timer);
    int64_t silence_ms = follower->options.silence_ms;
    if (follower->leaving) return;
    if (sk_time_now() - follower->since >= silence_ms * SK_NS_PER_MS) {
        revalidate(follower, follower->counts.silent ? NULL : "nobody is heard on the bus");
        follower->counts.silent = true;
    }
    io_timer_start(follower->loop, timer, in_ms(SK_MAX(silence_ms / 8, SAY_AGAIN_LEAST_MS)), on_timer);
}

/* ---- telling that one lives ------------------------------------------------------------------------------------------ */

/* A signature costs as much as fifty requests: not each second. */
struct telling {
    struct fleet_follower *follower;
    struct fleet_heartbeat_sealed sealed;
    enum fleet_state state;
    sk_time_ns sealed_at; /* 0: not yet */
    struct fleet_heartbeat beat;
};

static sk_err seal_now(void *arg) {
    struct telling *telling = arg;
    const struct fleet_follower_options *options = &telling->follower->options;
    struct fleet_identity *identity = options->identity(options->arg);
    sk_err err = fleet_heartbeat_seal(identity, &telling->beat, &telling->sealed);
    fleet_identity_unref(identity);
    telling->state = telling->beat.state;
    telling->sealed_at = err ? 0 : sk_time_now();
    return err;
}

static sk_err seal_if_due(struct telling *telling, struct sk_arena *arena) {
    const struct fleet_follower *follower = telling->follower;
    telling->beat = (struct fleet_heartbeat){0};
    follower->options.describe(follower->options.arg, &telling->beat, arena);
    if (telling->sealed_at && telling->beat.state == telling->state &&
        sk_time_now() - telling->sealed_at < SEAL_MS * SK_NS_PER_MS)
        return SK_OK;
    telling->beat.name = sk_str_from_c(follower->name);
    telling->beat.silent = follower->counts.silent;
    telling->beat.made_ms = (uint64_t)(sk_wall_now_ns() / SK_NS_PER_MS);
    return fleet_deeply(seal_now, telling);
}

static sk_err tell_once(struct telling *telling, struct sk_arena *arena) {
    const struct fleet_follower *follower = telling->follower;
    struct fleet_pair pairs[FLEET_HEARTBEAT_PAIRS];
    int64_t silence_ms = follower->options.silence_ms;
    sk_err err = seal_if_due(telling, arena);
    if (err) return err;
    size_t count = fleet_heartbeat_pairs(&telling->sealed, pairs);
    /* Until it revalidates by itself, it counts: who waits for a purge must not forget it. */
    int64_t expire_ms = silence_ms + SK_MAX(silence_ms / 8, SAY_AGAIN_LEAST_MS);
    return fleet_member_beat(follower->telling, sk_str_from_c(follower->name), pairs, count, expire_ms,
                             in_ms(CALL_MS), arena);
}

static void tell_on(void *arg) {
    struct fleet_follower *follower = arg;
    struct telling telling = {.follower = follower};
    struct sk_arena arena;
    sk_err err = io_fiber_sleep_until(in_ms(1)); /* until the loop runs, which sealing needs */
    if (err != SK_ERR_CANCELLED) err = SK_OK;
    sk_arena_init(&arena, 1024, 1 << 20);
    fleet_heartbeat_sealed_init(&telling.sealed);
    while (!follower->leaving && err != SK_ERR_CANCELLED) {
        sk_arena_reset(&arena);
        err = tell_once(&telling, &arena);
        if (err && err != SK_ERR_CANCELLED)
            err = pause_after(follower, follower->telling, "cannot tell that it lives", err);
        if (!err && !follower->leaving && io_fiber_sleep_until(in_ms(MEMBER_MS)) == SK_ERR_CANCELLED)
            err = SK_ERR_CANCELLED;
    }
    fleet_heartbeat_sealed_free(&telling.sealed);
    sk_arena_free(&arena);
    end_fiber(follower);
}

/* ---- the others ---------------------------------------------------------------------------------------------------- */

struct look_around {
    struct fleet_follower *follower;
    struct fleet_members members;
    uint32_t others, running;
};

/* What is not believed is nobody. */
static sk_err count_others(void *arg) {
    struct look_around *look = arg;
    const struct fleet_follower_options *options = &look->follower->options;
    struct fleet_identity *identity = options->identity(options->arg);
    const struct fleet_id *self = &fleet_identity_self(identity)->id;
    struct fleet_signers *signers;
    sk_err err = fleet_signers_create(PUBLISHERS_KEPT, &signers);
    for (size_t i = 0; i < look->members.count && !err; i++) {
        struct fleet_id id;
        struct fleet_heartbeat beat;
        const struct fleet_member *member = &look->members.items[i];
        if (fleet_id_parse(member->name, &id) || id.role != FLEET_ROLE_EDGE ||
            strcmp(id.pop, self->pop) != 0 || fleet_id_eq(&id, self) ||
            fleet_heartbeat_check(member, signers, identity, options->expelled(options->arg),
                                  sk_wall_now_ns() / SK_NS_PER_MS, &beat) != SK_OK)
            continue;
        look->others++;
        look->running += beat.state == FLEET_STATE_RUNNING;
    }
    if (!err) fleet_signers_free(signers);
    fleet_identity_unref(identity);
    return err;
}

static void look_around(void *arg) {
    struct fleet_follower *follower = arg;
    struct look_around look = {.follower = follower};
    struct sk_arena arena;
    sk_arena_init(&arena, 16384, ARENA_LIMIT);
    sk_err err = fleet_members_read(follower->telling, in_ms(CALL_MS), &arena, &look.members);
    if (!err && !follower->abandoned) err = fleet_deeply(count_others, &look);
    if (err) look.others = look.running = 0;
    follower->counts.others = look.others;
    follower->counts.others_running = look.running;
    follower->looking = false;
    sk_arena_free(&arena);
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
    struct sk_arena arena;
    sk_arena_init(&arena, 1024, 1 << 20);
    sk_err err =
        fleet_member_leave(follower->telling, sk_str_from_c(follower->name), in_ms(LEAVE_MS), &arena);
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
    sk_err err = fleet_valkey_create(loop, &options->where, &follower->reading);
    if (!err) err = fleet_valkey_create(loop, &options->primary, &follower->telling);
    if (!err) err = fleet_signers_create(PUBLISHERS_KEPT, &follower->signers);
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
