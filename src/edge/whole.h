/* Whole contents into and out of the cache at once, for what is done with all of a content in memory: by fibers in the
 * background, which give way to others as they copy. */
#ifndef SK_EDGE_WHOLE_H
#define SK_EDGE_WHOLE_H

#include "cache/fill.h"
#include "edge/worker.h"

/* All BYTES of OBJECT, which is complete and referenced by the caller; the caller frees them. NULL: out of memory, or
 * the object has another length. */
char *edge_whole_read(struct edge_worker *worker, struct cache_object *object, size_t bytes);
/* CONTENT as what FILL brings: a 200 without fields, as fresh as PARENT. FILL is finished then, or whoever waits for it
 * has been told. Errors of cache_fill_store, cache_fill_space and cache_fill_finish. */
sk_err edge_whole_write(struct cache_fill *fill, const struct cache_object *parent, sk_str content);

#endif
