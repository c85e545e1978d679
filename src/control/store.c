#include "control/store.h"

#include "base/log.h"

static sk_str key_of(const struct control_store *store, const char *table, struct sk_arena *arena) {
    return sk_arena_printf(arena, "skerry:%.*s:%s", SK_STR_ARGS(store->fleet), table);
}

static void tell(struct control_store *store, sk_err err) {
    if (!err || err == SK_ERR_CANCELLED || sk_time_now() <= store->quiet_until) return;
    sk_str refusal = fleet_valkey_refusal(store->valkey);
    SK_LOG_LIMITED(SK_LOG_ERROR, "control", "Valkey: %s %.*s", sk_err_text(err), SK_STR_ARGS(refusal));
}

static sk_err call(struct control_store *store, struct sk_arena *arena, sk_str *words, size_t count,
                   const struct fleet_reply **out_reply) {
    if (!words[1].data) return SK_ERR_NO_MEMORY;
    sk_err err = fleet_valkey_call(store->valkey, words, count,
                                   sk_time_now() + CONTROL_STORE_MS * SK_NS_PER_MS, arena, out_reply);
    tell(store, err);
    return err;
}

/* A command whose answer is a number. */
static sk_err ask_number(struct control_store *store, sk_str verb, const char *table, const sk_str *more,
                         size_t more_count, int64_t *out_number) {
    struct sk_arena arena;
    const struct fleet_reply *reply;
    sk_err err;
    sk_arena_init(&arena, 1024, 0);
    sk_str words[4] = {verb, key_of(store, table, &arena)};
    for (size_t i = 0; i < more_count; i++) words[2 + i] = more[i];
    err = call(store, &arena, words, 2 + more_count, &reply);
    if (!err && reply->kind != FLEET_REPLY_INTEGER) err = SK_ERR_MALFORMED;
    if (!err) *out_number = reply->integer;
    sk_arena_free(&arena);
    return err;
}

sk_err control_get(struct control_store *store, const char *table, sk_str field, struct sk_arena *arena,
                   sk_str *out_value) {
    const struct fleet_reply *reply;
    sk_str words[] = {SK_STR("HGET"), key_of(store, table, arena), field};
    sk_err err = call(store, arena, words, SK_COUNT(words), &reply);
    if (err) return err;
    if (reply->kind == FLEET_REPLY_NIL) return SK_ERR_NOT_FOUND;
    if (reply->kind != FLEET_REPLY_TEXT) return SK_ERR_MALFORMED;
    *out_value = reply->text;
    return SK_OK;
}

sk_err control_put(struct control_store *store, const char *table, sk_str field, sk_str value) {
    int64_t ignored;
    return ask_number(store, SK_STR("HSET"), table, (sk_str[]){field, value}, 2, &ignored);
}

sk_err control_add(struct control_store *store, const char *table, sk_str field, sk_str value) {
    int64_t added = 0;
    sk_err err = ask_number(store, SK_STR("HSETNX"), table, (sk_str[]){field, value}, 2, &added);
    return err ? err : added ? SK_OK : SK_ERR_EXISTS;
}

sk_err control_remove(struct control_store *store, const char *table, sk_str field) {
    int64_t removed = 0;
    sk_err err = ask_number(store, SK_STR("HDEL"), table, &field, 1, &removed);
    return err ? err : removed ? SK_OK : SK_ERR_NOT_FOUND;
}

sk_err control_count(struct control_store *store, const char *table, uint64_t *out_count) {
    int64_t count = 0;
    sk_err err = ask_number(store, SK_STR("HLEN"), table, NULL, 0, &count);
    if (!err) *out_count = (uint64_t)count;
    return err;
}

sk_err control_all(struct control_store *store, const char *table, struct sk_arena *arena,
                   struct fleet_pair **out_pairs, size_t *out_count) {
    sk_str key = key_of(store, table, arena);
    if (!key.data) return SK_ERR_NO_MEMORY;
    sk_err err = fleet_valkey_hash_get(store->valkey, key, sk_time_now() + CONTROL_STORE_MS * SK_NS_PER_MS,
                                       arena, out_pairs, out_count);
    tell(store, err);
    return err;
}
