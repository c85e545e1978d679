/* Replies of the Redis protocol as what they stand for. Pure; what is given lives in ARENA or borrows from the reply.
 * All: SK_ERR_MALFORMED (another shape), SK_ERR_TOO_LARGE (ARENA's limit). */
#ifndef SK_FLEET_VALKEY_SHAPE_H
#define SK_FLEET_VALKEY_SHAPE_H

#include "fleet/valkey.h"

/* An array of names and values in turn. */
sk_err fleet_reply_pairs(const struct fleet_reply *reply, struct sk_arena *arena,
                         struct fleet_pair **out_pairs, size_t *out_count);
/* "1700000000000-3". */
sk_err fleet_reply_id(const struct fleet_reply *reply, struct fleet_stream_id *out_id);
/* XRANGE's. */
sk_err fleet_reply_entries(const struct fleet_reply *reply, struct sk_arena *arena,
                           struct fleet_stream_entries *out_entries);
/* XREAD's, of one stream. */
sk_err fleet_reply_streams(const struct fleet_reply *reply, sk_str stream, struct sk_arena *arena,
                           struct fleet_stream_entries *out_entries);

#endif
