/* The edge's link to control: it reports how it is, takes what control has signed for it, and keeps its certificate
 * fresh. A thread of its own, whose calls block: nothing on a request's way waits for it, and an edge without control
 * goes on with what it has. */
#ifndef SK_EDGE_FLEET_H
#define SK_EDGE_FLEET_H

#include "edge/process.h"

struct edge_fleet;

/* Begins, if the configuration names a fleet's state; else *out_fleet is NULL. SK_ERR_NOT_FOUND and others (logged): no
 * identity in that folder. */
sk_err edge_fleet_start(struct edge_process *process, struct edge_fleet **out_fleet);
/* Ends the thread and waits for it. NULL is allowed. Main thread, also when its loop has ended. */
void edge_fleet_stop(struct edge_fleet *fleet);
/* After the loop is destroyed. NULL is allowed. */
void edge_fleet_free(struct edge_fleet *fleet);

/* What is being put in force now (edge_reload reads it); empty: the last good one on disk. FLEET may be NULL. */
sk_str edge_fleet_pending(const struct edge_fleet *fleet);
/* Puts what is pending in the place of the last good one on disk, durably, so that nothing is in force that a start would
 * not begin with; nothing when nothing is pending. Main thread, which waits for the disk. On failure the one before stays
 * and REPORT says so. */
sk_err edge_fleet_keep_pending(struct edge_fleet *fleet, struct sk_buf *report);
/* It was kept, but cannot be in force: the one before is put back. */
void edge_fleet_drop_pending(struct edge_fleet *fleet);
/* The number in force, for the gauge; any thread. FLEET may be NULL. */
double edge_fleet_number(const struct edge_fleet *fleet);

#endif
