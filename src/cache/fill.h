/* Fills: how a missing or stale object comes in. One fetch for a key at a time; whoever else wants it
 * joins and reads as the bytes arrive, each at its own speed. The fill belongs to the cache: it goes on
 * when its first client leaves, and a slow reader never slows it.
 *
 *   request fiber                          fetch fiber (leader's thread)
 *   cache_fill_begin -> LEAD  ----spawn--> origin head arrives
 *   cache_fill_wait  <---------------------cache_fill_store / _pass / _freshen / _fail
 *   read through a cache_reader            cache_fill_space, _commit ..., cache_fill_finish / _break
 *
 * What turns out not to be shareable releases the followers to fetch on their own (PASS), and the key is
 * remembered as such for a while. Own thread for the leader's calls; wait and join from any joined thread. */
#ifndef SK_CACHE_FILL_H
#define SK_CACHE_FILL_H

#include "cache/cache.h"
#include "http/tags.h"
#include "io/fiber.h"

struct cache_fill;

enum cache_role {
    CACHE_LEAD,   /* the caller must fetch; out_fill carries two references: the fetch's and the waiter's */
    CACHE_FOLLOW, /* someone fetches already; out_fill carries the waiter's reference */
    CACHE_FOUND,  /* meanwhile stored: out_object, referenced */
    CACHE_ALONE,  /* the key is remembered as not shareable: use cache_fill_private */
};
/* STALE (may be NULL) is the stored object that is to be revalidated; it must be the one in the index,
 * else FOUND may answer. REQUEST as in cache_find. */
enum cache_role cache_fill_begin(struct cache_thread *thread, const struct cache_key *key,
                                 const struct http_request *request, struct cache_object *stale,
                                 struct cache_fill **out_fill, struct cache_object **out_object);
/* Any thread, inside a section: whether a request for KEY (of PRIMARY's) would join a fill now. */
bool cache_fill_is_coming(struct cache *cache, const struct cache_key *primary, const struct cache_key *key);
#define CACHE_WINDOW_BYTES (128 * 1024)
/* A fill that is never shared: one reader, a window of WINDOW_BYTES (0: CACHE_WINDOW_BYTES) with back-pressure.
 * References as LEAD. SK_ERR_NO_MEMORY. */
sk_err cache_fill_private(struct cache_thread *thread, const struct cache_key *key, uint32_t window_bytes,
                          struct cache_fill **out_fill);

enum cache_outcome {
    CACHE_OUTCOME_OBJECT, /* out_object, referenced: arriving or complete */
    CACHE_OUTCOME_STALE, /* the fetch failed, and out_object, referenced, is the stale one that may be served */
    CACHE_OUTCOME_ALONE,  /* not shareable: use cache_fill_private */
    CACHE_OUTCOME_AGAIN,  /* Vary chose another variant, or a purge came: cache_fill_begin again */
    CACHE_OUTCOME_FAILED, /* out_failure says why */
};
/* What a failed fetch tells everybody who waits for it. */
struct cache_failure {
    sk_err err;
    uint32_t phase;     /* the caller's own code, as cache_fill_blame gave it */
    const char *detail; /* constant text, or NULL */
};
/* Parks the calling fiber until the head's fate is known. ROLE is what cache_fill_begin answered (LEAD for a
 * private fill too): only the leader may get a response that is not shareable. REQUEST is the waiter's own
 * (NULL as in cache_find); it chooses among variants. SK_OK drops the waiter's reference; after
 * SK_ERR_TIMEOUT or SK_ERR_CANCELLED the caller waits again or drops it with cache_fill_leave. */
sk_err cache_fill_wait(struct cache_thread *thread, struct cache_fill *fill, enum cache_role role,
                       const struct http_request *request, sk_time_ns deadline,
                       enum cache_outcome *out_outcome, struct cache_object **out_object,
                       struct cache_failure *out_failure);
/* The waiter goes away without waiting. */
void cache_fill_leave(struct cache_thread *thread, struct cache_fill *fill);

/* --- the fetch's side ------------------------------------------------------------------------------- */

/* What is stored of a head. FIELDS as cache_object.fields wants them; copied. */
struct cache_head {
    uint16_t status;
    const struct http_fields *fields;
    struct http_freshness freshness;
    struct http_validators validators;
    enum http_reason reason;
    uint64_t body_length;               /* or CACHE_LENGTH_UNKNOWN */
    sk_str vary;                        /* joined Vary value; empty when none */
    const struct http_request *request; /* selects the variant; NULL as in cache_find */
    bool codable;                       /* as in cache_object */
    const sk_str *tags;                 /* for purges (http/tags.h); copied */
    uint32_t tag_count;
    const struct http_tag_parts *tag_parts; /* from which fields they are; NULL: all from one */
    enum cache_part part;
    uint64_t slices; /* the number of a CACHE_PART_HEAD, whose BODY_LENGTH is that of the representation */
    /* of what comes from the SSD tier (cache/tier.h) */
    bool from_tier;
    sk_unix_s stored_at;        /* 0: now */
    const uint64_t *tag_scopes; /* instead of TAGS */
};
/* Publishes the object (in the index when the fill is shared and it fits) and wakes the followers with it;
 * followers whose request selects another variant get AGAIN. SK_ERR_TOO_LARGE / SK_ERR_FULL: the fill has
 * become a private window for the leader's own client, followers were released; go on with space/commit.
 * SK_ERR_NO_MEMORY: not even that could be had; everybody was told, only cache_fill_release is left. The head
 * of a partial object is complete at once, and after any error everybody was told to fetch alone. May
 * sleep some milliseconds while memory is being freed, as cache_fill_pass, _freshen and _space may. */
sk_err cache_fill_store(struct cache_fill *fill, const struct cache_head *head);
/* Not shareable: followers are released, the key is remembered for REMEMBER_MS (0: not), the leader's own
 * client reads through a private window. */
sk_err cache_fill_pass(struct cache_fill *fill, const struct cache_head *head, int64_t remember_ms);
/* Nothing that can be used: everybody, the leader too, fetches on their own. REMEMBER_MS as above, REASON
 * is what is remembered. */
void cache_fill_decline(struct cache_fill *fill, int64_t remember_ms, enum http_reason reason);
/* What was found is no answer to anybody, but now they can be told where to look: leader and followers get AGAIN. */
void cache_fill_again(struct cache_fill *fill);
/* Purges since OBJECT's fill began count for this one's response too, because that will hold what OBJECT's did. Before
 * the head. */
void cache_fill_inherit(struct cache_fill *fill, const struct cache_object *object);
/* The object that this fill brings, valid as long as the fill; NULL before it is known. */
struct cache_object *cache_fill_object(const struct cache_fill *fill);
/* 304: a new object with HEAD's fields and freshness and the stale one's body replaces it, complete at once.
 * SK_ERR_INVALID when there is no complete stale object (see cache_fill_stale); SK_ERR_FULL, SK_ERR_NO_MEMORY:
 * no room, and everybody was given the stale one. */
sk_err cache_fill_freshen(struct cache_fill *fill, const struct cache_head *head);
/* Before cache_fill_fail: where it failed, for those who wait. DETAIL is constant text or NULL. */
void cache_fill_blame(struct cache_fill *fill, uint32_t phase, const char *detail);
/* No head came. ERR is what those who wait are told. When ALLOW_STALE, they get the stale object instead. */
void cache_fill_fail(struct cache_fill *fill, sk_err err, bool allow_stale);

/* Room for the next body bytes, at least 1 byte. Parks while a private window is full (until DEADLINE).
 * SK_ERR_TIMEOUT; SK_ERR_CANCELLED when nobody reads a private fill any more; SK_ERR_TOO_LARGE when the
 * announced length is reached. A shared fill that can get no more memory turns into a window: its object
 * leaves the index, present readers go on with back-pressure by the slowest. */
sk_err cache_fill_space(struct cache_fill *fill, sk_time_ns deadline, char **out_data, size_t *out_bytes);
/* BYTES of the space were written: readers see them. */
void cache_fill_commit(struct cache_fill *fill, size_t bytes);
/* What this fill brings is for those who come until its end, and is not kept beyond it. Before its end. */
void cache_fill_not_to_keep(struct cache_fill *fill);
/* What this fill brings is another node's: it is kept while guests have room (a sixteenth of the memory). Its length is
 * known. Before the head. */
void cache_fill_as_guest(struct cache_fill *fill);
/* The content is as old as that: another cache has had it since AT (sk_time_now). Before the head. */
void cache_fill_held_since(struct cache_fill *fill, sk_time_ns at);
/* The body is complete. SK_ERR_CORRUPT when the announced length was not reached (then as _break). */
sk_err cache_fill_finish(struct cache_fill *fill);
/* The body was cut off: readers fail after what is there, the object leaves the index. */
void cache_fill_break(struct cache_fill *fill, sk_err err);
/* The last call of the fetch in every case; drops its reference. */
void cache_fill_release(struct cache_fill *fill);

/* How many wait or read now (for deciding whether an abandoned fill goes on). */
uint32_t cache_fill_interest(const struct cache_fill *fill);
/* The object to revalidate, valid as long as the fill; NULL when there is none with a complete body. */
struct cache_object *cache_fill_stale(const struct cache_fill *fill);
const struct cache_key *cache_fill_key(const struct cache_fill *fill);
/* The same without what a variant adds: as it was given to cache_fill_begin. */
const struct cache_key *cache_fill_primary_key(const struct cache_fill *fill);
bool cache_fill_is_private(const struct cache_fill *fill);

#endif
