#include "acme/plan.h"

#include <inttypes.h>

#define DAY_S 86400
#define JITTER_PARTS 20     /* of a life: renewals of certificates made together spread over so much of it */
#define LAST_PARTS 10       /* the last so many of a life: nobody's suggestion counts any more */
#define CHANCE_MAX 0x10000u /* a state's jitter is below it */

static const struct {
    const char *word, *text;
} outcomes[] = {
#define X(name, word, text) {word, text},
    ACME_OUTCOME_TABLE(X)
#undef X
};

const char *acme_outcome_word(enum acme_outcome outcome) { return outcomes[outcome].word; }
const char *acme_outcome_text(enum acme_outcome outcome) { return outcomes[outcome].text; }

/* --- when ------------------------------------------------------------------------------------------------- */

static int64_t life_s(const struct acme_held *held) { return held->not_after - held->not_before; }

/* At two thirds of its life, or a little before that. */
static sk_unix_s renew_at(const struct acme_state *state, const struct acme_held *held) {
    int64_t life = life_s(held);
    return held->not_before + life - life / 3 - life / JITTER_PARTS * state->jitter / CHANCE_MAX;
}

static sk_unix_s late_at(const struct acme_held *held) { return held->not_after - life_s(held) / LAST_PARTS; }

struct acme_decision acme_decide(const struct acme_state *state, const struct acme_held *held,
                                 sk_unix_s now) {
    struct acme_decision decision = {.step = ACME_ORDER};
    if (now < state->next) return (struct acme_decision){.step = ACME_WAIT, .at = state->next};
    if (!held->usable || state->last == ACME_REFUSED) return decision;
    decision.days_left = held->not_after > now ? (uint32_t)((held->not_after - now + DAY_S - 1) / DAY_S) : 0;
    if (now >= late_at(held)) return decision;
    sk_unix_s due = renew_at(state, held);
    if (now >= due) {
        decision.step = ACME_RENEW;
        return decision;
    }
    /* the client's own fallback counts in whole days: it would renew such a short life at every question */
    if (decision.days_left <= 1) return (struct acme_decision){.step = ACME_WAIT, .at = due};
    decision.step = ACME_ASK;
    return decision;
}

/* Up to a quarter more, so that those who failed together do not come back together. */
static int64_t spread(int64_t wait_s, uint32_t chance) {
    return wait_s + wait_s / 4 * (chance % 1024) / 1024;
}

static int64_t wait_after_failure(const struct acme_state *state, const struct acme_pace *pace,
                                  uint32_t chance) {
    bool slow = state->last == ACME_LIMITED || state->last == ACME_REFUSED;
    int64_t wait_s = SK_MAX(pace->retry_s, 1) * (slow ? ACME_RETRY_SLOW : 1);
    for (uint32_t i = 1; i < state->failures && wait_s < ACME_RETRY_MAX_S; i++) wait_s *= 2;
    return spread(SK_MIN(wait_s, ACME_RETRY_MAX_S), chance);
}

/* The next question, but not later than the two moments at which the answer may change by itself. */
static sk_unix_s next_after_success(const struct acme_state *state, const struct acme_held *held,
                                    const struct acme_pace *pace, uint32_t chance, sk_unix_s now) {
    sk_unix_s next = now + spread(SK_MAX(pace->check_s, 1), chance);
    const sk_unix_s moments[] = {renew_at(state, held), late_at(held)};
    for (size_t i = 0; i < SK_COUNT(moments); i++)
        if (moments[i] > now) next = SK_MIN(next, moments[i]);
    return next;
}

void acme_note(struct acme_state *state, const struct acme_held *held, enum acme_outcome outcome,
               const struct acme_pace *pace, uint32_t chance, sk_unix_s now) {
    state->last = outcome;
    state->last_at = now;
    if (outcome == ACME_ISSUED) state->jitter = (uint16_t)(chance >> 16);
    if (acme_outcome_is_good(outcome) && held->usable) {
        state->failures = 0;
        state->next = next_after_success(state, held, pace, chance, now);
        return;
    }
    if (state->failures < UINT32_MAX) state->failures++;
    state->next = now + wait_after_failure(state, pace, chance);
}

/* --- what is remembered ------------------------------------------------------------------------------------ */

sk_err acme_state_format(const struct acme_state *state, struct sk_buf *out) {
    return sk_buf_printf(out, "last=%s at=%" PRId64 " next=%" PRId64 " failures=%" PRIu32 " jitter=%u\n",
                         outcomes[state->last].word, (int64_t)state->last_at, (int64_t)state->next,
                         state->failures, state->jitter);
}

static sk_err read_outcome(sk_str word, enum acme_outcome *out) {
    for (int i = 0; i < ACME_OUTCOME_COUNT_; i++)
        if (sk_str_eq(word, sk_str_from_c(outcomes[i].word))) {
            *out = (enum acme_outcome)i;
            return SK_OK;
        }
    return SK_ERR_MALFORMED;
}

static sk_err read_number(sk_str text, uint64_t max, uint64_t *out) {
    uint64_t value;
    if (sk_str_to_u64(text, &value) || value > max) return SK_ERR_MALFORMED;
    *out = value;
    return SK_OK;
}

/* "KEY=" at the beginning of PIECE; the rest is what OUT_VALUE gets. */
static bool has_key(sk_str piece, sk_str key, sk_str *out_value) {
    if (!sk_str_starts_with(piece, key)) return false;
    *out_value = sk_str_slice(piece, key.len, piece.len);
    return true;
}

static sk_err read_piece(sk_str piece, struct acme_state *state) {
    sk_str value;
    uint64_t number = 0;
    sk_err err = SK_ERR_MALFORMED;
    if (has_key(piece, SK_STR("last="), &value)) return read_outcome(value, &state->last);
    if (has_key(piece, SK_STR("at="), &value)) {
        if (!(err = read_number(value, INT64_MAX / 2, &number))) state->last_at = (sk_unix_s)number;
    } else if (has_key(piece, SK_STR("next="), &value)) {
        if (!(err = read_number(value, INT64_MAX / 2, &number))) state->next = (sk_unix_s)number;
    } else if (has_key(piece, SK_STR("failures="), &value)) {
        if (!(err = read_number(value, UINT32_MAX, &number))) state->failures = (uint32_t)number;
    } else if (has_key(piece, SK_STR("jitter="), &value)) {
        if (!(err = read_number(value, UINT16_MAX, &number))) state->jitter = (uint16_t)number;
    }
    return err;
}

sk_err acme_state_parse(sk_str text, sk_unix_s now, struct acme_state *out_state) {
    struct acme_state state = {0};
    sk_str piece;
    if (sk_str_ends_with(text, SK_STR("\n"))) text.len--;
    if (!text.len) return SK_ERR_MALFORMED;
    while (text.len && sk_str_cut(&text, ' ', &piece)) {
        sk_err err = read_piece(piece, &state);
        if (err) return err;
    }
    /* no wait that is made here is longer, but for a `check` that was longer, which then is asked early */
    state.next = SK_MIN(state.next, now + ACME_RETRY_MAX_S + ACME_RETRY_MAX_S / 4);
    *out_state = state;
    return SK_OK;
}
