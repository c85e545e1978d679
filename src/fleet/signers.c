#include "fleet/signers.h"

#include <stdlib.h>

#include "fleet/identity_private.h"

struct known {
    uint8_t digest[FLEET_DIGEST_BYTES]; /* SHA-256 of the certificate's bytes */
    struct fleet_signer signer;         /* certificate NULL: the place is free */
};

struct fleet_signers {
    struct fleet_identity *identity; /* whose roots they hang from; a reference */
    unsigned next, count;            /* of known: the next to give way, and how many */
    struct known known[];
};

sk_err fleet_signers_create(unsigned count, struct fleet_signers **out_signers) {
    struct fleet_signers *signers = calloc(1, sizeof *signers + count * sizeof *signers->known);
    SK_ASSERT(count);
    if (!signers) return SK_ERR_NO_MEMORY;
    signers->count = count;
    *out_signers = signers;
    return SK_OK;
}

static void forget(struct known *known) {
    X509_free(known->signer.certificate);
    *known = (struct known){0};
}

static void forget_all(struct fleet_signers *signers) {
    for (unsigned i = 0; i < signers->count; i++) forget(&signers->known[i]);
    fleet_identity_unref(signers->identity);
    signers->identity = NULL;
}

void fleet_signers_free(struct fleet_signers *signers) {
    if (!signers) return;
    forget_all(signers);
    free(signers);
}

static const struct fleet_signer *find(const struct fleet_signers *signers,
                                       const uint8_t digest[FLEET_DIGEST_BYTES], sk_unix_s at) {
    for (unsigned i = 0; i < signers->count; i++) {
        const struct known *known = &signers->known[i];
        if (known->signer.certificate && !memcmp(known->digest, digest, FLEET_DIGEST_BYTES) &&
            at >= known->signer.good_from && at < known->signer.good_until)
            return &known->signer;
    }
    return NULL;
}

static void remember(struct fleet_signers *signers, const uint8_t digest[FLEET_DIGEST_BYTES],
                     const struct fleet_signer *signer) {
    struct known *known = &signers->known[signers->next];
    signers->next = (signers->next + 1) % signers->count;
    forget(known);
    memcpy(known->digest, digest, FLEET_DIGEST_BYTES);
    known->signer = *signer;
}

sk_err fleet_signers_verify(struct fleet_signers *signers, struct fleet_identity *identity,
                            const struct fleet_signed *what, const struct fleet_expelled *expelled,
                            struct fleet_id *out_signer) {
    uint8_t digest[FLEET_DIGEST_BYTES];
    struct fleet_signer fresh = {0};
    SK_CHECK_MAGIC(identity, FLEET_IDENTITY_MAGIC);
    if (signers->identity != identity) {
        forget_all(signers);
        signers->identity = fleet_identity_ref(identity);
    }
    fleet_digest(what->certificate, digest);
    const struct fleet_signer *signer = find(signers, digest, what->at);
    sk_err err = signer ? SK_OK : fleet_signer_read(identity, what->certificate, what->at, &fresh);
    if (err) return err;
    err = fleet_signer_check(signer ? signer : &fresh, identity, what, expelled);
    if (!err) *out_signer = (signer ? signer : &fresh)->caller.id;
    /* Only who may do so takes a place: others cannot push the publishers out. */
    if (!signer && !err) remember(signers, digest, &fresh);
    if (!signer && err) X509_free(fresh.certificate);
    return err;
}
