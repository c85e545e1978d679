#include "origin/retry.h"

/* Whose fault it was: not the origin's, or nothing that another try could mend. */
static bool futile(const struct origin_retry_question *question) {
    return question->error == SK_ERR_CANCELLED || question->error == SK_ERR_NO_MEMORY ||
           question->error == SK_ERR_INVALID || question->phase == ORIGIN_PHASE_BODY_READ ||
           question->phase == ORIGIN_PHASE_BODY || question->phase == ORIGIN_PHASE_SELECT;
}

/* What the same origin would only repeat: its name, its certificate, what it says, its slowness, its load. */
static bool futile_at_same(const struct origin_retry_question *question) {
    return question->error == SK_ERR_NAME_NOT_FOUND || question->error == SK_ERR_TLS_CERTIFICATE ||
           question->error == SK_ERR_MALFORMED || question->error == SK_ERR_TOO_LARGE ||
           question->error == SK_ERR_TIMEOUT || question->error == SK_ERR_BUSY;
}

enum origin_retry origin_retry_decide(const struct origin_retry_question *question) {
    if (futile(question) || question->body_begun || question->now >= question->deadline)
        return ORIGIN_RETRY_NO;
    if (question->sent && !question->idempotent) return ORIGIN_RETRY_NO;
    if (question->stale) return ORIGIN_RETRY_FRESH;
    if (question->retries >= question->retries_allowed) return ORIGIN_RETRY_NO;
    if (question->other_left) return ORIGIN_RETRY_OTHER;
    return futile_at_same(question) ? ORIGIN_RETRY_NO : ORIGIN_RETRY_SAME;
}

#define FIRST_PAUSE_NS (50 * SK_NS_PER_MS)
#define LONGEST_DOUBLINGS 5u

sk_time_ns origin_retry_pause(uint32_t retry, uint64_t random) {
    sk_time_ns pause = FIRST_PAUSE_NS << SK_MIN(retry - 1, LONGEST_DOUBLINGS);
    pause = SK_MIN(pause, SK_NS_PER_S);
    return pause / 2 + (sk_time_ns)(random % (uint64_t)(pause / 2 + 1));
}
