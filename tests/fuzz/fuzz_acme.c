/* What an ACME client passes on from its authority, and what is remembered of orders: what is taken is within its bounds, and
 * written again is read as the same. */
#include "acme/challenge.h"
#include "acme/hook.h"
#include "acme/plan.h"
#include "fuzz.h"

#define NOW 1800000000

static void look_at_hook(sk_str message) {
    struct acme_hook hook;
    if (acme_hook_parse(message, &hook)) return;
    MUST(hook.ident.len > 0 && hook.ident.len <= ACME_HOST_MAX && hook.auth.len <= ACME_ANSWER_MAX);
    MUST(hook.token.len <= ACME_TOKEN_MAX && acme_is_token(hook.token));
    sk_err err = acme_challenge_add(hook.ident, hook.token, hook.auth);
    MUST(err == SK_OK || err == SK_ERR_MALFORMED);
    acme_challenge_clear();
}

static void look_at_state(sk_str text) {
    struct acme_state state, again;
    struct sk_buf made;
    struct acme_held held = {true, NOW - 1000, NOW + 1000};
    struct acme_pace pace = {.check_s = 60, .retry_s = 60};
    if (acme_state_parse(text, NOW, &state)) return;
    sk_buf_init(&made, 0);
    MUST(acme_state_format(&state, &made) == SK_OK);
    MUST(acme_state_parse(sk_buf_str(&made), NOW, &again) == SK_OK);
    MUST(again.next == state.next && again.failures == state.failures && again.last == state.last);
    sk_buf_free(&made);
    acme_note(&state, &held, ACME_FAILED, &pace, 1, NOW);
    MUST(state.next > NOW && state.next <= NOW + 2 * ACME_RETRY_MAX_S);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    char *copy = exact_copy(data, bytes);
    look_at_hook((sk_str){copy, bytes});
    look_at_state((sk_str){copy, bytes});
    free(copy);
    return 0;
}
