#include "route/health.h"

enum { DAMPING_MAX = 16 };

static uint32_t falls_lately(const struct health_state *state, sk_time_ns now) {
    bool quiet = state->last_change == 0 || now - state->last_change > HEALTH_MEMORY_NS;
    return quiet && !state->down ? 0 : state->falls;
}

uint32_t health_needs(const struct health_state *state, const struct health_rules *rules) {
    uint32_t factor = 1;
    for (uint32_t i = 1; i < state->falls && factor < DAMPING_MAX; i++) factor *= 2;
    return SK_MAX(rules->up_after, 1u) * factor;
}

static struct health_state fall(struct health_state state, sk_time_ns now) {
    state.falls = falls_lately(&state, now) + 1;
    state.down = true;
    state.run = 0;
    state.last_change = now;
    return state;
}

struct health_state health_after(const struct health_state *state, const struct health_rules *rules,
                                 enum health_result result, sk_time_ns now) {
    struct health_state next = *state;
    bool contradicts = (result == HEALTH_GOOD) == state->down;
    next.run = contradicts ? state->run + 1 : 0;
    if (!contradicts) return next;
    if (!state->down) {
        bool falls = result == HEALTH_SICK || next.run >= SK_MAX(rules->down_after, 1u);
        return falls ? fall(next, now) : next;
    }
    if (next.run < health_needs(state, rules)) return next;
    next.down = false;
    next.run = 0;
    next.last_change = now;
    return next;
}

static struct health_vote *oldest(struct health_votes *votes) {
    struct health_vote *found = &votes->items[0];
    for (uint32_t i = 1; i < votes->count; i++)
        if (votes->items[i].at < found->at) found = &votes->items[i];
    return found;
}

void health_report(struct health_votes *votes, uint64_t observer, bool up, sk_time_ns now) {
    struct health_vote *place = NULL;
    for (uint32_t i = 0; i < votes->count && !place; i++)
        if (votes->items[i].observer == observer) place = &votes->items[i];
    if (!place && votes->count < HEALTH_OBSERVERS_MAX) place = &votes->items[votes->count++];
    if (!place) place = oldest(votes);
    *place = (struct health_vote){observer, now, up};
}

bool health_verdict(const struct health_state *own, const struct health_votes *votes, sk_time_ns now) {
    uint32_t voices = own != NULL, against = own && own->down;
    for (uint32_t i = 0; i < votes->count; i++) {
        if (now - votes->items[i].at > HEALTH_REPORT_NS) continue;
        voices++;
        against += !votes->items[i].up;
    }
    return 2 * against <= voices;
}
