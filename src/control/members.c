#include "control/members.h"

#include "base/log.h"
#include "fleet/deep.h"

enum { CALL_MS = 5000, SIGNERS_KEPT = 256 };

struct checking {
    struct control_process *process;
    const struct fleet_members *said;
    struct control_member *members;
    size_t count;
};

static sk_err check_all(void *arg) {
    struct checking *checking = arg;
    struct control_process *process = checking->process;
    if (!process->signers && fleet_signers_create(SIGNERS_KEPT, &process->signers) != SK_OK)
        return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < checking->said->count; i++) {
        const struct fleet_member *member = &checking->said->items[i];
        struct control_member *out = &checking->members[checking->count];
        sk_err err =
            fleet_heartbeat_check(member, process->signers, process->identity, &process->view.expelled,
                                  sk_wall_now_ns() / SK_NS_PER_MS, &out->beat);
        checking->count += !err;
        if (err)
            SK_LOG_LIMITED(SK_LOG_WARN, "control", "the heartbeat of %.*s counts for nothing: %s",
                           SK_STR_ARGS(member->name), sk_err_text(err));
    }
    return SK_OK;
}

static void note_position(struct control_process *process, const struct fleet_pair *said,
                          struct control_member *member) {
    struct fleet_bus_keys keys = fleet_bus_keys_of(&process->bus_masters, said->name);
    struct fleet_bus_mark mark, ours = fleet_publisher_mark(process->publisher);
    sk_str publisher = fleet_publisher_name(process->publisher);
    if (!fleet_applied_read(said->value, publisher, said->name, &keys, &mark)) return;
    member->has_position = mark.epoch == ours.epoch;
    member->behind = ours.sequence > mark.sequence ? ours.sequence - mark.sequence : 0;
}

static sk_err add_positions(struct control_process *process, struct sk_arena *arena,
                            struct checking *checking) {
    sk_str publisher = fleet_publisher_name(process->publisher);
    sk_str key = sk_arena_printf(arena, FLEET_BUS_APPLIED "%.*s", SK_STR_ARGS(publisher));
    struct fleet_pair *pairs;
    size_t count;
    if (!key.data) return SK_ERR_NO_MEMORY;
    sk_err err = fleet_valkey_hash_get(process->store.valkey, key, sk_time_now() + CALL_MS * SK_NS_PER_MS,
                                       arena, &pairs, &count);
    for (size_t i = 0; i < count && !err; i++)
        for (size_t m = 0; m < checking->count; m++)
            if (sk_str_eq(pairs[i].name, checking->members[m].beat.name))
                note_position(process, &pairs[i], &checking->members[m]);
    return err;
}

sk_err control_members(struct control_process *process, struct sk_arena *arena,
                       struct control_member **out_members, size_t *out_count) {
    struct fleet_members said;
    struct checking checking = {.process = process, .said = &said};
    sk_err err =
        fleet_members_read(process->store.valkey, sk_time_now() + CALL_MS * SK_NS_PER_MS, arena, &said);
    if (err) return err;
    checking.members = sk_arena_zalloc(arena, SK_MAX(said.count, 1) * sizeof *checking.members);
    if (!checking.members) return SK_ERR_NO_MEMORY;
    err = fleet_deeply(check_all, &checking);
    if (!err && process->publisher) err = add_positions(process, arena, &checking);
    if (err) return err;
    *out_members = checking.members;
    *out_count = checking.count;
    return SK_OK;
}
