/* The owner's note: twice on the device, one after the other, each synced before the next begins. So of the two at
 * most one is damaged by a crash, and then the other is the last one that was told to be safe; and when one rots, the
 * other is no older. Two notes that are both damaged are told as such: nothing older is ever taken for the last. */
#include <stdlib.h>
#include <string.h>

#include "cache/disk_internal.h"

static uint64_t whole(uint64_t bytes) {
    return (bytes + DISK_SECTOR_BYTES - 1) / DISK_SECTOR_BYTES * DISK_SECTOR_BYTES;
}

size_t disk_note_limit(const struct disk *disk) {
    return (size_t)(disk->super.note_bytes - DISK_SECTOR_BYTES);
}

struct note {
    struct disk_note_head head;
    uint8_t *data; /* header and all; NULL: none */
};

/* SK_ERR_NOT_FOUND: there never was one; SK_ERR_CORRUPT. */
static sk_err read_slot(struct disk *disk, struct io_loop *loop, int slot, struct note *out_note) {
    uint64_t offset = disk_note_offset(disk, slot);
    struct disk_note_head head;
    uint8_t *sector = disk_alloc(DISK_SECTOR_BYTES);
    if (!sector) return SK_ERR_NO_MEMORY;
    sk_err err = disk_device_read(disk, loop, sector, DISK_SECTOR_BYTES, offset);
    if (!err) err = disk_note_head_decode(sector, disk->super.id, &head);
    free(sector);
    if (!err && head.bytes > disk_note_limit(disk)) err = SK_ERR_CORRUPT;
    if (err) return err;
    uint8_t *data = disk_alloc(DISK_SECTOR_BYTES + whole(head.bytes));
    if (!data) return SK_ERR_NO_MEMORY;
    err = disk_device_read(disk, loop, data, DISK_SECTOR_BYTES + whole(head.bytes), offset);
    if (!err && disk_checksum(data + DISK_SECTOR_BYTES, head.bytes, disk->super.id) != head.sum)
        err = SK_ERR_CORRUPT;
    if (err) {
        free(data);
        return err;
    }
    *out_note = (struct note){head, data};
    return SK_OK;
}

/* The later one of the two. */
static sk_err read_latest(struct disk *disk, struct io_loop *loop, struct note *out_note) {
    struct note notes[2] = {0};
    sk_err errs[2];
    for (int i = 0; i < 2; i++) errs[i] = read_slot(disk, loop, i, &notes[i]);
    if (errs[0] && errs[1]) return errs[0] == SK_ERR_NOT_FOUND ? errs[1] : errs[0];
    int latest = errs[0] || (!errs[1] && notes[1].head.sequence > notes[0].head.sequence);
    free(notes[!latest].data);
    *out_note = notes[latest];
    return SK_OK;
}

sk_err disk_note_read(struct disk *disk, struct io_loop *loop, void **out_data, size_t *out_bytes) {
    SK_CHECK_MAGIC(disk, DISK_MAGIC);
    struct note note;
    sk_err err = read_latest(disk, loop, &note);
    if (err) return err;
    memmove(note.data, note.data + DISK_SECTOR_BYTES, note.head.bytes);
    disk->note_sequence = SK_MAX(disk->note_sequence, note.head.sequence);
    *out_data = note.data;
    *out_bytes = note.head.bytes;
    return SK_OK;
}

/* One that was never read nor written in this life: the next has to be later than what lies there. */
static sk_err find_sequence(struct disk *disk, struct io_loop *loop) {
    struct note note;
    if (disk->note_sequence) return SK_OK;
    sk_err err = read_latest(disk, loop, &note);
    if (err == SK_ERR_NOT_FOUND || err == SK_ERR_CORRUPT) return SK_OK;
    if (err) return err;
    disk->note_sequence = note.head.sequence;
    free(note.data);
    return SK_OK;
}

sk_err disk_note_write(struct disk *disk, struct io_loop *loop, const void *data, size_t bytes) {
    SK_CHECK_MAGIC(disk, DISK_MAGIC);
    if (bytes > disk_note_limit(disk)) return SK_ERR_TOO_LARGE;
    sk_err err = find_sequence(disk, loop);
    if (err) return err;
    uint8_t *note = disk_alloc(DISK_SECTOR_BYTES + whole(bytes));
    if (!note) return SK_ERR_NO_MEMORY;
    struct disk_note_head head = {.sequence = disk->note_sequence + 1,
                                  .bytes = bytes,
                                  .sum = disk_checksum(data, bytes, disk->super.id)};
    disk_note_head_encode(&head, disk->super.id, note);
    memset(note + DISK_SECTOR_BYTES, 0, whole(bytes));
    if (bytes) memcpy(note + DISK_SECTOR_BYTES, data, bytes);
    for (int slot = 0; slot < 2 && !err; slot++) {
        err = disk_device_write(disk, loop, note, DISK_SECTOR_BYTES + whole(bytes),
                                disk_note_offset(disk, slot));
        if (!err) err = disk_device_sync(disk, loop);
    }
    free(note);
    if (!err) disk->note_sequence++;
    return err;
}
