/* What the parts of the SSD tier share, and what the cache tells it. tier.c: life, the thread; tier_put.c: what goes
 * down; tier_find.c: what comes back. */
#ifndef SK_CACHE_TIER_INTERNAL_H
#define SK_CACHE_TIER_INTERNAL_H

#include "cache/disk_keys.h"
#include "cache/disk_pace.h"
#include "cache/disk_policy.h"
#include "cache/disk_seal.h"
#include "cache/internal.h"
#include "cache/tier.h"
#include "cache/tier_log.h"
#include "observe/metrics.h"

enum tier_stage {
    TIER_OPENING,
    TIER_WAITING, /* for another process to let go, or for what is wrong to be put right */
    TIER_OPEN,
    TIER_CLOSED, /* for good */
};

struct cache_tier {
    /* set once */
    struct cache *cache;
    char *state_path;
    struct disk_set_path *paths;
    size_t count;
    uint8_t secret[SK_HASH_SECRET_BYTES];
    bool sealed;
    uint8_t key[DISK_KEY_BYTES]; /* if sealed */
    pthread_t thread;
    struct observe_thread *metrics; /* the thread's own; NULL: none could be had */
    /* any thread: who comes is counted before he looks at `open`, and who closes takes that away before he counts
     * (both sequentially consistent) */
    _Atomic bool open;
    _Atomic uint64_t users;
    struct disk_set *set;                  /* while `open`, and for its users */
    struct disk_keys *keys;                /* the same; NULL: not sealed */
    struct disk_admission admission;       /* set before `open`, its percent once */
    _Atomic uint64_t floor;                /* what is born before it is unproven; set before `open` */
    _Atomic uint64_t floors[DISK_SET_MAX]; /* the same of each device: it was away since */
    _Atomic bool
        searches; /* the log says that there are lists of No-Vary-Search; relaxed: only once is enough */
    _Atomic bool loading;   /* not all records are known yet; the thread writes it; relaxed, a hint */
    _Atomic bool put_since; /* something was put since the last flush; relaxed, a hint */
    struct disk_pace pace;  /* the write limit */
    /* under the lock; microseconds. It may be taken with the purges' lock held */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum tier_stage stage;
    bool leaving; /* somebody wants it closed */
    int64_t save_ns;
    struct tier_log *log;  /* NULL: not opened yet, or closed */
    struct sk_buf pending; /* purges that came before, in the log's form under seed 0 */
    bool pending_lost;
    /* figures, any thread, relaxed */
    _Atomic uint64_t puts, refused, flushed, found, found_bytes, purged, unproven;
};

/* ---- what the cache tells; nothing where there is no tier ---------------------------------------------------- */

/* ENTRY, referenced by the caller, is about to leave the index: it goes down if it deserves to. Returns about how many bytes
 * were copied for that. On a fiber it may yield. */
uint64_t cache_tier_evicted(struct cache *cache, struct cache_entry *entry);
/* What is stored under KEY from now on is another response. */
void cache_tier_overtaken(struct cache *cache, const struct cache_key *key);
/* All under this primary key is invalid, here and after a restart. */
void cache_tier_removed(struct cache *cache, const struct cache_key *key);
/* With the purges' lock held, before the purge is acknowledged. */
void cache_tier_purged(struct cache *cache, const struct cache_purge *purge, uint64_t tick);
/* ---- among the parts ----------------------------------------------------------------------------------------- */

#define TIER_LOG_MAX_BYTES                                                                                   \
    (16u << 20) /* then it begins anew, and what is older must be validated after a restart */
#define TIER_PENDING_BYTES (1u << 20)

void *tier_thread_main(void *arg); /* the tier */
/* Takes the log and puts its purges in force. Errors as tier_log_open and tier_log_restart. */
sk_err tier_open_log(struct cache_tier *tier);
/* After the log. What devices cannot be opened is logged, and no error. SK_ERR_INVALID, SK_ERR_NO_MEMORY. */
sk_err tier_open_devices(struct cache_tier *tier);
/* Device NUMBER is out of service: what it has is not proven any more. */
void tier_device_away(struct cache_tier *tier, size_t number);
/* What is born before it, and lies on the device of HASH, was overtaken there perhaps. */
static inline uint64_t tier_floor_of(struct cache_tier *tier, sk_hash128 hash) {
    return atomic_load(&tier->floors[disk_set_device_of(tier->set, hash)]);
}
/* Whether a record of HASH, born at BORN, must be validated before it is used. */
static inline bool tier_is_unproven(struct cache_tier *tier, sk_hash128 hash, uint64_t born) {
    return born < atomic_load(&tier->floor) || born < tier_floor_of(tier, hash);
}
/* What a person can do about it. */
const char *tier_advice(sk_err err);

/* NULL: not open. Otherwise the set stays until tier_leave. */
struct disk_set *tier_enter(struct cache_tier *tier);
void tier_leave(struct cache_tier *tier);
static inline void tier_count(_Atomic uint64_t *counter, uint64_t change) {
    atomic_fetch_add_explicit(counter, change, memory_order_relaxed); /* a figure, orders nothing */
}
/* Puts ENTRY. SK_ERR_INVALID: it is none that goes down; SK_ERR_EXISTS: it is there already; SK_ERR_FULL; SK_ERR_IO;
 * SK_ERR_NO_MEMORY. */
sk_err tier_put(struct cache_tier *tier, struct disk_set *set, struct cache_entry *entry);
/* What is stored under KEY counts for nothing after a restart. */
void tier_note_removed(struct cache_tier *tier, const struct cache_key *key);
/* Asked for again since it came. */
bool tier_deserves(struct cache *cache, const struct cache_entry *entry);

#endif
