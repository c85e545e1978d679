/* Signers whose certificates were found good, so that the next of their signatures costs one verification and not two.
 * What is remembered is only that a certificate hangs from the roots in force, and until when it and its root are
 * valid; whether its node is expelled or may do what it did is asked at each signature anew. One owner thread. */
#ifndef SK_FLEET_SIGNERS_H
#define SK_FLEET_SIGNERS_H

#include "fleet/identity.h"

struct fleet_signers;

/* Remembers at most COUNT; the oldest gives way. SK_ERR_NO_MEMORY. */
sk_err fleet_signers_create(unsigned count, struct fleet_signers **out_signers);
void fleet_signers_free(struct fleet_signers *signers); /* NULL is allowed */

/* As fleet_verify. With another IDENTITY than at the last call (its roots may be others) all is forgotten. */
sk_err fleet_signers_verify(struct fleet_signers *signers, struct fleet_identity *identity,
                            const struct fleet_signed *what, const struct fleet_expelled *expelled,
                            struct fleet_id *out_signer);

#endif
