#include "fleet/others.h"

enum { SIGNERS_KEPT = 64, ARENA_LIMIT = 64 << 20 };

struct look {
    const struct fleet_others_question *question;
    struct fleet_id self;
};

static struct fleet_identity *identity_of(void *arg) {
    struct look *look = arg;
    struct fleet_identity *identity = look->question->identity(look->question->arg);
    if (identity) look->self = fleet_identity_self(identity)->id;
    return identity;
}

static const struct fleet_expelled *expelled_of(void *arg) {
    const struct look *look = arg;
    return look->question->expelled(look->question->arg);
}

static bool is_other(void *arg, const struct fleet_id *id) {
    const struct look *look = arg;
    return id->role == FLEET_ROLE_EDGE && !strcmp(id->pop, look->self.pop) && !fleet_id_eq(id, &look->self);
}

static uint32_t count_running(const struct fleet_heartbeat *beats, size_t count) {
    uint32_t running = 0;
    for (size_t i = 0; i < count; i++) running += beats[i].state == FLEET_STATE_RUNNING;
    return running;
}

void fleet_others_look(struct fleet_others *others, const struct fleet_others_question *question,
                       sk_time_ns deadline) {
    struct look look = {.question = question};
    struct fleet_heartbeat *beats = NULL;
    struct sk_arena arena;
    size_t count = 0;
    sk_err err = others->signers ? SK_OK : fleet_signers_create(SIGNERS_KEPT, &others->signers);
    const struct fleet_heartbeats_question all = {.valkey = question->valkey,
                                                  .signers = others->signers,
                                                  .part = "bus",
                                                  .arg = &look,
                                                  .identity = identity_of,
                                                  .expelled = expelled_of,
                                                  .wanted = is_other};
    sk_arena_init(&arena, 16384, ARENA_LIMIT);
    if (!err) err = fleet_heartbeats_read(&all, deadline, &arena, &beats, &count);
    others->count = err ? 0 : (uint32_t)count;
    others->running = err ? 0 : count_running(beats, count);
    sk_arena_free(&arena);
}

void fleet_others_end(struct fleet_others *others) { fleet_signers_free(others->signers); }
