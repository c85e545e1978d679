#include "cache/disk.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "cache/disk_internal.h"

/* ---- the device ---------------------------------------------------------------------------------------- */

void *disk_alloc(size_t bytes) {
    size_t whole = (bytes + DISK_SECTOR_BYTES - 1) / DISK_SECTOR_BYTES * DISK_SECTOR_BYTES;
    return aligned_alloc(DISK_SECTOR_BYTES, whole);
}

/* relaxed, as all of it: nothing else is told by it */
bool disk_failed(const struct disk *disk) {
    return atomic_load_explicit(&disk->failed, memory_order_relaxed);
}
static void fail(struct disk *disk) { atomic_store_explicit(&disk->failed, true, memory_order_relaxed); }

/* A read may fail alone, of one bad sector; a device that fails every time is gone. */
static void read_failed(struct disk *disk) {
    disk_count(&disk->read_errors, 1);
    uint32_t before = atomic_fetch_add_explicit(&disk->reads_failing, 1, memory_order_relaxed);
    if (before + 1 >= DISK_READ_ERRORS_MAX) fail(disk);
}

sk_err disk_device_read(struct disk *disk, struct io_loop *loop, void *data, size_t bytes, uint64_t offset) {
    if (disk_failed(disk)) return SK_ERR_IO;
    sk_err err = disk->io.read(disk->io.arg, loop, data, bytes, offset);
    if (err) {
        if (err != SK_ERR_CANCELLED && err != SK_ERR_NO_MEMORY) read_failed(disk);
        return err;
    }
    disk_count(&disk->read_bytes, bytes);
    if (atomic_load_explicit(&disk->reads_failing, memory_order_relaxed))
        atomic_store_explicit(&disk->reads_failing, 0, memory_order_relaxed);
    return SK_OK;
}

sk_err disk_device_write(struct disk *disk, struct io_loop *loop, const void *data, size_t bytes,
                         uint64_t offset) {
    if (disk_failed(disk)) return SK_ERR_IO;
    sk_err err = disk->io.write(disk->io.arg, loop, data, bytes, offset);
    if (!err) {
        disk_count(&disk->written_bytes, bytes);
        return SK_OK;
    }
    disk_count(&disk->write_errors, 1);
    fail(disk);
    return SK_ERR_IO;
}

sk_err disk_device_sync(struct disk *disk, struct io_loop *loop) {
    if (disk_failed(disk)) return SK_ERR_IO;
    if (!disk->io.sync(disk->io.arg, loop)) return SK_OK;
    disk_count(&disk->write_errors, 1);
    fail(disk);
    return SK_ERR_IO;
}

/* ---- figures ------------------------------------------------------------------------------------------ */

void disk_usage(struct disk *disk, struct disk_usage *out_usage) {
    SK_CHECK_MAGIC(disk, DISK_MAGIC);
#define FIGURE(name) .name = atomic_load_explicit(&disk->name, memory_order_relaxed)
    *out_usage = (struct disk_usage){
        .segments = disk->super.segment_count,
        .segment_bytes = disk->super.segment_bytes,
        .index = disk_index_usage(disk->index),
        .loading = atomic_load_explicit(&disk->loading, memory_order_relaxed),
        FIGURE(put_bytes),
        FIGURE(written_bytes),
        FIGURE(read_bytes),
        FIGURE(served_bytes),
        FIGURE(reinserted),
        FIGURE(reinserted_bytes),
        FIGURE(reclaimed),
        FIGURE(damaged),
        FIGURE(foreign),
        FIGURE(refused),
        FIGURE(read_errors),
        FIGURE(write_errors),
        FIGURE(failed),
    };
#undef FIGURE
    pthread_mutex_lock(&disk->lock);
    out_usage->free_segments = disk->free_segments;
    pthread_mutex_unlock(&disk->lock);
}

/* ---- sealing ------------------------------------------------------------------------------------------ */

sk_err disk_seal_place_of(const struct disk *disk, uint32_t segment, uint64_t offset, uint32_t site,
                          struct disk_seal_place *out_place) {
    uint8_t key[DISK_KEY_BYTES];
    sk_err err = SK_OK;
    out_place->place = (uint32_t)(offset / DISK_RECORD_ALIGN);
    out_place->seed = disk->super.id;
    memcpy(out_place->key, disk->keys[segment], DISK_KEY_BYTES);
    if (!site) return SK_OK;
    err = disk->sites ? disk_keys_find(disk->sites, site, key) : SK_ERR_NOT_FOUND;
    if (!err) disk_seal_record_key(disk->keys[segment], key, out_place->key);
    OPENSSL_cleanse(key, sizeof key);
    return err;
}

static sk_err seal(struct disk *disk, const struct disk_room *room, uint32_t site) {
    struct disk_seal_place place;
    if (!disk->seal) return SK_OK;
    sk_err err = disk_seal_place_of(disk, room->segment, room->offset, site, &place);
    if (!err) err = disk_seal_record(disk->seal, &place, room->data);
    OPENSSL_cleanse(&place, sizeof place);
    return err;
}

/* ---- putting ------------------------------------------------------------------------------------------- */

static uint64_t bytes_of(const sk_str *pieces, size_t count) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += pieces[i].len;
    return bytes;
}

static void copy_pieces(uint8_t *out, const sk_str *pieces, size_t count) {
    for (size_t i = 0; i < count; out += pieces[i++].len)
        if (pieces[i].len) memcpy(out, pieces[i].data, pieces[i].len);
}

/* The body first: it is summed up where it lies then, in the processor's cache, and read from memory once. */
static sk_err fill_room(struct disk *disk, const struct disk_room *room, struct disk_record *record,
                        const sk_str *pieces, size_t count) {
    size_t meta = disk_record_meta_size(record);
    uint64_t end = meta + record->body_bytes;
    copy_pieces(room->data + meta, pieces, count);
    memset(room->data + end, 0, disk_record_size(record) - end);
    record->sequence = room->sequence;
    disk_record_encode(record, room->data + meta, disk->super.id, room->data);
    return seal(disk, room, record->site);
}

sk_err disk_put_pieces(struct disk *disk, sk_hash128 hash, uint32_t site, sk_str key, sk_str head,
                       const sk_str *pieces, size_t count) {
    SK_CHECK_MAGIC(disk, DISK_MAGIC);
    struct disk_record record = {.hash = hash,
                                 .key = key,
                                 .head = head,
                                 .body_bytes = bytes_of(pieces, count),
                                 .sealed = disk->seal != NULL,
                                 .site = disk->seal ? site : 0};
    if (key.len > DISK_KEY_MAX_BYTES || head.len > DISK_HEAD_MAX_BYTES) return SK_ERR_TOO_LARGE;
    if (record.body_bytes > disk_record_limit(disk)) return SK_ERR_TOO_LARGE;
    uint64_t bytes = disk_record_size(&record);
    if (bytes > disk_record_limit(disk)) return SK_ERR_TOO_LARGE;
    if (disk_failed(disk)) return SK_ERR_IO;
    struct disk_room room;
    sk_err err = disk_room_take(disk, bytes, false, &room);
    if (err) {
        disk_count(&disk->refused, 1);
        return err;
    }
    err = fill_room(disk, &room, &record, pieces, count);
    if (err) {
        disk_room_drop(disk, &room);
        return err;
    }
    disk_room_done(disk, &room, hash, bytes);
    disk_count(&disk->put_bytes, bytes);
    return SK_OK;
}

sk_err disk_put(struct disk *disk, sk_hash128 hash, uint32_t site, sk_str key, sk_str head, const void *body,
                uint64_t body_bytes) {
    const sk_str whole = sk_str_make(body, body_bytes);
    return disk_put_pieces(disk, hash, site, key, head, &whole, 1);
}

void disk_remove(struct disk *disk, sk_hash128 hash) {
    SK_CHECK_MAGIC(disk, DISK_MAGIC);
    (void)disk_index_remove(disk->index, hash, 0);
}

/* ---- finding ------------------------------------------------------------------------------------------- */

/* Holds the segment that the place is in, so that it is not taken back, and looks again whether the place
 * still holds. False: it does not. */
static bool pin(struct disk *disk, sk_hash128 hash, struct disk_place *place, struct disk_reader *reader) {
    struct disk_place again;
    uint32_t segment;
    uint64_t offset;
    if (!disk_locate(disk, place->unit, &segment, &offset)) return false;
    pthread_mutex_lock(&disk->lock);
    bool same = disk_index_find(disk->index, hash, &again) && again.unit == place->unit;
    if (same) {
        atomic_fetch_add_explicit(&disk->segments[segment].readers, 1,
                                  memory_order_relaxed); /* the lock orders */
        *reader =
            (struct disk_reader){.disk = disk, .unit = place->unit, .offset = offset, .segment = segment};
        for (size_t i = 0; i < SK_COUNT(disk->buffers); i++)
            if (disk->buffers[i].in_use && disk->buffers[i].segment == segment)
                reader->memory = disk->buffers[i].data + offset;
    }
    pthread_mutex_unlock(&disk->lock);
    return same;
}

/* Reads what lies from the record's beginning on: LEAST bytes, or as many as its class says. */
static sk_err read_start(struct disk_reader *reader, struct io_loop *loop, uint64_t bytes) {
    struct disk *disk = reader->disk;
    uint64_t at = reader->unit * DISK_UNIT_BYTES, from = at / DISK_SECTOR_BYTES * DISK_SECTOR_BYTES;
    uint64_t segment_end = disk_segment_offset(disk, reader->segment) + disk->super.segment_bytes;
    uint64_t end =
        SK_MIN((at + bytes + DISK_SECTOR_BYTES - 1) / DISK_SECTOR_BYTES * DISK_SECTOR_BYTES, segment_end);
    free(reader->buffer);
    reader->buffer = disk_alloc(end - from);
    if (!reader->buffer) return SK_ERR_NO_MEMORY;
    sk_err err = disk_device_read(disk, loop, reader->buffer, end - from, from);
    reader->start = reader->buffer + (at - from);
    reader->have_bytes = end - at;
    return err;
}

/* The record's header, key and head, verified. */
static sk_err load_meta(struct disk_reader *reader, struct io_loop *loop, const struct disk_place *place) {
    uint64_t seed = reader->disk->super.id, sequence, all;
    sk_err err = SK_OK;
    if (reader->memory) {
        reader->start = (uint8_t *)reader->memory;
        reader->have_bytes = SIZE_MAX;
    } else {
        err = read_start(reader, loop, disk_length_of(place->length_class));
    }
    if (!err && reader->have_bytes < DISK_RECORD_HEADER_BYTES) err = SK_ERR_CORRUPT;
    if (!err) err = disk_record_peek(reader->start, seed, &sequence, &reader->meta_bytes, &all);
    if (!err && reader->have_bytes < reader->meta_bytes) err = read_start(reader, loop, reader->meta_bytes);
    if (!err) err = disk_record_decode(reader->start, reader->have_bytes, seed, &reader->stored);
    if (err) return err;
    bool ours = reader->stored.sequence == reader->disk->segments[reader->segment].sequence &&
                reader->stored.sealed == reader->disk->super.sealed;
    reader->record = reader->stored;
    return ours ? SK_OK : SK_ERR_CORRUPT;
}

/* Key and head of a sealed record, opened. */
static sk_err open_meta(struct disk_reader *reader) {
    struct disk *disk = reader->disk;
    struct disk_record *record = &reader->record;
    if (!disk->seal) return SK_OK;
    reader->opened = malloc(record->key.len + record->head.len + 1);
    if (!reader->opened) return SK_ERR_NO_MEMORY;
    struct disk_seal_place place;
    sk_err err = disk_seal_place_of(disk, reader->segment, reader->offset, reader->stored.site, &place);
    if (!err) err = disk_seal_open_meta(disk->seal, &place, &reader->stored, reader->opened);
    OPENSSL_cleanse(&place, sizeof place);
    record->key.data = (const char *)reader->opened;
    record->head.data = record->key.data + record->key.len;
    return err;
}

sk_err disk_find(struct disk *disk, struct io_loop *loop, sk_hash128 hash, sk_str key,
                 struct disk_reader *out_reader) {
    SK_CHECK_MAGIC(disk, DISK_MAGIC);
    struct disk_place place;
    struct disk_reader reader;
    if (!disk_index_find(disk->index, hash, &place)) return SK_ERR_NOT_FOUND;
    if (!pin(disk, hash, &place, &reader)) return SK_ERR_NOT_FOUND;
    sk_err err = load_meta(&reader, loop, &place);
    if (!err) err = open_meta(&reader);
    if (err == SK_ERR_CORRUPT) disk_count(&disk->damaged, 1);
    if (err == SK_ERR_CORRUPT || err == SK_ERR_NOT_FOUND)
        (void)disk_index_remove(disk->index, hash, place.unit);
    bool same = !err && sk_hash128_eq(reader.record.hash, hash) && sk_str_eq(reader.record.key, key);
    if (!err && !same) disk_count(&disk->foreign, 1);
    if (same) {
        disk_index_touch(disk->index, hash, place.unit);
        disk_count(&disk->served_bytes, reader.record.head.len);
        *out_reader = reader;
        return SK_OK;
    }
    disk_reader_close(&reader);
    return err && err != SK_ERR_CORRUPT ? err : SK_ERR_NOT_FOUND;
}

static bool is_there(const struct disk_reader *reader, uint64_t number, size_t bytes) {
    return reader->memory || reader->meta_bytes + number * DISK_BLOCK_BYTES + bytes <= reader->have_bytes;
}

/* From what was read with the head, if it is there; else with a read of its own. */
static sk_err fetch_block(struct disk_reader *reader, struct io_loop *loop, uint64_t number, size_t bytes,
                          const uint8_t **out_data) {
    uint64_t at = reader->meta_bytes + number * DISK_BLOCK_BYTES;
    if (is_there(reader, number, bytes)) {
        *out_data = reader->start + at;
        return SK_OK;
    }
    uint64_t offset = reader->unit * DISK_UNIT_BYTES + at;
    uint64_t from = offset / DISK_SECTOR_BYTES * DISK_SECTOR_BYTES;
    uint64_t end = (offset + bytes + DISK_SECTOR_BYTES - 1) / DISK_SECTOR_BYTES * DISK_SECTOR_BYTES;
    if (!reader->block) reader->block = disk_alloc(DISK_BLOCK_BYTES + 2 * DISK_SECTOR_BYTES);
    if (!reader->block) return SK_ERR_NO_MEMORY;
    *out_data = reader->block + (offset - from);
    return disk_device_read(reader->disk, loop, reader->block, end - from, from);
}

static sk_err open_block(struct disk_reader *reader, uint64_t number, const uint8_t **data, size_t bytes) {
    struct disk *disk = reader->disk;
    if (!reader->opened_block) reader->opened_block = malloc(DISK_BLOCK_BYTES);
    if (!reader->opened_block) return SK_ERR_NO_MEMORY;
    struct disk_seal_place place;
    sk_err err = disk_seal_place_of(disk, reader->segment, reader->offset, reader->stored.site, &place);
    if (!err)
        err = disk_seal_open_block(disk->seal, &place, &reader->stored, number, *data, bytes,
                                   reader->opened_block);
    OPENSSL_cleanse(&place, sizeof place);
    *data = reader->opened_block;
    return err;
}

/* What was read with the head stays as it is: it is summed up once, however often it is asked for. */
static bool is_good(struct disk_reader *reader, uint64_t number, const uint8_t *data, size_t bytes) {
    uint64_t bit = number < 64 && is_there(reader, number, bytes) ? UINT64_C(1) << number : 0;
    if (reader->verified & bit) return true;
    if (!disk_record_block_good(&reader->stored, number, data, bytes, reader->disk->super.id)) return false;
    reader->verified |= bit;
    return true;
}

sk_err disk_read_block(struct disk_reader *reader, struct io_loop *loop, uint64_t number, sk_str *out_data) {
    uint64_t length = reader->record.body_bytes;
    const uint8_t *data;
    if (number >= length / DISK_BLOCK_BYTES + (length % DISK_BLOCK_BYTES > 0)) return SK_ERR_END;
    size_t bytes = (size_t)SK_MIN(length - number * DISK_BLOCK_BYTES, (uint64_t)DISK_BLOCK_BYTES);
    sk_err err = fetch_block(reader, loop, number, bytes, &data);
    if (err) return err;
    if (!is_good(reader, number, data, bytes)) err = SK_ERR_CORRUPT;
    if (!err && reader->disk->seal) err = open_block(reader, number, &data, bytes);
    if (err == SK_ERR_CORRUPT) {
        disk_count(&reader->disk->damaged, 1);
        (void)disk_index_remove(reader->disk->index, reader->record.hash, reader->unit);
    }
    if (err) return err;
    disk_count(&reader->disk->served_bytes, bytes);
    *out_data = sk_str_make((const char *)data, bytes);
    return SK_OK;
}

void disk_reader_close(struct disk_reader *reader) {
    if (!reader->disk) return;
    free(reader->buffer);
    free(reader->block);
    free(reader->opened);
    free(reader->opened_block);
    /* release: what was read is over before the segment is used again */
    atomic_fetch_sub_explicit(&reader->disk->segments[reader->segment].readers, 1, memory_order_release);
    *reader = (struct disk_reader){0};
}

bool disk_has(const struct disk *disk, sk_hash128 hash) {
    struct disk_place place;
    return disk_index_find(disk->index, hash, &place);
}
