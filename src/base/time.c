#include "base/time.h"

#include <time.h>

static int64_t read_clock(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * SK_NS_PER_S + t.tv_nsec;
}

sk_time_ns sk_time_now(void) { return read_clock(CLOCK_MONOTONIC); }

int64_t sk_wall_now_ns(void) { return read_clock(CLOCK_REALTIME); }

sk_unix_s sk_wall_now_s(void) { return sk_wall_now_ns() / SK_NS_PER_S; }
