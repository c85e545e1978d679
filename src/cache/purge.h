/* Purges: each is an O(1) entry in a table under the next tick of the purge clock; nothing walks the cache. An
 * object remembers the tick at which its fill began, and when it is found, the purges since the last look
 * are held against it: one comparison when there were none.
 *
 * A fill that began before a purge never becomes fresh after it. Memory is bounded: what no longer fits is
 * folded into a coarser rule that covers more and is as old, so purges may hit too much and never too
 * little. Any thread, joined or not. */
#ifndef SK_CACHE_PURGE_H
#define SK_CACHE_PURGE_H

#include "cache/cache.h"

/* X(NAME, name) */
#define CACHE_PURGE_TABLE(X)                                                                                 \
    X(KEY, "key")       /* text: a primary key's text; all its variants */                                   \
    X(PREFIX, "prefix") /* site, host; text: the beginning of path and query, from '/' on */                 \
    X(HOST, "host")     /* site, host */                                                                     \
    X(SITE, "site")     /* site */                                                                           \
    X(TAG, "tag")       /* site; text: the tag, exactly */                                                   \
    X(GLOB, "glob") /* site; text: a pattern for host and path?query ("example.org/img/[star].png"), in  \
                           which '*' stands for any bytes and '?' for one; from '/' on: of every host */   \
    X(ALL, "all")

enum cache_purge_kind {
#define X(name, text) CACHE_PURGE_##name,
    CACHE_PURGE_TABLE(X)
#undef X
        CACHE_PURGE_COUNT_
};
/* The table's name ("prefix"). */
sk_str cache_purge_kind_name(enum cache_purge_kind kind);

#define CACHE_PURGE_GLOB_MAX_BYTES 512
#define CACHE_PURGE_GLOB_MAX_STARS 16

struct cache_purge {
    enum cache_purge_kind kind;
    bool soft; /* must be revalidated before use, rather than gone */
    /* Whole and in the normal form of keys (cache/key.h): host in lower case, path normalised. */
    sk_str site, host, text;
};

/* In force when it returns: no find that begins later gives what it covers as fresh. out_clock (may be NULL) is
 * its tick. SK_ERR_INVALID: a part is missing or has no normal form; SK_ERR_TOO_LARGE: a pattern too long or
 * with too many stars. */
sk_err cache_purge(struct cache *cache, const struct cache_purge *purge, uint64_t *out_clock);
/* For what was fetched elsewhere (another node's cache): the tick of the last purge that had come at TIME (sk_time_now),
 * or an earlier one. */
uint64_t cache_purge_tick_at(struct cache *cache, sk_time_ns time);
/* From now on WITNESS hears of each purge before cache_purge returns: with the time that it has in the history. Called under
 * a lock, so it takes microseconds. Before other threads are there, or after; NULL: nobody hears. */
void cache_purge_witness(struct cache *cache, void (*witness)(void *arg, sk_time_ns at), void *arg);
/* Purges up to now concern only what is stored here: those before count for nothing in cache_purge_tick_at. */
void cache_purge_forget_history(struct cache *cache);
enum cache_purge_effect { CACHE_PURGE_SPARES, CACHE_PURGE_STALES, CACHE_PURGE_REMOVES };
/* What the purges after TICK do to content of that key and those tags. */
enum cache_purge_effect cache_purge_effect_since(struct cache_thread *thread, sk_str key_text,
                                                 const uint64_t *tags, uint32_t tag_count, uint64_t tick);
/* The tags that OBJECT is stored under, as every node of a fleet knows them; borrowed. */
uint32_t cache_object_tags(const struct cache_object *object, const uint64_t **out_tags);
/* The tick of the last purge. */
uint64_t cache_purge_clock(const struct cache *cache);

#endif
