/* How a store begins and ends: superblock, tables, and the checkpoint of the index between two clean lives. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <openssl/crypto.h>

#include "base/random.h"
#include "cache/disk_internal.h"

#define BEGINNING_BYTES (UINT64_C(256) * 1024)
#define CHECKPOINT_SHARE 8
#define SEGMENTS_WANTED_MAX 16384 /* each costs a read at the start: larger ones on a large device */
#define SEGMENT_GROWS_TO (UINT64_C(64) << 20)
#define RECORD_DEFAULT_BYTES 4096
#define HUGE_PAGE_BYTES (UINT64_C(2) << 20)

void disk_free(struct disk *disk) {
    for (size_t i = 0; i < SK_COUNT(disk->buffers); i++) {
        free(disk->buffers[i].data);
        free(disk->buffers[i].entries);
    }
    disk_index_destroy(disk->index);
    disk_seal_destroy(disk->seal);
    if (disk->keys) OPENSSL_cleanse(disk->keys, disk->super.segment_count * sizeof *disk->keys);
    free(disk->keys);
    free(disk->segments);
    free(disk->load.found);
    pthread_mutex_destroy(&disk->lock);
    free(disk);
}

/* ---- the superblock -------------------------------------------------------------------------------------- */

static uint64_t default_segment_bytes(uint64_t bytes) {
    uint64_t segment_bytes = DISK_SEGMENT_DEFAULT;
    while (segment_bytes < SEGMENT_GROWS_TO && bytes / segment_bytes > SEGMENTS_WANTED_MAX)
        segment_bytes *= 2;
    return segment_bytes;
}

static uint64_t default_records(uint64_t bytes) { return bytes / RECORD_DEFAULT_BYTES + 1; }

static void lay_out(struct disk *disk, const struct disk_options *options) {
    uint64_t bytes = disk->io.bytes;
    struct disk_superblock super = {0};
    sk_random_secret(&super.id, sizeof super.id);
    super.segment_bytes = options->segment_bytes ? options->segment_bytes : default_segment_bytes(bytes);
    super.checkpoint_bytes =
        DISK_SECTOR_BYTES +
        disk_index_image_bytes(options->records ? options->records : default_records(bytes));
    if (super.checkpoint_bytes > bytes / CHECKPOINT_SHARE) super.checkpoint_bytes = 0;
    super.sealed = disk->seal != NULL;
    if (disk->seal) disk_seal_check(disk->seal, super.id, super.key_check);
    uint64_t base = disk_superblock_base(&super);
    super.segment_count = bytes > base ? (bytes - base) / super.segment_bytes : 0;
    disk->super = super;
}

static sk_err write_superblock(struct disk *disk, struct io_loop *loop, const struct disk_options *options) {
    uint8_t *sector = disk_alloc(DISK_SECTOR_BYTES);
    if (!sector) return SK_ERR_NO_MEMORY;
    lay_out(disk, options);
    disk_superblock_encode(&disk->super, sector);
    sk_err err = disk_device_write(disk, loop, sector, DISK_SECTOR_BYTES, 0);
    if (!err) err = disk_device_sync(disk, loop);
    free(sector);
    return err;
}

/* What is not sealed is not used any more once it is to be: SK_ERR_UNSUPPORTED, so that it is made anew. What another
 * key has sealed is left alone. */
static sk_err key_fits(const struct disk *disk) {
    uint8_t check[DISK_KEY_CHECK_BYTES];
    if (disk->seal && !disk->super.sealed) return SK_ERR_UNSUPPORTED;
    if (!disk->super.sealed) return SK_OK;
    if (!disk->seal) return SK_ERR_DENIED;
    disk_seal_check(disk->seal, disk->super.id, check);
    return CRYPTO_memcmp(check, disk->super.key_check, sizeof check) ? SK_ERR_DENIED : SK_OK;
}

/* Where a store may be made: nothing but zeroes where file systems, partition tables, volumes and archives say what they
 * are (btrfs does at 64 KiB, ZFS within 256 KiB, most within 4). SK_ERR_EXISTS: something else lies there. */
static sk_err look_for_others(struct disk *disk, struct io_loop *loop) {
    size_t bytes =
        (size_t)SK_MIN(disk->io.bytes / DISK_SECTOR_BYTES * DISK_SECTOR_BYTES, (uint64_t)BEGINNING_BYTES);
    uint8_t *data = disk_alloc(bytes);
    if (!data) return SK_ERR_NO_MEMORY;
    sk_err err = disk_device_read(disk, loop, data, bytes, 0);
    for (size_t i = 0; !err && i < bytes; i++)
        if (data[i]) err = SK_ERR_EXISTS;
    free(data);
    return err;
}

static sk_err read_superblock(struct disk *disk, struct io_loop *loop, const struct disk_options *options) {
    uint8_t *sector = disk_alloc(DISK_SECTOR_BYTES);
    if (!sector) return SK_ERR_NO_MEMORY;
    sk_err err = disk_device_read(disk, loop, sector, DISK_SECTOR_BYTES, 0);
    if (!err) err = disk_superblock_decode(sector, &disk->super);
    if (!err) err = key_fits(disk);
    free(sector);
    bool none = err == SK_ERR_NOT_FOUND || err == SK_ERR_CORRUPT || err == SK_ERR_UNSUPPORTED;
    if (!none || !options->create) return err;
    err = err == SK_ERR_NOT_FOUND ? look_for_others(disk, loop) : SK_OK;
    return err ? err : write_superblock(disk, loop, options);
}

static bool sizes_fit(const struct disk *disk) {
    const struct disk_superblock *super = &disk->super;
    if (super->segment_bytes % DISK_SECTOR_BYTES || super->segment_bytes < 16 * DISK_SECTOR_BYTES)
        return false;
    if (super->checkpoint_bytes % DISK_SECTOR_BYTES) return false;
    if (super->checkpoint_bytes > disk->io.bytes || disk_superblock_base(super) > disk->io.bytes)
        return false;
    if (super->segment_bytes > (UINT64_C(1) << 32) || super->segment_count < DISK_SEGMENTS_MIN) return false;
    if (super->segment_count > UINT32_MAX) return false;
    uint64_t room = (disk->io.bytes - disk_superblock_base(super)) / super->segment_bytes;
    return super->segment_count <= room && disk->io.bytes / DISK_UNIT_BYTES <= DISK_PLACE_MAX;
}

/* Of a segment, where it can be in huge pages: the kernel holds each page while a device reads it, which nothing can
 * interrupt. */
static uint8_t *buffer_alloc(uint64_t bytes) {
    if (bytes % HUGE_PAGE_BYTES) return disk_alloc(bytes);
    uint8_t *data = aligned_alloc(HUGE_PAGE_BYTES, bytes);
    if (data) (void)madvise(data, bytes, MADV_HUGEPAGE); /* without, it works as well */
    return data;
}

static sk_err make_tables(struct disk *disk, const struct disk_options *options) {
    disk->base = disk_superblock_base(&disk->super);
    disk->segments = calloc(disk->super.segment_count, sizeof *disk->segments);
    for (size_t i = 0; i < SK_COUNT(disk->buffers); i++)
        disk->buffers[i].data = buffer_alloc(disk->super.segment_bytes);
    if (disk->seal) disk->keys = calloc(disk->super.segment_count, sizeof *disk->keys);
    if (disk->seal && !disk->keys) return SK_ERR_NO_MEMORY;
    if (!disk->segments || !disk->buffers[0].data || !disk->buffers[1].data) return SK_ERR_NO_MEMORY;
    return disk_index_create(options->records ? options->records : default_records(disk->io.bytes),
                             &disk->index);
}

/* ---- the checkpoint --------------------------------------------------------------------------------------- */

static uint64_t checkpoint_offset(const struct disk *disk) {
    return disk->base - disk->super.checkpoint_bytes;
}

/* Whatever a segment was opened for has a higher sequence than all before: the highest one on the device says
 * whether anything was written since. */
static uint64_t highest_sequence(const struct disk *disk) {
    uint64_t highest = 0;
    for (uint32_t i = 0; i < disk->super.segment_count; i++)
        highest = SK_MAX(highest, disk->segments[i].sequence);
    return highest;
}

/* In pieces of DISK_WRITE_BYTES, each summed up with the sum of what was before it. */
static sk_err image_transfer(struct disk *disk, struct io_loop *loop, bool write, uint64_t *out_sum) {
    uint64_t bytes, buckets, sum = disk->super.id, offset = checkpoint_offset(disk) + DISK_SECTOR_BYTES;
    uint8_t *image = disk_index_image(disk->index, &bytes, &buckets);
    for (uint64_t done = 0; done < bytes; done += DISK_WRITE_BYTES) {
        size_t n = (size_t)SK_MIN(bytes - done, DISK_WRITE_BYTES);
        sk_err err = write ? disk_device_write(disk, loop, image + done, n, offset + done)
                           : disk_device_read(disk, loop, image + done, n, offset + done);
        if (err) return err;
        sum = disk_checksum(image + done, n, sum);
    }
    *out_sum = sum;
    return SK_OK;
}

static sk_err sector_transfer(struct disk *disk, struct io_loop *loop, bool write,
                              struct disk_checkpoint_head *head) {
    uint8_t *sector = disk_alloc(DISK_SECTOR_BYTES);
    if (!sector) return SK_ERR_NO_MEMORY;
    if (write) disk_checkpoint_head_encode(head, disk->super.id, sector);
    sk_err err = write ? disk_device_write(disk, loop, sector, DISK_SECTOR_BYTES, checkpoint_offset(disk))
                       : disk_device_read(disk, loop, sector, DISK_SECTOR_BYTES, checkpoint_offset(disk));
    if (!err && !write) err = disk_checkpoint_head_decode(sector, disk->super.id, head);
    free(sector);
    return err;
}

/* Only when all of it could be written is there a header that says so. A store of which not all is loaded makes
 * none. */
static sk_err write_checkpoint(struct disk *disk, struct io_loop *loop) {
    struct disk_checkpoint_head head = {.sequence = highest_sequence(disk),
                                        .records = disk_index_usage(disk->index).records};
    uint64_t bytes;
    (void)disk_index_image(disk->index, &bytes, &head.buckets);
    if (disk->super.checkpoint_bytes < DISK_SECTOR_BYTES + bytes || disk_is_loading(disk)) return SK_OK;
    sk_err err = image_transfer(disk, loop, true, &head.sum);
    if (!err) err = disk_device_sync(disk, loop);
    if (!err) err = sector_transfer(disk, loop, true, &head);
    if (!err) err = disk_device_sync(disk, loop);
    return err;
}

bool disk_checkpoint_holds(struct disk *disk) {
    struct disk_checkpoint_head head;
    if (!disk->super.checkpoint_bytes || sector_transfer(disk, NULL, false, &head)) return false;
    return head.records && head.sequence == highest_sequence(disk);
}

/* False: there is none that holds. */
static bool read_checkpoint(struct disk *disk, struct io_loop *loop) {
    struct disk_checkpoint_head head;
    uint64_t bytes, buckets, sum;
    (void)disk_index_image(disk->index, &bytes, &buckets);
    if (disk->super.checkpoint_bytes < DISK_SECTOR_BYTES + bytes) return false;
    if (sector_transfer(disk, loop, false, &head)) return false;
    if (head.sequence != highest_sequence(disk) || head.buckets != buckets || !head.records) return false;
    bool good = image_transfer(disk, loop, false, &sum) == SK_OK && sum == head.sum;
    disk_index_image_set(disk->index, good ? head.records : 0);
    return good;
}

/* ---- life ------------------------------------------------------------------------------------------------- */

static sk_err load(struct disk *disk, struct io_loop *loop, bool background) {
    sk_err err = disk_recover(disk, loop);
    if (err) return err;
    if (read_checkpoint(disk, loop)) {
        disk_load_end(disk);
        return SK_OK;
    }
    while (!background && (err = disk_load(disk, loop)) == SK_OK) continue;
    return err == SK_ERR_AGAIN ? SK_OK : err;
}

sk_err disk_open(const struct disk_options *options, struct io_loop *loop, struct disk **out_disk) {
    struct disk *disk = calloc(1, sizeof *disk);
    if (!disk) return SK_ERR_NO_MEMORY;
    disk->magic = DISK_MAGIC;
    disk->io = options->io;
    disk->sites = options->sites;
    pthread_mutex_init(&disk->lock, NULL);
    sk_err err = disk->io.bytes < 2 * (uint64_t)DISK_SECTOR_BYTES ? SK_ERR_INVALID : SK_OK;
    if (!err && options->key) err = disk_seal_create(options->key, &disk->seal);
    if (!err) err = read_superblock(disk, loop, options);
    if (!err && !sizes_fit(disk)) err = SK_ERR_INVALID;
    if (!err) err = make_tables(disk, options);
    if (!err) err = load(disk, loop, options->background);
    if (err) {
        disk_free(disk);
        return err;
    }
    *out_disk = disk;
    return SK_OK;
}

sk_err disk_open_to_look(const struct disk_io *io, struct disk **out_disk) {
    struct disk *disk = calloc(1, sizeof *disk);
    const struct disk_options options = {.io = *io};
    if (!disk) return SK_ERR_NO_MEMORY;
    disk->magic = DISK_MAGIC;
    disk->io = *io;
    pthread_mutex_init(&disk->lock, NULL);
    sk_err err = disk->io.bytes < 2 * (uint64_t)DISK_SECTOR_BYTES ? SK_ERR_INVALID : SK_OK;
    if (!err) err = read_superblock(disk, NULL, &options);
    if (err == SK_ERR_DENIED) err = SK_OK; /* sealed: what is looked at are sums and lengths */
    if (!err && !sizes_fit(disk)) err = SK_ERR_INVALID;
    if (!err) {
        disk->base = disk_superblock_base(&disk->super);
        disk->segments = calloc(disk->super.segment_count, sizeof *disk->segments);
        err = disk->segments ? disk_index_create(1, &disk->index) : SK_ERR_NO_MEMORY;
    }
    if (!err) err = disk_recover(disk, NULL);
    if (err)
        disk_free(disk);
    else
        *out_disk = disk;
    return err;
}

sk_err disk_close(struct disk *disk, struct io_loop *loop) {
    SK_CHECK_MAGIC(disk, DISK_MAGIC);
    sk_err err = disk_flush(disk, loop);
    if (!err) err = write_checkpoint(disk, loop);
    disk_free(disk);
    return err;
}
