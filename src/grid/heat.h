/* Which keys of other nodes are asked for so often that they are worth a place here too. A table of counters, each of one
 * key at a time: a key that comes again and again takes the place of one that does not (majority vote of Boyer and Moore,
 * 1981), and what was counted halves from window to window. Of two very hot keys with one place both may go unseen for a
 * while, which costs what it cost before. Any thread, without a lock: a lost count is harmless. */
#ifndef SK_GRID_HEAT_H
#define SK_GRID_HEAT_H

#include <stdatomic.h>

#include "base/base.h"
#include "base/time.h"

#define GRID_HEAT_PLACES 4096
#define GRID_HEAT_WINDOW_S 10

struct grid_heat {
    _Atomic uint64_t places[GRID_HEAT_PLACES]; /* relaxed: each stands for itself */
};

/* Counts a request for the key with HASH, and says how many there were lately, this one included: of the present window,
 * and half of those of the one before. Zeroed memory is an empty table. */
uint32_t grid_heat_count(struct grid_heat *heat, uint64_t hash, sk_time_ns now);

#endif
