#include "fleet/erased.h"

#include <stdio.h>

#include "fleet/id.h"
#include "io/fiber.h"

enum {
    CALL_MS = 5000,
    PAUSE_FIRST_MS = 2,
    PAUSE_MOST_MS = 200,
    ARENA_LIMIT = 32 << 20,
    MESSAGE_BYTES = 96 + FLEET_BUS_PUBLISHER_MAX + FLEET_ID_TEXT_BYTES,
};

static const char *const words[] = {
#define X(name, word) [FLEET_ERASED_##name] = word,
    FLEET_ERASED_TABLE(X)
#undef X
};

/* ---- what is said ----------------------------------------------------------------------------------------------- */

static sk_str message_of(const struct fleet_erasure *erasure, sk_str edge, enum fleet_erased what,
                         char out[MESSAGE_BYTES]) {
    int len =
        snprintf(out, MESSAGE_BYTES, "erased 1\n%.*s\n%.*s\n%llu:%llu\n%s", SK_STR_ARGS(erasure->publisher),
                 SK_STR_ARGS(edge), (unsigned long long)erasure->mark.epoch,
                 (unsigned long long)erasure->mark.sequence, words[what]);
    return len > 0 && len < MESSAGE_BYTES ? sk_str_make(out, (size_t)len) : (sk_str){0};
}

sk_str fleet_erased_text(const struct fleet_erasure *erasure, sk_str edge, enum fleet_erased what,
                         const struct fleet_bus_key *key, struct sk_arena *arena) {
    char message[MESSAGE_BYTES], code[FLEET_HEX_BYTES] = "";
    sk_str said = message_of(erasure, edge, what, message);
    if (key && said.len) fleet_bus_code(key, said, code);
    return sk_arena_printf(arena, "%s:%s", words[what], code);
}

enum fleet_erased fleet_erased_read(sk_str text, const struct fleet_erasure *erasure, sk_str edge,
                                    const struct fleet_bus_keys *keys) {
    char message[MESSAGE_BYTES];
    sk_str word;
    if (!sk_str_cut(&text, ':', &word)) return FLEET_ERASED_SILENT;
    for (unsigned what = FLEET_ERASED_SILENT + 1; what < FLEET_ERASED_COUNT_; what++) {
        if (!sk_str_eq(word, sk_str_from_c(words[what]))) continue;
        sk_str said = message_of(erasure, edge, (enum fleet_erased)what, message);
        bool proven = said.len && fleet_bus_code_good(keys, said, text);
        return proven ? (enum fleet_erased)what : FLEET_ERASED_SILENT;
    }
    return FLEET_ERASED_SILENT;
}

static sk_str key_of(const struct fleet_erasure *erasure, struct sk_arena *arena) {
    return sk_arena_printf(arena, FLEET_BUS_ERASED "%.*s:%llu:%llu", SK_STR_ARGS(erasure->publisher),
                           (unsigned long long)erasure->mark.epoch,
                           (unsigned long long)erasure->mark.sequence);
}

sk_err fleet_erased_tell(struct fleet_valkey *valkey, const struct fleet_erasure *erasure, sk_str edge,
                         enum fleet_erased what, const struct fleet_bus_key *key, sk_time_ns deadline,
                         struct sk_arena *arena) {
    sk_str hash = key_of(erasure, arena);
    const struct fleet_pair pair = {edge, fleet_erased_text(erasure, edge, what, key, arena)};
    if (!hash.data || !pair.value.data) return SK_ERR_NO_MEMORY;
    return fleet_valkey_hash_set(valkey, hash, &pair, 1, FLEET_BUS_ERASED_KEEP_MS, deadline, arena);
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

/* HMGET of those that are silent. */
static sk_err ask(const struct fleet_erased_question *question, const enum fleet_erased *states,
                  size_t silent, struct sk_arena *arena, const struct fleet_reply **out_reply) {
    sk_str *words_of = sk_arena_alloc(arena, (2 + silent) * sizeof *words_of);
    sk_str hash = key_of(&question->erasure, arena);
    size_t count = 0;
    if (!words_of || !hash.data) return SK_ERR_NO_MEMORY;
    words_of[count++] = SK_STR("HMGET");
    words_of[count++] = hash;
    for (size_t i = 0; i < question->count; i++)
        if (states[i] == FLEET_ERASED_SILENT) words_of[count++] = question->edges[i];
    sk_err err = fleet_valkey_call(question->valkey, words_of, count, sk_time_now() + CALL_MS * SK_NS_PER_MS,
                                   arena, out_reply);
    if (err) return err;
    bool fits = (*out_reply)->kind == FLEET_REPLY_ARRAY && (*out_reply)->count == silent;
    return fits ? SK_OK : SK_ERR_MALFORMED;
}

/* *SILENT have said nothing yet, before and after. */
static sk_err look(const struct fleet_erased_question *question, struct sk_arena *arena,
                   enum fleet_erased *states, size_t *silent) {
    const struct fleet_reply *reply;
    size_t at = 0, left = 0;
    sk_err err = ask(question, states, *silent, arena, &reply);
    for (size_t i = 0; i < question->count && !err; i++) {
        if (states[i] != FLEET_ERASED_SILENT) continue;
        const struct fleet_reply *said = reply->items[at++];
        struct fleet_bus_keys keys = question->keys(question->arg, question->edges[i]);
        if (said->kind == FLEET_REPLY_TEXT)
            states[i] = fleet_erased_read(said->text, &question->erasure, question->edges[i], &keys);
        left += states[i] == FLEET_ERASED_SILENT;
    }
    if (!err) *silent = left;
    return err;
}

sk_err fleet_erased_wait(const struct fleet_erased_question *question, sk_time_ns deadline,
                         enum fleet_erased *out) {
    struct sk_arena arena;
    size_t silent = question->count;
    int64_t pause_ms = PAUSE_FIRST_MS;
    sk_err err = SK_OK;
    for (size_t i = 0; i < question->count; i++) out[i] = FLEET_ERASED_SILENT;
    sk_arena_init(&arena, 4096, ARENA_LIMIT);
    while (silent && !err) {
        sk_arena_reset(&arena);
        err = look(question, &arena, out, &silent);
        sk_time_ns now = sk_time_now();
        if (err || !silent || now >= deadline) break;
        sk_err slept = io_fiber_sleep_until(SK_MIN(now + pause_ms * SK_NS_PER_MS, deadline));
        if (slept == SK_ERR_CANCELLED) err = slept;
        pause_ms = SK_MIN(2 * pause_ms, PAUSE_MOST_MS);
    }
    sk_arena_free(&arena);
    return err;
}
