/* Answers to http-01 (RFC 8555 section 8.3): which text is to be shown for which token of which host, while an order
 * runs. One table for the process; any thread. Looking costs one relaxed load while no order runs. */
#ifndef SK_ACME_CHALLENGE_H
#define SK_ACME_CHALLENGE_H

#include <stdatomic.h>

#include "base/str.h"

#define ACME_CHALLENGE_PATH "/.well-known/acme-challenge/"
#define ACME_CHALLENGES_MAX 128
#define ACME_HOST_MAX 253
#define ACME_TOKEN_MAX 128
#define ACME_ANSWER_MAX 256 /* the token, a dot, a thumbprint */

/* One or more characters of base64url, as tokens and answers of RFC 8555 have (section 8.3). */
bool acme_is_token(sk_str text);

/* HOST's answer for TOKEN, from now on; a second one for the same replaces the first. SK_ERR_MALFORMED: not of the
 * form; SK_ERR_FULL. */
sk_err acme_challenge_add(sk_str host, sk_str token, sk_str answer);
/* Takes it back; none of that name is fine. */
void acme_challenge_remove(sk_str host, sk_str token);
/* Takes all of them back: no order runs any more. */
void acme_challenge_clear(void);

extern _Atomic unsigned acme_challenge_count;
/* Whether there are any. Relaxed: an authority asks only after it was told, which takes far longer than a store
 * needs to be seen. */
static inline bool acme_challenges_there(void) {
    return atomic_load_explicit(&acme_challenge_count, memory_order_relaxed) != 0;
}

enum acme_found {
    ACME_NOT_OURS, /* no order runs for HOST */
    ACME_UNKNOWN,  /* one does, but not with this token */
    ACME_FOUND,
};
/* HOST is compared without regard to case, and without port and final dot. OUT_ANSWER is copied, and *out_bytes its
 * length. */
enum acme_found acme_challenge_find(sk_str host, sk_str token, char out_answer[ACME_ANSWER_MAX],
                                    size_t *out_bytes);

#endif
