/* The sites' own keys of an encrypted store (disk_seal.h), so that one site's records can be made unreadable at once and
 * for good: its key is erased, here and in the file that keeps them, and nothing of what lies on the devices has to be
 * found or written.
 *
 *   node key --HKDF--> wrapping key --AES-256-GCM--> site keys, in this file
 *   site key, segment key --HMAC--> key of a record
 *
 * The file is no part of the devices. So a copy of a device tells nothing of an erased site, whenever it was made and
 * whatever the device keeps of sectors that were written over.
 *
 *   file   slots of DISK_KEYS_SLOT_BYTES: magic, number | SHA-256 of the site's name | nonce, wrapped key, tag | sum
 *
 * A slot is written in its place, and lies in one sector: it is torn from itself alone, and is then no key any more,
 * which costs that site's records. A key that was erased may be there again after a crash only while its erasure was not
 * told to be done. A site's number is its slot and how often that was used before; records carry it.
 *
 * Any thread; the lock is held for microseconds, but for erasing and for new keys, which wait for the file. */
#ifndef SK_CACHE_DISK_KEYS_H
#define SK_CACHE_DISK_KEYS_H

#include "cache/disk_seal.h"

struct disk_keys;

#define DISK_KEYS_MAX 8192 /* sites with a key */
#define DISK_KEYS_SLOT_BYTES 128
#define DISK_KEYS_SITE_BYTES 32 /* SHA-256 */

/* What one slot says. Pure. */
struct disk_keys_slot {
    uint32_t number;                    /* never 0 */
    bool erased;                        /* only the number counts */
    uint8_t site[DISK_KEYS_SITE_BYTES]; /* of its name */
    uint8_t nonce[12], wrapped[DISK_KEY_BYTES], tag[DISK_TAG_BYTES];
};
void disk_keys_slot_encode(const struct disk_keys_slot *slot, uint8_t out[DISK_KEYS_SLOT_BYTES]);
/* SK_ERR_NOT_FOUND: never used; SK_ERR_CORRUPT. */
sk_err disk_keys_slot_decode(const uint8_t data[DISK_KEYS_SLOT_BYTES], struct disk_keys_slot *out_slot);

/* The file at PATH, made when it is not there; this process alone has it. What is damaged in it is no key.
 * SK_ERR_EXISTS: it holds something else; SK_ERR_DENIED: its keys are wrapped by another NODE_KEY, or it may not be
 * written; SK_ERR_BUSY: another process has it; SK_ERR_IO, SK_ERR_NO_MEMORY, SK_ERR_UNSUPPORTED (no AES-256-GCM). */
sk_err disk_keys_open(const char *path, const uint8_t node_key[DISK_KEY_BYTES], struct disk_keys **out_keys);
/* Nobody uses it any more. Keys that are not in the file yet are lost. NULL is allowed. */
void disk_keys_close(struct disk_keys *keys);

/* The number of SITE's key, which is made when there is none. SK_ERR_FULL: DISK_KEYS_MAX sites have one, or this one's is
 * being erased. */
sk_err disk_keys_for(struct disk_keys *keys, sk_str site, uint32_t *out_number);
/* SK_ERR_NOT_FOUND: it was erased, or lost. */
sk_err disk_keys_find(struct disk_keys *keys, uint32_t number, uint8_t out_key[DISK_KEY_BYTES]);
/* New keys are in the file when it returns: to be called before what is sealed with them is written. SK_ERR_IO,
 * SK_ERR_FULL. */
sk_err disk_keys_sync(struct disk_keys *keys);
/* From now on nothing that was sealed for SITE can be opened; what is put for it later gets another key. SK_OK: also
 * after a crash. SK_ERR_NOT_FOUND: it has no key; SK_ERR_IO: it is gone from memory, but perhaps not from the file: to
 * be tried again. */
sk_err disk_keys_erase(struct disk_keys *keys, sk_str site);
/* How many sites have one. */
uint32_t disk_keys_count(struct disk_keys *keys);

#endif
