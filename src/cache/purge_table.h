/* The purges' records: a hashed scope ("this tag", "that host") and the ticks of its last hard and its last
 * soft purge, in a fixed table of buckets. A full bucket folds its oldest record into a floor that holds for
 * every scope of the bucket: whatever is looked up there was purged no earlier than that.
 *
 * Writers hold the purges' lock. Readers take none: an entry that changes under them gives a tick that is too
 * late at worst, never one too early (see the order in put). */
#ifndef SK_CACHE_PURGE_TABLE_H
#define SK_CACHE_PURGE_TABLE_H

#include "base/base.h"
#include "base/err.h"

struct purge_table;

/* Ticks; 0 is never. */
struct purge_times {
    uint64_t hard, soft;
};

static inline void purge_times_add(struct purge_times *times, struct purge_times more) {
    times->hard = SK_MAX(times->hard, more.hard);
    times->soft = SK_MAX(times->soft, more.soft);
}

/* As many buckets as go into BYTES (a power of two, at least one). SK_ERR_NO_MEMORY. */
sk_err purge_table_create(uint64_t bytes, struct purge_table **out_table);
void purge_table_destroy(struct purge_table *table);
/* Raises the scope's ticks to TIMES where they are later. */
void purge_table_put(struct purge_table *table, uint64_t scope, struct purge_times times);
struct purge_times purge_table_get(const struct purge_table *table, uint64_t scope);
uint64_t purge_table_bytes(const struct purge_table *table);

#endif
