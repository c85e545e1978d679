/* What a node says of itself in the members' table (members.h), about each second, under its own signature: that it
 * lives, in what state it is, where other nodes reach it, and its figures. Whoever can write to Valkey can hide a node
 * or say again what it said within the last FLEET_HEARTBEAT_GOOD_S, and nothing else.
 *
 *     said   "skerry heartbeat 1", then lines "KEY VALUE", each key once
 *     sig    ML-DSA-65 over it by the node
 *     cert   the node's certificate, DER
 *
 * Pure, but for seals, which take some 16 KiB of stack: on a fiber, by fleet_deeply. */
#ifndef SK_FLEET_HEARTBEAT_H
#define SK_FLEET_HEARTBEAT_H

#include "fleet/members.h"
#include "fleet/sealed.h"

#define FLEET_HEARTBEAT_PURPOSE "skerry heartbeat 1"
#define FLEET_HEARTBEAT_MAX_BYTES 4096
#define FLEET_HEARTBEAT_TEXT_MAX 280
#define FLEET_HEARTBEAT_GOOD_S 120 /* by the wall clocks of who says it and who reads it */

/* Name, word, what it means. Only who is RUNNING wants clients, and keys of the ring. */
#define FLEET_STATE_TABLE(X)                                                                                 \
    X(RUNNING, "running", "serves all who come")                                                             \
    X(DRAINED, "drained", "by a person's wish; serves who comes all the same")                               \
    X(SICK, "sick", "has withdrawn by itself; serves who comes all the same")                                \
    X(STOPPING, "stopping", "ends")

enum fleet_state {
#define X(name, word, help) FLEET_STATE_##name,
    FLEET_STATE_TABLE(X)
#undef X
        FLEET_STATE_COUNT_
};
const char *fleet_state_word(enum fleet_state state);

struct fleet_heartbeat {
    sk_str name;            /* the node's id */
    enum fleet_state state; /* and in words why, when it is not running */
    sk_str why;
    sk_str address; /* HOST:PORT of its listener for nodes (peers.address); empty: none */
    sk_str version;
    bool silent; /* it hears nobody on the bus */
    uint64_t made_ms, config, connections, requests, hits, misses, used_bytes, budget_bytes;
    uint64_t load_permille; /* 1000: all that it can */
};

/* Appends its text. SK_ERR_TOO_LARGE; SK_ERR_INVALID: a text with a control byte; SK_ERR_NO_MEMORY. */
sk_err fleet_heartbeat_write(const struct fleet_heartbeat *beat, struct sk_buf *out);
/* Texts borrow from TEXT. Keys that are not known count for nothing, so that newer nodes may say more.
 * SK_ERR_MALFORMED: no heartbeat, or no name, state or time in it. */
sk_err fleet_heartbeat_read(sk_str text, struct fleet_heartbeat *out_beat);

/* For a heartbeat; freed by fleet_sealed_free. */
void fleet_heartbeat_sealed_init(struct fleet_sealed *sealed);
/* Anew: what SEALED held before is gone. BEAT's name must be IDENTITY's own id. As fleet_heartbeat_write and fleet_sign. */
sk_err fleet_heartbeat_seal(const struct fleet_identity *identity, const struct fleet_heartbeat *beat,
                            struct fleet_sealed *out_sealed);
/* As pairs of the members' table, which borrow from SEALED. */
void fleet_heartbeat_pairs(const struct fleet_sealed *sealed,
                           struct fleet_pair out_pairs[FLEET_SEALED_PAIRS]);
/* What MEMBER says, if its seal is good, is its own and is recent. NOW_MS: the wall clock. Texts borrow from MEMBER.
 * Errors as fleet_signers_verify; SK_ERR_DENIED: sealed by another than it names; SK_ERR_STALE: too old, or of a time
 * to come; SK_ERR_MALFORMED. */
sk_err fleet_heartbeat_check(const struct fleet_member *member, struct fleet_signers *signers,
                             struct fleet_identity *identity, const struct fleet_expelled *expelled,
                             int64_t now_ms, struct fleet_heartbeat *out_beat);

#endif
