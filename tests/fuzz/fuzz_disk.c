/* A device with any content: opened, looked through and read, it gives records that pass their sums or none. The
 * sums are made right for the parts that the input changes, so that more than sums is met. */
#include <stdlib.h>
#include <string.h>

#include "cache/disk_survey.h"
#include "fuzz.h"

/* A checkpoint of two sectors. */
enum {
    SEGMENT = 16 * DISK_SECTOR_BYTES,
    SEGMENTS = 6,
    BASE = 3 * DISK_SECTOR_BYTES,
    BYTES = BASE + SEGMENTS * SEGMENT,
    RECORDS = 96
};

static sk_err image_read(void *arg, struct io_loop *loop, void *data, size_t bytes, uint64_t offset) {
    (void)loop;
    if (offset > BYTES || bytes > BYTES - offset) abort();
    memcpy(data, (uint8_t *)arg + offset, bytes);
    return SK_OK;
}
static sk_err image_write(void *arg, struct io_loop *loop, const void *data, size_t bytes, uint64_t offset) {
    (void)loop;
    if (offset > BYTES || bytes > BYTES - offset) abort();
    memcpy((uint8_t *)arg + offset, data, bytes);
    return SK_OK;
}
static sk_err image_sync(void *arg, struct io_loop *loop) {
    (void)arg, (void)loop;
    return SK_OK;
}

static void seal(uint8_t *data, size_t sum_at) {
    uint64_t sum = disk_checksum(data, sum_at, 1);
    memcpy(data + sum_at, &sum, sizeof sum);
}

/* An index that points wherever the input says, and holds by its sum. */
static void lay_out_checkpoint(uint8_t *image, const uint8_t *data, size_t bytes) {
    uint8_t *checkpoint = image + DISK_SECTOR_BYTES, *table = checkpoint + DISK_SECTOR_BYTES;
    size_t n = SK_MIN(bytes, (size_t)DISK_SECTOR_BYTES);
    if (n) memcpy(table, data, n);
    struct disk_checkpoint_head head = {.sequence = bytes % 3 ? SEGMENTS : 0,
                                        .buckets = RECORDS * 5 / 4 / 8 + 1,
                                        .records = 1,
                                        .sum = disk_checksum(table, DISK_SECTOR_BYTES, 1)};
    disk_checkpoint_head_encode(&head, 1, checkpoint);
}

/* The input lies over segment 0 and is repeated in the others; sector sums and the first record's are mended. */
static void lay_out(uint8_t *image, const uint8_t *data, size_t bytes) {
    struct disk_superblock super = {.id = 1,
                                    .segment_bytes = SEGMENT,
                                    .segment_count = SEGMENTS,
                                    .checkpoint_bytes = 2 * DISK_SECTOR_BYTES};
    disk_superblock_encode(&super, image);
    lay_out_checkpoint(image, data, bytes);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        uint8_t *segment = image + BASE + i * (size_t)SEGMENT;
        struct disk_segment_head head = {.index = i, .sequence = i + 1};
        disk_segment_head_encode(&head, 1, segment);
        uint8_t *trailer = segment + SEGMENT - DISK_SECTOR_BYTES;
        struct disk_trailer sound = {.sequence = i + 1};
        disk_trailer_encode(&sound, 1, trailer);
        size_t n = SK_MIN(bytes, (size_t)SEGMENT - 2 * DISK_SECTOR_BYTES);
        if (n) memcpy(segment + DISK_SECTOR_BYTES, data, n);
        if (i % 2 && bytes >= 64)
            memcpy(trailer + 8, data + bytes - 32, 24); /* what the input says of the summary */
        seal(trailer, DISK_SECTOR_BYTES - 8);
        if (n >= DISK_RECORD_HEADER_BYTES) seal(segment + DISK_SECTOR_BYTES, 56);
    }
}

static bool go_on(void *arg, uint64_t done, uint64_t of) {
    (void)arg;
    return done <= of;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    uint8_t *image = calloc(1, BYTES);
    struct disk *disk;
    struct disk_reader reader;
    if (!image) abort();
    lay_out(image, data, bytes);
    struct disk_options options = {
        .io = {.arg = image, .bytes = BYTES, .read = image_read, .write = image_write, .sync = image_sync},
        .records = RECORDS,
        .background = bytes % 2};
    struct disk_survey survey;
    if (disk_survey_check(&options.io, (struct disk_survey_progress){go_on, NULL}, &survey) == SK_OK &&
        survey.damaged_records > survey.checked_records)
        abort();
    if (disk_open(&options, NULL, &disk) == SK_OK) {
        sk_hash128 hash = {0};
        if (bytes >= 24) memcpy(&hash, data + 8, 16);
        sk_str key = {(const char *)data + 64, bytes > 96 ? data[32] : 0};
        if (bytes > 96 + 256 && disk_find(disk, NULL, hash, key, &reader) == SK_OK) {
            sk_str block;
            for (uint64_t i = 0; disk_read_block(&reader, NULL, i, &block) == SK_OK; i++) continue;
            disk_reader_close(&reader);
        }
        if (bytes % 4 == 1) (void)disk_load(disk, NULL);
        for (int i = 0; i < 8; i++) (void)disk_put(disk, hash, 0, SK_STR("k"), SK_STR("h"), image, 9000);
        (void)disk_write(disk, NULL);
        (void)disk_reclaim(disk, NULL);
        (void)disk_close(disk, NULL);
    }
    free(image);
    return 0;
}
