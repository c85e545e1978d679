/* A fill inside, and how those who follow it are woken.
 *
 * For each thread that has readers or waiters of a fill there is a channel. A reader that finds nothing more
 * arms its thread's channel; whoever changes the fill (bytes, head, end) posts one task to each armed
 * channel's loop, and that task wakes all of them there. So a commit costs a post a thread, however many
 * read, and none when nobody waits.
 *
 *   writer: change; fence; armed?  -> disarm, post          reader: arm; fence; look again; wait
 */
#ifndef SK_CACHE_FILL_INTERNAL_H
#define SK_CACHE_FILL_INTERNAL_H

#include "cache/internal.h"

enum fill_state {
    FILL_PENDING, /* no head yet */
    FILL_OBJECT,  /* fill->entry for everybody (of the same variant) */
    FILL_PRIVATE, /* fill->entry for the leader, the others fetch on their own */
    FILL_ALONE,   /* nothing for anybody: all fetch on their own */
    FILL_STALE,   /* fill->stale for everybody */
    FILL_FAILED,  /* fill->failure for everybody */
    FILL_AGAIN,   /* everybody begins anew */
};

struct fill_channel {
    /* set once at creation */
    struct cache_fill *fill;
    struct cache_thread *thread;
    struct fill_channel *next;
    /* the channel's thread only */
    struct sk_list readers; /* open ones, cache_reader.link */
    struct sk_list waiting; /* of those, waiting ones, cache_reader.wait_link */
    struct sk_list fibers;  /* fill_waiter.link */
    uint64_t at_slowest;    /* how many readers are in the block of `slowest`; windows only */
    /* any thread, atomic */
    _Atomic bool armed;  /* somebody waits */
    _Atomic bool posted; /* task is on its way */
    _Atomic uint64_t
        slowest; /* position before which no reader of this thread reads; UINT64_MAX: no reader */
    struct io_task task;
};

struct fill_waiter {
    struct sk_list link;
    struct io_fiber *fiber;
};

struct cache_fill {
    uint32_t magic;
    /* set once at creation */
    struct cache *cache;
    struct cache_thread *thread; /* of the fetch */
    struct cache_key key;        /* of a variant when the list was known; text owned */
    struct cache_key primary;    /* text is the beginning of the same */
    char *moved_text;            /* of both after cache_fill_move; else NULL */
    bool private;                /* cache_fill_private */
    uint32_t bytes;              /* of this allocation */
    sk_time_ns born_at;          /* when its content was asked for */
    bool unkept;                 /* fetch's thread: nothing of it stays */
    bool guest;                  /* fetch's thread, before the head: it is another node's */
    uint64_t born;               /* purge clock; changed under the stripe's lock, before the head */
    struct cache_entry *stale;   /* a reference is held; may be NULL */
    /* set by the fetch before `state` says so */
    struct cache_entry *entry; /* a reference is held until the fill ends */
    struct cache_entry *list;  /* the list whose variant `entry` is; a reference is held; may be NULL */
    struct cache_failure failure;
    /* the fetch's thread only */
    uint64_t window_start; /* what lies before was dropped */
    bool ended;
    struct io_fiber *parked; /* the fetch, waiting for space */
    /* under the stripe's lock */
    struct sk_list link; /* in the stripe while others can join */
    bool doomed;         /* removed while in progress: must not be stored */
    /* any thread, atomic */
    _Atomic uint32_t refs;
    _Atomic uint8_t state;    /* enum fill_state; release by the fetch */
    _Atomic uint32_t waiters; /* handles given out by begin and not dropped yet */
    _Atomic uint32_t readers; /* registered ones */
    _Atomic uint64_t window;  /* bytes that may lie between the slowest reader and the end; 0: no window */
    _Atomic bool wants_space; /* the fetch is parked or about to */
    _Atomic bool wake_posted;
    _Atomic(struct fill_channel *) channels; /* pushed by their threads, freed with the fill */
    struct io_task wake_task;
    ck_epoch_entry_t epoch_entry;
};

static inline void fill_ref(struct cache_fill *fill) {
    /* relaxed: the caller has a reference, or is inside a section and saw one */
    atomic_fetch_add_explicit(&fill->refs, 1, memory_order_relaxed);
}
/* Inside a section, of a fill that was seen on its object: false when it is being freed. */
bool fill_try_ref(struct cache_fill *fill);
void cache_fill_unref(struct cache_fill *fill);
/* The head's fate is known: nobody can join any more. True when the fill was removed meanwhile. */
bool fill_close_to_joiners(struct cache_fill *fill);
/* Before the head's fate is told: the fill is for KEY from now on, a primary one; new requests for KEY join it. A purge that
 * covered its old key holds. SK_ERR_NO_MEMORY. */
sk_err cache_fill_move(struct cache_fill *fill, const struct cache_key *key);
/* What this fill brings was born at BORN, if that is earlier: purges since then count. Before the head. */
void cache_fill_born(struct cache_fill *fill, uint64_t born);
/* Lets those who wait know. `state` is enum fill_state. */
void fill_tell(struct cache_fill *fill, enum fill_state state);
/* The object will get no more bytes: COMPLETE or BROKEN. */
void fill_end(struct cache_fill *fill, enum cache_completeness how);

/* ---- channels (channel.c) ------------------------------------------------------------------------------- */

/* This thread's channel; made when missing. NULL when out of memory. */
struct fill_channel *fill_channel_of(struct cache_fill *fill, struct cache_thread *thread);
void fill_channels_free(struct cache_fill *fill);
/* After every change that somebody may wait for. Any thread that has a reference. */
void fill_notify(struct cache_fill *fill);
/* The thread's own waits: after putting itself on a list of the channel. Returns after a full fence, so that
 * a look at the fill after it misses nothing. */
void fill_arm(struct fill_channel *channel);

/* ---- windows (window.c) ----------------------------------------------------------------------------------- */

/* A reader of this channel was opened at, moved from or closed at a position; own thread. */
void fill_window_opened(struct fill_channel *channel, uint64_t position);
void fill_window_moved(struct fill_channel *channel, uint64_t from, uint64_t to);
void fill_window_closed(struct fill_channel *channel, uint64_t position);
/* Somebody let go of the fill's object: the fetch may have waited for that. Any thread. */
void fill_window_released(struct cache_fill *fill);
/* The fetch: drops what every reader has passed; true when there is room for more. */
bool fill_window_advance(struct cache_fill *fill);

#endif
