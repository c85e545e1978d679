/* What the parts of the SSD tier's store share: disk.c puts and finds, disk_segment.c opens and fills segments, disk_write.c
 * writes them, disk_reclaim.c takes them back, disk_open.c begins and ends a store, disk_recover.c reads the segments
 * then. */
#ifndef SK_CACHE_DISK_INTERNAL_H
#define SK_CACHE_DISK_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "cache/disk.h"
#include "cache/disk_keys.h"
#include "cache/disk_seal.h"

#define DISK_SEGMENT_DEFAULT (UINT64_C(8) << 20)
#define DISK_SEGMENTS_MIN 6
#define DISK_WRITE_BYTES (UINT64_C(1) << 20) /* of one write */
#define DISK_FREE_WANTED 2                   /* free segments that reclaiming keeps ready */

enum disk_segment_state {
    DISK_SEGMENT_FREE,
    DISK_SEGMENT_OPEN,    /* in memory, being filled or written */
    DISK_SEGMENT_WRITTEN, /* on the device */
    DISK_SEGMENT_DRAINED, /* no record is found in it any more; readers may still hold it */
};
struct disk_segment {
    uint64_t sequence;        /* under the lock */
    uint8_t state;            /* under the lock */
    _Atomic uint32_t readers; /* raised under the lock, lowered anywhere */
};

/* A segment in memory. */
struct disk_buffer {
    uint8_t *data; /* aligned, segment_bytes */
    /* under the lock */
    uint32_t segment;
    bool in_use, full;
    uint32_t filling; /* puts that copy into it just now */
    uint64_t used;
    uint64_t written; /* of the writer */
    struct disk_summary_entry *entries;
    uint32_t count, room;
};

/* The segments whose records are not in the index yet. */
struct disk_load {
    struct disk_found {
        uint64_t sequence;
        uint32_t segment;
    } *found; /* the newest first */
    uint32_t count, next, unreadable;
};

struct disk {
    uint32_t magic;
    /* set once */
    struct disk_io io;
    struct disk_superblock super;
    uint64_t base; /* where the segments begin */
    struct disk_index *index;
    struct disk_segment *segments;
    struct disk_seal *seal;  /* NULL: not sealed */
    struct disk_keys *sites; /* NULL: no keys of sites */
    /* Of each segment, as long as its sequence: changed under the lock while no reader holds it. NULL: not sealed. */
    uint8_t (*keys)[DISK_KEY_BYTES];
    /* under the lock; microseconds */
    pthread_mutex_t lock;
    struct disk_buffer buffers[2];
    struct disk_buffer *current; /* being filled; NULL: none could be opened */
    uint64_t sequence;           /* the last one given */
    uint64_t free_segments;
    /* who loads, writes and reclaims */
    struct disk_load load;
    /* figures and flags, any thread, relaxed */
    _Atomic bool failed, loading;
    _Atomic uint32_t reads_failing; /* one after the other */
    _Atomic uint64_t put_bytes, written_bytes, read_bytes, served_bytes, reinserted, reinserted_bytes,
        reclaimed, damaged, foreign, refused;
    _Atomic uint64_t read_errors, write_errors;
};
#define DISK_MAGIC 0x6469736bu

/* BYTES, up to a whole sector. */
static inline uint64_t disk_sectors(uint64_t bytes) {
    return (bytes + DISK_SECTOR_BYTES - 1) / DISK_SECTOR_BYTES * DISK_SECTOR_BYTES;
}
static inline uint64_t disk_segment_offset(const struct disk *disk, uint32_t segment) {
    return disk->base + segment * disk->super.segment_bytes;
}
/* Segment and offset in it of a place. False: there is no such place, the index was made wrong. */
static inline bool disk_locate(const struct disk *disk, uint64_t unit, uint32_t *out_segment,
                               uint64_t *out_offset) {
    uint64_t at = unit * DISK_UNIT_BYTES;
    if (at < disk->base || (at - disk->base) / disk->super.segment_bytes >= disk->super.segment_count)
        return false;
    *out_segment = (uint32_t)((at - disk->base) / disk->super.segment_bytes);
    *out_offset = (at - disk->base) % disk->super.segment_bytes;
    return true;
}
/* For a record of SITE at OFFSET of a segment that is held. SK_ERR_NOT_FOUND: the site's key was erased. */
sk_err disk_seal_place_of(const struct disk *disk, uint32_t segment, uint64_t offset, uint32_t site,
                          struct disk_seal_place *out_place);
static inline bool disk_is_loading(const struct disk *disk) {
    return atomic_load_explicit(&disk->loading, memory_order_relaxed); /* orders nothing */
}
static inline uint64_t disk_unit_of(const struct disk *disk, uint32_t segment, uint64_t offset) {
    return (disk_segment_offset(disk, segment) + offset) / DISK_UNIT_BYTES;
}
static inline void disk_count(_Atomic uint64_t *counter, uint64_t change) {
    atomic_fetch_add_explicit(counter, change, memory_order_relaxed); /* a figure, orders nothing */
}
/* All device access goes through these: counts, and takes the device out of service (disk_failed). */
sk_err disk_device_read(struct disk *disk, struct io_loop *loop, void *data, size_t bytes, uint64_t offset);
sk_err disk_device_write(struct disk *disk, struct io_loop *loop, const void *data, size_t bytes,
                         uint64_t offset);
/* After a failed sync nobody knows what is there: out of service too. */
sk_err disk_device_sync(struct disk *disk, struct io_loop *loop);
/* Sector-aligned memory; NULL when there is none. free() gives it back. */
void *disk_alloc(size_t bytes);

/* Room for BYTES of a record in the open segment, which is opened or changed for another as needed.
 * RECLAIMING may take the last free segment, but only while no put is under way (SK_ERR_BUSY, for microseconds):
 * an old record may not come to lie behind a new one of its key that was there first. On success the caller
 * copies into room.data outside of the lock and calls disk_room_done or _moved. SK_ERR_FULL, SK_ERR_NO_MEMORY. */
struct disk_room {
    struct disk_buffer *buffer;
    uint8_t *data;
    uint32_t segment;
    uint64_t offset, sequence;
};
sk_err disk_room_take(struct disk *disk, uint64_t bytes, bool reclaiming, struct disk_room *out_room);
/* The record is there: enters it into summary and index, unless a later one of the hash was quicker: the order in
 * the log is the order that holds, before and after a crash. */
void disk_room_done(struct disk *disk, const struct disk_room *room, sk_hash128 hash, uint64_t bytes);
/* The same for a record that was copied from unit FROM, where the index must still have it; it has so many ACCESSES
 * from then on. False, and the copy is as if it had never been made: it has not. */
bool disk_room_moved(struct disk *disk, const struct disk_room *room, sk_hash128 hash, uint64_t bytes,
                     uint64_t from, uint8_t accesses);
/* Gives the room back: nothing lies there, and never will. */
void disk_room_drop(struct disk *disk, const struct disk_room *room);
/* The most that one record may have. */
uint64_t disk_record_limit(const struct disk *disk);

/* The records of a segment on the device, in the order in which they were put: from its summary, or by looking
 * through it. The caller frees. *out_sequence is 0 when there is nothing of this store. */
sk_err disk_segment_entries(struct disk *disk, struct io_loop *loop, uint32_t segment, uint64_t *out_sequence,
                            struct disk_summary_entry **out_entries, uint32_t *out_count);
/* What stands at both ends of a segment: *out_summed_up: it has a summary. *out_head has sequence 0 when there is
 * nothing of this store. */
sk_err disk_segment_frame(struct disk *disk, uint32_t segment, struct disk_segment_head *out_head,
                          bool *out_summed_up);
/* Fills the segment table at the start, and finds what is to be loaded. */
sk_err disk_recover(struct disk *disk, struct io_loop *loop);
/* The store on IO with its segment table and without its records, to be looked at and not to be put to; disk_free.
 * As disk_open, without a key. */
sk_err disk_open_to_look(const struct disk_io *io, struct disk **out_disk);
/* Whether the kept index is of now; its own sum is not compared. */
bool disk_checkpoint_holds(struct disk *disk);
/* Without writing anything. */
void disk_free(struct disk *disk);
/* Nothing is left to be loaded. */
void disk_load_end(struct disk *disk);

#endif
