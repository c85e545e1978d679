/* Erasures that came over the bus (fleet/erased.h): the site's purge is in force at once, and its key of the encrypted disk
 * goes as soon as that is open; then the publisher is told what became of it. As long as one is not done and told, the
 * place on the bus is not kept: a restart hears it again, and an erasure that is done twice does no harm. Main thread; the
 * work is a fiber's. */
#ifndef SK_EDGE_BUS_ERASE_H
#define SK_EDGE_BUS_ERASE_H

#include "edge/process.h"
#include "fleet/erased.h"

struct edge_bus_erasures;

struct edge_bus_erasures_options {
    struct edge_process *process;
    struct fleet_valkey_where primary; /* to tell it to */
    sk_str name;                       /* this edge's id; copied */
    /* With which it is proven, borrowed during a call; NULL: it cannot be. */
    const struct fleet_bus_key *(*bus_key)(void *arg);
    void *arg;
};
/* SK_ERR_NO_MEMORY, and what fleet_valkey_create gives. */
sk_err edge_bus_erasures_create(const struct edge_bus_erasures_options *options,
                                struct edge_bus_erasures **out_erasures);
/* ENTRY, of the bus, is one: the purge is in force when it returns, the rest follows. SK_ERR_NO_MEMORY: it is not known
 * whether the purge is in force. */
sk_err edge_bus_erase(struct edge_bus_erasures *erasures, const struct fleet_bus_entry *entry);
/* Whether some are not done, or not told. */
bool edge_bus_erasures_open(const struct edge_bus_erasures *erasures);
/* Before the loop is destroyed; memory is given back when its fiber has ended. NULL is allowed. */
void edge_bus_erasures_free(struct edge_bus_erasures *erasures);

#endif
