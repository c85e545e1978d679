/* What a fetch does before it asks an origin: it looks whether the SSD tier has the answer (cache/tier.h). And the
 * tier's life in the process of an edge. */
#ifndef SK_EDGE_TIER_H
#define SK_EDGE_TIER_H

#include "edge/fetch.h"

struct edge_process;

/* On the fetch's fiber, before an origin is asked. True: the fill knows its fate, from the tier. False: the origin is to
 * be asked, about what the tier had if fetch->conditional. */
bool edge_tier_take(struct edge_fetch *fetch);
/* Whether the coded form of this key (edge/coding.h) has come from the tier into RAM, or is coming. On a fiber, which it
 * parks; elsewhere false, since nobody can wait there. */
bool edge_tier_take_form(struct edge_exchange *exchange, const struct cache_key *key);
/* Whether a slice is in the tier, as far as can be told without a read. */
bool edge_tier_has_slice(const struct edge_exchange *exchange, const struct cache_key *slice_key);

/* Main thread. Before anything is hashed: the secret under which the tier was written, if the configuration has one.
 * out_tick is for edge_tier_start. SK_ERR_DENIED, SK_ERR_IO. */
sk_err edge_tier_secret(const struct config *config, uint8_t out_secret[SK_HASH_SECRET_BYTES],
                        uint64_t *out_tick);
/* After the process has become the user that serves, before its workers; waits a moment for the devices. Nothing where
 * none are configured. SK_ERR_NO_MEMORY, SK_ERR_FULL. */
sk_err edge_tier_start(struct edge_process *process, const uint8_t secret[SK_HASH_SECRET_BYTES],
                       uint64_t tick);
/* Another process takes over. */
void edge_tier_hand_over(struct edge_process *process);
/* The workers have ended. */
void edge_tier_stop(struct edge_process *process);

#endif
