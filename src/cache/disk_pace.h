/* How fast the SSD tier may be written: so many bytes a second over time, for the device's life, with a burst that was
 * saved up while less was written (a token bucket, kept as the time at which it would be full again: one number).
 * Pure but for that number; any thread, no lock. */
#ifndef SK_CACHE_DISK_PACE_H
#define SK_CACHE_DISK_PACE_H

#include <stdatomic.h>

#include "base/base.h"
#include "base/time.h"

struct disk_pace {
    /* set once */
    uint64_t bytes_s; /* 0: no limit */
    sk_time_ns burst_ns;
    /* any thread */
    _Atomic int64_t full_at; /* when all is saved up again */
};

/* BURST_BYTES: what may be written at once after a rest; a put of more than that is never taken. */
void disk_pace_init(struct disk_pace *pace, uint64_t bytes_s, uint64_t burst_bytes);
/* True: BYTES may be written now, and are counted. False: not at NOW, and nothing is counted. */
bool disk_pace_take(struct disk_pace *pace, uint64_t bytes, sk_time_ns now);
/* BYTES are written whatever the pace (a record that is put in again): what is asked for later waits for them. */
void disk_pace_charge(struct disk_pace *pace, uint64_t bytes, sk_time_ns now);

#endif
