/* What controls share, in Valkey: tables of fields, each a hash "skerry:FLEET:TABLE". A field that is added once is
 * never written over, which is all the agreement that numbered things need: two controls that make configuration 8
 * at a time get one, and the other is told. On fibers of the loop; replies live in the caller's arena.
 *
 * Errors as fleet_valkey_call; with SK_ERR_NOT_FOUND and SK_ERR_EXISTS where said. */
#ifndef SK_CONTROL_STORE_H
#define SK_CONTROL_STORE_H

#include "fleet/valkey.h"

struct control_store {
    struct fleet_valkey *valkey;
    sk_str fleet;           /* borrowed */
    sk_time_ns quiet_until; /* a server that has just been started is not there yet: nothing to tell of */
};

#define CONTROL_STORE_MS 5000

/* SK_ERR_NOT_FOUND. */
sk_err control_get(struct control_store *store, const char *table, sk_str field, struct sk_arena *arena,
                   sk_str *out_value);
sk_err control_put(struct control_store *store, const char *table, sk_str field, sk_str value);
/* SK_ERR_EXISTS: nothing was written. */
sk_err control_add(struct control_store *store, const char *table, sk_str field, sk_str value);
/* SK_ERR_NOT_FOUND: it was not there (any more): of several that take a field out, one succeeds. */
sk_err control_remove(struct control_store *store, const char *table, sk_str field);
sk_err control_count(struct control_store *store, const char *table, uint64_t *out_count);
sk_err control_all(struct control_store *store, const char *table, struct sk_arena *arena,
                   struct fleet_pair **out_pairs, size_t *out_count);

#endif
