/* NOTIFY to secondaries (RFC 1996): when a zone's serial has changed, each is told over UDP until it answers or the
 * tries are used up. Main thread. */
#ifndef SK_ROUTE_NOTIFY_H
#define SK_ROUTE_NOTIFY_H

#include "io/loop.h"
#include "route/plan.h"

struct notify_service;

sk_err notify_create(struct io_loop *loop, struct notify_service **out_service);
void notify_free(struct notify_service *service);
/* Tells the secondaries of all zones of PLAN whose serial is not that of PREVIOUS (NULL: of all zones). */
void notify_changes(struct notify_service *service, const struct route_plan *previous,
                    const struct route_plan *plan);

#endif
