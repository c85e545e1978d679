/* Time. Two kinds that never mix: monotonic nanoseconds (sk_time_ns) for timeouts and ages, and Unix
 * seconds (sk_unix_s) where a standard speaks of dates. Decisions never read a clock: they are given the
 * time. Any thread. */
#ifndef SK_BASE_TIME_H
#define SK_BASE_TIME_H

#include <stdint.h>

typedef int64_t sk_time_ns; /* CLOCK_MONOTONIC, nanoseconds; also differences of it */
typedef int64_t sk_unix_s;  /* seconds since 1970-01-01T00:00:00Z */

#define SK_NS_PER_US INT64_C(1000)
#define SK_NS_PER_MS INT64_C(1000000)
#define SK_NS_PER_S INT64_C(1000000000)
#define SK_TIME_NEVER INT64_MAX

/* Reads the clock; on hot paths use io_loop_now, which reads once an iteration. */
sk_time_ns sk_time_now(void);
/* Wall clock in nanoseconds since 1970. */
int64_t sk_wall_now_ns(void);
sk_unix_s sk_wall_now_s(void);

#endif
