/* The start: which records there are, from the segments' summaries, or from the segments themselves. */
#include <stdlib.h>
#include <string.h>

#include "cache/disk_internal.h"

#define SEQUENCE_LEAP (UINT64_C(1) << 24)

/* ---- one segment --------------------------------------------------------------------------------------- */

struct finding {
    struct disk_summary_entry *entries;
    uint32_t count, room;
};

static sk_err add_entry(struct finding *finding, struct disk_summary_entry entry) {
    if (finding->count == finding->room) {
        uint32_t room = finding->room ? finding->room * 2 : 256;
        struct disk_summary_entry *entries = realloc(finding->entries, room * sizeof *entries);
        if (!entries) return SK_ERR_NO_MEMORY;
        finding->entries = entries;
        finding->room = room;
    }
    finding->entries[finding->count++] = entry;
    return SK_OK;
}

/* SK_ERR_CORRUPT: there is no summary that can be believed. */
static sk_err read_summary(struct disk *disk, struct io_loop *loop, uint32_t segment,
                           const struct disk_trailer *trailer, struct finding *out) {
    uint64_t start = (uint64_t)trailer->offset * DISK_RECORD_ALIGN;
    uint64_t bytes = (uint64_t)trailer->count * DISK_SUMMARY_ENTRY_BYTES;
    uint64_t whole = (bytes + DISK_SECTOR_BYTES - 1) / DISK_SECTOR_BYTES * DISK_SECTOR_BYTES;
    if (start % DISK_SECTOR_BYTES || start + whole > disk->super.segment_bytes) return SK_ERR_CORRUPT;
    if (!whole) return SK_OK;
    uint8_t *data = disk_alloc(whole);
    if (!data) return SK_ERR_NO_MEMORY;
    sk_err err = disk_device_read(disk, loop, data, whole, disk_segment_offset(disk, segment) + start);
    if (!err && disk_checksum(data, bytes, disk->super.id) != trailer->sum) err = SK_ERR_CORRUPT;
    for (uint32_t i = 0; !err && i < trailer->count; i++) {
        struct disk_summary_entry entry;
        disk_summary_decode(data + i * (size_t)DISK_SUMMARY_ENTRY_BYTES, &entry);
        err = add_entry(out, entry);
    }
    free(data);
    return err;
}

/* Looks through the segment's bytes for records of its present use. A flush leaves less than a sector between
 * two records. */
static sk_err scan(const struct disk *disk, const uint8_t *data, uint64_t sequence, struct finding *out) {
    uint64_t at = DISK_SECTOR_BYTES, end = disk->super.segment_bytes;
    while (at + DISK_RECORD_HEADER_BYTES <= end) {
        uint64_t found, bytes = 0;
        size_t meta = 0;
        struct disk_record record;
        sk_err err = disk_record_peek(data + at, disk->super.id, &found, &meta, &bytes);
        if (err || found != sequence || bytes > end - at) {
            at += DISK_RECORD_ALIGN;
            continue;
        }
        if (disk_record_decode(data + at, end - at, disk->super.id, &record) == SK_OK) {
            err =
                add_entry(out, (struct disk_summary_entry){.hash = record.hash,
                                                           .offset = (uint32_t)(at / DISK_RECORD_ALIGN),
                                                           .length = (uint32_t)(bytes / DISK_RECORD_ALIGN)});
            if (err) return err;
        }
        at += bytes;
    }
    return SK_OK;
}

static sk_err read_and_scan(struct disk *disk, struct io_loop *loop, uint32_t segment, uint64_t sequence,
                            struct finding *out) {
    uint8_t *data = disk_alloc(disk->super.segment_bytes);
    if (!data) return SK_ERR_NO_MEMORY;
    sk_err err =
        disk_device_read(disk, loop, data, disk->super.segment_bytes, disk_segment_offset(disk, segment));
    if (!err) err = scan(disk, data, sequence, out);
    free(data);
    return err;
}

/* The sequence number of the segment's use, 0 for none of ours, and its trailer if that is of the same use. */
static sk_err read_frame(struct disk *disk, struct io_loop *loop, uint32_t segment,
                         struct disk_segment_head *out_head, struct disk_trailer *out_trailer,
                         bool *out_summed_up) {
    uint64_t base = disk_segment_offset(disk, segment);
    struct disk_segment_head head;
    uint8_t *sector = disk_alloc(DISK_SECTOR_BYTES);
    if (!sector) return SK_ERR_NO_MEMORY;
    *out_head = (struct disk_segment_head){0};
    *out_summed_up = false;
    sk_err err = disk_device_read(disk, loop, sector, DISK_SECTOR_BYTES, base);
    if (!err && disk_segment_head_decode(sector, disk->super.id, &head) == SK_OK && head.index == segment)
        *out_head = head;
    if (!err && out_head->sequence) {
        err = disk_device_read(disk, loop, sector, DISK_SECTOR_BYTES,
                               base + disk->super.segment_bytes - DISK_SECTOR_BYTES);
        *out_summed_up = !err && disk_trailer_decode(sector, disk->super.id, out_trailer) == SK_OK &&
                         out_trailer->sequence == out_head->sequence;
    }
    free(sector);
    return err;
}

sk_err disk_segment_frame(struct disk *disk, uint32_t segment, struct disk_segment_head *out_head,
                          bool *out_summed_up) {
    struct disk_trailer trailer;
    return read_frame(disk, NULL, segment, out_head, &trailer, out_summed_up);
}

sk_err disk_segment_entries(struct disk *disk, struct io_loop *loop, uint32_t segment, uint64_t *out_sequence,
                            struct disk_summary_entry **out_entries, uint32_t *out_count) {
    struct finding finding = {0};
    struct disk_segment_head head = {0};
    struct disk_trailer trailer;
    bool summed_up;
    sk_err err = read_frame(disk, loop, segment, &head, &trailer, &summed_up);
    *out_sequence = head.sequence;
    if (!err && *out_sequence) {
        err = summed_up ? read_summary(disk, loop, segment, &trailer, &finding) : SK_ERR_CORRUPT;
        if (err == SK_ERR_CORRUPT) {
            finding.count = 0;
            err = read_and_scan(disk, loop, segment, *out_sequence, &finding);
        }
    }
    if (err) {
        free(finding.entries);
        return err;
    }
    *out_entries = finding.entries;
    *out_count = finding.count;
    return SK_OK;
}

/* ---- all of them, the newest first ---------------------------------------------------------------------- */

static int newest_first(const void *a, const void *b) {
    const struct disk_found *x = a, *y = b;
    return x->sequence > y->sequence ? -1 : x->sequence < y->sequence;
}

/* The places that a look at the index needs are far from each other: they are fetched this much ahead. */
#define AHEAD 8

static void index_entries(struct disk *disk, uint32_t segment, const struct disk_summary_entry *entries,
                          uint32_t count) {
    for (uint32_t i = count; i-- > 0;) {
        uint64_t offset = (uint64_t)entries[i].offset * DISK_RECORD_ALIGN;
        uint64_t bytes = (uint64_t)entries[i].length * DISK_RECORD_ALIGN;
        if (i >= AHEAD) disk_index_prefetch(disk->index, entries[i - AHEAD].hash);
        if (offset < DISK_SECTOR_BYTES || offset + bytes > disk->super.segment_bytes) continue;
        struct disk_place place = {.unit = disk_unit_of(disk, segment, offset),
                                   .length_class = disk_length_class(bytes)};
        (void)disk_index_put_older(disk->index, entries[i].hash, place);
    }
}

/* A segment that was taken back before it was loaded has no records any more. */
static bool still_counts(struct disk *disk, const struct disk_found *found) {
    const struct disk_segment *segment = &disk->segments[found->segment];
    pthread_mutex_lock(&disk->lock);
    bool counts = segment->state == DISK_SEGMENT_WRITTEN && segment->sequence == found->sequence;
    pthread_mutex_unlock(&disk->lock);
    return counts;
}

void disk_load_end(struct disk *disk) {
    free(disk->load.found);
    disk->load = (struct disk_load){0};
    disk_index_loading(disk->index, false);
    atomic_store_explicit(&disk->loading, false, memory_order_relaxed); /* a figure */
}

/* A device of which nothing can be read is an error. */
sk_err disk_load(struct disk *disk, struct io_loop *loop) {
    SK_CHECK_MAGIC(disk, DISK_MAGIC);
    struct disk_load *todo = &disk->load;
    struct disk_summary_entry *entries = NULL;
    uint32_t count = 0;
    uint64_t sequence;
    while (todo->next < todo->count && !still_counts(disk, &todo->found[todo->next])) todo->next++;
    if (todo->next >= todo->count) {
        sk_err last = todo->count && todo->unreadable >= todo->count ? SK_ERR_IO : SK_ERR_AGAIN;
        if (disk_is_loading(disk)) disk_load_end(disk);
        return last;
    }
    uint32_t segment = todo->found[todo->next].segment;
    sk_err err = disk_segment_entries(disk, loop, segment, &sequence, &entries, &count);
    if (err == SK_ERR_NO_MEMORY) return err;
    if (!err) index_entries(disk, segment, entries, count);
    free(entries);
    todo->unreadable += err != SK_OK;
    todo->next++;
    return SK_OK;
}

/* A segment that cannot be read is a segment without records. */
static sk_err look_at_segment(struct disk *disk, struct io_loop *loop, uint32_t number, uint8_t *sector,
                              uint64_t *floor) {
    struct disk_segment *segment = &disk->segments[number];
    struct disk_segment_head head;
    sk_err err = disk_device_read(disk, loop, sector, DISK_SECTOR_BYTES, disk_segment_offset(disk, number));
    if (err || disk_segment_head_decode(sector, disk->super.id, &head) || head.index != number) return err;
    segment->sequence = head.sequence;
    if (!head.sequence) return SK_OK;
    if (disk->seal) disk_seal_segment_key(disk->seal, disk->super.id, &head, disk->keys[number]);
    segment->state = DISK_SEGMENT_WRITTEN;
    *floor = SK_MAX(*floor, head.floor);
    disk->sequence = SK_MAX(disk->sequence, head.sequence);
    return SK_OK;
}

static sk_err look_at_segments(struct disk *disk, struct io_loop *loop, uint64_t *floor) {
    uint32_t count = (uint32_t)disk->super.segment_count, unreadable = 0;
    uint8_t *sector = disk_alloc(DISK_SECTOR_BYTES);
    if (!sector) return SK_ERR_NO_MEMORY;
    sk_err err = SK_OK;
    for (uint32_t i = 0; i < count && err != SK_ERR_NO_MEMORY; i++) {
        err = look_at_segment(disk, loop, i, sector, floor);
        unreadable += err != SK_OK;
    }
    free(sector);
    if (err == SK_ERR_NO_MEMORY) return err;
    return unreadable >= count ? SK_ERR_IO : SK_OK;
}

sk_err disk_recover(struct disk *disk, struct io_loop *loop) {
    uint32_t count = (uint32_t)disk->super.segment_count, used = 0;
    uint64_t floor = 0;
    sk_err err = look_at_segments(disk, loop, &floor);
    if (err) return err;
    struct disk_found *found = calloc(count, sizeof *found);
    if (!found) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        struct disk_segment *segment = &disk->segments[i];
        if (segment->sequence < floor) segment->state = DISK_SEGMENT_FREE;
        if (segment->state == DISK_SEGMENT_WRITTEN) found[used++] = (struct disk_found){segment->sequence, i};
    }
    disk->free_segments = count - used;
    /* Beyond all that was given before the crash to segments whose header never reached the device. */
    disk->sequence += SEQUENCE_LEAP;
    qsort(found, used, sizeof *found, newest_first);
    disk->load = (struct disk_load){.found = found, .count = used};
    disk_index_loading(disk->index, true);
    atomic_store_explicit(&disk->loading, true, memory_order_relaxed); /* a figure */
    return SK_OK;
}
