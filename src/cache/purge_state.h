/* What purges are kept in, for the two parts that know: purge.c records them, purge_look.c holds them against what is
 * found. Any thread. */
#ifndef SK_CACHE_PURGE_STATE_H
#define SK_CACHE_PURGE_STATE_H

#include "cache/purge.h"
#include "cache/purge_internal.h"
#include "cache/purge_table.h"

#define PURGE_GLOBS 256  /* patterns kept as such */
#define PURGE_LENGTHS 16 /* lengths of prefixes that do not end at a '/' */
#define PURGE_SEGMENTS_MAX                                                                                   \
    32 /* prefixes of so many segments are looked up; a deeper one counts as its beginning */

struct glob {
    struct cache *cache;
    uint64_t tick;
    uint64_t scope; /* of its directory */
    bool soft;
    uint16_t site_bytes, pattern_bytes;
    ck_epoch_entry_t epoch_entry;
    char text[]; /* site, pattern */
};

/* The moments of purges, in their order. */
#define PURGE_HISTORY 512
struct purge_moment {
    sk_time_ns at;
    uint64_t tick;
};
struct purge_history {
    uint64_t base; /* the last tick before all of them */
    uint32_t count;
    struct purge_moment items[PURGE_HISTORY];
};
void purge_history_note(struct purge_history *history, sk_time_ns now, uint64_t tick);
/* The tick of a purge that came at TIME or before it, the last one known. */
uint64_t purge_history_at(const struct purge_history *history, sk_time_ns time);

struct cache_purges {
    pthread_mutex_t lock; /* all changes; some hundred nanoseconds each */
    struct purge_table *table;
    /* written under the lock; readers: acquire, after `clock` */
    _Atomic uint64_t clock;                         /* raised last, when all of a purge is in place */
    _Atomic uint64_t last_tick[CACHE_PURGE_COUNT_]; /* of a kind */
    _Atomic uint64_t all_hard, all_soft;
    _Atomic uint32_t lengths[PURGE_LENGTHS];   /* in use, of the path's part; 0: free */
    _Atomic(struct glob *) globs[PURGE_GLOBS]; /* a ring; readers are inside sections */
    _Atomic uint64_t glob_count;               /* ever put in */
    _Atomic uint64_t glob_left;                /* tick of the last that left the ring */
    /* By the directory (glob_scope) of patterns, the last tick of one: who is in none of those need not look at any
     * pattern. A table of its own, for what it folds is no purge. */
    struct purge_table *glob_table;
    _Atomic uint64_t glob_any_host,
        glob_any_path;            /* the last tick of one without a host, or without a directory */
    struct purge_history history; /* under the lock */
    void (*witness)(void *arg, sk_time_ns at); /* set while one thread is there; NULL: none */
    void *witness_arg;
    char text[CACHE_KEY_MAX_BYTES]; /* under the lock: a scope's, for a moment */
};

static inline uint64_t purge_load(const _Atomic uint64_t *value) {
    return atomic_load_explicit(value, memory_order_acquire);
}
static inline void purge_raise_to(_Atomic uint64_t *value, uint64_t to) {
    if (purge_load(value) < to)
        atomic_store_explicit(value, to, memory_order_release); /* one writer at a time */
}

/* Kinds never share a scope. */
static inline uint64_t purge_scope_of(enum cache_purge_kind kind, uint64_t hash) {
    return (hash ^ (uint64_t)(kind + 1)) * UINT64_C(0x9e3779b97f4a7c15);
}
static inline uint64_t purge_scope_of_text(enum cache_purge_kind kind, sk_str text) {
    return purge_scope_of(kind, sk_hash64(text.data, text.len));
}
/* The same on every node, for nodes tell each other. Who makes two tags of a site collide gets more purged. */
static inline uint64_t purge_scope_of_tag(sk_str site, sk_str tag) {
    uint64_t parts[2] = {sk_hash64_plain(site.data, site.len), sk_hash64_plain(tag.data, tag.len)};
    return purge_scope_of(CACHE_PURGE_TAG, sk_hash64_plain(parts, sizeof parts));
}

/* The directory of patterns that begin with it; HOST and DIRECTORY are empty where a wildcard comes before them. */
static inline uint64_t purge_scope_of_glob(sk_str site, sk_str host, sk_str directory) {
    uint64_t parts[3] = {sk_hash64(site.data, site.len), host.len ? sk_hash64(host.data, host.len) : 0,
                         directory.len ? sk_hash64(directory.data, directory.len) : 0};
    return purge_scope_of(CACHE_PURGE_GLOB, sk_hash64(parts, sizeof parts));
}

#endif
