/* Whether a client that we wait for is fast enough: without any progress for too long, or under the minimum
 * rate over a window. Pure; one direction of one connection at a time. */
#ifndef SK_EDGE_PACE_H
#define SK_EDGE_PACE_H

#include "base/base.h"
#include "base/time.h"

/* Long enough that one lost packet's retransmission decides nothing. */
#define EDGE_PACE_WINDOW_NS (10 * SK_NS_PER_S)

struct edge_pace {
    sk_time_ns progress_at, window_at; /* last byte moved; beginning of the window */
    sk_time_ns paused_at;
    uint64_t window_bytes;
    bool begun, running;
};

struct edge_pace_limits {
    int64_t progress_ms; /* without any progress; 0: no limit */
    uint64_t min_rate;   /* bytes a second; 0: no limit */
};

/* From now on it is the client that we wait for. */
void edge_pace_run(struct edge_pace *pace, sk_time_ns now);
/* It is not: the time until the next run does not count. */
void edge_pace_pause(struct edge_pace *pace, sk_time_ns now);
void edge_pace_moved(struct edge_pace *pace, uint64_t bytes, sk_time_ns now);
/* False: too slow. Otherwise *out_check says when to ask again (SK_TIME_NEVER: without any limit). */
bool edge_pace_ok(struct edge_pace *pace, const struct edge_pace_limits *limits, sk_time_ns now,
                  sk_time_ns *out_check);

#endif
