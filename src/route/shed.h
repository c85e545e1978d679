/* How much of its clients a site turns away: from its load to the share that is in force. Pure. Between the watermarks the
 * share grows with the load (graded); but what clients were told works on for as long as resolvers keep it, and load is
 * told late. A share that followed each report would send everybody away, then everybody back. So the demand behind the
 * load is estimated from what was turned away before, the share goes to where that demand would be in balance, and in
 * steps. */
#ifndef SK_ROUTE_SHED_H
#define SK_ROUTE_SHED_H

#include "base/time.h"
#include "route/decide.h"

struct shed_state { /* zero: nothing is turned away */
    double share;   /* in force, 0..1 */
    double felt;    /* share that the load shows already */
    sk_time_ns at;  /* of the last report; 0: none yet */
};

/* The share follows answers in resolvers and reports of load with this time constant. */
#define SHED_LAG_NS (20 * SK_NS_PER_S)
/* The time of one step, which goes SHED_GAIN of the way but no further than weights->max_step. With this gain nothing swings
 * when answers live for up to 30 s. */
#define SHED_GAIN 0.3
#define SHED_STEP_NS (5 * SK_NS_PER_S)

/* The share that is in balance when a site of this DEMAND (its load if it turned nobody away) sheds as decide does. */
double shed_balance(double demand, const struct decide_weights *weights);
struct shed_state shed_after(const struct shed_state *state, double load,
                             const struct decide_weights *weights, sk_time_ns now);

#endif
