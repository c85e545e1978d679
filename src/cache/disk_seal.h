/* Encryption at rest of the SSD tier: AES-256-GCM (NIST SP 800-38D) over the key, the head and each block of the body
 * of a record, under a key of the segment's own.
 *
 *   node key (a file outside the store) --HKDF (RFC 5869), the segment's salt--> segment key
 *   segment key, the site's own key (disk_keys.h) --HMAC--> key of the record; without one it is the segment's
 *
 * The nonce is the record's place in its segment and the number of the part: 0 for key and head, 1 and on for the
 * blocks. No two parts ever meet under one key and nonce: each opening of a segment draws a salt of 256 bits, so a
 * segment key is used in one life of one segment only; in it every place is given to one record, never again, not even
 * when that record is abandoned; and a record is sealed once, in memory, before anything of it is written. A record
 * that moves to another segment is sealed anew under that one's key. Nor does what a copied or rolled-back device
 * holds lead to a second use: salts do not come from the device. The places of one segment are those of all sites.
 *
 * What is not hidden: how many records there are, their lengths, the numbers of their sites and their keyed hashes, which
 * are in headers and summaries. Sums are those of the sealed bytes, so damage is found without a key.
 *
 * Any thread; no state but the key schedule of a call. */
#ifndef SK_CACHE_DISK_SEAL_H
#define SK_CACHE_DISK_SEAL_H

#include "cache/disk_format.h"

#define DISK_KEY_BYTES 32
#define DISK_KEY_CHECK_BYTES 16

struct disk_seal;

/* The node key in the file at PATH: 32 bytes, readable for its owner alone. MAKE: made at random when it is not there.
 * SK_ERR_NOT_FOUND; SK_ERR_DENIED: others may read it, or we may not; SK_ERR_INVALID: of another length;
 * SK_ERR_IO. */
sk_err disk_key_load(const char *path, bool make, uint8_t out_key[DISK_KEY_BYTES]);

/* NODE_KEY is copied. SK_ERR_UNSUPPORTED: OpenSSL has no AES-256-GCM; SK_ERR_NO_MEMORY. */
sk_err disk_seal_create(const uint8_t node_key[DISK_KEY_BYTES], struct disk_seal **out_seal);
void disk_seal_destroy(struct disk_seal *seal);

/* Says whether a store belongs to the node key, and tells nothing of it. */
void disk_seal_check(const struct disk_seal *seal, uint64_t store_id, uint8_t out[DISK_KEY_CHECK_BYTES]);
void disk_seal_segment_key(const struct disk_seal *seal, uint64_t store_id,
                           const struct disk_segment_head *head, uint8_t out_key[DISK_KEY_BYTES]);

/* What wraps the keys of sites. */
void disk_seal_wrapping_key(const uint8_t node_key[DISK_KEY_BYTES], uint8_t out_key[DISK_KEY_BYTES]);
/* Of the records of one site in one segment. */
void disk_seal_record_key(const uint8_t segment_key[DISK_KEY_BYTES], const uint8_t site_key[DISK_KEY_BYTES],
                          uint8_t out_key[DISK_KEY_BYTES]);

/* Where a record is: what its nonces are made of, and whose sums it has. */
struct disk_seal_place {
    uint8_t key[DISK_KEY_BYTES]; /* of the record, or of its segment */
    uint32_t place;              /* in the segment, in DISK_RECORD_ALIGN */
    uint64_t seed;
};
/* Seals and opens the whole record at DATA, in its place in memory: encoded as `sealed`, with its body. Sums and tags
 * are made or removed with it. SK_ERR_CORRUPT: a tag does not hold, DATA is of no use; SK_ERR_NO_MEMORY. */
sk_err disk_seal_record(const struct disk_seal *seal, const struct disk_seal_place *place, uint8_t *data);
sk_err disk_seal_open_record(const struct disk_seal *seal, const struct disk_seal_place *place,
                             uint8_t *data);
/* Opens key and head of a decoded record into OUT, which has their bytes; block NUMBER into OUT, of BYTES. */
sk_err disk_seal_open_meta(const struct disk_seal *seal, const struct disk_seal_place *place,
                           const struct disk_record *record, uint8_t *out);
sk_err disk_seal_open_block(const struct disk_seal *seal, const struct disk_seal_place *place,
                            const struct disk_record *record, uint64_t number, const uint8_t *data,
                            size_t bytes, uint8_t *out);

#endif
