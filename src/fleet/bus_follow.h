/* What a reader of the purge bus has heard, and what that means for what it has stored. Pure: no clock, no I/O; the
 * driver (follower.h) feeds it and does what the verdicts say.
 *
 * The promise: when a publisher was told that its purge is on the bus, a reader that goes on hearing the bus either
 * applies the purge or revalidates everything it had stored, whatever is lost, doubled or reordered on the way:
 *
 *   - a hole in a publisher's sequence, or a last sequence (a beat tells it) that was not seen: the stream is read
 *     again from its beginning, and what is missing there too means revalidation;
 *   - an epoch that does not begin where the one before was ended, or a publisher first heard in its middle:
 *     revalidation;
 *   - another server, or the same one with another history (a failover; a restart): its last entries may be lost without
 *     a trace, and the ids of new ones may be lower than those read: revalidation at once, and its end is read again;
 *   - ids that ended before the place we had read to: read again.
 *
 * Nothing needs to be undone when a missing purge comes after its revalidation: what was fetched since then was
 * fetched after the purge was made. */
#ifndef SK_FLEET_BUS_FOLLOW_H
#define SK_FLEET_BUS_FOLLOW_H

#include "fleet/bus_entry.h"
#include "fleet/valkey.h"

#define FLEET_BUS_PUBLISHERS_MAX 64 /* known at a time; the one not heard for longest gives way */
#define FLEET_BUS_SERVER_MAX 64

struct fleet_bus_heard {
    char publisher[FLEET_BUS_PUBLISHER_MAX + 1];
    size_t publisher_bytes;
    struct fleet_bus_mark mark; /* all up to it is applied or revalidated */
    uint64_t serial;
    uint64_t heard; /* counts up with each entry of anybody; for giving way */
    bool ended;     /* its epoch was closed at `mark` */
};

/* How far back, by the ids of its stream, a server with another history is read again. What is older was made before the
 * revalidation that it costs, and need be neither read nor applied: a stream holds megabytes, and a whole fleet reads them
 * at the same time. A living publisher has said something within it. */
#define FLEET_BUS_AGAIN_MS 30000

/* Zeroed: has heard nothing. */
struct fleet_bus_follow {
    struct fleet_bus_heard publishers[FLEET_BUS_PUBLISHERS_MAX];
    uint32_t count;
    uint64_t heard;
    char server[FLEET_BUS_SERVER_MAX + 1];
    size_t server_bytes;
    struct fleet_stream_id read; /* where reading goes on */
    bool again;                  /* the stream is being read again: what is missing now is lost */
};

/* Bits of a verdict. */
#define FLEET_BUS_APPLY 1u      /* the entry's purges */
#define FLEET_BUS_REVALIDATE 2u /* everything stored before now; before APPLY */
#define FLEET_BUS_AGAIN 4u      /* read on at follow->read; this entry has not been heard */
#define FLEET_BUS_ALIVE 8u      /* somebody speaks who was not silent */

/* The server as it is now: HISTORY (its replication id, empty: unknown, never the same as before) and the stream's
 * LAST id. At each connection, and from time to time. Gives REVALIDATE and AGAIN, or nothing. */
unsigned fleet_bus_follow_server(struct fleet_bus_follow *follow, sk_str history,
                                 struct fleet_stream_id last);
/* Whether ENTRY can change anything: only then is its signature worth a look. */
bool fleet_bus_follow_is_news(const struct fleet_bus_follow *follow, const struct fleet_bus_entry *entry);
/* The next entry of the stream, its signature found good. */
unsigned fleet_bus_follow_entry(struct fleet_bus_follow *follow, struct fleet_stream_id id,
                                const struct fleet_bus_entry *entry);
/* An entry that is none, or was forged, or is no news: only its place counts. */
void fleet_bus_follow_skip(struct fleet_bus_follow *follow, struct fleet_stream_id id);
/* The stream was read to its end. */
void fleet_bus_follow_end(struct fleet_bus_follow *follow);

#endif
