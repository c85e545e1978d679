/* What an unsafe request that has worked makes invalid (RFC 9111 section 4.4): here, and at the owner of the key, so that
 * the edges of a ring are one cache for that too. */
#ifndef SK_EDGE_INVALIDATE_H
#define SK_EDGE_INVALIDATE_H

#include "cache/cache.h"

/* All that is stored under the key's URI and all that is on its way. Own thread. */
void edge_invalidate_key(struct cache_thread *cache, const struct cache_key *key);

#endif
