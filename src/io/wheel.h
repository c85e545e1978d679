/* The timer wheel of a loop: eight levels of 64 slots, 1 ms ticks, so that starting, stopping and firing
 * cost O(1) for any number of timers and any deadline. After Varghese and Lauck, "Hashed and hierarchical
 * timing wheels", 1987. Private to src/io; never reads a clock.
 *
 * A timer waits on the level of the highest 6-bit group in which its tick differs from the wheel's, in the
 * slot that this group names:
 *
 *   level 0:  [tick+1 .. ) one tick a slot          when a slot of level n is reached, its timers move
 *   level 1:  64 ticks a slot                       to lower levels, or fire
 *   level 2:  4096 ticks a slot ...
 *
 * Invariant: every occupied slot of a level lies after the wheel's present position on it (positions never
 * wrap: eight groups hold every tick of 2^63 ns), and all of level n comes before anything of level n+1.
 *
 * Stopping a timer only unlinks it, so an `occupied` bit may outlive its last timer: bits are hints that
 * are checked, and cleared, when met. Moving a deadline later leaves the timer in its place; it is put
 * right when that place is reached. That makes refreshing an idle timeout one store. */
#ifndef SK_IO_WHEEL_H
#define SK_IO_WHEEL_H

#include "io/loop.h"

#define IO_WHEEL_LEVELS 8
#define IO_WHEEL_SLOTS 64

struct io_wheel {
    int64_t tick; /* everything up to and including it has been looked at */
    uint64_t occupied[IO_WHEEL_LEVELS];
    struct sk_list slots[IO_WHEEL_LEVELS][IO_WHEEL_SLOTS];
    struct sk_list due;     /* started with a deadline that had passed already: fire at the next expire */
    struct sk_list expired; /* being fired by the present expire */
};

void io_wheel_init(struct io_wheel *wheel, sk_time_ns now);
/* (Re)arms TIMER. Never fires it before returning, also when DEADLINE has passed. */
void io_wheel_start(struct io_wheel *wheel, struct io_timer *timer, sk_time_ns deadline);
/* Fires every timer whose deadline, rounded up to a millisecond, is not after NOW, earlier ticks first.
 * Callbacks may start, restart, stop and free any timer; what they start fires at a later call. */
void io_wheel_expire(struct io_wheel *wheel, sk_time_ns now);
/* When expire has something to do next: never after the earliest deadline (rounded up to a millisecond),
 * maybe before it. SK_TIME_NEVER when no timer is armed. */
sk_time_ns io_wheel_next(struct io_wheel *wheel);

#endif
