#include "fleet/bus_seal.h"

#define CERTIFICATE_MOST (64 * 1024)

void fleet_bus_sealed_init(struct fleet_bus_sealed *sealed) {
    sk_buf_init(&sealed->entry, 2 * FLEET_BUS_ENTRY_MAX_BYTES);
    sk_buf_init(&sealed->signature, 2 * FLEET_SIGNATURE_BYTES);
    sk_buf_init(&sealed->certificate, CERTIFICATE_MOST);
}

void fleet_bus_sealed_free(struct fleet_bus_sealed *sealed) {
    sk_buf_free(&sealed->entry);
    sk_buf_free(&sealed->signature);
    sk_buf_free(&sealed->certificate);
}

sk_err fleet_bus_seal(const struct fleet_identity *identity, const struct fleet_bus_entry *entry,
                      struct fleet_bus_sealed *out_sealed) {
    sk_err err = fleet_bus_write(entry, &out_sealed->entry);
    if (!err)
        err = fleet_sign(identity, FLEET_BUS_PURPOSE, sk_buf_str(&out_sealed->entry), &out_sealed->signature);
    return err ? err : fleet_identity_certificate(identity, &out_sealed->certificate);
}

sk_err fleet_bus_unpack(const struct fleet_stream_entry *in, struct sk_arena *arena,
                        struct fleet_bus_entry *out_entry) {
    return fleet_bus_read(fleet_stream_value(in, SK_STR("e")), arena, out_entry);
}

sk_err fleet_bus_check(const struct fleet_stream_entry *in, const struct fleet_bus_entry *entry,
                       struct fleet_signers *signers, struct fleet_identity *identity,
                       const struct fleet_expelled *expelled, sk_unix_s now) {
    char text[FLEET_ID_TEXT_BYTES];
    struct fleet_id signer;
    const struct fleet_signed what = {
        .purpose = FLEET_BUS_PURPOSE,
        .message = fleet_stream_value(in, SK_STR("e")),
        .signature = fleet_stream_value(in, SK_STR("s")),
        .certificate = fleet_stream_value(in, SK_STR("c")),
        .at = now,
        .verb = FLEET_VERB_PUBLISH_PURGE,
    };
    sk_err err = fleet_signers_verify(signers, identity, &what, expelled, &signer);
    if (err) return err;
    return sk_str_eq(fleet_id_format(&signer, text), entry->publisher) ? SK_OK : SK_ERR_DENIED;
}
