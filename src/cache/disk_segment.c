/* Segments: opened in memory, filled, summed up, written, and taken back. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/random.h"
#include "base/time.h"
#include "cache/disk_internal.h"
#include "cache/disk_policy.h"

static uint64_t sectors(uint64_t bytes) {
    return (bytes + DISK_SECTOR_BYTES - 1) / DISK_SECTOR_BYTES * DISK_SECTOR_BYTES;
}

uint64_t disk_record_limit(const struct disk *disk) {
    return disk->super.segment_bytes - 3 * (uint64_t)DISK_SECTOR_BYTES;
}

/* ---- opening and filling ------------------------------------------------------------------------------- */

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
    return sectors(buffer->used + bytes) + sectors(summary) + DISK_SECTOR_BYTES <= disk->super.segment_bytes;
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

/* ---- writing ------------------------------------------------------------------------------------------- */

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
    uint64_t start = sectors(buffer->used), bytes = buffer->count * (uint64_t)DISK_SUMMARY_ENTRY_BYTES;
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
        uint64_t end = sectors(buffer->used);
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

/* ---- taking back ------------------------------------------------------------------------------------------ */

static bool oldest_written(struct disk *disk, uint32_t *out_segment) {
    uint64_t oldest = UINT64_MAX;
    for (uint32_t i = 0; i < disk->super.segment_count; i++) {
        const struct disk_segment *segment = &disk->segments[i];
        if (segment->state != DISK_SEGMENT_WRITTEN || segment->sequence >= oldest) continue;
        oldest = segment->sequence;
        *out_segment = i;
    }
    return oldest != UINT64_MAX;
}

/* Under the lock: drained segments that no reader holds are free again. */
static void free_drained(struct disk *disk) {
    for (uint32_t i = 0; i < disk->super.segment_count; i++) {
        struct disk_segment *segment = &disk->segments[i];
        /* acquire: their reads are over */
        if (segment->state != DISK_SEGMENT_DRAINED ||
            atomic_load_explicit(&segment->readers, memory_order_acquire))
            continue;
        segment->state = DISK_SEGMENT_FREE;
        disk->free_segments++;
    }
}

/* The record at START, of BYTES in all, is the one of ENTRY and whole. */
static bool is_whole(const struct disk *disk, const uint8_t *start, uint64_t bytes,
                     const struct disk_summary_entry *entry, struct disk_record *out_record) {
    return disk_record_whole(start, bytes, disk->super.id, out_record) &&
           sk_hash128_eq(out_record->hash, entry->hash) && out_record->sealed == disk->super.sealed;
}

/* The key of its site was erased: it is not worth any room. */
static bool is_erased(const struct disk *disk, const struct disk_record *record) {
    uint8_t key[DISK_KEY_BYTES];
    bool erased = record->site && (!disk->sites || disk_keys_find(disk->sites, record->site, key));
    OPENSSL_cleanse(key, sizeof key);
    return erased;
}

/* A put is under way for as long as it copies. */
static sk_err room_for_reinsertion(struct disk *disk, uint64_t bytes, struct disk_room *out_room) {
    sk_err err;
    while ((err = disk_room_take(disk, bytes, true, out_room)) == SK_ERR_BUSY) sched_yield();
    return err;
}

/* The record at DATA, which was at OFFSET of SEGMENT, into its new room. What is sealed is sealed anew. */
static sk_err move_into(struct disk *disk, const struct disk_room *room, uint32_t segment, uint64_t offset,
                        const struct disk_record *record, const uint8_t *data, uint64_t bytes) {
    struct disk_seal_place from = {0}, to = {0};
    sk_err err = SK_OK;
    memcpy(room->data, data, bytes);
    if (disk->seal) err = disk_seal_place_of(disk, segment, offset, record->site, &from);
    if (disk->seal && !err) err = disk_seal_place_of(disk, room->segment, room->offset, record->site, &to);
    if (disk->seal && !err) err = disk_seal_open_record(disk->seal, &from, room->data);
    disk_record_resequence(room->data, room->sequence, disk->super.id);
    if (disk->seal && !err) err = disk_seal_record(disk->seal, &to, room->data);
    OPENSSL_cleanse(&from, sizeof from);
    OPENSSL_cleanse(&to, sizeof to);
    if (err) disk_room_drop(disk, room);
    return err;
}

/* False: it stays where it is, and is lost. */
static bool reinsert(struct disk *disk, struct io_loop *loop, uint32_t segment,
                     const struct disk_summary_entry *entry, uint64_t unit, uint8_t accesses) {
    uint64_t at = disk_segment_offset(disk, segment) + (uint64_t)entry->offset * DISK_RECORD_ALIGN;
    uint64_t bytes = (uint64_t)entry->length * DISK_RECORD_ALIGN;
    uint64_t from = at / DISK_SECTOR_BYTES * DISK_SECTOR_BYTES, end = sectors(at + bytes);
    struct disk_room room;
    struct disk_record record;
    bool moved = false;
    uint8_t *data = disk_alloc(end - from);
    if (!data) return false;
    sk_err err = disk_device_read(disk, loop, data, end - from, from);
    if (!err && !is_whole(disk, data + (at - from), bytes, entry, &record)) {
        disk_count(&disk->damaged, 1);
        err = SK_ERR_CORRUPT;
    }
    if (!err && is_erased(disk, &record)) err = SK_ERR_NOT_FOUND;
    if (!err && room_for_reinsertion(disk, bytes, &room) == SK_OK) {
        uint64_t offset = (uint64_t)entry->offset * DISK_RECORD_ALIGN;
        if (move_into(disk, &room, segment, offset, &record, data + (at - from), bytes) == SK_OK)
            moved = disk_room_moved(disk, &room, entry->hash, bytes, unit, accesses);
        disk_count(&disk->reinserted, moved);
        disk_count(&disk->reinserted_bytes, moved ? bytes : 0);
    }
    free(data);
    return moved;
}

static void drain(struct disk *disk, struct io_loop *loop, uint32_t segment,
                  const struct disk_summary_entry *entries, uint32_t count) {
    uint64_t left = disk_second_chance_bytes(disk->super.segment_bytes);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t unit = disk_unit_of(disk, segment, (uint64_t)entries[i].offset * DISK_RECORD_ALIGN);
        uint64_t bytes = (uint64_t)entries[i].length * DISK_RECORD_ALIGN;
        struct disk_place place;
        uint8_t accesses;
        if (!disk_index_find(disk->index, entries[i].hash, &place) || place.unit != unit) continue;
        if (disk_has_second_chance(place.accesses, bytes, left, &accesses) &&
            reinsert(disk, loop, segment, &entries[i], unit, accesses))
            left -= bytes;
        else
            (void)disk_index_remove(disk->index, entries[i].hash, unit);
    }
}

sk_err disk_reclaim(struct disk *disk, struct io_loop *loop) {
    SK_CHECK_MAGIC(disk, DISK_MAGIC);
    uint32_t segment = 0, count = 0;
    uint64_t sequence;
    struct disk_summary_entry *entries = NULL;
    pthread_mutex_lock(&disk->lock);
    free_drained(disk);
    bool wanted = disk->free_segments < DISK_FREE_WANTED && oldest_written(disk, &segment);
    pthread_mutex_unlock(&disk->lock);
    if (!wanted) return SK_ERR_AGAIN;
    sk_err err = disk_segment_entries(disk, loop, segment, &sequence, &entries, &count);
    if (err) return err;
    drain(disk, loop, segment, entries, count);
    free(entries);
    pthread_mutex_lock(&disk->lock);
    disk->segments[segment].state = DISK_SEGMENT_DRAINED;
    free_drained(disk);
    pthread_mutex_unlock(&disk->lock);
    disk_count(&disk->reclaimed, 1);
    return SK_OK;
}
