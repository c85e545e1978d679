/* Segments in memory: opened, and filled with records. */
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/time.h"
#include "cache/disk_internal.h"

uint64_t disk_record_limit(const struct disk *disk) {
    return disk->super.segment_bytes - 3 * (uint64_t)DISK_SECTOR_BYTES;
}

/* Under the lock. */
static struct disk_buffer *unused_buffer(struct disk *disk) {
    for (size_t i = 0; i < SK_COUNT(disk->buffers); i++) {
        struct disk_buffer *buffer = &disk->buffers[i];
        if (!buffer->in_use) return buffer;
        struct disk_segment *segment = &disk->segments[buffer->segment];
        /* acquire: the readers' last looks at the memory are over */
        if (segment->state == DISK_SEGMENT_WRITTEN &&
            !atomic_load_explicit(&segment->readers, memory_order_acquire)) {
            buffer->in_use = false;
            return buffer;
        }
    }
    return NULL;
}

/* The one that was used longest ago: what is on the device gets lost in the order of its age. */
static bool find_free(const struct disk *disk, uint32_t *out_segment) {
    uint64_t oldest = UINT64_MAX;
    for (uint32_t i = 0; i < disk->super.segment_count; i++) {
        const struct disk_segment *segment = &disk->segments[i];
        if (segment->state != DISK_SEGMENT_FREE || segment->sequence >= oldest) continue;
        oldest = segment->sequence;
        *out_segment = i;
    }
    return oldest != UINT64_MAX;
}

/* The oldest sequence that still holds records. */
static uint64_t floor_of(const struct disk *disk) {
    uint64_t least = disk->sequence;
    for (uint32_t i = 0; i < disk->super.segment_count; i++) {
        const struct disk_segment *segment = &disk->segments[i];
        bool live = segment->state == DISK_SEGMENT_WRITTEN || segment->state == DISK_SEGMENT_OPEN;
        if (live) least = SK_MIN(least, segment->sequence);
    }
    return least;
}

/* Under the lock. */
static sk_err open_segment(struct disk *disk, bool reclaiming) {
    uint32_t number;
    struct disk_buffer *buffer = unused_buffer(disk);
    if (!buffer || disk->free_segments < (reclaiming ? 1 : 2) || !find_free(disk, &number))
        return SK_ERR_FULL;
    struct disk_segment *segment = &disk->segments[number];
    segment->state = DISK_SEGMENT_OPEN;
    segment->sequence = ++disk->sequence;
    disk->free_segments--;
    *buffer = (struct disk_buffer){.data = buffer->data,
                                   .entries = buffer->entries,
                                   .room = buffer->room,
                                   .segment = number,
                                   .in_use = true,
                                   .used = DISK_SECTOR_BYTES};
    struct disk_segment_head head = {
        .index = number, .sequence = segment->sequence, .floor = floor_of(disk), .time_s = sk_wall_now_s()};
    if (disk->seal) {
        sk_random_secret(head.salt, sizeof head.salt);
        disk_seal_segment_key(disk->seal, disk->super.id, &head, disk->keys[number]);
    }
    disk_segment_head_encode(&head, disk->super.id, buffer->data);
    disk->current = buffer;
    return SK_OK;
}

/* Room for the summary, one entry more, and the trailer. */
static bool fits(const struct disk *disk, const struct disk_buffer *buffer, uint64_t bytes) {
    uint64_t summary = (buffer->count + buffer->filling + 1) * (uint64_t)DISK_SUMMARY_ENTRY_BYTES;
    return disk_sectors(buffer->used + bytes) + disk_sectors(summary) + DISK_SECTOR_BYTES <=
           disk->super.segment_bytes;
}

static sk_err entries_room(struct disk_buffer *buffer) {
    if (buffer->count + buffer->filling < buffer->room) return SK_OK;
    uint32_t room = buffer->room ? buffer->room * 2 : 256;
    struct disk_summary_entry *entries = realloc(buffer->entries, room * sizeof *entries);
    if (!entries) return SK_ERR_NO_MEMORY;
    buffer->entries = entries;
    buffer->room = room;
    return SK_OK;
}

static sk_err room_take_locked(struct disk *disk, uint64_t bytes, bool reclaiming,
                               struct disk_room *out_room) {
    if (reclaiming && (disk->buffers[0].filling || disk->buffers[1].filling)) return SK_ERR_BUSY;
    if (disk->current && !fits(disk, disk->current, bytes)) {
        disk->current->full = true;
        disk->current = NULL;
    }
    sk_err err = disk->current ? SK_OK : open_segment(disk, reclaiming);
    if (!err) err = entries_room(disk->current);
    if (err) return err;
    struct disk_buffer *buffer = disk->current;
    *out_room = (struct disk_room){.buffer = buffer,
                                   .data = buffer->data + buffer->used,
                                   .segment = buffer->segment,
                                   .offset = buffer->used,
                                   .sequence = disk->segments[buffer->segment].sequence};
    buffer->used += bytes;
    buffer->filling++;
    return SK_OK;
}

sk_err disk_room_take(struct disk *disk, uint64_t bytes, bool reclaiming, struct disk_room *out_room) {
    pthread_mutex_lock(&disk->lock);
    sk_err err = room_take_locked(disk, bytes, reclaiming, out_room);
    pthread_mutex_unlock(&disk->lock);
    return err;
}

/* Under the lock. */
static struct disk_place enter(struct disk *disk, const struct disk_room *room, sk_hash128 hash,
                               uint64_t bytes) {
    room->buffer->entries[room->buffer->count++] =
        (struct disk_summary_entry){.hash = hash,
                                    .offset = (uint32_t)(room->offset / DISK_RECORD_ALIGN),
                                    .length = (uint32_t)(bytes / DISK_RECORD_ALIGN)};
    return (struct disk_place){.unit = disk_unit_of(disk, room->segment, room->offset),
                               .length_class = disk_length_class(bytes)};
}

/* Under the lock: whether the index has something of the hash that lies behind ROOM in the log. */
static bool overtaken(const struct disk *disk, const struct disk_room *room, sk_hash128 hash) {
    struct disk_place there;
    if (!disk_index_find(disk->index, hash, &there)) return false;
    uint32_t segment;
    uint64_t offset;
    if (!disk_locate(disk, there.unit, &segment, &offset)) return false;
    uint64_t sequence = disk->segments[segment].sequence;
    return sequence == room->sequence ? offset > room->offset : sequence > room->sequence;
}

void disk_room_done(struct disk *disk, const struct disk_room *room, sk_hash128 hash, uint64_t bytes) {
    pthread_mutex_lock(&disk->lock);
    room->buffer->filling--;
    struct disk_place place = enter(disk, room, hash, bytes);
    if (!overtaken(disk, room, hash)) (void)disk_index_put(disk->index, hash, place, NULL);
    pthread_mutex_unlock(&disk->lock);
}

bool disk_room_moved(struct disk *disk, const struct disk_room *room, sk_hash128 hash, uint64_t bytes,
                     uint64_t from, uint8_t accesses) {
    struct disk_place there;
    pthread_mutex_lock(&disk->lock);
    room->buffer->filling--;
    bool still = disk_index_find(disk->index, hash, &there) && there.unit == from;
    if (still) {
        struct disk_place to = enter(disk, room, hash, bytes);
        to.accesses = accesses;
        (void)disk_index_move(disk->index, hash, from, to);
    } else {
        memset(room->data, 0, DISK_RECORD_HEADER_BYTES);
    }
    pthread_mutex_unlock(&disk->lock);
    return still;
}

void disk_room_drop(struct disk *disk, const struct disk_room *room) {
    pthread_mutex_lock(&disk->lock);
    memset(room->data, 0, DISK_RECORD_HEADER_BYTES);
    room->buffer->filling--;
    pthread_mutex_unlock(&disk->lock);
}
