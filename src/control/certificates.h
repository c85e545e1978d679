/* Whether a certificate may be given to the edges of a fleet, and which one a configuration wants. No I/O. */
#ifndef SK_CONTROL_CERTIFICATES_H
#define SK_CONTROL_CERTIFICATES_H

#include "config/config.h"
#include "control/secrets.h"

#define CONTROL_CERTIFICATE_WHY_BYTES 320

/* Names and times of CERTIFICATE, out of its `pem`; texts in ARENA. SK_ERR_CORRUPT: it is none. Needs more stack than a
 * fiber has, as the next. */
sk_err control_certificate_facts(struct control_certificate *certificate, struct sk_arena *arena);

struct control_certificate_question {
    sk_str name, pem;
    sk_str site;                 /* of the token that asks; empty: it may for all */
    sk_str old_pem;              /* of the one that goes; empty: there is none */
    const struct config *config; /* the fleet's; NULL: there is none yet */
    sk_unix_s now;
};
/* SK_ERR_INVALID with what is wrong in WHY: no certificate with its key, one that names nobody, is out of its time, names
 * hosts that the token's site does not serve, or leaves without a certificate what the sites that use it serve.
 * SK_ERR_NO_MEMORY. */
sk_err control_certificate_judge(const struct control_certificate_question *question,
                                 char why[CONTROL_CERTIFICATE_WHY_BYTES]);

/* The first site of CONFIG that uses the certificate NAME, from INDEX on; NULL: no more. */
const struct config_site *control_certificate_user(const struct config *config, sk_str name, uint32_t *index);

/* The first name that BODY, a good configuration, wants and that is not there is told in OUT_PROBLEM: SK_ERR_INVALID. From a
 * fiber, as what follows. */
sk_err control_certificates_known(struct control_process *process, sk_str body, struct sk_buf *out_problem);
/* The configuration NUMBER, compiled; the caller gives it back. SK_ERR_NOT_FOUND, and errors of the store. */
sk_err control_configuration_of(struct control_process *process, uint64_t number, struct config **out_config);

#endif
