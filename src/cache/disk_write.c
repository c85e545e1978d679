/* Segments on their way to the device: summed up, and written. */
#include <stdlib.h>
#include <string.h>

#include "cache/disk_internal.h"

/* A full buffer into which nobody copies any more; NULL: none. */
static struct disk_buffer *full_buffer(struct disk *disk) {
    struct disk_buffer *found = NULL;
    pthread_mutex_lock(&disk->lock);
    for (size_t i = 0; i < SK_COUNT(disk->buffers); i++) {
        struct disk_buffer *buffer = &disk->buffers[i];
        bool ready = buffer->in_use && buffer->full && !buffer->filling &&
                     disk->segments[buffer->segment].state == DISK_SEGMENT_OPEN;
        if (ready &&
            (!found || disk->segments[buffer->segment].sequence < disk->segments[found->segment].sequence))
            found = buffer;
    }
    pthread_mutex_unlock(&disk->lock);
    return found;
}

/* Nobody else touches a full buffer. The records' order is that of their places, which is also the order in which
 * a look through the segment meets them. */
static int by_offset(const void *a, const void *b) {
    const struct disk_summary_entry *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void sum_up(struct disk *disk, struct disk_buffer *buffer) {
    uint64_t start = disk_sectors(buffer->used), bytes = buffer->count * (uint64_t)DISK_SUMMARY_ENTRY_BYTES;
    uint64_t end = disk->super.segment_bytes - DISK_SECTOR_BYTES;
    uint8_t *summary = buffer->data + start;
    memset(buffer->data + buffer->used, 0, end - buffer->used);
    qsort(buffer->entries, buffer->count, sizeof *buffer->entries, by_offset);
    for (uint32_t i = 0; i < buffer->count; i++)
        disk_summary_encode(&buffer->entries[i], summary + i * (size_t)DISK_SUMMARY_ENTRY_BYTES);
    struct disk_trailer trailer = {.sequence = disk->segments[buffer->segment].sequence,
                                   .offset = (uint32_t)(start / DISK_RECORD_ALIGN),
                                   .count = buffer->count,
                                   .sum = disk_checksum(summary, bytes, disk->super.id)};
    disk_trailer_encode(&trailer, disk->super.id, buffer->data + end);
}

/* The segment's header is safe before anything else of it is written: it says which older segments do not count any
 * more, and one of those may lie where it is going to lie. */
static sk_err write_head(struct disk *disk, struct io_loop *loop, struct disk_buffer *buffer) {
    if (buffer->written) return SK_OK;
    uint64_t base = disk_segment_offset(disk, buffer->segment);
    sk_err err = disk_device_write(disk, loop, buffer->data, DISK_SECTOR_BYTES, base);
    if (!err) err = disk_device_sync(disk, loop);
    if (!err) buffer->written = DISK_SECTOR_BYTES;
    return err;
}

/* From what is written already to END. The keys that it was sealed with are safe before it is. */
static sk_err write_up_to(struct disk *disk, struct io_loop *loop, struct disk_buffer *buffer, uint64_t end) {
    uint64_t base = disk_segment_offset(disk, buffer->segment);
    sk_err err = disk->sites ? disk_keys_sync(disk->sites) : SK_OK;
    if (!err) err = write_head(disk, loop, buffer);
    while (!err && buffer->written < end) {
        size_t bytes = (size_t)SK_MIN(end - buffer->written, DISK_WRITE_BYTES);
        err = disk_device_write(disk, loop, buffer->data + buffer->written, bytes, base + buffer->written);
        if (!err) buffer->written += bytes;
    }
    return err;
}

sk_err disk_write(struct disk *disk, struct io_loop *loop) {
    SK_CHECK_MAGIC(disk, DISK_MAGIC);
    struct disk_buffer *buffer = full_buffer(disk);
    if (!buffer) return SK_ERR_AGAIN;
    sum_up(disk, buffer);
    sk_err err = write_up_to(disk, loop, buffer, disk->super.segment_bytes);
    if (err) return err;
    pthread_mutex_lock(&disk->lock);
    disk->segments[buffer->segment].state = DISK_SEGMENT_WRITTEN;
    pthread_mutex_unlock(&disk->lock);
    return SK_OK;
}

/* What the open segment has so far, up to a whole sector, so that no sector is ever written twice. */
static struct disk_buffer *open_part(struct disk *disk, uint64_t *out_end) {
    pthread_mutex_lock(&disk->lock);
    struct disk_buffer *buffer = disk->current;
    if (buffer && (buffer->filling || buffer->used == buffer->written)) buffer = NULL;
    if (buffer) {
        uint64_t end = disk_sectors(buffer->used);
        memset(buffer->data + buffer->used, 0, end - buffer->used);
        buffer->used = *out_end = end;
    }
    pthread_mutex_unlock(&disk->lock);
    return buffer;
}

sk_err disk_flush(struct disk *disk, struct io_loop *loop) {
    SK_CHECK_MAGIC(disk, DISK_MAGIC);
    sk_err err;
    uint64_t end;
    while ((err = disk_write(disk, loop)) == SK_OK) continue;
    if (err != SK_ERR_AGAIN) return err;
    struct disk_buffer *buffer = open_part(disk, &end);
    if (buffer) {
        err = write_up_to(disk, loop, buffer, end);
        if (err) return err;
    }
    return disk_device_sync(disk, loop);
}
