/* When a certificate is ordered from an authority (ACME, RFC 8555), how long to wait after a failure, and what is
 * remembered of it through restarts. Pure: the caller gives the time and the chance. */
#ifndef SK_ACME_PLAN_H
#define SK_ACME_PLAN_H

#include "base/buf.h"
#include "base/time.h"

/* What came of asking the authority. NAME, word, what to tell people. */
#define ACME_OUTCOME_TABLE(X)                                                                                \
    X(NONE, "none", "nothing was asked yet")                                                                 \
    X(ISSUED, "issued", "a new certificate is in force")                                                     \
    X(CURRENT, "current", "the authority says that the certificate need not be renewed yet")                 \
    X(FAILED, "failed", "the authority gave no certificate")                                                 \
    X(LIMITED, "limited", "the authority's rate limit is reached")                                           \
    X(REFUSED, "refused", "what the authority gave cannot be used")                                          \
    X(TIMED_OUT, "timed_out", "the order took too long and was ended")                                       \
    X(NO_CLIENT, "no_client", "the ACME client cannot be run")

enum acme_outcome {
#define X(name, word, text) ACME_##name,
    ACME_OUTCOME_TABLE(X)
#undef X
        ACME_OUTCOME_COUNT_
};
/* Never NULL. */
const char *acme_outcome_word(enum acme_outcome outcome);
const char *acme_outcome_text(enum acme_outcome outcome);
/* Nothing is wrong after it. */
static inline bool acme_outcome_is_good(enum acme_outcome outcome) { return outcome <= ACME_CURRENT; }

/* The certificate in force. */
struct acme_held {
    bool usable; /* it is there, covers all names, and its key fits */
    sk_unix_s not_before, not_after;
};

/* What is remembered of one certificate's orders. Zeroed: nothing was asked yet. */
struct acme_state {
    uint32_t failures;       /* in a row */
    enum acme_outcome last;  /* what came of the last one */
    sk_unix_s last_at, next; /* when that was; nothing is asked before NEXT */
    uint16_t jitter;         /* this certificate's own, drawn when it came */
};

struct acme_pace {
    int64_t check_s; /* from one question whether to renew (RFC 9773) to the next */
    int64_t retry_s; /* after the first failure */
};
#define ACME_RETRY_MAX_S (12 * 3600)
/* Where a new try within minutes helps nobody: after a rate limit, or a certificate that cannot be used. */
#define ACME_RETRY_SLOW 12

enum acme_step {
    ACME_WAIT,  /* until AT */
    ACME_ASK,   /* the authority may want it renewed (ARI, RFC 9773); by its age it need not be */
    ACME_RENEW, /* two thirds of its life are over: renew it, unless the authority names a later time */
    ACME_ORDER, /* there is none that can be used, or hardly any life left: whatever the authority suggests */
};
struct acme_decision {
    enum acme_step step;
    sk_unix_s at;       /* of WAIT */
    uint32_t days_left; /* of HELD, rounded up; 0: none */
};
struct acme_decision acme_decide(const struct acme_state *state, const struct acme_held *held, sk_unix_s now);

/* OUTCOME came, and HELD is what is in force now; CHANCE is random. Sets what is remembered. */
void acme_note(struct acme_state *state, const struct acme_held *held, enum acme_outcome outcome,
               const struct acme_pace *pace, uint32_t chance, sk_unix_s now);

/* One line of text. SK_ERR_NO_MEMORY, SK_ERR_TOO_LARGE (OUT's limit). */
sk_err acme_state_format(const struct acme_state *state, struct sk_buf *out);
/* NOW bounds what a file may say about the future: a wrong clock must not keep a certificate from being renewed.
 * SK_ERR_MALFORMED. */
sk_err acme_state_parse(sk_str text, sk_unix_s now, struct acme_state *out_state);

#endif
