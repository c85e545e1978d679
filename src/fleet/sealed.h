/* Words under the seal of the node that says them: an ML-DSA-65 signature and the signer's certificate beside the text, so
 * that who reads them in Valkey needs no more than its own roots. Entries of the purge bus and heartbeats travel so.
 * Any thread; seals take some 16 KiB of stack: on a fiber, by fleet_deeply. */
#ifndef SK_FLEET_SEALED_H
#define SK_FLEET_SEALED_H

#include "fleet/signers.h"
#include "fleet/valkey.h"

struct fleet_sealed {
    struct sk_buf said, signature, certificate;
};
/* MOST: bytes of what is said. */
void fleet_sealed_init(struct fleet_sealed *sealed, size_t most);
void fleet_sealed_free(struct fleet_sealed *sealed);
/* Nothing is said, and nothing signed. */
void fleet_sealed_clear(struct fleet_sealed *sealed);
/* Signs what is said, by IDENTITY for PURPOSE; nothing may be signed yet. As fleet_sign. */
sk_err fleet_seal(const struct fleet_identity *identity, const char *purpose, struct fleet_sealed *sealed);

/* How they are called in Valkey. */
#define FLEET_SEALED_PAIRS 3
struct fleet_sealed_names {
    const char *said, *signature, *certificate;
};
/* As pairs, which borrow from SEALED. */
void fleet_sealed_pairs(const struct fleet_sealed *sealed, const struct fleet_sealed_names *names,
                        struct fleet_pair out_pairs[FLEET_SEALED_PAIRS]);

/* Who has to have sealed what, and when it is looked at. */
struct fleet_sealed_claim {
    const char *purpose;
    sk_str by; /* a node's id */
    enum fleet_verb verb;
    sk_unix_s at;
};
/* Whether PAIRS are sealed by who CLAIM names. Errors as fleet_signers_verify; SK_ERR_DENIED: by another. */
sk_err fleet_sealed_check(const struct fleet_pair *pairs, size_t count,
                          const struct fleet_sealed_names *names, const struct fleet_sealed_claim *claim,
                          struct fleet_signers *signers, struct fleet_identity *identity,
                          const struct fleet_expelled *expelled);

#endif
