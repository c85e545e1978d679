/* The purged space of the cache, reclaimed in the background (cache/sweep.h): on the main thread, which serves no
 * clients, a little at a time. */
#ifndef SK_EDGE_RECLAIM_H
#define SK_EDGE_RECLAIM_H

#include "edge/process.h"

struct edge_reclaim;

/* Main thread. SK_ERR_NO_MEMORY. */
sk_err edge_reclaim_start(struct edge_process *process, struct edge_reclaim **out_reclaim);
/* Before the cache and the loop are destroyed. NULL is allowed. */
void edge_reclaim_stop(struct edge_reclaim *reclaim);

#endif
