#include "fleet/members.h"

static sk_str key_of(struct sk_arena *arena, sk_str name) {
    return sk_arena_printf(arena, FLEET_MEMBER_PREFIX "%.*s", SK_STR_ARGS(name));
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

sk_err fleet_member_leave(struct fleet_valkey *valkey, sk_str name, sk_time_ns deadline,
                          struct sk_arena *arena) {
    const struct fleet_reply *reply;
    sk_str words[] = {SK_STR("DEL"), key_of(arena, name)};
    if (!words[1].data) return SK_ERR_NO_MEMORY;
    sk_err err = fleet_valkey_call(valkey, words, 2, deadline, arena, &reply);
    return err ? err : strike(valkey, name, deadline, arena);
}

/* Dead ones have no hash any more. */
static sk_err read_one(struct fleet_valkey *valkey, sk_str name, sk_time_ns deadline, struct sk_arena *arena,
                       struct fleet_members *members) {
    struct fleet_pair *pairs;
    size_t count;
    sk_str key = key_of(arena, name);
    if (!key.data) return SK_ERR_NO_MEMORY;
    sk_err err = fleet_valkey_hash_get(valkey, key, deadline, arena, &pairs, &count);
    if (err) return err;
    if (count == 0) return strike(valkey, name, deadline, arena);
    members->items[members->count++] = (struct fleet_member){name, pairs, count};
    return SK_OK;
}

sk_err fleet_members_read(struct fleet_valkey *valkey, sk_time_ns deadline, struct sk_arena *arena,
                          struct fleet_members *out_members) {
    const sk_str words[] = {SK_STR("SMEMBERS"), SK_STR(FLEET_MEMBERS_KEY)};
    const struct fleet_reply *reply;
    struct fleet_members members = {0};
    sk_err err = fleet_valkey_call(valkey, words, 2, deadline, arena, &reply);
    if (err) return err;
    if (reply->kind != FLEET_REPLY_ARRAY) return SK_ERR_MALFORMED;
    if (reply->count > FLEET_MEMBERS_MAX) return SK_ERR_TOO_LARGE;
    members.items = sk_arena_alloc(arena, SK_MAX(reply->count, 1) * sizeof *members.items);
    if (!members.items) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < reply->count && !err; i++)
        err = read_one(valkey, reply->items[i]->text, deadline, arena, &members);
    if (!err) *out_members = members;
    return err;
}
