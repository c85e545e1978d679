/* The clocks of the process, replaced when the program is linked (ld --wrap): they stand still until a test moves
 * them, so that a trace is the same at every run. */
#ifndef SK_TESTS_PROPERTY_CLOCKS_H
#define SK_TESTS_PROPERTY_CLOCKS_H

#include "base/time.h"

struct clocks {
    sk_time_ns monotonic;
    sk_unix_s wall_s;
};
extern struct clocks clocks;

#endif
