/* What the SSD tier writes: the layout of a device, its segments and its records, and how each is proved whole.
 * Pure. All numbers are little-endian.
 *
 *   device    superblock (one sector) | checkpoint | segments, equal in size
 *   checkpoint  header (one sector) | the index's buckets as they are in memory
 *   segment   header (one sector) | records ... | summary ... | trailer (the last sector)
 *   record    header (64 bytes) | key | head | block sums | tags | padding to 64 | body | padding to 64
 *             tags: only of a sealed one (disk_seal.h)
 *
 * Everything is checksummed with the store's own seed, so what another store, or an earlier one at the same
 * place, has left there never passes, nor what a body holds that was made to look like a record: its maker does
 * not know the seed. A record also carries the sequence number of its segment: what an
 * earlier use of the segment left behind does not pass either. Block sums stand before the body, so that a
 * range can be verified without the rest. */
#ifndef SK_CACHE_DISK_FORMAT_H
#define SK_CACHE_DISK_FORMAT_H

#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

#define DISK_SECTOR_BYTES 4096
#define DISK_BLOCK_BYTES 65536 /* of a body: what one sum covers */
#define DISK_RECORD_HEADER_BYTES 64
#define DISK_RECORD_ALIGN 64
#define DISK_KEY_MAX_BYTES 65536
#define DISK_HEAD_MAX_BYTES (1u << 20)
#define DISK_SITE_MAX 0x7fffffu /* of a number */

uint64_t disk_checksum(const void *data, size_t bytes, uint64_t seed);

struct disk_superblock {
    uint64_t id;            /* of the store, random: the seed of all sums */
    uint64_t segment_bytes; /* multiple of DISK_SECTOR_BYTES */
    uint64_t segment_count;
    uint64_t checkpoint_bytes; /* with its header, the same; 0: there is no room for one */
    bool sealed;
    uint8_t key_check[16]; /* of a sealed one: says which node key is its */
};
/* Where the segments begin. The caller keeps the numbers in bounds. */
uint64_t disk_superblock_base(const struct disk_superblock *super);
void disk_superblock_encode(const struct disk_superblock *super, uint8_t out[DISK_SECTOR_BYTES]);
/* SK_ERR_NOT_FOUND: not ours (or never written), SK_ERR_UNSUPPORTED: another version, SK_ERR_CORRUPT. */
sk_err disk_superblock_decode(const uint8_t sector[DISK_SECTOR_BYTES], struct disk_superblock *out_super);

struct disk_segment_head {
    uint64_t index, sequence; /* sequence: counts up with each opening of any segment, from 1 */
    uint64_t floor;           /* segments of a lower sequence had been taken back when this one was opened */
    uint8_t salt[32];         /* of its key, in a sealed store */
    int64_t time_s;           /* Unix time at which it was opened, for people */
};
void disk_segment_head_encode(const struct disk_segment_head *head, uint64_t seed,
                              uint8_t out[DISK_SECTOR_BYTES]);
/* SK_ERR_CORRUPT: none of this store. */
sk_err disk_segment_head_decode(const uint8_t sector[DISK_SECTOR_BYTES], uint64_t seed,
                                struct disk_segment_head *out_head);

struct disk_checkpoint_head {
    uint64_t sequence; /* the highest of all segments when it was made: with a higher one about, it is old */
    uint64_t buckets, records;
    uint64_t sum; /* of the buckets */
};
void disk_checkpoint_head_encode(const struct disk_checkpoint_head *head, uint64_t seed,
                                 uint8_t out[DISK_SECTOR_BYTES]);
sk_err disk_checkpoint_head_decode(const uint8_t sector[DISK_SECTOR_BYTES], uint64_t seed,
                                   struct disk_checkpoint_head *out_head);

/* One record in a segment's summary. */
struct disk_summary_entry {
    sk_hash128 hash;
    uint32_t offset; /* in the segment, in DISK_RECORD_ALIGN */
    uint32_t length; /* of all of it, the same */
};
#define DISK_SUMMARY_ENTRY_BYTES 24

struct disk_trailer {
    uint64_t sequence;
    uint32_t offset; /* of the summary in the segment, in DISK_RECORD_ALIGN */
    uint32_t count;
    uint64_t sum; /* of the summary's bytes */
};
void disk_trailer_encode(const struct disk_trailer *trailer, uint64_t seed, uint8_t out[DISK_SECTOR_BYTES]);
sk_err disk_trailer_decode(const uint8_t sector[DISK_SECTOR_BYTES], uint64_t seed,
                           struct disk_trailer *out_trailer);
void disk_summary_encode(const struct disk_summary_entry *entry, uint8_t out[DISK_SUMMARY_ENTRY_BYTES]);
void disk_summary_decode(const uint8_t data[DISK_SUMMARY_ENTRY_BYTES], struct disk_summary_entry *out_entry);

struct disk_record {
    sk_hash128 hash;
    uint64_t sequence;
    sk_str key, head; /* of the caller, or in the decoded bytes */
    uint64_t body_bytes;
    bool sealed;   /* key, head and body are encrypted, or there is room for the tags */
    uint32_t site; /* of a sealed one: the number of its site's key (disk_keys.h); 0: the segment's alone */
    const uint8_t *sums; /* decoded: the block sums, unaligned */
    const uint8_t *tags; /* decoded, of a sealed one: of key and head, then of each block */
};
#define DISK_TAG_BYTES 16
/* Bytes up to the body, and of all, by the lengths alone. The caller keeps the limits above. */
size_t disk_record_meta_size(const struct disk_record *record);
uint64_t disk_record_size(const struct disk_record *record);
/* Writes header, key, head and sums of a record whose BODY is there in full. OUT has meta_bytes. */
void disk_record_encode(const struct disk_record *record, const void *body, uint64_t seed, uint8_t *out);
/* Gives the record at DATA another sequence number: it was copied into another segment. */
void disk_record_resequence(uint8_t *data, uint64_t sequence, uint64_t seed);
/* Makes the sums of the record at DATA anew, whose bytes were changed in their places. */
void disk_record_resum(uint8_t *data, const struct disk_record *record, uint64_t seed);
/* The record's header alone: its lengths may be believed. SK_ERR_CORRUPT. */
sk_err disk_record_peek(const uint8_t data[DISK_RECORD_HEADER_BYTES], uint64_t seed, uint64_t *out_sequence,
                        size_t *out_meta_bytes, uint64_t *out_bytes);
/* BYTES of a record from its beginning on, at least its meta bytes. SK_ERR_CORRUPT (also when there are fewer). */
sk_err disk_record_decode(const uint8_t *data, size_t bytes, uint64_t seed, struct disk_record *out_record);
/* The record at DATA, of BYTES in all: its lengths say so, and every sum holds. */
bool disk_record_whole(const uint8_t *data, uint64_t bytes, uint64_t seed, struct disk_record *out_record);
/* Whether block NUMBER of the record's body is DATA, whole. */
bool disk_record_block_good(const struct disk_record *record, uint64_t number, const void *data, size_t bytes,
                            uint64_t seed);

#endif
