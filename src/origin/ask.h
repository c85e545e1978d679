/* One question by GET over plain HTTP/1.1 to somebody who is no site's origin: a responder for the status of certificates. A
 * connection of its own, nothing is followed, tried again or pooled. On a fiber of the thread's loop. */
#ifndef SK_ORIGIN_ASK_H
#define SK_ORIGIN_ASK_H

#include "origin/origin.h"

struct origin_ask {
    sk_str url;    /* "http://HOST[:PORT][/PATH]" */
    sk_str below;  /* a segment that goes behind the path; empty: none */
    sk_str accept; /* what is wanted */
};

/* Asks, and parks until the answer is whole. On SK_OK *out_status is whatever came, and OUT_BODY (the caller's, whose
 * limit bounds it) has the content appended; it may have a part of it after an error.
 *
 * SK_ERR_INVALID: the url. SK_ERR_NAME_NOT_FOUND, SK_ERR_NAME_SERVER, SK_ERR_REFUSED, SK_ERR_UNREACHABLE: nobody is
 * there. SK_ERR_MALFORMED: what came is no HTTP/1.1. SK_ERR_CLOSED, SK_ERR_RESET: it ended too early. SK_ERR_TOO_LARGE:
 * over OUT_BODY's limit, or a head over 8 KiB. SK_ERR_TIMEOUT: the whole was not there at DEADLINE. SK_ERR_CANCELLED,
 * SK_ERR_NO_MEMORY. */
sk_err origin_ask(struct origin_thread *thread, const struct origin_ask *ask, sk_time_ns deadline,
                  uint16_t *out_status, struct sk_buf *out_body);

#endif
