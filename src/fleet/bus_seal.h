/* Entries of the purge bus under the seal of who made them: ML-DSA-65 over the bytes, by a node that may publish. Beside
 * the entry ("e") stand the signature ("s") and the signer's certificate ("c"), so that a reader needs no more than its
 * own roots. What no publisher of the fleet has sealed is nobody's word, whoever can write to the server. Any thread. */
#ifndef SK_FLEET_BUS_SEAL_H
#define SK_FLEET_BUS_SEAL_H

#include "fleet/bus_entry.h"
#include "fleet/sealed.h"

#define FLEET_BUS_PURPOSE "skerry purge bus 1"

/* For an entry; freed by fleet_sealed_free. */
void fleet_bus_sealed_init(struct fleet_sealed *sealed);
/* Anew: what SEALED held before is gone. As fleet_bus_write, and fleet_sign. ENTRY's publisher must be IDENTITY's own id. */
sk_err fleet_bus_seal(const struct fleet_identity *identity, const struct fleet_bus_entry *entry,
                      struct fleet_sealed *out_sealed);
/* As pairs of the stream, which borrow from SEALED. */
void fleet_bus_pairs(const struct fleet_sealed *sealed, struct fleet_pair out_pairs[FLEET_SEALED_PAIRS]);

/* Reads what stands in the stream, without looking at the seal. Borrows from IN. As fleet_bus_read. */
sk_err fleet_bus_unpack(const struct fleet_stream_entry *in, struct sk_arena *arena,
                        struct fleet_bus_entry *out_entry);
/* Whether the seal is good, and is the publisher's that the entry names. NOW: the certificate must be valid then. SIGNERS
 * remembers whose certificates were good.
 * Errors as fleet_verify; SK_ERR_DENIED: sealed by another than it names. */
sk_err fleet_bus_check(const struct fleet_stream_entry *in, const struct fleet_bus_entry *entry,
                       struct fleet_signers *signers, struct fleet_identity *identity,
                       const struct fleet_expelled *expelled, sk_unix_s now);

#endif
