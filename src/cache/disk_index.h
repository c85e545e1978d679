/* Where each record of the SSD tier lies: 8 bytes a record, in buckets of one cache line, two buckets for each hash
 * (Azar, Broder, Karlin, Upfal: "Balanced Allocations"), so that a table may be filled to four fifths.
 *
 *   slot   place 40 bits | tag 14 | length class 6 | accesses 2 | spare 2        0: empty
 *
 * A slot holds a part of the hash and not the key: what is found may be another key's record, with a chance
 * of 16 in 2^14 for a hash that is not there. So whoever reads a record compares the whole key, and a hash of
 * the same tag in the same two buckets replaces the former: a cache forgets, it never mistakes.
 *
 * Readers take no lock. Writers take the index's own, for a cache line or two. A reader that meets a slot on
 * its way from one bucket to the other may miss it: a miss more, nothing worse. */
#ifndef SK_CACHE_DISK_INDEX_H
#define SK_CACHE_DISK_INDEX_H

#include "base/err.h"
#include "base/hash.h"

struct disk_index;

#define DISK_UNIT_BYTES 64 /* places count in these */
#define DISK_PLACE_MAX ((UINT64_C(1) << 40) - 2)
#define DISK_LENGTH_CLASSES 64
#define DISK_ACCESSES_MAX 3

struct disk_place {
    uint64_t unit;        /* on the device, from 1 on */
    uint8_t length_class; /* how much to read (disk_length_of) */
    uint8_t accesses;     /* since it was put, saturating */
};

/* The smallest class whose length is at least BYTES; the largest class for more than that. Pure. */
uint8_t disk_length_class(uint64_t bytes);
uint64_t disk_length_of(uint8_t length_class);

/* Room for RECORDS at four fifths. SK_ERR_INVALID (none), SK_ERR_NO_MEMORY. */
sk_err disk_index_create(uint64_t records, struct disk_index **out_index);
void disk_index_destroy(struct disk_index *index);

/* False when nothing is known of HASH. Does not count as an access. */
bool disk_index_find(const struct disk_index *index, sk_hash128 hash, struct disk_place *out_place);
/* A record of HASH at PLACE was asked for. Nothing when it has moved meanwhile. */
void disk_index_touch(struct disk_index *index, sk_hash128 hash, uint64_t unit);
/* In place of what was known of HASH. When both buckets are full, the slot with the fewest accesses is lost:
 * true then, and out_lost (may be NULL) is its place. */
bool disk_index_put(struct disk_index *index, sk_hash128 hash, struct disk_place place,
                    struct disk_place *out_lost);
/* As put, but only where nothing is known of HASH: recovery goes from the newest record to the oldest. False: there
 * was something, or no room. */
bool disk_index_put_older(struct disk_index *index, sk_hash128 hash, struct disk_place place);
/* The record moved from one place to another. False: what is known is not at FROM any more. */
bool disk_index_move(struct disk_index *index, sk_hash128 hash, uint64_t from, struct disk_place to);
/* Forgets HASH if it is at UNIT (0: wherever it is). */
bool disk_index_remove(struct disk_index *index, sk_hash128 hash, uint64_t unit);

/* While it is LOADING, what is removed is remembered as removed, so that put_older does not bring it back; the end of
 * loading forgets that. The table is walked then, without the lock. */
void disk_index_loading(struct disk_index *index, bool loading);
/* Fetches what a look at HASH is going to need. */
void disk_index_prefetch(const struct disk_index *index, sk_hash128 hash);

/* The whole table, to be kept and put back as it is; nobody may use the index meanwhile. Sector-aligned, of
 * disk_index_image_bytes(records). */
uint64_t disk_index_image_bytes(uint64_t records);
void *disk_index_image(struct disk_index *index, uint64_t *out_bytes, uint64_t *out_buckets);
/* The image was filled from outside, with so many RECORDS; or, with 0, is to be cleared. */
void disk_index_image_set(struct disk_index *index, uint64_t records);

struct disk_index_usage {
    uint64_t records, slots, bytes; /* bytes: all memory of the index */
    uint64_t lost;                  /* by put, for want of room */
};
struct disk_index_usage disk_index_usage(const struct disk_index *index);

#endif
