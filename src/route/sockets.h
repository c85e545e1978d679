/* The sockets that the router answers on: for each thread and address one for UDP and one for TCP, all of one address sharing its port
 * (SO_REUSEPORT). They may come from the process before this one. Main thread. */
#ifndef SK_ROUTE_SOCKETS_H
#define SK_ROUTE_SOCKETS_H

#include "config/route.h"
#include "io/upgrade.h"

struct route_sockets {
    unsigned threads, listeners;
    int *udp, *tcp;        /* [thread][listener]; -1: not open */
    struct io_addr *addrs; /* of the listeners, as configured */
};

/* Sockets of an earlier process, by the address that its configuration named. */
struct route_inherited {
    struct route_inherited_set {
        struct io_addr addr;
        bool tcp;
        int *fds; /* taken ones are -1 */
        size_t count;
    } *sets;
    size_t count;
};
/* A line of the upgrade: true when NAME was one of ours ("udp:ADDRESS", "tcp:ADDRESS"), with *out_err how it went: SK_ERR_MALFORMED,
 * SK_ERR_NO_MEMORY. */
bool route_inherited_take(struct route_inherited *inherited, sk_str name, const int *fds, size_t count,
                          sk_err *out_err);
/* How many threads it takes so that each inherited socket of CONFIG's addresses has one that reads it; 0: nothing was. */
unsigned route_inherited_threads(const struct route_inherited *inherited, const struct config_route *config);
/* Closes what nobody took. */
void route_inherited_free(struct route_inherited *inherited);

/* Those of CONFIG's addresses for so many THREADS: inherited ones first, others are bound. What could not be bound is logged.
 * Close in every case. SK_ERR_NO_MEMORY and as io_listen. */
sk_err route_sockets_open(struct route_sockets *sockets, const struct config_route *config, unsigned threads,
                          struct route_inherited *inherited);
/* As lines of an upgrade. SK_ERR_NO_MEMORY. */
sk_err route_sockets_package(const struct route_sockets *sockets, struct io_upgrade_package *package);
void route_sockets_close(struct route_sockets *sockets);

#endif
