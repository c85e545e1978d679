/* The edge on its fleet's purge bus (fleet/follower.h): purges of the whole fleet are put in force here, and when some may
 * have been missed, everything stored is revalidated before it is used. Main thread. */
#ifndef SK_EDGE_BUS_H
#define SK_EDGE_BUS_H

#include "edge/process.h"

struct edge_bus;

/* Follows the bus that the configuration names, or none: then *out_bus is NULL. A bus that cannot be reached is no
 * failure. SK_ERR_NOT_FOUND, SK_ERR_INVALID and others (logged): no identity that can be used, no address. */
sk_err edge_bus_start(struct edge_process *process, struct edge_bus **out_bus);
/* Before anybody is served: runs the loop for a moment, where what a disk has kept may be older than what was purged while
 * the process was not there, until that is known; else it is revalidated. When it returns, the stage may be another:
 * the process was told to stop, and has. BUS may be NULL. */
void edge_bus_await(struct edge_bus *bus);
/* Before CONFIG is put in force: what was purged while the old one could not tell what it meant must not be found under
 * the new one. BUS may be NULL. */
void edge_bus_config_changes(struct edge_bus *bus, const struct config *config);
/* The process serves nobody any more: the fleet is told not to wait for it, then LEFT is called, within a second or so.
 * Until then purges are followed. BUS may be NULL. */
void edge_bus_leave(struct edge_bus *bus, void (*left)(void *arg), void *arg);
/* After the loop has ended. BUS may be NULL. */
void edge_bus_free(struct edge_bus *bus);

struct fleet_identity;
struct fleet_expelled;
/* Who we are and whom not to believe, as of now: a reference that is given back; borrowed until the next turn of the loop. */
struct fleet_identity *edge_bus_identity(struct edge_bus *bus);
const struct fleet_expelled *edge_bus_expelled(const struct edge_bus *bus);

/* Other edges of our PoP and how many of them take clients, as of a moment ago; asks again when it is called. 0 without
 * a bus. */
void edge_bus_others(struct edge_bus *bus, uint32_t *out_others, uint32_t *out_running);

/* For the gauges: 0 without a bus. */
double edge_bus_silent(const struct edge_bus *bus);
double edge_bus_heard_s(const struct edge_bus *bus);

#endif
