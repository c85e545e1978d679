#include "fleet/members.h"

#include "fleet/valkey_shape.h"

static sk_str key_of(struct sk_arena *arena, sk_str name) {
    return sk_arena_printf(arena, FLEET_MEMBER_PREFIX "%.*s", SK_STR_ARGS(name));
}

static sk_str farewell_key_of(struct sk_arena *arena, sk_str name) {
    return sk_arena_printf(arena, FLEET_FAREWELL_PREFIX "%.*s", SK_STR_ARGS(name));
}

sk_err fleet_member_beat(struct fleet_valkey *valkey, sk_str name, const struct fleet_pair *pairs,
                         size_t count, int64_t expire_ms, sk_time_ns deadline, struct sk_arena *arena) {
    const sk_str add[] = {SK_STR("SADD"), SK_STR(FLEET_MEMBERS_KEY), name};
    const struct fleet_reply *reply;
    sk_str key = key_of(arena, name);
    if (!key.data) return SK_ERR_NO_MEMORY;
    sk_err err = fleet_valkey_hash_set(valkey, key, pairs, count, expire_ms, deadline, arena);
    return err ? err : fleet_valkey_call(valkey, add, 3, deadline, arena, &reply);
}

static sk_err strike(struct fleet_valkey *valkey, sk_str name, sk_time_ns deadline, struct sk_arena *arena) {
    const sk_str remove[] = {SK_STR("SREM"), SK_STR(FLEET_MEMBERS_KEY), name};
    const struct fleet_reply *reply;
    return fleet_valkey_call(valkey, remove, 3, deadline, arena, &reply);
}

sk_err fleet_member_leave(struct fleet_valkey *valkey, sk_str name, sk_str farewell, int64_t expire_ms,
                          sk_time_ns deadline, struct sk_arena *arena) {
    char digits[20];
    const struct fleet_reply *replies[3];
    sk_str expire = sk_str_make(digits, sk_u64_to_text((uint64_t)SK_MAX(expire_ms, 1), digits));
    const sk_str say[] = {SK_STR("SET"), farewell_key_of(arena, name), farewell, SK_STR("PX"), expire};
    const sk_str end[] = {SK_STR("DEL"), key_of(arena, name)};
    const sk_str strike_out[] = {SK_STR("SREM"), SK_STR(FLEET_MEMBERS_KEY), name};
    const struct fleet_command commands[] = {{say, 5}, {end, 2}, {strike_out, 3}};
    size_t first = farewell.len ? 0 : 1;
    if (!say[1].data || !end[1].data) return SK_ERR_NO_MEMORY;
    return fleet_valkey_calls(valkey, commands + first, SK_COUNT(commands) - first, deadline, arena, replies);
}

/* Everybody in the set, dead or alive. */
static sk_err read_set(struct fleet_valkey *valkey, sk_time_ns deadline, struct sk_arena *arena,
                       const struct fleet_reply **out_set) {
    const sk_str words[] = {SK_STR("SMEMBERS"), SK_STR(FLEET_MEMBERS_KEY)};
    sk_err err = fleet_valkey_call(valkey, words, 2, deadline, arena, out_set);
    if (err) return err;
    if ((*out_set)->kind != FLEET_REPLY_ARRAY) return SK_ERR_MALFORMED;
    return (*out_set)->count > FLEET_MEMBERS_MAX ? SK_ERR_TOO_LARGE : SK_OK;
}

/* VERB for each one's hash, all in one go. */
static sk_err ask_each(struct fleet_valkey *valkey, const char *verb, const struct fleet_reply *set,
                       sk_time_ns deadline, struct sk_arena *arena, const struct fleet_reply ***out_replies) {
    size_t count = set->count;
    struct fleet_command *commands = sk_arena_alloc(arena, SK_MAX(count, 1) * sizeof *commands);
    sk_str *words = sk_arena_alloc(arena, SK_MAX(2 * count, 1) * sizeof *words);
    const struct fleet_reply **replies = sk_arena_alloc(arena, SK_MAX(count, 1) * sizeof *replies);
    if (!commands || !words || !replies) return SK_ERR_NO_MEMORY;
    *out_replies = replies;
    if (!count) return SK_OK;
    for (size_t i = 0; i < count; i++) {
        sk_str *own = &words[2 * i];
        own[0] = sk_str_from_c(verb);
        own[1] = key_of(arena, set->items[i]->text);
        if (!own[1].data) return SK_ERR_NO_MEMORY;
        commands[i] = (struct fleet_command){own, 2};
    }
    return fleet_valkey_calls(valkey, commands, count, deadline, arena, replies);
}

/* Dead ones have no hash any more. */
sk_err fleet_members_read(struct fleet_valkey *valkey, sk_time_ns deadline, struct sk_arena *arena,
                          struct fleet_members *out_members) {
    const struct fleet_reply *set, **replies;
    struct fleet_members members = {0};
    sk_err err = read_set(valkey, deadline, arena, &set);
    if (!err) err = ask_each(valkey, "HGETALL", set, deadline, arena, &replies);
    if (err) return err;
    members.items = sk_arena_alloc(arena, SK_MAX(set->count, 1) * sizeof *members.items);
    if (!members.items) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < set->count && !err; i++) {
        struct fleet_member member = {.name = set->items[i]->text};
        struct fleet_pair *pairs;
        err = fleet_reply_pairs(replies[i], arena, &pairs, &member.pair_count);
        if (!err && !member.pair_count) {
            err = strike(valkey, member.name, deadline, arena);
            if (err == SK_ERR_BUSY) err = SK_OK; /* a replica takes no writes: who reads the primary will */
        } else if (!err) {
            member.pairs = pairs;
            members.items[members.count++] = member;
        }
    }
    if (!err) *out_members = members;
    return err;
}

/* PTTL: what is left in ms, -1 for ever, -2 no such key. */
sk_err fleet_members_lives(struct fleet_valkey *valkey, sk_time_ns deadline, struct sk_arena *arena,
                           struct fleet_member_life **out_lives, size_t *out_count) {
    const struct fleet_reply *set, **replies;
    size_t count = 0;
    sk_err err = read_set(valkey, deadline, arena, &set);
    if (!err) err = ask_each(valkey, "PTTL", set, deadline, arena, &replies);
    if (err) return err;
    struct fleet_member_life *lives = sk_arena_alloc(arena, SK_MAX(set->count, 1) * sizeof *lives);
    if (!lives) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < set->count; i++) {
        if (replies[i]->kind != FLEET_REPLY_INTEGER || replies[i]->integer < -1) continue;
        int64_t left_ms = replies[i]->integer == -1 ? INT64_MAX : replies[i]->integer;
        lives[count++] = (struct fleet_member_life){set->items[i]->text, left_ms};
    }
    *out_lives = lives;
    *out_count = count;
    return SK_OK;
}

sk_err fleet_members_farewells(struct fleet_valkey *valkey, const sk_str *names, size_t count,
                               sk_time_ns deadline, struct sk_arena *arena,
                               const struct fleet_reply **out_texts) {
    sk_str *words = sk_arena_alloc(arena, (1 + count) * sizeof *words);
    const struct fleet_reply *reply;
    if (!words) return SK_ERR_NO_MEMORY;
    words[0] = SK_STR("MGET");
    for (size_t i = 0; i < count; i++) {
        words[1 + i] = farewell_key_of(arena, names[i]);
        if (!words[1 + i].data) return SK_ERR_NO_MEMORY;
    }
    sk_err err = fleet_valkey_call(valkey, words, 1 + count, deadline, arena, &reply);
    if (err) return err;
    if (reply->kind != FLEET_REPLY_ARRAY || reply->count != count) return SK_ERR_MALFORMED;
    *out_texts = reply;
    return SK_OK;
}
