#include "cache/disk_format.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define MAGIC_SUPER UINT64_C(0x31305652454b5301) /* "\1SKERV01" */
#define MAGIC_SEGMENT UINT64_C(0x474553594b530001)
#define MAGIC_TRAILER UINT64_C(0x4c4941525453c002)
#define MAGIC_RECORD 0x44524b53u /* "SKRD" */
#define MAGIC_CHECKPOINT UINT64_C(0x54504b434b530004)
#define VERSION 3
#define VERSION_MASK 0xffu
#define SITE_SHIFT 8
#define SEALED 0x80000000u

/* Lengths are bounded before they are added up, so that no sum of them wraps. */
#define BODY_MAX_BYTES (UINT64_C(1) << 36)

uint64_t disk_checksum(const void *data, size_t bytes, uint64_t seed) {
    return XXH3_64bits_withSeed(data, bytes, seed);
}

static void put32(uint8_t *out, uint32_t value) {
    for (int i = 0; i < 4; i++) out[i] = (uint8_t)(value >> 8 * i);
}
static void put64(uint8_t *out, uint64_t value) {
    for (int i = 0; i < 8; i++) out[i] = (uint8_t)(value >> 8 * i);
}
static uint32_t get32(const uint8_t *data) {
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}
static uint64_t get64(const uint8_t *data) { return get32(data) | (uint64_t)get32(data + 4) << 32; }

/* ---- sectors: magic, numbers, and in the last 8 bytes the sum of all before ------------------------------ */

#define SUM_AT (DISK_SECTOR_BYTES - 8)

static void seal_sector(uint8_t sector[DISK_SECTOR_BYTES], uint64_t seed) {
    put64(sector + SUM_AT, disk_checksum(sector, SUM_AT, seed));
}
static bool sector_good(const uint8_t sector[DISK_SECTOR_BYTES], uint64_t magic, uint64_t seed) {
    return get64(sector) == magic && get64(sector + SUM_AT) == disk_checksum(sector, SUM_AT, seed);
}

uint64_t disk_superblock_base(const struct disk_superblock *super) {
    return DISK_SECTOR_BYTES + super->checkpoint_bytes;
}

void disk_superblock_encode(const struct disk_superblock *super, uint8_t out[DISK_SECTOR_BYTES]) {
    memset(out, 0, DISK_SECTOR_BYTES);
    put64(out, MAGIC_SUPER);
    put64(out + 8, VERSION);
    put64(out + 16, super->id);
    put64(out + 24, super->segment_bytes);
    put64(out + 32, super->segment_count);
    put64(out + 40, super->checkpoint_bytes);
    put64(out + 48, super->sealed);
    memcpy(out + 56, super->key_check, sizeof super->key_check);
    seal_sector(out, super->id);
}

sk_err disk_superblock_decode(const uint8_t sector[DISK_SECTOR_BYTES], struct disk_superblock *out_super) {
    struct disk_superblock super = {.id = get64(sector + 16),
                                    .segment_bytes = get64(sector + 24),
                                    .segment_count = get64(sector + 32),
                                    .checkpoint_bytes = get64(sector + 40),
                                    .sealed = get64(sector + 48) != 0};
    memcpy(super.key_check, sector + 56, sizeof super.key_check);
    if (get64(sector) != MAGIC_SUPER) return SK_ERR_NOT_FOUND;
    if (!sector_good(sector, MAGIC_SUPER, super.id)) return SK_ERR_CORRUPT;
    if (get64(sector + 8) != VERSION) return SK_ERR_UNSUPPORTED;
    *out_super = super;
    return SK_OK;
}

void disk_segment_head_encode(const struct disk_segment_head *head, uint64_t seed,
                              uint8_t out[DISK_SECTOR_BYTES]) {
    memset(out, 0, DISK_SECTOR_BYTES);
    put64(out, MAGIC_SEGMENT);
    put64(out + 8, head->index);
    put64(out + 16, head->sequence);
    put64(out + 24, head->floor);
    memcpy(out + 32, head->salt, sizeof head->salt);
    put64(out + 64, (uint64_t)head->time_s);
    seal_sector(out, seed);
}

sk_err disk_segment_head_decode(const uint8_t sector[DISK_SECTOR_BYTES], uint64_t seed,
                                struct disk_segment_head *out_head) {
    if (!sector_good(sector, MAGIC_SEGMENT, seed)) return SK_ERR_CORRUPT;
    *out_head = (struct disk_segment_head){.index = get64(sector + 8),
                                           .sequence = get64(sector + 16),
                                           .floor = get64(sector + 24),
                                           .time_s = (int64_t)get64(sector + 64)};
    memcpy(out_head->salt, sector + 32, sizeof out_head->salt);
    return SK_OK;
}

void disk_checkpoint_head_encode(const struct disk_checkpoint_head *head, uint64_t seed,
                                 uint8_t out[DISK_SECTOR_BYTES]) {
    memset(out, 0, DISK_SECTOR_BYTES);
    put64(out, MAGIC_CHECKPOINT);
    put64(out + 8, head->sequence);
    put64(out + 16, head->buckets);
    put64(out + 24, head->records);
    put64(out + 32, head->sum);
    seal_sector(out, seed);
}

sk_err disk_checkpoint_head_decode(const uint8_t sector[DISK_SECTOR_BYTES], uint64_t seed,
                                   struct disk_checkpoint_head *out_head) {
    if (!sector_good(sector, MAGIC_CHECKPOINT, seed)) return SK_ERR_CORRUPT;
    *out_head = (struct disk_checkpoint_head){.sequence = get64(sector + 8),
                                              .buckets = get64(sector + 16),
                                              .records = get64(sector + 24),
                                              .sum = get64(sector + 32)};
    return SK_OK;
}

void disk_trailer_encode(const struct disk_trailer *trailer, uint64_t seed, uint8_t out[DISK_SECTOR_BYTES]) {
    memset(out, 0, DISK_SECTOR_BYTES);
    put64(out, MAGIC_TRAILER);
    put64(out + 8, trailer->sequence);
    put32(out + 16, trailer->offset);
    put32(out + 20, trailer->count);
    put64(out + 24, trailer->sum);
    seal_sector(out, seed);
}

sk_err disk_trailer_decode(const uint8_t sector[DISK_SECTOR_BYTES], uint64_t seed,
                           struct disk_trailer *out_trailer) {
    if (!sector_good(sector, MAGIC_TRAILER, seed)) return SK_ERR_CORRUPT;
    *out_trailer = (struct disk_trailer){.sequence = get64(sector + 8),
                                         .offset = get32(sector + 16),
                                         .count = get32(sector + 20),
                                         .sum = get64(sector + 24)};
    return SK_OK;
}

void disk_summary_encode(const struct disk_summary_entry *entry, uint8_t out[DISK_SUMMARY_ENTRY_BYTES]) {
    put64(out, entry->hash.high);
    put64(out + 8, entry->hash.low);
    put32(out + 16, entry->offset);
    put32(out + 20, entry->length);
}

void disk_summary_decode(const uint8_t data[DISK_SUMMARY_ENTRY_BYTES], struct disk_summary_entry *out_entry) {
    *out_entry = (struct disk_summary_entry){.hash = {.high = get64(data), .low = get64(data + 8)},
                                             .offset = get32(data + 16),
                                             .length = get32(data + 20)};
}

/* ---- records ------------------------------------------------------------------------------------------- */

/*   0 magic   4 version (8 bits), number of the site (23), sealed (1)   8 hash, high   16 low   24 sequence   32 key bytes   36 head bytes   40 body bytes
 *   48 sum of key, head and block sums, as they lie there   56 sum of the 56 bytes before */
enum { AT_SEQUENCE = 24, AT_KEY = 32, AT_HEAD = 36, AT_BODY = 40, AT_META_SUM = 48, AT_SUM = 56 };

static uint64_t aligned(uint64_t bytes) {
    return (bytes + DISK_RECORD_ALIGN - 1) & ~(uint64_t)(DISK_RECORD_ALIGN - 1);
}
static uint64_t block_count(uint64_t body_bytes) {
    return (body_bytes + DISK_BLOCK_BYTES - 1) / DISK_BLOCK_BYTES;
}

size_t disk_record_meta_size(const struct disk_record *record) {
    uint64_t blocks = block_count(record->body_bytes);
    return aligned(DISK_RECORD_HEADER_BYTES + record->key.len + record->head.len + blocks * 8 +
                   (record->sealed ? (blocks + 1) * DISK_TAG_BYTES : 0));
}

uint64_t disk_record_size(const struct disk_record *record) {
    return disk_record_meta_size(record) + aligned(record->body_bytes);
}

static void seal_header(uint8_t *data, uint64_t seed) {
    put64(data + AT_SUM, disk_checksum(data, AT_SUM, seed));
}

static void sum_blocks(uint8_t *sums, const uint8_t *body, uint64_t body_bytes, uint64_t seed) {
    for (uint64_t done = 0; done < body_bytes; done += DISK_BLOCK_BYTES, sums += 8)
        put64(sums, disk_checksum(body + done, SK_MIN(body_bytes - done, (uint64_t)DISK_BLOCK_BYTES), seed));
}

static void sum_meta(uint8_t *data, size_t meta, uint64_t seed) {
    put64(data + AT_META_SUM,
          disk_checksum(data + DISK_RECORD_HEADER_BYTES, meta - DISK_RECORD_HEADER_BYTES, seed));
    seal_header(data, seed);
}

void disk_record_encode(const struct disk_record *record, const void *body, uint64_t seed, uint8_t *out) {
    size_t meta = disk_record_meta_size(record);
    uint8_t *at = out + DISK_RECORD_HEADER_BYTES;
    memset(out, 0, DISK_RECORD_HEADER_BYTES);
    if (record->key.len) memcpy(at, record->key.data, record->key.len);
    at += record->key.len;
    if (record->head.len) memcpy(at, record->head.data, record->head.len);
    at += record->head.len;
    sum_blocks(at, body, record->body_bytes, seed);
    at += block_count(record->body_bytes) * 8;
    memset(at, 0, (size_t)(out + meta - at));
    put32(out, MAGIC_RECORD);
    put32(out + 4, VERSION | (record->site & DISK_SITE_MAX) << SITE_SHIFT | (record->sealed ? SEALED : 0));
    put64(out + 8, record->hash.high);
    put64(out + 16, record->hash.low);
    put64(out + AT_SEQUENCE, record->sequence);
    put32(out + AT_KEY, (uint32_t)record->key.len);
    put32(out + AT_HEAD, (uint32_t)record->head.len);
    put64(out + AT_BODY, record->body_bytes);
    sum_meta(out, meta, seed);
}

void disk_record_resequence(uint8_t *data, uint64_t sequence, uint64_t seed) {
    put64(data + AT_SEQUENCE, sequence);
    seal_header(data, seed);
}

void disk_record_resum(uint8_t *data, const struct disk_record *record, uint64_t seed) {
    size_t meta = disk_record_meta_size(record);
    sum_blocks(data + (record->sums - data), data + meta, record->body_bytes, seed);
    sum_meta(data, meta, seed);
}

/* What the header says, whose lengths may be believed. SK_ERR_CORRUPT. */
static sk_err decode_header(const uint8_t data[DISK_RECORD_HEADER_BYTES], uint64_t seed,
                            struct disk_record *out_record) {
    if (get32(data) != MAGIC_RECORD || (get32(data + 4) & VERSION_MASK) != VERSION) return SK_ERR_CORRUPT;
    if (get64(data + AT_SUM) != disk_checksum(data, AT_SUM, seed)) return SK_ERR_CORRUPT;
    struct disk_record record = {.hash = {.high = get64(data + 8), .low = get64(data + 16)},
                                 .sequence = get64(data + AT_SEQUENCE),
                                 .key.len = get32(data + AT_KEY),
                                 .head.len = get32(data + AT_HEAD),
                                 .body_bytes = get64(data + AT_BODY),
                                 .sealed = get32(data + 4) & SEALED,
                                 .site = get32(data + 4) >> SITE_SHIFT & DISK_SITE_MAX};
    if (record.key.len > DISK_KEY_MAX_BYTES || record.head.len > DISK_HEAD_MAX_BYTES ||
        record.body_bytes > BODY_MAX_BYTES)
        return SK_ERR_CORRUPT;
    *out_record = record;
    return SK_OK;
}

sk_err disk_record_peek(const uint8_t data[DISK_RECORD_HEADER_BYTES], uint64_t seed, uint64_t *out_sequence,
                        size_t *out_meta_bytes, uint64_t *out_bytes) {
    struct disk_record record;
    sk_err err = decode_header(data, seed, &record);
    if (err) return err;
    *out_sequence = record.sequence;
    *out_meta_bytes = disk_record_meta_size(&record);
    *out_bytes = disk_record_size(&record);
    return SK_OK;
}

sk_err disk_record_decode(const uint8_t *data, size_t bytes, uint64_t seed, struct disk_record *out_record) {
    struct disk_record record;
    if (bytes < DISK_RECORD_HEADER_BYTES) return SK_ERR_CORRUPT;
    sk_err err = decode_header(data, seed, &record);
    if (err) return err;
    size_t meta = disk_record_meta_size(&record);
    if (bytes < meta) return SK_ERR_CORRUPT;
    uint64_t sum = disk_checksum(data + DISK_RECORD_HEADER_BYTES, meta - DISK_RECORD_HEADER_BYTES, seed);
    if (sum != get64(data + AT_META_SUM)) return SK_ERR_CORRUPT;
    record.key.data = (const char *)data + DISK_RECORD_HEADER_BYTES;
    record.head.data = record.key.data + record.key.len;
    record.sums = (const uint8_t *)record.head.data + record.head.len;
    record.tags = record.sealed ? record.sums + block_count(record.body_bytes) * 8 : NULL;
    *out_record = record;
    return SK_OK;
}

bool disk_record_block_good(const struct disk_record *record, uint64_t number, const void *data, size_t bytes,
                            uint64_t seed) {
    if (number >= block_count(record->body_bytes)) return false;
    uint64_t expected = SK_MIN(record->body_bytes - number * DISK_BLOCK_BYTES, (uint64_t)DISK_BLOCK_BYTES);
    return bytes == expected && get64(record->sums + number * 8) == disk_checksum(data, bytes, seed);
}

bool disk_record_whole(const uint8_t *data, uint64_t bytes, uint64_t seed, struct disk_record *out_record) {
    if (disk_record_decode(data, bytes, seed, out_record) || disk_record_size(out_record) != bytes)
        return false;
    const uint8_t *body = data + disk_record_meta_size(out_record);
    for (uint64_t done = 0; done < out_record->body_bytes; done += DISK_BLOCK_BYTES) {
        size_t n = (size_t)SK_MIN(out_record->body_bytes - done, (uint64_t)DISK_BLOCK_BYTES);
        if (!disk_record_block_good(out_record, done / DISK_BLOCK_BYTES, body + done, n, seed)) return false;
    }
    return true;
}
