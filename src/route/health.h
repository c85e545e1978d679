/* Whether an edge can serve: from single results to a verdict. Pure: each rule takes a state and the time and gives
 * the next state. A run of bad results takes an edge down, a longer run of good ones brings it back, and the longer
 * the more often it fell lately (damping). What this router sees itself is one voice; other observers' reports are
 * further ones, and most voices decide. */
#ifndef SK_ROUTE_HEALTH_H
#define SK_ROUTE_HEALTH_H

#include "base/str.h"
#include "base/time.h"

enum health_result {
    HEALTH_GOOD,
    HEALTH_BAD,  /* no answer, or a wrong one */
    HEALTH_SICK, /* it says itself that it cannot serve: counts at once */
};

struct health_rules {
    uint32_t down_after, up_after; /* results in a row */
};

struct health_state { /* zero is nothing known, which counts as up */
    bool down;
    uint32_t run;           /* results in a row that contradict DOWN */
    uint32_t falls;         /* lately */
    sk_time_ns last_change; /* 0: none yet */
};

/* A fall is forgotten after so long without another. */
#define HEALTH_MEMORY_NS (600 * SK_NS_PER_S)
struct health_state health_after(const struct health_state *state, const struct health_rules *rules,
                                 enum health_result result, sk_time_ns now);
/* Good results in a row that an edge which is down needs. */
uint32_t health_needs(const struct health_state *state, const struct health_rules *rules);

/* --- several observers ------------------------------------------------------------------------------- */

#define HEALTH_OBSERVERS_MAX 16
/* A report that is older does not count. */
#define HEALTH_REPORT_NS (10 * SK_NS_PER_S)

struct health_vote {
    uint64_t observer; /* hash of its name */
    sk_time_ns at;
    bool up;
};
struct health_votes {
    uint32_t count;
    struct health_vote items[HEALTH_OBSERVERS_MAX];
};
/* Enters a report, in place of the same observer's last one; when there are too many observers, of the oldest. */
void health_report(struct health_votes *votes, uint64_t observer, bool up, sk_time_ns now);
/* Down when more than half of the voices say so. OWN is NULL when this router does not look itself; without any
 * voice an edge is up. */
bool health_verdict(const struct health_state *own, const struct health_votes *votes, sk_time_ns now);

#endif
