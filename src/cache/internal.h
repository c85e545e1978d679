/* The structs that the parts of cache/ share. Nobody outside of this folder includes it.
 *
 * Locks, in the order in which they may nest:
 *
 *   a fill stripe (fill_table.h)  >  an index shard (index.h)  >  the store (store.h)
 *
 * Who frees what: an entry (object) lives in one chunk of the slab and is counted by `refs`; the index holds
 * one reference, a fill one, each kept reader one. The last to let go retires it, and it is freed when every
 * thread has left the section in which it might have seen it. */
#ifndef SK_CACHE_INTERNAL_H
#define SK_CACHE_INTERNAL_H

/* Concurrency Kit's headers are not written for our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wcast-align"
#pragma GCC diagnostic ignored "-Wpedantic"
#include <ck_epoch.h>
#include <ck_hs.h>
#pragma GCC diagnostic pop

#include <pthread.h>

#include "base/arena.h"
#include "cache/cache.h"
#include "cache/fill.h"
#include "cache/slab.h"
#include "http/tags.h"

#define CACHE_MAGIC 0x63616368u
#define CACHE_THREAD_MAGIC 0x63746872u
#define CACHE_OBJECT_MAGIC 0x636f626au
#define CACHE_BODY_MAGIC 0x63626f64u
#define CACHE_FILL_MAGIC 0x6366696cu

#define CACHE_ACCESSES_MAX 3 /* accesses saturate here; more tells the policies no more */
/* A head and a body of known length up to this go into one chunk. */
#define CACHE_SINGLE_MAX_BYTES 32768
#define CACHE_TAGS_MAX                                                                                       \
    HTTP_TAGS_MAX            /* of one response; with more it is not stored, or purges would miss it */
#define CACHE_GUEST_SHARE 16 /* guests have at most so great a part of the budget */
#define CACHE_WINDOW_MIN_BYTES (64 * 1024)
/* A body whose length was not announced is packed when it is complete and at most so large. */
#define CACHE_PACK_MAX_BYTES (256 * 1024)

/* ThreadSanitizer does not see through Concurrency Kit's assembly: these say what it orders. */
#if defined(__SANITIZE_THREAD__)
#define CACHE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CACHE_TSAN 1
#endif
#endif
#ifdef CACHE_TSAN
#include <sanitizer/tsan_interface.h>
#define CACHE_ORDER_RELEASE(address) __tsan_release((void *)(address))
#define CACHE_ORDER_ACQUIRE(address) __tsan_acquire((void *)(address))
#else
#define CACHE_ORDER_RELEASE(address) ((void)(address))
#define CACHE_ORDER_ACQUIRE(address) ((void)(address))
#endif

struct cache_body;

enum cache_kind { CACHE_KIND_RESPONSE, CACHE_KIND_VARIANTS };

/* What a cache_object is inside. Its texts (key, head, field table) and a small body follow it in its chunk;
 * the key's text first, so that looking at both needs no pointer to be followed. */
struct cache_entry {
    struct cache_object object;
    /* set before it is published */
    bool guest;              /* another node's: for a share of the memory, and never for the SSD tier */
    struct cache_body *body; /* blocks; a reference is held; NULL: inline_body */
    char *inline_body;
    uint32_t chunk_bytes; /* what the store was asked for */
    uint64_t list_number; /* of a variant list */
    uint64_t *tags;       /* scopes for purges (purge_internal.h), source after source */
    uint32_t tag_count;
    uint16_t tag_counts[HTTP_TAG_SOURCES]; /* of each source */
    /* any thread, atomic */
    _Atomic uint32_t refs;             /* CACHE_REFS_RETIRED while it waits to be freed */
    _Atomic(struct cache_fill *) fill; /* while it arrives; a reference is held; read inside sections */
    _Atomic uint32_t variants;         /* of a variant list: stored so far */
    /* under the store's lock */
    bool in_policy;
    bool removed; /* out of the index for good */
    struct cache_policy_entry policy;
    ck_epoch_entry_t epoch_entry;
};
#define CACHE_REFS_RETIRED 0x80000000u

static inline struct cache_entry *cache_entry_of(const struct cache_object *object) {
    SK_CHECK_MAGIC(object, CACHE_OBJECT_MAGIC);
    return (struct cache_entry *)object;
}
static inline bool cache_entry_arriving(const struct cache_entry *entry) {
    /* acquire: what was written before the end is seen with it */
    return atomic_load_explicit(&entry->object.complete, memory_order_acquire) == CACHE_ARRIVING;
}

/* The chunks, the policy and what waits to be freed (store.h). */
struct cache_store {
    pthread_mutex_t lock; /* all below; microseconds, never while anything waits */
    struct cache_slab *slab;
    const struct cache_policy_ops *ops;
    struct cache_policy *policy;
    ck_epoch_record_t *reclaim; /* carries what was retired by any thread; never in a section itself */
    uint64_t limbo_bytes;       /* retired, not yet freed */
    uint32_t limbo_parts;       /* fills and tables retired since the last look */
    uint64_t evicted_objects, evicted_bytes;
    uint64_t guest_bytes; /* of guests in the policy */
};

struct cache_shard {
    _Alignas(64) ck_hs_t set; /* readers inside sections; writers under the lock */
    pthread_mutex_t lock;     /* one change of the set, or a look that must not be overtaken */
    uint64_t removals;        /* since the set was last rebuilt */
};

struct cache_stripe {
    _Alignas(64) pthread_mutex_t lock; /* its fills; one look-up or publication */
    struct sk_list fills;              /* by primary key, not yet published */
};

struct cache_pass_table;
struct cache_purges;
struct cache_tier;

struct cache {
    uint32_t magic;
    /* set once at creation */
    uint64_t budget_bytes, max_object_bytes;
    uint32_t shard_shift; /* of the hash's high half */
    uint32_t shard_count;
    struct cache_shard *shards;
    struct cache_stripe *stripes; /* as many */
    struct cache_pass_table *passes;
    struct cache_purges *purges;
    struct cache_tier *tier; /* NULL: RAM alone; set before any thread has joined */
    ck_epoch_t epoch;
    struct cache_store store;
    /* any thread, atomic */
    _Atomic uint64_t outside_bytes; /* counted memory that does not come from the slab */
    _Atomic bool searches;          /* cache_search_any */
    _Atomic uint64_t objects, fills, rejected_objects, variant_bounds;
    _Atomic uint64_t numbers; /* given to variant lists, codable contents and partial objects */
    /* under its lock */
    pthread_mutex_t threads_lock;
    struct cache_thread *threads; /* all that ever joined; their records are used again */
};

struct cache_thread {
    uint32_t magic;
    struct cache *cache;
    struct io_loop *loop;
    bool inside;             /* a section, for assertions */
    struct sk_arena scratch; /* of one call */
    struct cache_thread *next;
    ck_epoch_record_t record;
};

/* A section of our own, also inside of the caller's: Concurrency Kit counts. */
static inline void cache_section_begin(struct cache_thread *thread) { ck_epoch_begin(&thread->record, NULL); }
static inline void cache_section_end(struct cache_thread *thread) {
    CACHE_ORDER_RELEASE(&thread->cache->epoch);
    ck_epoch_end(&thread->record, NULL);
}

#endif
