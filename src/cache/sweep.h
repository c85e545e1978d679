/* Reclaiming what hard purges have hit. A purge itself walks nothing; what it hit would stay until it is looked for or
 * evicted. The sweep walks the index in small steps after it, takes out what is gone anyway, and gives empty memory
 * back to the system. One at a time for a cache, from a joined thread that has time: a step holds no lock for longer
 * than one removal takes, and none that a hit needs. */
#ifndef SK_CACHE_SWEEP_H
#define SK_CACHE_SWEEP_H

#include "cache/cache.h"

struct cache_sweep {
    uint64_t done;   /* purges up to this tick are reclaimed */
    uint64_t target; /* the tick at which the round under way began */
    bool walking, emptying;
    /* private: where the walk stands */
    uint32_t shard;
    unsigned long place;
    const void *table;
    /* totals */
    uint64_t objects, bytes; /* taken out of the index, and what they occupied */
    uint64_t rounds;
};

/* One step: looks at some hundred entries at most. False when there is nothing to do until the next purge. Zeroed, a
 * sweep is at its beginning. */
bool cache_sweep_step(struct cache_thread *thread, struct cache_sweep *sweep);

#endif
