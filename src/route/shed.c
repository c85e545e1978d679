#include "route/shed.h"

#include <math.h>

#define SERVED_LEAST 0.02 /* so that the demand behind a site that serves nobody stays finite */

/* share = (load - low) / room and load = demand * (1 - share), solved for the share. */
double shed_balance(double demand, const struct decide_weights *weights) {
    double room = weights->high_watermark - weights->low_watermark;
    if (room <= 0) return decide_shed_share(demand, weights);
    return fmin(1, fmax(0, (demand - weights->low_watermark) / (demand + room)));
}

struct shed_state shed_after(const struct shed_state *state, double load,
                             const struct decide_weights *weights, sk_time_ns now) {
    struct shed_state next = *state;
    double passed = state->at ? (double)(now - state->at) : (double)SHED_STEP_NS;
    next.at = now;
    next.felt += (state->share - state->felt) * -expm1(-passed / (double)SHED_LAG_NS);
    double target = shed_balance(load / fmax(1 - next.felt, SERVED_LEAST), weights);
    double steps = fmin(1, passed / (double)SHED_STEP_NS), most = weights->max_step * steps;
    next.share += fmin(most, fmax(-most, SHED_GAIN * steps * (target - state->share)));
    return next;
}
