/* What an edge says when it leaves, so that who publishes purges waits no longer for it: when, under its own key of the
 * bus (bus_key.h). That an edge is missing from the members' table proves nothing: Valkey may have forgotten it, or
 * somebody may hide it.
 *
 *     MADE_NS:CODE        of "farewell 1", the edge's id and MADE_NS, each on a line
 *
 * It counts against those alone who were last seen before it was made: an old one that is said again sends nobody away.
 * Pure, any thread. */
#ifndef SK_FLEET_FAREWELL_H
#define SK_FLEET_FAREWELL_H

#include "base/arena.h"
#include "base/time.h"
#include "fleet/bus_key.h"

#define FLEET_FAREWELL_GOOD_S 120 /* how far ahead of ours the edge's wall clock may be */

/* What EDGE (its id) says. MADE_NS: its wall clock. KEY NULL: it has none, and nothing is said. Text is ARENA's; empty:
 * nothing, or no memory. */
sk_str fleet_farewell_text(sk_str edge, uint64_t made_ns, const struct fleet_bus_key *key,
                           struct sk_arena *arena);
/* Whether EDGE has said in TEXT that it left after SEEN_NS, proven by one of KEYS. NOW_NS, SEEN_NS: our wall clock. */
bool fleet_farewell_good(sk_str text, sk_str edge, const struct fleet_bus_keys *keys, int64_t seen_ns,
                         int64_t now_ns);

#endif
