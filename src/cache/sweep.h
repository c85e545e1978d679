/* Reclaiming what hard purges have hit. A purge itself walks nothing; what it hit would stay until it is looked for or
 * evicted. The sweep walks the index in small steps after it, round and round, takes out what is gone anyway, and gives
 * empty memory back to the system. It rests when it has come round once without a new purge and without finding
 * anything: a purge that comes meanwhile is joined where the walk stands, and what moved past the walk is met on the
 * second way round. One at a time for a cache, from a joined thread that has time: a step holds no lock for longer
 * than one removal takes, and none that a hit needs. */
#ifndef SK_CACHE_SWEEP_H
#define SK_CACHE_SWEEP_H

#include "cache/cache.h"

struct cache_sweep {
    uint64_t done;   /* purges up to this tick are reclaimed */
    uint64_t target; /* the newest that the walk under way has seen */
    /* private: where the walk stands */
    enum { CACHE_SWEEP_RESTS, CACHE_SWEEP_WALKS, CACHE_SWEEP_EMPTIES } phase;
    uint32_t shard;
    unsigned long place;
    uint64_t table;
    uint32_t shards_left;  /* to be done until the walk has come round */
    uint64_t objects_then; /* taken out when it began to */
    /* totals */
    uint64_t looked;         /* entries looked at */
    uint64_t objects, bytes; /* taken out of the index, and what they occupied */
    uint64_t slabs;          /* given back */
    uint64_t rounds;         /* ends with nothing left to do */
};

/* One step: looks at some dozen entries at most. False when there is nothing to do until the next purge. Zeroed, a
 * sweep is at its beginning. */
bool cache_sweep_step(struct cache_thread *thread, struct cache_sweep *sweep);

/* How much at a time, and how long to rest before it. */
struct cache_sweep_pace {
    sk_time_ns rest_ns, turn_ns;
};
/* The turn to come, after one that was done at the pace LAST: BEFORE and AFTER are the sweep around it; BUSY: others
 * wanted the core meanwhile. A turn that finds much is followed soon by a longer one, longer still on an idle machine;
 * turns that find little are short and become rare, down to a hundredth of one core. Pure. */
struct cache_sweep_pace cache_sweep_next(const struct cache_sweep *before, const struct cache_sweep *after,
                                         struct cache_sweep_pace last, bool busy);

#endif
