/* The publisher of purges: numbers them, seals them, puts them on the bus in order, and asks who has applied them.
 * One a control; its name is its node's id. Everything on one loop: start and stop outside of fibers or on one, the
 * rest on fibers.
 *
 * What the server did not confirm is sent again, as it is, before anything newer; a purge is acknowledged when the
 * server has taken it. Each second a beat says how far the publisher is, so that an edge that misses something, or
 * hears nothing, knows. */
#ifndef SK_FLEET_PUBLISHER_H
#define SK_FLEET_PUBLISHER_H

#include "fleet/applied.h"
#include "fleet/bus_seal.h"
#include "fleet/erased.h"
#include "io/fiber.h"

#define FLEET_BUS_STREAM "skerry:purges"
#define FLEET_BUS_KEEP 4096 /* entries in the stream, about; each is some 10 KB, most of it the seal */
#define FLEET_BUS_BEAT_MS 1000

struct fleet_publisher;

struct fleet_publisher_options {
    struct fleet_valkey_where where;
    /* The identity in force, a reference that the publisher gives back; NULL: none now. The first one gives the name. */
    struct fleet_identity *(*identity)(void *arg);
    /* With which EDGE proves what it says; none: it cannot. */
    struct fleet_bus_keys (*keys)(void *arg, sk_str edge);
    void *arg;
};

/* Begins an epoch and beats. SK_ERR_NOT_FOUND: no identity; SK_ERR_NO_MEMORY, and what fleet_valkey_create gives. */
sk_err fleet_publisher_start(struct io_loop *loop, const struct fleet_publisher_options *options,
                             struct fleet_publisher **out_publisher);
/* Closes the epoch, if the server answers within DEADLINE, so that edges need not revalidate when the next one begins.
 * Parks. */
void fleet_publisher_end(struct fleet_publisher *publisher, sk_time_ns deadline);
/* No call of another fiber may be under way but fleet_publisher_wait. Before the loop is destroyed; memory is given back
 * when its fiber and those that wait have ended, at the latest then. NULL is allowed. */
void fleet_publisher_free(struct fleet_publisher *publisher);

/* Where a published request ends. */
struct fleet_receipt {
    struct fleet_bus_mark mark;
    uint64_t published_ns; /* sk_time_now when the server had taken it */
};

/* All of REQUEST, as one or more entries. Parks until the server has taken them all. SK_ERR_INVALID: an erasure that is not
 * alone. SK_ERR_TOO_LARGE: one of its texts is too long for the bus. SK_ERR_TIMEOUT: not by DEADLINE; they are sent as soon as the server can be reached, which
 * the caller should say. SK_ERR_FULL: too many wait already, and none of these does. SK_ERR_NO_MEMORY, SK_ERR_TLS. */
sk_err fleet_publish(struct fleet_publisher *publisher, const struct fleet_purge_request *request,
                     sk_time_ns deadline, struct fleet_receipt *out_receipt);

/* Its id, and the last purge that the server has confirmed; all 0 before the first. */
sk_str fleet_publisher_name(const struct fleet_publisher *publisher);
struct fleet_bus_mark fleet_publisher_mark(const struct fleet_publisher *publisher);

/* Asks until all living edges have applied RECEIPT: fleet_applied_wait. */
sk_err fleet_publisher_wait(struct fleet_publisher *publisher, const struct fleet_receipt *receipt,
                            sk_time_ns deadline, struct sk_arena *arena, struct fleet_stragglers *out);
/* Asks until each of EDGES has said what became of the erasure that RECEIPT is of: fleet_erased_wait. */
sk_err fleet_publisher_wait_erased(struct fleet_publisher *publisher, const struct fleet_receipt *receipt,
                                   const sk_str *edges, size_t count, sk_time_ns deadline,
                                   enum fleet_erased *out);

#endif
