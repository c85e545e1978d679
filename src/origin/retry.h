/* May a request that failed be tried again, and how? Pure. RFC 9110 9.2.2: only what is idempotent, or
 * what never reached the origin; and never what cannot be sent again, because its body was begun. */
#ifndef SK_ORIGIN_RETRY_H
#define SK_ORIGIN_RETRY_H

#include "base/err.h"
#include "base/time.h"
#include "origin/origin.h"

struct origin_retry_question {
    enum origin_phase phase; /* in which it failed */
    sk_err error;
    bool idempotent;
    bool sent;        /* at least one byte went to the origin */
    bool body_begun;  /* a piece was taken from the body's source */
    bool stale;       /* a pooled connection that ended before one byte of response */
    bool other_left;  /* an origin that was not tried yet may be asked */
    uint32_t retries; /* made so far; those after a stale connection do not count */
    uint32_t retries_allowed;
    sk_time_ns now, deadline;
};

enum origin_retry {
    ORIGIN_RETRY_NO,
    ORIGIN_RETRY_FRESH, /* the same origin at once, on a new connection; costs nothing */
    ORIGIN_RETRY_OTHER, /* another origin, at once */
    ORIGIN_RETRY_SAME,  /* the only one, after a pause */
};
enum origin_retry origin_retry_decide(const struct origin_retry_question *question);

/* The pause before the Nth retry (from 1) of the same origin: doubles from 50 ms to 1 s; RANDOM spreads it
 * over its upper half, so that those that failed together do not come back together. */
sk_time_ns origin_retry_pause(uint32_t retry, uint64_t random);

#endif
