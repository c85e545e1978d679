/* The view of the other nodes that is in force (edge/peers.h). The main thread puts it there; any thread takes it. */
#ifndef SK_EDGE_RING_H
#define SK_EDGE_RING_H

#include "edge/peers.h"

struct edge_process;
struct edge_ring;

/* Makes the first view, if the configuration has `peers`; else *out_ring is an empty one. SK_ERR_INVALID and others
 * (logged): our identity cannot be used. Main thread, as all but _get. */
sk_err edge_ring_start(struct edge_process *process, struct edge_ring **out_ring);
/* CONFIG is in force now. RING may be NULL. */
void edge_ring_config_changes(struct edge_ring *ring, struct config *config);
/* After the workers have ended. RING may be NULL. */
void edge_ring_free(struct edge_ring *ring);

struct edge_explanation;
/* Whose the explained key is; texts in ARENA. Nothing is said where there is no ring. */
void edge_ring_explain(struct edge_ring *ring, struct sk_arena *arena, struct edge_explanation *explanation);

/* The view, referenced; NULL: there are no peers. Any thread. */
struct edge_peers *edge_ring_get(struct edge_ring *ring);

#endif
