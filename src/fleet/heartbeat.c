#include "fleet/heartbeat.h"

#define HEAD "skerry heartbeat 1\n"

const char *fleet_state_word(enum fleet_state state) {
    static const char *const words[] = {
#define X(name, word, help) [FLEET_STATE_##name] = word,
        FLEET_STATE_TABLE(X)
#undef X
    };
    return state < FLEET_STATE_COUNT_ ? words[state] : "";
}

static sk_err state_lookup(sk_str word, enum fleet_state *out_state) {
    for (unsigned i = 0; i < FLEET_STATE_COUNT_; i++) {
        if (!sk_str_eq(word, sk_str_from_c(fleet_state_word((enum fleet_state)i)))) continue;
        *out_state = (enum fleet_state)i;
        return SK_OK;
    }
    return SK_ERR_MALFORMED;
}

/* ---- its text ---------------------------------------------------------------------------------------------------- */

/* Fields but for the state, in one table for both directions. */
struct field {
    const char *key;
    size_t offset;
};
#define FIELD(name) {#name, offsetof(struct fleet_heartbeat, name)}
static const struct field texts[] = {FIELD(name), FIELD(why), FIELD(address), FIELD(version)};
static const struct field numbers[] = {FIELD(made_ms),    FIELD(config),       FIELD(connections),
                                       FIELD(requests),   FIELD(hits),         FIELD(misses),
                                       FIELD(used_bytes), FIELD(budget_bytes), FIELD(load_permille)};

static bool is_printable(sk_str text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7e) return false;
    return true;
}

static sk_str *text_of(const struct fleet_heartbeat *beat, const struct field *field) {
    return (sk_str *)((uintptr_t)beat + field->offset);
}
static uint64_t *number_of(const struct fleet_heartbeat *beat, const struct field *field) {
    return (uint64_t *)((uintptr_t)beat + field->offset);
}

static sk_err write_text(const struct field *field, sk_str text, struct sk_buf *out) {
    if (text.len > FLEET_HEARTBEAT_TEXT_MAX) return SK_ERR_TOO_LARGE;
    if (!is_printable(text)) return SK_ERR_INVALID;
    return text.len ? sk_buf_printf(out, "%s %.*s\n", field->key, SK_STR_ARGS(text)) : SK_OK;
}

sk_err fleet_heartbeat_write(const struct fleet_heartbeat *beat, struct sk_buf *out) {
    sk_err err =
        sk_buf_printf(out, HEAD "state %s\nsilent %d\n", fleet_state_word(beat->state), beat->silent);
    for (size_t i = 0; i < SK_COUNT(texts) && !err; i++)
        err = write_text(&texts[i], *text_of(beat, &texts[i]), out);
    for (size_t i = 0; i < SK_COUNT(numbers) && !err; i++)
        err = sk_buf_printf(out, "%s %llu\n", numbers[i].key,
                            (unsigned long long)*number_of(beat, &numbers[i]));
    return err;
}

static sk_err read_line(sk_str line, struct fleet_heartbeat *beat, bool *out_state) {
    sk_str key;
    uint64_t flag = 0;
    if (!is_printable(line) || !sk_str_cut(&line, ' ', &key) || !key.len) return SK_ERR_MALFORMED;
    if (sk_str_eq(key, SK_STR("state"))) {
        *out_state = true;
        return state_lookup(line, &beat->state);
    }
    for (size_t i = 0; i < SK_COUNT(texts); i++)
        if (sk_str_eq(key, sk_str_from_c(texts[i].key))) *text_of(beat, &texts[i]) = line;
    for (size_t i = 0; i < SK_COUNT(numbers); i++)
        if (sk_str_eq(key, sk_str_from_c(numbers[i].key)))
            return sk_str_to_u64(line, number_of(beat, &numbers[i])) ? SK_ERR_MALFORMED : SK_OK;
    if (sk_str_eq(key, SK_STR("silent"))) {
        if (sk_str_to_u64(line, &flag) || flag > 1) return SK_ERR_MALFORMED;
        beat->silent = flag;
    }
    return SK_OK;
}

sk_err fleet_heartbeat_read(sk_str text, struct fleet_heartbeat *out_beat) {
    struct fleet_heartbeat beat = {0};
    bool has_state = false;
    sk_str line;
    if (text.len > FLEET_HEARTBEAT_MAX_BYTES || !sk_str_starts_with(text, SK_STR(HEAD)))
        return SK_ERR_MALFORMED;
    text = sk_str_slice(text, sizeof HEAD - 1, text.len);
    while (text.len) {
        if (!sk_str_cut(&text, '\n', &line) || read_line(line, &beat, &has_state)) return SK_ERR_MALFORMED;
    }
    if (!beat.name.len || !has_state || !beat.made_ms) return SK_ERR_MALFORMED;
    *out_beat = beat;
    return SK_OK;
}

/* ---- its seal ---------------------------------------------------------------------------------------------------- */

static const struct fleet_sealed_names names = {"said", "sig", "cert"};

void fleet_heartbeat_sealed_init(struct fleet_sealed *sealed) {
    fleet_sealed_init(sealed, FLEET_HEARTBEAT_MAX_BYTES);
}

sk_err fleet_heartbeat_seal(const struct fleet_identity *identity, const struct fleet_heartbeat *beat,
                            struct fleet_sealed *out_sealed) {
    fleet_sealed_clear(out_sealed);
    sk_err err = fleet_heartbeat_write(beat, &out_sealed->said);
    return err ? err : fleet_seal(identity, FLEET_HEARTBEAT_PURPOSE, out_sealed);
}

void fleet_heartbeat_pairs(const struct fleet_sealed *sealed,
                           struct fleet_pair out_pairs[FLEET_SEALED_PAIRS]) {
    fleet_sealed_pairs(sealed, &names, out_pairs);
}

static bool is_recent(uint64_t made_ms, int64_t now_ms) {
    const int64_t most_ms = FLEET_HEARTBEAT_GOOD_S * 1000;
    int64_t made = (int64_t)SK_MIN(made_ms, (uint64_t)INT64_MAX / 2);
    return made >= now_ms - most_ms && made <= now_ms + most_ms;
}

sk_err fleet_heartbeat_check(const struct fleet_member *member, struct fleet_signers *signers,
                             struct fleet_identity *identity, const struct fleet_expelled *expelled,
                             int64_t now_ms, struct fleet_heartbeat *out_beat) {
    const struct fleet_sealed_claim claim = {FLEET_HEARTBEAT_PURPOSE, member->name, FLEET_VERB_BEAT,
                                             now_ms / 1000};
    struct fleet_heartbeat beat;
    sk_err err = fleet_heartbeat_read(fleet_pair_value(member->pairs, member->pair_count, names.said), &beat);
    if (!err && !is_recent(beat.made_ms, now_ms)) err = SK_ERR_STALE;
    if (!err && !sk_str_eq(beat.name, member->name)) err = SK_ERR_DENIED;
    if (!err)
        err = fleet_sealed_check(member->pairs, member->pair_count, &names, &claim, signers, identity,
                                 expelled);
    if (!err) *out_beat = beat;
    return err;
}
