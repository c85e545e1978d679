/* Why a client gets its answer: everything that a decision was made of, as JSON. Deep in stack (one line a site): on a
 * thread's own stack, not on a fiber's. */
#ifndef SK_ROUTE_EXPLAIN_H
#define SK_ROUTE_EXPLAIN_H

#include "fleet/admin_server.h"
#include "route/plan.h"

/* Answers QUERY (client=IP and name=NAME or url=URL, percent-encoded) from PLAN: the place of the client, who decided
 * (measurement, override), each site's terms, the answer in force and its reason. 400 for what cannot be
 * understood. SK_ERR_NO_MEMORY. */
sk_err route_explain(const struct route_plan *plan, sk_str query, struct fleet_admin_answer *answer);

#endif
