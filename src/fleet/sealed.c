#include "fleet/sealed.h"

void fleet_sealed_init(struct fleet_sealed *sealed, size_t most) {
    sk_buf_init(&sealed->said, most);
    sk_buf_init(&sealed->signature, 2 * FLEET_SIGNATURE_BYTES);
    sk_buf_init(&sealed->certificate, FLEET_PEM_MAX);
}

void fleet_sealed_free(struct fleet_sealed *sealed) {
    sk_buf_free(&sealed->said);
    sk_buf_free(&sealed->signature);
    sk_buf_free(&sealed->certificate);
}

void fleet_sealed_clear(struct fleet_sealed *sealed) {
    sk_buf_clear(&sealed->said);
    sk_buf_clear(&sealed->signature);
    sk_buf_clear(&sealed->certificate);
}

sk_err fleet_seal(const struct fleet_identity *identity, const char *purpose, struct fleet_sealed *sealed) {
    sk_err err = fleet_sign(identity, purpose, sk_buf_str(&sealed->said), &sealed->signature);
    return err ? err : fleet_identity_certificate(identity, &sealed->certificate);
}

void fleet_sealed_pairs(const struct fleet_sealed *sealed, const struct fleet_sealed_names *names,
                        struct fleet_pair out_pairs[FLEET_SEALED_PAIRS]) {
    out_pairs[0] = (struct fleet_pair){sk_str_from_c(names->said), sk_buf_str(&sealed->said)};
    out_pairs[1] = (struct fleet_pair){sk_str_from_c(names->signature), sk_buf_str(&sealed->signature)};
    out_pairs[2] = (struct fleet_pair){sk_str_from_c(names->certificate), sk_buf_str(&sealed->certificate)};
}

sk_err fleet_sealed_check(const struct fleet_pair *pairs, size_t count,
                          const struct fleet_sealed_names *names, const struct fleet_sealed_claim *claim,
                          struct fleet_signers *signers, struct fleet_identity *identity,
                          const struct fleet_expelled *expelled) {
    char text[FLEET_ID_TEXT_BYTES];
    struct fleet_id signer;
    const struct fleet_signed what = {
        .purpose = claim->purpose,
        .message = fleet_pair_value(pairs, count, names->said),
        .signature = fleet_pair_value(pairs, count, names->signature),
        .certificate = fleet_pair_value(pairs, count, names->certificate),
        .at = claim->at,
        .verb = claim->verb,
    };
    sk_err err = fleet_signers_verify(signers, identity, &what, expelled, &signer);
    if (err) return err;
    return sk_str_eq(fleet_id_format(&signer, text), claim->by) ? SK_OK : SK_ERR_DENIED;
}
