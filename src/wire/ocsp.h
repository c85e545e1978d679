/* What a certificate's authority says of it now (OCSP, RFC 6960, in the profile of RFC 5019), for servers that show it
 * with the certificate: what a responder is asked, whether its answer may be shown, and when it is asked again. Nothing
 * waits here, and the time comes in. Answers are read by OpenSSL. One thread at a time. */
#ifndef SK_WIRE_OCSP_H
#define SK_WIRE_OCSP_H

#include "base/buf.h"
#include "wire/tls_store.h"

/* Of an answer. */
#define WIRE_OCSP_MAX_BYTES (64 * 1024)
#define WIRE_OCSP_WHY_BYTES 160

/* The question about one certificate. */
struct wire_ocsp;

struct wire_ocsp_answer {
    bool revoked; /* else good: that it is unknown is no answer to show */
    sk_unix_s this_update, next_update;
};

/* The question about the certificate at INDEX of STORE, which may go before it does. SK_ERR_UNSUPPORTED with WHY (a
 * constant): the certificate names no responder by http, or its file has no certificate of its issuer.
 * SK_ERR_NO_MEMORY. */
sk_err wire_ocsp_create(const struct wire_tls_store *store, uint32_t index, struct wire_ocsp **out_ocsp,
                        const char **out_why);
void wire_ocsp_free(struct wire_ocsp *ocsp); /* NULL is allowed */

/* Of the responder: begins with "http://", no more than visible ASCII. Lives with OCSP; so does the request, in DER. */
sk_str wire_ocsp_url(const struct wire_ocsp *ocsp);
sk_str wire_ocsp_request(const struct wire_ocsp *ocsp);
/* Appends the request as the last segment of a path, for GET (RFC 6960 appendix A.1). RFC 5019 section 5 wants that up to
 * 255 bytes, and it is never more with a serial number that RFC 5280 allows: else SK_ERR_TOO_LARGE. SK_ERR_NO_MEMORY. */
sk_err wire_ocsp_request_segment(const struct wire_ocsp *ocsp, struct sk_buf *out);

/* Whether RESPONSE (DER) may be shown at NOW: successful, signed by the certificate's issuer or by whom that one has
 * delegated it to (RFC 6960 section 4.2.2.2), about this certificate, in its time (five minutes of difference between
 * clocks are let pass) and with an end (RFC 5019 section 2.2.4). SK_ERR_INVALID and what is wrong in WHY;
 * SK_ERR_NO_MEMORY. */
sk_err wire_ocsp_check(const struct wire_ocsp *ocsp, sk_str response, sk_unix_s now,
                       struct wire_ocsp_answer *out_answer, char why[WIRE_OCSP_WHY_BYTES]);

/* When to ask again after ANSWER at NOW: at half of its life, or half of what is left of it, and by RANDOM up to a
 * quarter of the rest later, so that not all edges ask at once. */
sk_unix_s wire_ocsp_next(const struct wire_ocsp_answer *answer, uint32_t random, sk_unix_s now);
/* The same after FAILURES (1 or more) in a row: half a minute and twice as long each time, up to an hour, a quarter of
 * it more or less by RANDOM. */
sk_unix_s wire_ocsp_again(uint32_t failures, uint32_t random, sk_unix_s now);

#endif
