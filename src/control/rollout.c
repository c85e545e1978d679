#include "control/rollout.h"

#include <stdio.h>

enum {
    ENOUGH_REQUESTS = 50,   /* fewer tell nothing */
    ERRORS_MARGIN_PM = 10,  /* per mille of the requests, over what was */
    SLOW_MARGIN_US = 20000, /* over one and a half times what was */
};

const char *control_stage_word(enum control_stage stage) {
    static const char *const words[] = {
#define X(name, word) [CONTROL_STAGE_##name] = word,
        CONTROL_STAGE_TABLE(X)
#undef X
    };
    return words[stage];
}

sk_err control_stage_lookup(sk_str word, enum control_stage *out_stage) {
    for (unsigned i = 0; i < CONTROL_STAGE_COUNT_; i++)
        if (sk_str_eq(word, sk_str_from_c(control_stage_word((enum control_stage)i)))) {
            *out_stage = (enum control_stage)i;
            return SK_OK;
        }
    return SK_ERR_NOT_FOUND;
}

static bool in_stage(const struct control_rollout *rollout, const struct fleet_id *node) {
    char text[FLEET_ID_TEXT_BYTES];
    switch (rollout->stage) {
    case CONTROL_STAGE_CANARY: fleet_id_format(node, text); return !strcmp(text, rollout->canary);
    case CONTROL_STAGE_POP: return !strcmp(node->pop, rollout->pop);
    default: return true;
    }
}

uint64_t control_rollout_target(const struct control_rollout *rollout, const struct fleet_id *node) {
    return in_stage(rollout, node) ? rollout->number : rollout->previous;
}

static uint64_t per_mille(const struct control_health *health) {
    return health->requests ? health->errors * 1000 / health->requests : 0;
}

bool control_worse(const struct control_health *before, const struct control_health *after) {
    if (after->requests < ENOUGH_REQUESTS) return false;
    if (per_mille(after) > per_mille(before) + ERRORS_MARGIN_PM) return true;
    return before->requests >= ENOUGH_REQUESTS && after->p99_us > before->p99_us * 3 / 2 + SLOW_MARGIN_US;
}

static struct control_verdict back(const struct control_node *node, const char *why) {
    return (struct control_verdict){CONTROL_BACK, node, why};
}

struct control_verdict control_rollout_step(const struct control_rollout *rollout,
                                            const struct control_node *nodes, size_t count, sk_unix_s now) {
    const struct control_verdict stay = {CONTROL_STAY, NULL, NULL};
    bool ready = now - rollout->since >= CONTROL_SOAK_S;
    if (!rollout->number || rollout->stage == CONTROL_STAGE_ALL) return stay;
    for (size_t i = 0; i < count; i++) {
        const struct control_node *node = &nodes[i];
        if (node->id.role != FLEET_ROLE_EDGE || !in_stage(rollout, &node->id)) continue;
        if (node->refused >= rollout->number) return back(node, "refuses it");
        bool has_it = node->in_force == rollout->number;
        if (has_it && control_worse(&node->before, &node->after)) return back(node, "fares worse with it");
        if (!has_it && now - rollout->since >= CONTROL_GRACE_S)
            return back(node, node->alive ? "does not take it" : "is not heard of since");
        if (!has_it && (node->alive || rollout->stage == CONTROL_STAGE_CANARY)) ready = false;
        if (has_it && now - node->took_at < CONTROL_SOAK_S) ready = false;
    }
    return ready ? (struct control_verdict){CONTROL_NEXT, NULL, NULL} : stay;
}

struct control_rollout control_rollout_begin(const struct control_rollout *present, uint64_t number,
                                             const struct control_node *nodes, size_t count, sk_unix_s now) {
    bool arrived = present->stage == CONTROL_STAGE_ALL; /* else most have the one before it */
    struct control_rollout rollout = {.number = number,
                                      .previous = arrived ? present->number : present->previous,
                                      .since = now,
                                      .stage = CONTROL_STAGE_ALL};
    for (size_t i = 0; i < count && present->number; i++) {
        if (!nodes[i].alive || nodes[i].id.role != FLEET_ROLE_EDGE) continue;
        rollout.stage = CONTROL_STAGE_CANARY;
        fleet_id_format(&nodes[i].id, rollout.canary);
        snprintf(rollout.pop, sizeof rollout.pop, "%s", nodes[i].id.pop);
        break;
    }
    return rollout;
}
