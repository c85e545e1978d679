/* Several devices as one store of the SSD tier: each has a log of its own (disk.h), and a key belongs to one of them
 * by its hash (Thaler, Ravishankar: "Using Name-Based Mappings to Increase Hit Rates", weighted by size), so that a
 * device that is lost or added costs only its share of the records.
 *
 * Each device may fail alone, at the start or later: its keys are misses and what is put under them is dropped and
 * counted, while the others go on. The owner learns of it from disk_set_usage, logs it, and calls disk_set_revive
 * from time to time.
 *
 * Threads as in disk.h: any may put, find and read. For each device, one at a time calls disk_set_load, _write,
 * _flush, _reclaim and _revive; different devices may be worked on at the same time. */
#ifndef SK_CACHE_DISK_SET_H
#define SK_CACHE_DISK_SET_H

#include "cache/disk.h"

struct disk_set;

#define DISK_SET_MAX 64 /* devices */

struct disk_set_path {
    const char *path; /* also the device's name among the others: to rename one moves its share */
    uint64_t bytes;   /* of a file, made or extended to it; 0: as it is */
};

struct disk_set_options {
    const struct disk_set_path *paths; /* copied */
    size_t count;
    uint64_t segment_bytes;  /* of new stores; 0: the store's own default */
    uint64_t records;        /* that all indexes together have room for; 0: the store's own default */
    bool create;             /* as in disk_options */
    const uint8_t *key;      /* as in disk_options; copied */
    struct disk_keys *sites; /* as in disk_options: of all devices */
    bool background;         /* what is to be loaded after a crash, disk_set_load loads */
    /* How a device is opened and closed; NULL: disk_io_open, disk_io_close. */
    sk_err (*open)(const char *path, uint64_t bytes, struct disk_io *out_io);
    void (*close)(struct disk_io *io);
};

/* Opens every device that can be opened: one that cannot is out of service, as disk_set_usage tells, and no error.
 * Devices get keys in proportion to their `bytes`, or equally when one of them does not say.
 * SK_ERR_INVALID: no device, or more than DISK_SET_MAX; SK_ERR_NO_MEMORY. */
sk_err disk_set_open(const struct disk_set_options *options, struct io_loop *loop, struct disk_set **out_set);
/* As disk_close, each device; no reader may be open. The first error, after all are closed. */
sk_err disk_set_close(struct disk_set *set, struct io_loop *loop);
size_t disk_set_count(const struct disk_set *set);
/* The device that HASH belongs to, in service or not. */
size_t disk_set_device_of(const struct disk_set *set, sk_hash128 hash);

/* As disk_put_pieces; SK_ERR_IO: the device is out of service, and the record was dropped. */
sk_err disk_set_put(struct disk_set *set, sk_hash128 hash, uint32_t site, sk_str key, sk_str head,
                    const sk_str *pieces, size_t count);
/* As disk_has; false of a device that is out of service. */
bool disk_set_has(struct disk_set *set, sk_hash128 hash);
/* As disk_remove; nothing for a device that is out of service: back again, it may know the record still. */
void disk_set_remove(struct disk_set *set, sk_hash128 hash);

struct disk_set_reader {
    struct disk_reader one; /* one.record: key and head as they were put */
    /* private */
    struct disk_set_device *device;
};
/* As disk_find; SK_ERR_NOT_FOUND also for a key whose device is out of service. */
sk_err disk_set_find(struct disk_set *set, struct io_loop *loop, sk_hash128 hash, sk_str key,
                     struct disk_set_reader *out_reader);
/* As disk_read_block. */
sk_err disk_set_read_block(struct disk_set_reader *reader, struct io_loop *loop, uint64_t number,
                           sk_str *out_data);
void disk_set_reader_close(struct disk_set_reader *reader);

/* As disk_load, disk_write, disk_flush and disk_reclaim, of device NUMBER. SK_ERR_IO: it is out of service. */
sk_err disk_set_load(struct disk_set *set, struct io_loop *loop, size_t number);
sk_err disk_set_write(struct disk_set *set, struct io_loop *loop, size_t number);
sk_err disk_set_flush(struct disk_set *set, struct io_loop *loop, size_t number);
sk_err disk_set_reclaim(struct disk_set *set, struct io_loop *loop, size_t number);
/* Opens device NUMBER anew when it is out of service; it is known by what lies on it, as after a crash.
 * SK_ERR_AGAIN: it is in service; SK_ERR_BUSY: somebody still reads from it; else as disk_io_open and disk_open. */
sk_err disk_set_revive(struct disk_set *set, struct io_loop *loop, size_t number);

struct disk_set_usage {
    const char *path; /* of the set */
    sk_err err;       /* why it is out of service; SK_OK: it is in service */
    uint64_t outages; /* how often it went out of service, at the start or later */
    uint64_t dropped; /* puts while it was out of service */
    struct disk_usage
        disk; /* what is counted: since the set was opened; what is there: zeroes while out of service */
};
void disk_set_usage(struct disk_set *set, size_t number, struct disk_set_usage *out_usage);

#endif
