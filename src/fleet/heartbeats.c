#include "fleet/heartbeats.h"

#include "base/log.h"
#include "fleet/deep.h"

struct checking {
    const struct fleet_heartbeats_question *question;
    struct fleet_members members;
    struct fleet_heartbeat *beats;
    size_t count;
};

static bool is_wanted(const struct fleet_heartbeats_question *question, sk_str name) {
    struct fleet_id id;
    return !question->wanted || (fleet_id_parse(name, &id) == SK_OK && question->wanted(question->arg, &id));
}

static sk_err check_all(void *arg) {
    struct checking *checking = arg;
    const struct fleet_heartbeats_question *question = checking->question;
    struct fleet_identity *identity = question->identity(question->arg);
    int64_t now_ms = sk_wall_now_ns() / SK_NS_PER_MS;
    if (!identity) return SK_ERR_BUSY;
    for (size_t i = 0; i < checking->members.count; i++) {
        const struct fleet_member *member = &checking->members.items[i];
        if (!is_wanted(question, member->name)) continue;
        sk_err err =
            fleet_heartbeat_check(member, question->signers, identity, question->expelled(question->arg),
                                  now_ms, &checking->beats[checking->count]);
        checking->count += !err;
        if (err)
            SK_LOG_LIMITED(SK_LOG_WARN, question->part, "%.*s: what it says of itself is not believed: %s",
                           SK_STR_ARGS(member->name), sk_err_text(err));
    }
    fleet_identity_unref(identity);
    return SK_OK;
}

sk_err fleet_heartbeats_read(const struct fleet_heartbeats_question *question, sk_time_ns deadline,
                             struct sk_arena *arena, struct fleet_heartbeat **out_beats, size_t *out_count) {
    struct checking checking = {.question = question};
    sk_err err = fleet_members_read(question->valkey, deadline, arena, &checking.members);
    if (err) return err;
    checking.beats = sk_arena_zalloc(arena, SK_MAX(checking.members.count, 1) * sizeof *checking.beats);
    if (!checking.beats) return SK_ERR_NO_MEMORY;
    err = fleet_deeply(check_all, &checking);
    if (err) return err;
    *out_beats = checking.beats;
    *out_count = checking.count;
    return SK_OK;
}
