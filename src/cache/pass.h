/* The keys that turned out not to be shareable, each for a while: requests for them fetch on their own at
 * once instead of queueing behind one another. A fixed table; when a bucket is full, the key that would be
 * forgotten first goes. Any thread. */
#ifndef SK_CACHE_PASS_H
#define SK_CACHE_PASS_H

#include "base/err.h"
#include "base/hash.h"
#include "base/time.h"
#include "http/reason.h"

struct cache_pass_table;

/* SK_ERR_NO_MEMORY. */
sk_err cache_pass_create(uint64_t entries, struct cache_pass_table **out_table);
void cache_pass_destroy(struct cache_pass_table *table);
/* REASON is why it was not shareable. */
void cache_pass_remember(struct cache_pass_table *table, sk_hash128 key, sk_time_ns until,
                         enum http_reason reason);
/* out_reason may be NULL. */
bool cache_pass_remembered(struct cache_pass_table *table, sk_hash128 key, sk_time_ns now,
                           enum http_reason *out_reason);
uint64_t cache_pass_bytes(const struct cache_pass_table *table);

#endif
