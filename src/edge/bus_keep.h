/* The place on the bus in a file beside the tier's log of purges (DISK.STATE + ".bus"), so that a restart goes on from it
 * (fleet/bus_place.h). What makes it safe to believe:
 *
 *   - it is written after its purges are in force, and so are in the tier's log; where that log has not come as far (a
 *     tick of the purge clock), or is another (the sum is under its secret), or is not open, the file counts for nothing;
 *   - who hands its tier over writes no more;
 *   - a machine that dies may lose the end of the log, which the log itself knows: then everything is validated anyway.
 *
 * Main thread. */
#ifndef SK_EDGE_BUS_KEEP_H
#define SK_EDGE_BUS_KEEP_H

#include "edge/process.h"
#include "fleet/bus_place.h"

struct edge_bus_keep {
    struct edge_process *process;
    char path[1024]; /* empty: there is no tier, and so no place */
    char boot[FLEET_BUS_BOOT_MAX + 1];
    sk_time_ns next;                /* no write before */
    struct fleet_stream_id written; /* the place in the file */
    sk_time_ns written_heard;
};

void edge_bus_keep_init(struct edge_bus_keep *keep, struct edge_process *process);
/* The place that was kept. *OUT_HEARD, by sk_time_now: when somebody was heard last; 0: unknown, or before this boot.
 * SK_ERR_NOT_FOUND: none that may be believed (logged, where there is one). */
sk_err edge_bus_keep_read(const struct edge_bus_keep *keep, struct fleet_bus_follow *out_follow,
                          sk_time_ns *out_heard, bool *out_unresolved);
/* It is at FOLLOW now, and all up to it is in force; HEARD as above, 0 for who leaves. Written at most once a second,
 * unless LAST. */
void edge_bus_keep_write(struct edge_bus_keep *keep, const struct fleet_bus_follow *follow, sk_time_ns heard,
                         bool unresolved, bool last);

#endif
