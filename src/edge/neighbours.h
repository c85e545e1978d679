/* The nodes of the ring as the fleet's members tell of them (fleet/neighbours.h): read from the bus about each second, kept
 * in a file, so that a start without the bus begins with those that were there. Main thread. */
#ifndef SK_EDGE_NEIGHBOURS_H
#define SK_EDGE_NEIGHBOURS_H

#include "edge/peers.h"
#include "fleet/neighbours.h"

struct edge_process;
struct edge_neighbours;

/* Begins to look; the process has a bus configured. SELF is copied. CHANGED is called on the loop's own stack when others
 * are known than before. SK_ERR_NO_MEMORY, SK_ERR_INVALID (the bus's address). */
sk_err edge_neighbours_start(struct edge_process *process, const struct fleet_id *self,
                             void (*changed)(void *arg), void *arg, struct edge_neighbours **out_neighbours);
/* Before the loop is destroyed; memory goes with its fiber. NULL is allowed. */
void edge_neighbours_free(struct edge_neighbours *neighbours);

/* Those that take part, without ourselves; at most MOST. Texts are borrowed until the next change. Returns how many. */
size_t edge_neighbours_list(const struct edge_neighbours *neighbours, struct edge_peer_heard *out,
                            size_t most);
/* We have said ourselves that we take no part. */
bool edge_neighbours_self_out(const struct edge_neighbours *neighbours);

#endif
