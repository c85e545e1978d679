#include "fleet/bus_seal.h"

static const struct fleet_sealed_names names = {"e", "s", "c"};

void fleet_bus_sealed_init(struct fleet_sealed *sealed) {
    fleet_sealed_init(sealed, 2 * FLEET_BUS_ENTRY_MAX_BYTES);
}

sk_err fleet_bus_seal(const struct fleet_identity *identity, const struct fleet_bus_entry *entry,
                      struct fleet_sealed *out_sealed) {
    fleet_sealed_clear(out_sealed);
    sk_err err = fleet_bus_write(entry, &out_sealed->said);
    return err ? err : fleet_seal(identity, FLEET_BUS_PURPOSE, out_sealed);
}

void fleet_bus_pairs(const struct fleet_sealed *sealed, struct fleet_pair out_pairs[FLEET_SEALED_PAIRS]) {
    fleet_sealed_pairs(sealed, &names, out_pairs);
}

sk_err fleet_bus_unpack(const struct fleet_stream_entry *in, struct sk_arena *arena,
                        struct fleet_bus_entry *out_entry) {
    return fleet_bus_read(fleet_pair_value(in->pairs, in->pair_count, names.said), arena, out_entry);
}

sk_err fleet_bus_check(const struct fleet_stream_entry *in, const struct fleet_bus_entry *entry,
                       struct fleet_signers *signers, struct fleet_identity *identity,
                       const struct fleet_expelled *expelled, sk_unix_s now) {
    const struct fleet_sealed_claim claim = {FLEET_BUS_PURPOSE, entry->publisher, FLEET_VERB_PUBLISH_PURGE,
                                             now};
    return fleet_sealed_check(in->pairs, in->pair_count, &names, &claim, signers, identity, expelled);
}
