#include "clocks.h"

struct clocks clocks = {.monotonic = SK_NS_PER_S, .wall_s = 1700000000};

sk_time_ns __wrap_sk_time_now(void);
int64_t __wrap_sk_wall_now_ns(void);
sk_unix_s __wrap_sk_wall_now_s(void);

sk_time_ns __wrap_sk_time_now(void) { return clocks.monotonic; }
int64_t __wrap_sk_wall_now_ns(void) { return clocks.wall_s * SK_NS_PER_S; }
sk_unix_s __wrap_sk_wall_now_s(void) { return clocks.wall_s; }
