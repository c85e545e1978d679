/* How a machine becomes a node of a fleet, and gets what it begins with. Blocking, for commands and for the start of a
 * role: never on a loop. */
#ifndef SK_FLEET_ENROL_H
#define SK_FLEET_ENROL_H

#include "fleet/identity.h"

#define FLEET_ENROL_WHY_BYTES 512

struct fleet_enrolment {
    sk_str url;    /* of control: https://HOST[:PORT] */
    sk_str token;  /* the invitation: skj1... */
    sk_str name;   /* the node's; empty: the host's */
    sk_str folder; /* of its identity; made with mode 0700 if need be */
};

/* Makes a key, shows the invitation to control and keeps in FOLDER the certificate that it gets. Whether that is the right
 * control is known from the invitation: nothing is sent to anybody else. WHY is for people, on failure; what lies in
 * FOLDER is as it was then.
 *
 * SK_ERR_INVALID: TOKEN is no invitation, or the name is none. SK_ERR_TLS_CERTIFICATE: it is another's control.
 * SK_ERR_DENIED: control refuses, or others may read FOLDER. What files and connections give. */
sk_err fleet_enrol(const struct fleet_enrolment *enrolment, struct fleet_id *out_id,
                   char why[FLEET_ENROL_WHY_BYTES]);

/* The certificates that the control at URL has for edges, and then its configuration for the node of FOLDER, checked as an edge checks it, and kept there if its
 * number is above that of the one that is kept. *OUT_NUMBER is that of the one that is there now; 0: there is none.
 * SK_ERR_DENIED: control refuses; errors of fleet_identity_load, fleet_ask and fleet_snapshot_check. */
sk_err fleet_enrol_fetch(sk_str folder, sk_str url, uint64_t *out_number);

#endif
