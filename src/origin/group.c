/* One site's origins: who is asked next, and how they stand. */
#include <stdlib.h>

#include "origin/registry.h"

static void release_members(struct origin_group *group) {
    for (size_t i = 0; i < group->count; i++) {
        struct origin *origin = group->members[i].origin;
        atomic_fetch_sub_explicit(&origin->groups, 1, memory_order_relaxed); /* a hint, see registry.h */
        origin_unref(origin);
    }
}

static sk_err add_member(struct origin_group *group, const struct config_origin *config) {
    struct origin_member *member = &group->members[group->count];
    sk_err err = origin_acquire(group->registry, config, &member->origin);
    if (err) return err;
    atomic_fetch_add_explicit(&member->origin->groups, 1, memory_order_relaxed);
    member->config = config;
    atomic_init(&member->due, origin_first_due(config->weight));
    group->count++;
    return SK_OK;
}

sk_err origin_group_create(struct origin_registry *registry, const struct config_site *site,
                           struct origin_group **out_group) {
    if (site->origin_count > ORIGIN_GROUP_MOST) return SK_ERR_INVALID;
    struct origin_group *group = calloc(1, sizeof *group + site->origin_count * sizeof group->members[0]);
    if (!group) return SK_ERR_NO_MEMORY;
    group->magic = ORIGIN_GROUP_MAGIC;
    group->registry = registry;
    group->site = site;
    origin_budget_init(&group->budget, site->origin.retry_budget_percent);
    for (uint32_t i = 0; i < site->origin_count; i++) {
        sk_err err = add_member(group, &site->origins[i]);
        if (err) {
            origin_group_destroy(group);
            return err;
        }
    }
    *out_group = group;
    return SK_OK;
}

void origin_group_destroy(struct origin_group *group) {
    if (!group) return;
    SK_CHECK_MAGIC(group, ORIGIN_GROUP_MAGIC);
    release_members(group);
    group->magic = 0;
    free(group);
}

static void gather(const struct origin_group *group, uint64_t tried, sk_time_ns now,
                   struct origin_candidate *candidates) {
    for (size_t i = 0; i < group->count; i++) {
        const struct origin_member *member = &group->members[i];
        candidates[i] = (struct origin_candidate){
            .weight = member->config->weight,
            .state = origin_health_state_now(&member->origin->health, now),
            .tried = tried >> i & 1,
            .due = atomic_load_explicit(&member->due, memory_order_relaxed),
            .id = member->origin->id,
        };
    }
}

bool origin_group_any_left(const struct origin_group *group, uint64_t tried, sk_time_ns now) {
    struct origin_candidate candidates[ORIGIN_GROUP_MOST];
    gather(group, tried, now, candidates);
    const struct origin_wish wish = {.may_retry = true};
    return origin_select(candidates, group->count, &wish).reason != ORIGIN_CHOICE_NONE;
}

/* The books of turns are the group's, which callers see as constant. */
static bool take_turn(const struct origin_group *group, const struct origin_candidate *candidate,
                      const struct origin_choice *choice) {
    _Atomic uint64_t *due = (_Atomic uint64_t *)&group->members[choice->index].due;
    uint64_t expected = candidate->due;
    if (!atomic_compare_exchange_strong_explicit(due, &expected, choice->due, memory_order_relaxed,
                                                 memory_order_relaxed))
        return false;
    atomic_store_explicit((_Atomic uint64_t *)&group->clock, choice->clock, memory_order_relaxed);
    return true;
}

struct origin_choice origin_group_choose(const struct origin_group *group, uint64_t tried, uint64_t affinity,
                                         bool may_retry, sk_time_ns now) {
    SK_CHECK_MAGIC(group, ORIGIN_GROUP_MAGIC);
    struct origin_candidate candidates[ORIGIN_GROUP_MOST];
    struct origin_wish wish = {.affinity = affinity, .may_retry = may_retry};
    gather(group, tried, now, candidates);
    /* Another thread may have taken the same turn or the same trial a moment ago: choose again with what it
     * left. Each round that fails means that another one went on, and trials run out. */
    for (;;) {
        wish.clock = atomic_load_explicit(&group->clock, memory_order_relaxed);
        struct origin_choice choice = origin_select(candidates, group->count, &wish);
        if (choice.reason == ORIGIN_CHOICE_NONE) return choice;
        struct origin_candidate *chosen = &candidates[choice.index];
        struct origin_health *health = &group->members[choice.index].origin->health;
        if (chosen->state == ORIGIN_STATE_TRIAL && !origin_health_take_trial(health, now))
            chosen->state = ORIGIN_STATE_OUT;
        else if (take_turn(group, chosen, &choice))
            return choice;
        else
            chosen->due = atomic_load_explicit(&group->members[choice.index].due, memory_order_relaxed);
    }
}

bool origin_group_is_out(const struct origin_group *group) {
    SK_CHECK_MAGIC(group, ORIGIN_GROUP_MAGIC);
    sk_time_ns now = sk_time_now();
    for (size_t i = 0; i < group->count; i++) {
        enum origin_state state = origin_health_state_now(&group->members[i].origin->health, now);
        if (state == ORIGIN_STATE_UP || state == ORIGIN_STATE_TRIAL) return false;
    }
    return true;
}

/* --- for those who look ------------------------------------------------------------------------------- */

static sk_err append_json_text(struct sk_buf *out, sk_str text) {
    sk_err err = sk_buf_append(out, SK_STR("\""));
    for (size_t i = 0; i < text.len && !err; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20 || c == '"' || c == '\\')
            err = sk_buf_printf(out, "\\u%04x", c);
        else
            err = sk_buf_append(out, sk_str_make(&text.data[i], 1));
    }
    return err ? err : sk_buf_append(out, SK_STR("\""));
}

static sk_err describe_member(const struct origin_member *member, sk_time_ns now, struct sk_buf *out) {
    struct origin_health_state state = origin_health_copy(&member->origin->health);
    enum origin_state verdict = origin_health_verdict(&state, now);
    uint32_t open = atomic_load_explicit(&member->origin->connections, memory_order_relaxed);
    sk_err err = sk_buf_append(out, SK_STR("{\"url\":"));
    if (!err) err = append_json_text(out, member->config->url);
    if (!err)
        err = sk_buf_printf(out, ",\"state\":\"%s\",\"weight\":%u,\"connections\":%u,\"failures\":%u",
                            origin_state_text(verdict), member->config->weight, open, state.failures);
    if (!err && verdict == ORIGIN_STATE_OUT)
        err = sk_buf_printf(out, ",\"out_for_ms\":%lld", (long long)((state.out_until - now) / SK_NS_PER_MS));
    if (!err && state.why) err = sk_buf_append(out, SK_STR(",\"why\":"));
    if (!err && state.why) err = append_json_text(out, sk_str_from_c(state.why));
    return err ? err : sk_buf_append(out, SK_STR("}"));
}

sk_err origin_group_describe(const struct origin_group *group, struct sk_buf *out_json) {
    SK_CHECK_MAGIC(group, ORIGIN_GROUP_MAGIC);
    sk_time_ns now = sk_time_now();
    sk_err err = sk_buf_append(out_json, SK_STR("["));
    for (size_t i = 0; i < group->count && !err; i++) {
        if (i) err = sk_buf_append(out_json, SK_STR(",\n"));
        if (!err) err = describe_member(&group->members[i], now, out_json);
    }
    return err ? err : sk_buf_append(out_json, SK_STR("]"));
}
