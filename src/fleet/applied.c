#include "fleet/applied.h"

#include <stdio.h>

#include "fleet/id.h"

enum {
    CALL_MS = 5000,
    MEMBERS_EVERY_MS = 500,
    PAUSE_FIRST_MS = 2,
    PAUSE_MOST_MS = 100,
    ARENA_LIMIT = 32 << 20,
    MESSAGE_BYTES = 64 + FLEET_BUS_PUBLISHER_MAX + FLEET_ID_TEXT_BYTES,
};

/* ---- what is said ----------------------------------------------------------------------------------------------- */

static sk_str message_of(sk_str publisher, sk_str edge, struct fleet_bus_mark mark, char out[MESSAGE_BYTES]) {
    int len = snprintf(out, MESSAGE_BYTES, "position 1\n%.*s\n%.*s\n%llu:%llu", SK_STR_ARGS(publisher),
                       SK_STR_ARGS(edge), (unsigned long long)mark.epoch, (unsigned long long)mark.sequence);
    return len > 0 && len < MESSAGE_BYTES ? sk_str_make(out, (size_t)len) : (sk_str){0};
}

sk_str fleet_applied_text(sk_str publisher, sk_str edge, struct fleet_bus_mark mark,
                          const struct fleet_bus_key *key, struct sk_arena *arena) {
    char message[MESSAGE_BYTES], code[FLEET_HEX_BYTES] = "";
    sk_str said = message_of(publisher, edge, mark, message);
    if (key && said.len) fleet_bus_code(key, said, code);
    return sk_arena_printf(arena, "%llu:%llu:%s", (unsigned long long)mark.epoch,
                           (unsigned long long)mark.sequence, code);
}

/* *TEXT is the code afterwards. */
static bool read_mark(sk_str *text, struct fleet_bus_mark *out_mark) {
    sk_str epoch, sequence;
    return sk_str_cut(text, ':', &epoch) && sk_str_cut(text, ':', &sequence) &&
           sk_str_to_u64(epoch, &out_mark->epoch) == SK_OK &&
           sk_str_to_u64(sequence, &out_mark->sequence) == SK_OK;
}

static bool is_proven(sk_str code, sk_str publisher, sk_str edge, struct fleet_bus_mark mark,
                      const struct fleet_bus_keys *keys) {
    char message[MESSAGE_BYTES];
    sk_str said = message_of(publisher, edge, mark, message);
    return said.len && fleet_bus_code_good(keys, said, code);
}

bool fleet_applied_read(sk_str text, sk_str publisher, sk_str edge, const struct fleet_bus_keys *keys,
                        struct fleet_bus_mark *out_mark) {
    struct fleet_bus_mark mark;
    if (!read_mark(&text, &mark) || !is_proven(text, publisher, edge, mark, keys)) return false;
    *out_mark = mark;
    return true;
}

/* The cheap part first: most of what is asked for is not there yet. */
bool fleet_applied_reached(sk_str text, sk_str publisher, sk_str edge, struct fleet_bus_mark wanted,
                           const struct fleet_bus_keys *keys) {
    struct fleet_bus_mark mark;
    return read_mark(&text, &mark) && mark.epoch == wanted.epoch && mark.sequence >= wanted.sequence &&
           is_proven(text, publisher, edge, mark, keys);
}

/* What of the publishers' is in force and not yet told. Returns how many. */
static uint32_t untold(const struct fleet_applied_told *told, const struct fleet_bus_follow *follow,
                       uint32_t out_at[FLEET_BUS_PUBLISHERS_MAX]) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < follow->count; i++) {
        const struct fleet_bus_mark *mark = &follow->publishers[i].mark, *old = &told->marks[i];
        if (old->epoch != mark->epoch || old->sequence != mark->sequence) out_at[count++] = i;
    }
    return count;
}

/* HSET of one position: four words. */
static sk_err write_position(const struct fleet_bus_heard *heard, sk_str edge,
                             const struct fleet_bus_key *key, struct sk_arena *arena, sk_str words[4]) {
    sk_str publisher = sk_str_make(heard->publisher, heard->publisher_bytes);
    words[0] = SK_STR("HSET");
    words[1] = sk_arena_printf(arena, FLEET_BUS_APPLIED "%.*s", SK_STR_ARGS(publisher));
    words[2] = edge;
    words[3] = fleet_applied_text(publisher, edge, heard->mark, key, arena);
    return words[1].data && words[3].data ? SK_OK : SK_ERR_NO_MEMORY;
}

sk_err fleet_applied_tell(struct fleet_applied_told *told, const struct fleet_bus_follow *follow,
                          struct fleet_valkey *valkey, sk_str edge, const struct fleet_bus_key *key,
                          sk_time_ns deadline, struct sk_arena *arena) {
    sk_str words[FLEET_BUS_PUBLISHERS_MAX][4];
    struct fleet_command commands[FLEET_BUS_PUBLISHERS_MAX];
    const struct fleet_reply *replies[FLEET_BUS_PUBLISHERS_MAX];
    struct fleet_bus_mark marks[FLEET_BUS_PUBLISHERS_MAX];
    uint32_t at[FLEET_BUS_PUBLISHERS_MAX];
    sk_err err = SK_OK;
    uint64_t generation = fleet_valkey_generation(valkey);
    if (generation != told->generation) memset(told->marks, 0, sizeof told->marks);
    told->generation = generation;
    uint32_t count = untold(told, follow, at);
    for (uint32_t i = 0; i < count && !err; i++) {
        const struct fleet_bus_heard *heard = &follow->publishers[at[i]];
        marks[i] = heard->mark;
        commands[i] = (struct fleet_command){words[i], 4};
        err = write_position(heard, edge, key, arena, words[i]);
    }
    if (!err && count) err = fleet_valkey_calls(valkey, commands, count, deadline, arena, replies);
    for (uint32_t i = 0; i < count && !err; i++) told->marks[at[i]] = marks[i];
    return err;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

/* Living edges, and how many of them, at the front, have not applied it yet. */
struct roll {
    sk_str *names;
    uint32_t living, behind;
};

/* All count as behind until they are looked at. */
static sk_err call_roll(const struct fleet_applied_question *question, struct sk_arena *arena,
                        struct roll *out) {
    struct roll roll = {0};
    sk_arena_reset(arena);
    sk_err err = fleet_roll_call(question->roll, sk_time_now() + CALL_MS * SK_NS_PER_MS, arena, &roll.names,
                                 &roll.living);
    if (err) return err;
    roll.behind = roll.living;
    *out = roll;
    return SK_OK;
}

/* Asks for those that are behind; who is not any more goes to the back. */
static sk_err look(const struct fleet_applied_question *question, struct sk_arena *arena, struct roll *roll) {
    sk_str key = sk_arena_printf(arena, FLEET_BUS_APPLIED "%.*s", SK_STR_ARGS(question->publisher));
    sk_str *words = sk_arena_alloc(arena, (2 + (size_t)roll->behind) * sizeof *words);
    const struct fleet_reply *reply;
    uint32_t asked = roll->behind, kept = 0;
    if (!key.data || !words) return SK_ERR_NO_MEMORY;
    if (!asked) return SK_OK;
    words[0] = SK_STR("HMGET");
    words[1] = key;
    memcpy(words + 2, roll->names, asked * sizeof *words);
    sk_err err = fleet_valkey_call(question->valkey, words, 2 + (size_t)asked,
                                   sk_time_now() + CALL_MS * SK_NS_PER_MS, arena, &reply);
    if (err) return err;
    if (reply->kind != FLEET_REPLY_ARRAY || reply->count != asked) return SK_ERR_MALFORMED;
    for (uint32_t i = 0; i < asked; i++) {
        sk_str edge = words[2 + i], text = reply->items[i]->text;
        struct fleet_bus_keys keys = question->keys(question->arg, edge);
        if (!fleet_applied_reached(text, question->publisher, edge, question->wanted, &keys))
            roll->names[kept++] = edge;
    }
    roll->behind = kept;
    return SK_OK;
}

/* Names outlive the look that found them. */
static sk_err keep_names(const struct roll *roll, struct sk_arena *arena, struct fleet_stragglers *out) {
    struct fleet_stragglers kept = {.living = roll->living, .behind = roll->behind};
    kept.names = sk_arena_alloc(arena, SK_MAX(kept.behind, 1) * sizeof *kept.names);
    if (!kept.names) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < kept.behind; i++) {
        kept.names[i] = sk_arena_copy(arena, roll->names[i]);
        if (!kept.names[i].data) return SK_ERR_NO_MEMORY;
    }
    *out = kept;
    return SK_OK;
}

/* As often as a person would not notice, and less often when it takes long: who asks takes time from who applies. */
static sk_time_ns next_look(sk_time_ns begun, sk_time_ns now) {
    sk_time_ns pause = SK_MAX((now - begun) / 8, PAUSE_FIRST_MS * SK_NS_PER_MS);
    return now + SK_MIN(pause, PAUSE_MOST_MS * SK_NS_PER_MS);
}

sk_err fleet_applied_wait(const struct fleet_applied_question *question, sk_time_ns deadline,
                          struct sk_arena *arena, struct fleet_stragglers *out) {
    struct sk_arena of_roll, of_look;
    struct roll roll = {0};
    sk_time_ns begun = sk_time_now(), called = begun;
    sk_arena_init(&of_roll, 4096, ARENA_LIMIT);
    sk_arena_init(&of_look, 4096, ARENA_LIMIT);
    sk_err err = call_roll(question, &of_roll, &roll);
    while (!err) {
        sk_arena_reset(&of_look);
        err = look(question, &of_look, &roll);
        sk_time_ns now = sk_time_now();
        if (err || !roll.behind || now >= deadline) break;
        if (now - called >= MEMBERS_EVERY_MS * SK_NS_PER_MS) {
            called = now;
            err = call_roll(question, &of_roll, &roll);
        } else if (io_fiber_sleep_until(SK_MIN(next_look(begun, now), deadline)) == SK_ERR_CANCELLED) {
            err = SK_ERR_CANCELLED;
        }
    }
    if (!err) err = keep_names(&roll, arena, out);
    sk_arena_free(&of_look);
    sk_arena_free(&of_roll);
    return err;
}
