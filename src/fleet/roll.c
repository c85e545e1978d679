#include "fleet/roll.h"

#include <stdlib.h>

#include "fleet/farewell.h"
#include "fleet/id.h"
#include "fleet/members.h"

enum {
    LIFE_MOST_MS = 27 * 3600 * 1000
}; /* of a word: the longest silence that can be configured, and an eighth */

struct seen {
    sk_str name;
    sk_time_ns until; /* its word expires */
    int64_t seen_ns;  /* our wall clock, before it was there last */
};

struct fleet_roll {
    struct fleet_roll_options options;
    struct sk_arena arenas[2], *arena; /* ARENA: of `seen` */
    struct seen *seen;                 /* sorted by name */
    uint32_t count;
};

/* One call's work. */
struct call {
    struct fleet_roll *roll;
    struct fleet_member_life *living; /* edges, sorted */
    size_t living_count;
    sk_str *missing; /* of those seen before, sorted */
    const struct fleet_reply *farewells;
    size_t missing_count;
    int64_t begun_ns;
};

sk_err fleet_roll_create(const struct fleet_roll_options *options, struct fleet_roll **out_roll) {
    struct fleet_roll *roll = calloc(1, sizeof *roll);
    if (!roll) return SK_ERR_NO_MEMORY;
    roll->options = *options;
    for (size_t i = 0; i < SK_COUNT(roll->arenas); i++) sk_arena_init(&roll->arenas[i], 1024, 0);
    roll->arena = &roll->arenas[0];
    *out_roll = roll;
    return SK_OK;
}

void fleet_roll_free(struct fleet_roll *roll) {
    if (!roll) return;
    for (size_t i = 0; i < SK_COUNT(roll->arenas); i++) sk_arena_free(&roll->arenas[i]);
    free(roll);
}

/* ---- who is there ------------------------------------------------------------------------------------------------ */

static bool is_edge(sk_str name) {
    struct fleet_id id;
    return fleet_id_parse(name, &id) == SK_OK && id.role == FLEET_ROLE_EDGE;
}

static int by_name(const void *a, const void *b) {
    return sk_str_compare(((const struct fleet_member_life *)a)->name,
                          ((const struct fleet_member_life *)b)->name);
}

static sk_err read_living(struct call *call, sk_time_ns deadline, struct sk_arena *arena) {
    size_t count, kept = 0;
    call->begun_ns = sk_wall_now_ns();
    sk_err err = fleet_members_lives(call->roll->options.valkey, deadline, arena, &call->living, &count);
    if (err) return err;
    for (size_t i = 0; i < count; i++)
        if (is_edge(call->living[i].name)) call->living[kept++] = call->living[i];
    call->living_count = kept;
    if (kept) qsort(call->living, kept, sizeof *call->living, by_name);
    return SK_OK;
}

static bool is_living(const struct call *call, sk_str name) {
    const struct fleet_member_life wanted = {.name = name};
    return call->living_count &&
           bsearch(&wanted, call->living, call->living_count, sizeof wanted, by_name) != NULL;
}

/* Whether those that are missing have said why. */
static sk_err ask_missing(struct call *call, sk_time_ns deadline, struct sk_arena *arena) {
    const struct fleet_roll *roll = call->roll;
    sk_time_ns now = sk_time_now();
    call->missing = sk_arena_alloc(arena, SK_MAX(roll->count, 1) * sizeof *call->missing);
    if (!call->missing) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < roll->count; i++) {
        if (roll->seen[i].until <= now || is_living(call, roll->seen[i].name)) continue;
        sk_str own = sk_arena_copy(arena, roll->seen[i].name);
        if (!own.data) return SK_ERR_NO_MEMORY;
        call->missing[call->missing_count++] = own;
    }
    if (!call->missing_count) return SK_OK;
    return fleet_members_farewells(roll->options.valkey, call->missing, call->missing_count, deadline, arena,
                                   &call->farewells);
}

/* ---- what is remembered ------------------------------------------------------------------------------------------ */

static int compare_names(const void *a, const void *b) {
    return sk_str_compare(*(const sk_str *)a, *(const sk_str *)b);
}

static bool has_left(const struct call *call, const struct seen *seen) {
    const struct fleet_roll_options *options = &call->roll->options;
    const sk_str *found = call->missing_count ? bsearch(&seen->name, call->missing, call->missing_count,
                                                        sizeof seen->name, compare_names)
                                              : NULL;
    if (!found) return false;
    sk_str text = call->farewells->items[found - call->missing]->text;
    if (!text.len) return false;
    struct fleet_bus_keys keys = options->keys(options->arg, seen->name);
    return fleet_farewell_good(text, seen->name, &keys, seen->seen_ns, sk_wall_now_ns());
}

static struct seen seen_now(const struct call *call, const struct fleet_member_life *life, sk_time_ns now) {
    int64_t left_ms = SK_MIN(SK_MAX(life->left_ms, 0), LIFE_MOST_MS);
    return (struct seen){life->name, now + left_ms * SK_NS_PER_MS, call->begun_ns};
}

/* Another call may have seen it later than this one. */
static struct seen later_of(struct seen a, const struct seen *b) {
    a.until = SK_MAX(a.until, b->until);
    a.seen_ns = SK_MAX(a.seen_ns, b->seen_ns);
    return a;
}

/* Two sorted lists become one, in the other arena: at most FLEET_MEMBERS_MAX, whatever names somebody makes up. Does not
 * park. */
static sk_err remember(const struct call *call) {
    struct fleet_roll *roll = call->roll;
    struct sk_arena *arena = &roll->arenas[roll->arena == &roll->arenas[0]];
    sk_time_ns now = sk_time_now();
    size_t a = 0, b = 0, room = FLEET_MEMBERS_MAX - call->living_count;
    uint32_t count = 0;
    sk_arena_reset(arena);
    struct seen *all = sk_arena_alloc(arena, SK_MAX(call->living_count + roll->count, 1) * sizeof *all);
    if (!all) return SK_ERR_NO_MEMORY;
    while (a < call->living_count || b < roll->count) {
        int order = a == call->living_count ? 1
                    : b == roll->count      ? -1
                                            : sk_str_compare(call->living[a].name, roll->seen[b].name);
        const struct seen *old = order >= 0 ? &roll->seen[b++] : NULL;
        const struct fleet_member_life *life = order <= 0 ? &call->living[a++] : NULL;
        if (!life && (!room || old->until <= now || has_left(call, old))) continue;
        if (!life) room--;
        struct seen one = life ? seen_now(call, life, now) : *old;
        if (life && old) one = later_of(one, old);
        one.name = sk_arena_copy(arena, one.name);
        if (!one.name.data) return SK_ERR_NO_MEMORY;
        all[count++] = one;
    }
    roll->arena = arena;
    roll->seen = all;
    roll->count = count;
    return SK_OK;
}

static sk_err tell_names(const struct fleet_roll *roll, struct sk_arena *arena, sk_str **out_names) {
    sk_str *names = sk_arena_alloc(arena, SK_MAX(roll->count, 1) * sizeof *names);
    if (!names) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < roll->count; i++) {
        names[i] = sk_arena_copy(arena, roll->seen[i].name);
        if (!names[i].data) return SK_ERR_NO_MEMORY;
    }
    *out_names = names;
    return SK_OK;
}

sk_err fleet_roll_call(struct fleet_roll *roll, sk_time_ns deadline, struct sk_arena *arena,
                       sk_str **out_names, uint32_t *out_count) {
    struct call call = {.roll = roll};
    sk_err err = read_living(&call, deadline, arena);
    if (!err) err = ask_missing(&call, deadline, arena);
    if (!err) err = remember(&call);
    if (!err) err = tell_names(roll, arena, out_names);
    if (!err) *out_count = roll->count;
    return err;
}
