/* What the SSD tier must remember besides its records, in a file of its own beside the devices:
 *
 *   header (one sector): magic, seed, secret, floor, boot | sum | "incomplete" | "searches"
 *   records: length, sum | tick, kind, soft, site, host, text        each purge, in the order of its tick
 *                          tick, "away", device                      it went out of service
 *   an end mark, when the process stopped in order
 *
 * A purge is handed to the kernel before it is acknowledged, and synced a moment later. So a process that dies loses
 * none, and a machine that does may: the boot's id, kept in the header, tells the two apart. What the log cannot prove
 * is said by a floor: whatever is older than this tick of the purge clock must be validated before it is used. So must be
 * what a device has from before the last time that it was away: it missed what was told to the others.
 *
 * The secret is that of the process's hashes (base/hash.h): without it, no key and no tag would be found again.
 *
 * One process has the file (a lock); any of its threads may call. */
#ifndef SK_CACHE_TIER_LOG_H
#define SK_CACHE_TIER_LOG_H

#include "base/buf.h"
#include "base/hash.h"
#include "cache/purge.h"

struct tier_log;

#define TIER_BOOT_BYTES 40

struct tier_log_state {
    uint64_t seed; /* of the sums */
    uint8_t secret[SK_HASH_SECRET_BYTES];
    uint64_t floor;
    char boot[TIER_BOOT_BYTES]; /* NUL-terminated */
    bool incomplete;            /* purges were lost since */
    bool searches;              /* a list of No-Vary-Search (cache/search.h) was put on a device */
};

/* What a file's bytes say. Pure. */
struct tier_log_reading {
    struct tier_log_state state;
    uint64_t last_tick; /* of the records */
    bool ended;         /* the end mark is the last record */
    bool damaged;       /* something after the last good record is none */
    bool same_boot;     /* of tier_log_open: the machine has not started anew since */
    size_t good_bytes;  /* header and good records */
    size_t purge_bytes; /* up to the last purge: without an end mark */
};
/* SK_ERR_NOT_FOUND: no log of ours. */
sk_err tier_log_read(sk_str data, struct tier_log_reading *out_reading);
/* The next purge after *AT (TIER_LOG_HEADER_BYTES to begin), which is advanced; false at the end. Texts are borrowed. */
#define TIER_LOG_HEADER_BYTES 4096
bool tier_log_next(const struct tier_log_reading *reading, sk_str data, size_t *at,
                   struct cache_purge *out_purge, uint64_t *out_tick);
/* The last tick at which DEVICE went out of service; 0: none is known. */
uint64_t tier_log_away(const struct tier_log_reading *reading, sk_str data, sk_str device);
/* Appends a record to OUT. SK_ERR_NO_MEMORY, SK_ERR_TOO_LARGE. */
sk_err tier_log_encode(const struct cache_purge *purge, uint64_t tick, uint64_t seed, struct sk_buf *out);

/* The secret and the last tick of the log at PATH, without taking it. SK_ERR_NOT_FOUND, SK_ERR_DENIED, SK_ERR_IO. */
sk_err tier_log_peek(const char *path, uint8_t out_secret[SK_HASH_SECRET_BYTES], uint64_t *out_last_tick);

/* Takes the file, made when it is not there. out_data (the caller frees it) is what it held, out_reading what that
 * says; a file that is not ours, or of another SECRET, counts as empty, with everything before it unproven.
 * SK_ERR_BUSY: another process has it; SK_ERR_DENIED, SK_ERR_IO, SK_ERR_NO_MEMORY. */
sk_err tier_log_open(const char *path, const uint8_t secret[SK_HASH_SECRET_BYTES], struct tier_log **out_log,
                     struct sk_buf *out_data, struct tier_log_reading *out_reading);
/* Begins the file anew: FLOOR, then what KEPT holds (records). What it held before is kept when this fails. Called
 * before the first append, and when it has grown too long. SK_ERR_IO, SK_ERR_FULL. */
sk_err tier_log_restart(struct tier_log *log, uint64_t floor, sk_str kept);
/* Hands the purge to the kernel. When that fails, the header says that purges are missing. */
void tier_log_append(struct tier_log *log, const struct cache_purge *purge, uint64_t tick);
/* DEVICE (its path) is out of service since TICK; errors as above. */
void tier_log_append_away(struct tier_log *log, sk_str device, uint64_t tick);
/* Remembers for good that there are lists of No-Vary-Search. As safe as what is appended. */
void tier_log_searches(struct tier_log *log);
/* Syncs what was appended since the last time. */
void tier_log_sync(struct tier_log *log);
uint64_t tier_log_bytes(const struct tier_log *log);
/* ENDED: nothing will be purged any more; TICK is the clock. */
void tier_log_close(struct tier_log *log, bool ended, uint64_t tick);

#endif
