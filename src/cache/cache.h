/* The cache of one process: RAM tier, index, fills. Threads join it once each; a hit takes no lock and
 * writes nothing shared but a saturating access counter.
 *
 * Life of an object: made by a fill (cache/fill.h), found by key, read through a reader
 * (cache/object.h), replaced, purged or evicted, and freed when its last reference has gone and no thread
 * is still inside the section in which it might have seen it (epochs, Concurrency Kit).
 *
 * The byte budget is hard: it includes bodies, heads, keys, index tables, ghost entries and the windows of
 * fills in progress. When no room can be made, a fill goes on as a private window (cache/fill.h). */
#ifndef SK_CACHE_CACHE_H
#define SK_CACHE_CACHE_H

#include "cache/key.h"
#include "cache/object.h"
#include "cache/policy.h"
#include "io/loop.h"

struct cache;
struct cache_thread; /* a thread's membership: epoch record, pools, counters */

struct cache_options {
    uint64_t memory_bytes;                 /* at least 8 MiB */
    uint64_t max_object_bytes;             /* larger ones pass through; 0 means memory_bytes / 4 */
    uint32_t shards;                       /* power of two; 0 means 64 */
    const struct cache_policy_ops *policy; /* NULL means GDSF */
};

sk_err cache_create(const struct cache_options *options, struct cache **out_cache);
/* After every thread has left. */
void cache_destroy(struct cache *cache);
/* On the thread itself, once; LOOP is where its readers are woken. */
sk_err cache_thread_join(struct cache *cache, struct io_loop *loop, struct cache_thread **out_thread);
void cache_thread_leave(struct cache_thread *thread);
struct cache *cache_of(const struct cache_thread *thread);

/* A section protects objects that were found from being freed. Short: it never spans a park, a return to
 * the loop, or a system call that may block. Does not nest. */
void cache_enter(struct cache_thread *thread);
void cache_leave(struct cache_thread *thread);

/* What else finding learned; for the reason that is shown. */
struct cache_finding {
    bool vary_miss;   /* there are variants, but not the one that the request selects */
    bool purged;      /* there was one, but a purge has hit it since: NULL was answered */
    bool soft_purged; /* the object must be revalidated, whatever its freshness says */
};
/* Inside a section: the object for KEY, or NULL. Follows a Vary entry to the variant that REQUEST selects
 * (NULL: as a request without fields). Marks the access. The object may still be arriving. Valid until
 * cache_leave; cache_object_ref or a kept reader for longer. out_finding may be NULL. */
struct cache_object *cache_find(struct cache_thread *thread, const struct cache_key *key,
                                const struct http_request *request, struct cache_finding *out_finding);
/* In or out of a section. Takes it out of the index, all variants with it (KEY is primary). Readers go on; a fill in progress goes
 * on for those who wait for it already, but what it brings is not stored. */
void cache_remove(struct cache_thread *thread, const struct cache_key *key);

struct cache_usage {
    uint64_t budget_bytes, used_bytes; /* of the budget */
    uint64_t objects, fills;           /* objects in the index, variant lists among them */
    uint64_t evicted_objects, evicted_bytes, rejected_objects;
    uint64_t guest_bytes;    /* of objects that are another node's */
    uint64_t variant_bounds; /* times that a URL had too many variants and began anew */
};
/* Any thread; a consistent-enough snapshot. */
void cache_usage(const struct cache *cache, struct cache_usage *out_usage);

#endif
