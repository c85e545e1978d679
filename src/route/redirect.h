/* Routing over HTTP: a listener that answers each request with a redirect to the edge that is best for the client, and
 * GET /route with the whole decision. A thread of its own. Plain HTTP only: what it says is where to go. */
#ifndef SK_ROUTE_REDIRECT_H
#define SK_ROUTE_REDIRECT_H

#include "io/upgrade.h"
#include "route/plan.h"

struct redirect;

/* Listens where PLAN's configuration says, on sockets of the process before this one where there are (route/upgrade.h);
 * nothing (NULL) when it says nothing. The thread is not started yet.
 * SK_ERR_NO_MEMORY and what fleet_admin_start gives (logged). */
sk_err redirect_create(struct route_plan *plan, struct redirect **out_redirect);
/* NULL is allowed, here and below. SK_ERR_NO_MEMORY. */
sk_err redirect_start(struct redirect *redirect);
/* Main thread: answers from PLAN from now on. SK_ERR_NO_MEMORY. */
sk_err redirect_use(struct redirect *redirect, struct route_plan *plan);
/* Main thread: its sockets as lines of an upgrade ("http:ADDRESS"). SK_ERR_NO_MEMORY. */
sk_err redirect_package(const struct redirect *redirect, struct io_upgrade_package *package);
/* Main thread: another process takes new connections from now on. */
void redirect_hand_over(struct redirect *redirect);
/* Ends the thread and frees. */
void redirect_stop(struct redirect *redirect);

#endif
