/* Segments taken back: what was asked for goes into the log again, the rest is forgotten. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "cache/disk_internal.h"
#include "cache/disk_policy.h"

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
    uint64_t from = at / DISK_SECTOR_BYTES * DISK_SECTOR_BYTES, end = disk_sectors(at + bytes);
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
