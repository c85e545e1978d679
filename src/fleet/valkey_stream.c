/* Streams and hashes: a call for each command. */
#include "fleet/valkey.h"

#include <stdio.h>

#include "fleet/valkey_shape.h"

enum { ANSWER_MS = 3000 }; /* over the time that a call asked the server to wait */

/* ---- hashes ---------------------------------------------------------------------------------------------------- */

static size_t put_pairs(sk_str *words, size_t at, const struct fleet_pair *pairs, size_t count) {
    SK_ASSERT(count <= FLEET_PAIRS_MAX);
    for (size_t i = 0; i < count; i++) {
        words[at++] = pairs[i].name;
        words[at++] = pairs[i].value;
    }
    return at;
}

sk_err fleet_valkey_hash_set(struct fleet_valkey *valkey, sk_str key, const struct fleet_pair *pairs,
                             size_t pair_count, int64_t expire_ms, sk_time_ns deadline,
                             struct sk_arena *arena) {
    char digits[20];
    const struct fleet_reply *reply;
    sk_str words[2 + 2 * FLEET_PAIRS_MAX] = {SK_STR("HSET"), key};
    size_t count = put_pairs(words, 2, pairs, pair_count);
    if (expire_ms <= 0) return fleet_valkey_call(valkey, words, count, deadline, arena, &reply);
    sk_str expire[] = {SK_STR("PEXPIRE"), key,
                       sk_str_make(digits, sk_u64_to_text((uint64_t)expire_ms, digits))};
    const sk_str multi = SK_STR("MULTI"), exec = SK_STR("EXEC");
    const struct fleet_command commands[] = {{&multi, 1}, {words, count}, {expire, 3}, {&exec, 1}};
    const struct fleet_reply *replies[SK_COUNT(commands)];
    return fleet_valkey_calls(valkey, commands, SK_COUNT(commands), deadline, arena, replies);
}

sk_err fleet_valkey_hash_get(struct fleet_valkey *valkey, sk_str key, sk_time_ns deadline,
                             struct sk_arena *arena, struct fleet_pair **out_pairs, size_t *out_count) {
    const sk_str words[] = {SK_STR("HGETALL"), key};
    const struct fleet_reply *reply;
    sk_err err = fleet_valkey_call(valkey, words, 2, deadline, arena, &reply);
    return err ? err : fleet_reply_pairs(reply, arena, out_pairs, out_count);
}

/* ---- streams --------------------------------------------------------------------------------------------------- */

struct id_text {
    char bytes[48];
};
static sk_str id_text(struct fleet_stream_id id, struct id_text *out) {
    int bytes = snprintf(out->bytes, sizeof out->bytes, "%llu-%llu", (unsigned long long)id.ms,
                         (unsigned long long)id.number);
    return sk_str_make(out->bytes, (size_t)bytes);
}
static sk_str number_text(uint64_t number, char out[20]) {
    return sk_str_make(out, sk_u64_to_text(number, out));
}

sk_err fleet_valkey_add(struct fleet_valkey *valkey, sk_str stream, uint64_t max_entries,
                        const struct fleet_pair *pairs, size_t pair_count, sk_time_ns deadline,
                        struct sk_arena *arena, struct fleet_stream_id *out_id) {
    char digits[20];
    const struct fleet_reply *reply;
    sk_str words[6 + 2 * FLEET_PAIRS_MAX] = {SK_STR("XADD"), stream};
    size_t at = 2;
    if (max_entries) {
        words[at++] = SK_STR("MAXLEN");
        words[at++] = SK_STR("~");
        words[at++] = number_text(max_entries, digits);
    }
    words[at++] = SK_STR("*");
    at = put_pairs(words, at, pairs, pair_count);
    sk_err err = fleet_valkey_call(valkey, words, at, deadline, arena, &reply);
    return err ? err : fleet_reply_id(reply, out_id);
}

sk_err fleet_valkey_read(struct fleet_valkey *valkey, sk_str stream, struct fleet_stream_id after,
                         size_t count, int64_t block_ms, struct sk_arena *arena,
                         struct fleet_stream_entries *out_entries) {
    char count_digits[20], block_digits[20];
    struct id_text id;
    const struct fleet_reply *reply;
    sk_str words[8] = {SK_STR("XREAD"), SK_STR("COUNT"), number_text(count, count_digits)};
    size_t at = 3;
    if (block_ms > 0) {
        words[at++] = SK_STR("BLOCK");
        words[at++] = number_text((uint64_t)block_ms, block_digits);
    }
    words[at++] = SK_STR("STREAMS");
    words[at++] = stream;
    words[at++] = id_text(after, &id);
    sk_time_ns deadline = sk_time_now() + (SK_MAX(block_ms, 0) + ANSWER_MS) * SK_NS_PER_MS;
    sk_err err = fleet_valkey_call(valkey, words, at, deadline, arena, &reply);
    return err ? err : fleet_reply_streams(reply, stream, arena, out_entries);
}

static sk_err range(struct fleet_valkey *valkey, const sk_str *words, sk_time_ns deadline,
                    struct sk_arena *arena, struct fleet_stream_entries *out_entries) {
    const struct fleet_reply *reply;
    sk_err err = fleet_valkey_call(valkey, words, 6, deadline, arena, &reply);
    return err ? err : fleet_reply_entries(reply, arena, out_entries);
}

sk_err fleet_valkey_range(struct fleet_valkey *valkey, sk_str stream, struct fleet_stream_id first,
                          size_t count, sk_time_ns deadline, struct sk_arena *arena,
                          struct fleet_stream_entries *out_entries) {
    char digits[20];
    struct id_text id;
    const sk_str words[] = {SK_STR("XRANGE"), stream,          id_text(first, &id),
                            SK_STR("+"),      SK_STR("COUNT"), number_text(count, digits)};
    return range(valkey, words, deadline, arena, out_entries);
}

sk_err fleet_valkey_last(struct fleet_valkey *valkey, sk_str stream, sk_time_ns deadline,
                         struct sk_arena *arena, struct fleet_stream_entries *out_entries) {
    const sk_str words[] = {SK_STR("XREVRANGE"), stream,          SK_STR("+"),
                            SK_STR("-"),         SK_STR("COUNT"), SK_STR("1")};
    return range(valkey, words, deadline, arena, out_entries);
}

/* "# Replication\r\nrole:master\r\n...master_replid:8371...\r\n" */
static sk_str history_in(sk_str info) {
    sk_str line;
    while (sk_str_cut(&info, '\n', &line))
        if (sk_str_starts_with(line, SK_STR("master_replid:")))
            return sk_str_slice(line, 14, sk_str_find_byte(line, '\r'));
    return (sk_str){0};
}

static sk_err last_in(const struct fleet_reply *reply, struct fleet_stream_id *out_id) {
    if (reply->kind != FLEET_REPLY_ARRAY) return SK_ERR_MALFORMED;
    for (size_t i = 0; i + 1 < reply->count; i += 2)
        if (sk_str_eq(reply->items[i]->text, SK_STR("last-generated-id")))
            return fleet_reply_id(reply->items[i + 1], out_id);
    return SK_ERR_MALFORMED;
}

sk_err fleet_valkey_source(struct fleet_valkey *valkey, sk_str stream, sk_time_ns deadline,
                           struct sk_arena *arena, struct fleet_stream_source *out_source) {
    const sk_str info[] = {SK_STR("INFO"), SK_STR("replication")};
    const sk_str about[] = {SK_STR("XINFO"), SK_STR("STREAM"), stream};
    struct fleet_stream_source source = {0};
    const struct fleet_reply *reply;
    sk_err err = fleet_valkey_call(valkey, info, 2, deadline, arena, &reply);
    if (err) return err;
    source.history = history_in(reply->text);
    if (!source.history.len) return SK_ERR_MALFORMED;
    err = fleet_valkey_call(valkey, about, 3, deadline, arena, &reply);
    if (err == SK_ERR_INVALID && sk_str_starts_with(fleet_valkey_refusal(valkey), SK_STR("ERR no such key")))
        err = SK_OK;
    else if (!err)
        err = last_in(reply, &source.last);
    if (!err) *out_source = source;
    return err;
}
