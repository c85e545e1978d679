/* Whether an edge that runs should take no clients because it is sick, from a look each second. Pure: what was seen and
 * the time in, the answer out.
 *
 * It goes when something was wrong at SICK_LOOKS looks in a row, and comes back after a while without: 30 s, and twice as
 * long each time that it falls ill again within ten minutes, so that it does not flap. It stays, or comes back at once,
 * when it does not know that at least half of the other nodes of its PoP take clients: a sick edge is better than none. */
#ifndef SK_EDGE_SICKNESS_H
#define SK_EDGE_SICKNESS_H

#include "base/str.h"
#include "base/time.h"

#define EDGE_SICK_LOOKS 5
#define EDGE_SICK_REST_S 30
#define EDGE_SICK_REST_MOST_S 600
#define EDGE_SICK_MEMORY_S 600

struct edge_sickness {
    bool withdrawn;
    const char *why;  /* of the last bad look */
    unsigned bad;     /* looks in a row */
    sk_time_ns since; /* of the last bad look */
    sk_time_ns back;  /* when it came back last; 0: never */
    int64_t rest_s;   /* how long it must be well to come back */
};

struct edge_sickness_look {
    const char *bad; /* constant text; NULL: nothing is wrong */
    /* Other nodes of the PoP, and those of them that take clients; 0: unknown, or there are none. */
    uint32_t others, others_running;
};

/* True while it should take no clients. */
bool edge_sickness_after(struct edge_sickness *sickness, const struct edge_sickness_look *look,
                         sk_time_ns now);

#endif
