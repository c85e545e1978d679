/* Routing over HTTP: a listener that answers each request with a redirect to the edge that is best for the client, and
 * GET /route with the whole decision. A thread of its own. Plain HTTP only: what it says is where to go. */
#ifndef SK_ROUTE_REDIRECT_H
#define SK_ROUTE_REDIRECT_H

#include "route/plan.h"

struct redirect;

/* Listens where PLAN's configuration says; nothing (NULL) when it says nothing. The thread is not started yet.
 * SK_ERR_NO_MEMORY and what fleet_admin_start gives (logged). */
sk_err redirect_create(struct route_plan *plan, struct redirect **out_redirect);
/* NULL is allowed, here and below. SK_ERR_NO_MEMORY. */
sk_err redirect_start(struct redirect *redirect);
/* Main thread: answers from PLAN from now on. SK_ERR_NO_MEMORY. */
sk_err redirect_use(struct redirect *redirect, struct route_plan *plan);
/* Ends the thread and frees. */
void redirect_stop(struct redirect *redirect);

#endif
