/* The nodes that share their caches, as their heartbeats tell of them (heartbeat.h). Pure.
 *
 * A node takes part as soon as it says so itself. What could hurt is to believe too soon that others are gone, for then
 * every node fetches for itself: so a node is out when it says so, or was missing for a while in tables that know
 * ourselves. A server that has lost its memory, or is away, changes nothing. */
#ifndef SK_FLEET_NEIGHBOURS_H
#define SK_FLEET_NEIGHBOURS_H

#include "base/buf.h"
#include "fleet/heartbeat.h"
#include "fleet/id.h"

#define FLEET_NEIGHBOURS_MAX 256
#define FLEET_NEIGHBOUR_GONE_MS 3000
#define FLEET_NEIGHBOUR_ADDRESS_BYTES 128

struct fleet_neighbour {
    struct fleet_id id;
    char address[FLEET_NEIGHBOUR_ADDRESS_BYTES]; /* NUL-terminated */
    bool running;
    sk_time_ns missing_since; /* 0: it was there at the last look */
};
struct fleet_neighbours {
    struct fleet_neighbour items[FLEET_NEIGHBOURS_MAX]; /* ourselves among them, once we are in the table */
    uint32_t count;
};

/* The BEATS of a table read at NOW, each found good, of which edges of SELF's fleet count. True: something of what is known
 * has changed. What is more than FLEET_NEIGHBOURS_MAX, has no address or one that is none, is passed over. */
bool fleet_neighbours_hear(struct fleet_neighbours *known, const struct fleet_heartbeat *beats, size_t count,
                           const struct fleet_id *self, sk_time_ns now);
/* NULL: it is not known. */
const struct fleet_neighbour *fleet_neighbours_find(const struct fleet_neighbours *known,
                                                    const struct fleet_id *id);

/* As text, to begin with after a restart: a line each, "ID ADDRESS" or "ID ADDRESS out". SK_ERR_NO_MEMORY,
 * SK_ERR_TOO_LARGE. */
sk_err fleet_neighbours_write(const struct fleet_neighbours *known, struct sk_buf *out);
/* SK_ERR_MALFORMED: not such a text, or too many; nothing is read then. */
sk_err fleet_neighbours_parse(sk_str text, struct fleet_neighbours *out_known);

#endif
