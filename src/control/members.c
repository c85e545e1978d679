#include "control/members.h"

#include "fleet/heartbeats.h"

enum { CALL_MS = 5000, SIGNERS_KEPT = 256 };

static struct fleet_identity *identity_of(void *arg) {
    const struct control_process *process = arg;
    return fleet_identity_ref(process->identity);
}

static const struct fleet_expelled *expelled_of(void *arg) {
    const struct control_process *process = arg;
    return &process->view.expelled;
}

static sk_err read_beats(struct control_process *process, struct sk_arena *arena,
                         struct fleet_heartbeat **out_beats, size_t *out_count) {
    sk_err err = process->signers ? SK_OK : fleet_signers_create(SIGNERS_KEPT, &process->signers);
    const struct fleet_heartbeats_question question = {.valkey = process->store.valkey,
                                                       .signers = process->signers,
                                                       .part = "control",
                                                       .arg = process,
                                                       .identity = identity_of,
                                                       .expelled = expelled_of};
    if (err) return err;
    return fleet_heartbeats_read(&question, sk_time_now() + CALL_MS * SK_NS_PER_MS, arena, out_beats,
                                 out_count);
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
                            struct control_member *members, size_t member_count) {
    sk_str publisher = fleet_publisher_name(process->publisher);
    sk_str key = sk_arena_printf(arena, FLEET_BUS_APPLIED "%.*s", SK_STR_ARGS(publisher));
    struct fleet_pair *pairs;
    size_t count;
    if (!key.data) return SK_ERR_NO_MEMORY;
    sk_err err = fleet_valkey_hash_get(process->store.valkey, key, sk_time_now() + CALL_MS * SK_NS_PER_MS,
                                       arena, &pairs, &count);
    for (size_t i = 0; i < count && !err; i++)
        for (size_t m = 0; m < member_count; m++)
            if (sk_str_eq(pairs[i].name, members[m].beat.name))
                note_position(process, &pairs[i], &members[m]);
    return err;
}

sk_err control_members(struct control_process *process, struct sk_arena *arena,
                       struct control_member **out_members, size_t *out_count) {
    struct fleet_heartbeat *beats;
    size_t count;
    sk_err err = read_beats(process, arena, &beats, &count);
    if (err) return err;
    struct control_member *members = sk_arena_zalloc(arena, SK_MAX(count, 1) * sizeof *members);
    if (!members) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) members[i].beat = beats[i];
    if (process->publisher) err = add_positions(process, arena, members, count);
    if (err) return err;
    *out_members = members;
    *out_count = count;
    return SK_OK;
}
