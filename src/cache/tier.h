/* The SSD tier of a cache: what RAM evicts and was asked for more than once goes to a log-structured store
 * (cache/disk_set.h), and comes back when it is asked for again.
 *
 *   eviction --cache_tier_put--> open segment, in memory --the tier's own thread--> devices
 *   a miss's fetch --cache_tier_find--> verified record --cache_tier_fill--> the fill, as if an origin had answered
 *
 * Hits in RAM never come here. What goes down: whole responses in one record; those over CACHE_TIER_WHOLE_BYTES as a
 * partial object (cache/slices.h), a record for each slice, where that is allowed; partial objects as they are; lists
 * of variants; coded forms; what lies under a search rule (cache/search.h), and the lists of rules. Not: large responses
 * without a strong validator, which stay in RAM alone.
 *
 * Purges hold for what is on a device because every record says when it was born, by the purge clock, and the clock's
 * purges are logged (tier_log.h). What a log cannot prove is validated before it is used.
 *
 * One process at a time has the devices: another one serves without them, and takes over when they come free. */
#ifndef SK_CACHE_TIER_H
#define SK_CACHE_TIER_H

#include "cache/disk_set.h"
#include "cache/fill.h"

struct cache_tier;

#define CACHE_TIER_WHOLE_BYTES (256u * 1024)       /* a larger body goes in slices, */
#define CACHE_TIER_RECORD_BYTES (4u * 1024 * 1024) /* unless it must stay whole: then up to this */

struct cache_tier_options {
    const struct disk_set_path *paths; /* copied */
    size_t count;
    const char *state;                    /* path of the log; copied */
    uint8_t secret[SK_HASH_SECRET_BYTES]; /* that of the process's hashes */
    const char *key_file;                 /* of encryption at rest, made when it is not there; NULL: none */
    uint64_t first_tick;                  /* of the purge clock: cache_tier_secret gave it */
    uint32_t admit;       /* per cent of what was asked for once, that is put (disk_policy.h) */
    uint64_t write_limit; /* bytes a second that are put; 0: as many as the devices take */
};
/* Before anything is hashed: the secret under which the tier at STATE was written, and the tick to begin with; a new
 * secret where there is no such tier. SK_ERR_DENIED, SK_ERR_IO: it cannot be read. */
sk_err cache_tier_secret(const char *state, uint8_t out_secret[SK_HASH_SECRET_BYTES], uint64_t *out_tick);

/* Before any thread has joined the cache. The tier's thread opens the devices; until then, and where that fails,
 * everything is a miss here. The cache owns it. SK_ERR_NO_MEMORY, SK_ERR_FULL (no thread); of the key's file, as
 * disk_key_load. */
sk_err cache_tier_start(struct cache *cache, const struct cache_tier_options *options);
/* Waits until the devices are open, cannot be opened, or belong to another process; at most until DEADLINE. */
void cache_tier_await(struct cache *cache, sk_time_ns deadline);
/* Another process will take the devices over: the tier's thread saves what RAM holds and deserves it (for at most
 * BUDGET_NS), closes them, and everything is a miss here from then on. Returns at once. */
void cache_tier_hand_over(struct cache *cache, int64_t budget_ns);
/* The same, and waits for it. Nobody finds any more. Nothing where no tier was started. */
void cache_tier_stop(struct cache *cache, int64_t budget_ns);

/* Whether the cache has a tier that is open; a look at one flag. */
bool cache_tier_is_open(const struct cache *cache);
/* Whether the tier seems to have a record of KEY: without a read, and wrong once in a thousand times. */
bool cache_tier_has(struct cache *cache, const struct cache_key *key);

/* Makes all that is stored for SITE unreadable at once and for good, also in a copy of a device, whenever that was made:
 * its key is erased (disk_keys.h), after a purge of the site, so that nothing is left to be found in RAM either. May wait
 * for the file of the keys. Any thread. SK_ERR_NOT_FOUND: nothing of it was ever stored; SK_ERR_UNSUPPORTED: nothing is
 * encrypted here; SK_ERR_BUSY: the devices are not open (yet); SK_ERR_IO: it is done, but after a crash perhaps not: to be
 * tried again; SK_ERR_INVALID: no name of a site. */
sk_err cache_tier_erase(struct cache *cache, sk_str site);

/* A record that was found. */
struct cache_tier_found {
    struct cache_key key;   /* that of the variant, if there are variants; text in the caller's arena */
    struct cache_head head; /* as cache_fill_store wants it; texts in the record and the caller's arena */
    struct http_fields fields;
    bool soft_purged;
    bool unproven; /* purges may have been lost: it must be validated, whatever else allows to use it */
    /* private */
    struct cache_tier *tier;
    struct io_loop *loop;
    struct disk_set_reader reader;
    uint64_t born;
};
/* What REQUEST selects under PRIMARY (no variant's key; that of a slice is one too). On a fiber, which it parks while
 * a device works. Whole: its body was verified. SK_ERR_NOT_FOUND (also: purged, damaged, closed; the device failed);
 * SK_ERR_AGAIN: a list of variants was found, and is in RAM now: the key of what is looked for is another one;
 * SK_ERR_NO_MEMORY. */
sk_err cache_tier_find(struct cache_thread *thread, struct sk_arena *arena, const struct cache_key *primary,
                       const struct http_request *request, struct cache_tier_found *out_found);
void cache_tier_close(struct cache_tier_found *found);
/* Brings it as FILL's response: cache_fill_store, its bytes, the end; what was born and purged when is kept. The fill is
 * told in every case. Errors as cache_fill_store; another one: the body broke off. */
sk_err cache_tier_fill(struct cache_tier_found *found, struct cache_fill *fill);
/* Makes it FILL's stale object, to be validated (cache_fill_stale). SK_ERR_FULL. */
sk_err cache_tier_adopt(struct cache_tier_found *found, struct cache_fill *fill);

struct cache_tier_usage {
    bool open;
    uint64_t devices, devices_failed, outages;
    uint64_t bytes, free_bytes; /* of the devices in service */
    uint64_t records, index_bytes;
    uint64_t puts, put_bytes; /* records, and what they take */
    uint64_t refused;         /* puts that no segment was free for, or over the limit */
    uint64_t written_bytes, read_bytes, reinserted, reclaimed, damaged, read_errors, write_errors;
    uint64_t flushed;            /* times that what was put was made safe */
    uint64_t found, found_bytes; /* records that were used, and their bodies */
    uint64_t purged, unproven; /* records that a purge had hit; that had to be validated for want of proof */
};
/* Any thread; zeroes where there is no tier. */
void cache_tier_usage(struct cache *cache, struct cache_tier_usage *out_usage);

#endif
