#include "fleet/beating.h"

#include "fleet/deep.h"
#include "fleet/farewell.h"

/* A signature costs as much as fifty requests: not each second. */
enum { SEAL_MS = 3000, SAY_AGAIN_LEAST_MS = 500 };

struct sealing {
    struct fleet_beating *beating;
    struct fleet_identity *identity;
    const struct fleet_heartbeat *beat;
};

void fleet_beating_init(struct fleet_beating *beating) {
    *beating = (struct fleet_beating){0};
    fleet_heartbeat_sealed_init(&beating->sealed);
}

void fleet_beating_free(struct fleet_beating *beating) { fleet_sealed_free(&beating->sealed); }

int64_t fleet_beating_expire_ms(int64_t silence_ms) {
    return silence_ms + SK_MAX(silence_ms / 8, SAY_AGAIN_LEAST_MS);
}

static sk_err seal_now(void *arg) {
    const struct sealing *sealing = arg;
    return fleet_heartbeat_seal(sealing->identity, sealing->beat, &sealing->beating->sealed);
}

static sk_err seal_if_due(struct fleet_beating *beating, struct fleet_identity *identity,
                          struct fleet_heartbeat *beat) {
    struct sealing sealing = {beating, identity, beat};
    if (beating->sealed_at && beat->state == beating->state &&
        sk_time_now() - beating->sealed_at < SEAL_MS * SK_NS_PER_MS)
        return SK_OK;
    beat->made_ms = (uint64_t)(sk_wall_now_ns() / SK_NS_PER_MS);
    sk_err err = fleet_deeply(seal_now, &sealing);
    beating->state = beat->state;
    beating->sealed_at = err ? 0 : sk_time_now();
    return err;
}

sk_err fleet_beating_say(struct fleet_beating *beating, struct fleet_valkey *valkey,
                         struct fleet_identity *identity, struct fleet_heartbeat *beat, int64_t expire_ms,
                         sk_time_ns deadline, struct sk_arena *arena) {
    struct fleet_pair pairs[FLEET_SEALED_PAIRS];
    sk_err err = seal_if_due(beating, identity, beat);
    if (err) return err;
    fleet_heartbeat_pairs(&beating->sealed, pairs);
    return fleet_member_beat(valkey, beat->name, pairs, SK_COUNT(pairs), expire_ms, deadline, arena);
}

sk_err fleet_beating_end(struct fleet_valkey *valkey, sk_str name, const struct fleet_bus_key *key,
                         int64_t expire_ms, sk_time_ns deadline, struct sk_arena *arena) {
    sk_str farewell = fleet_farewell_text(name, (uint64_t)sk_wall_now_ns(), key, arena);
    return fleet_member_leave(valkey, name, farewell, expire_ms, deadline, arena);
}
