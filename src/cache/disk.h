/* The SSD tier's store on one device: a log of segments, written one after the other, the oldest taken back when
 * room is needed (Rosenblum, Ousterhout: "The Design and Implementation of a Log-Structured File System").
 *
 *   disk_put --> the open segment, in memory --full--> disk_write --> device
 *   disk_find <-- index (disk_index.h) <-- memory or device, verified (disk_format.h)
 *   disk_reclaim: the oldest segment's records leave the index; those that were asked for go in again
 *
 * A record is found from the moment at which it was put, and lost when the process dies before it was written.
 * Whatever a device does (dies, loses or tears writes, rots, was somebody else's), what is found is what was put
 * under exactly this key, or nothing: sums, sequence numbers and the whole key are compared at every read.
 *
 * Opened again after a clean stop, the index is the one that was kept then. After a crash, the segments' summaries
 * are the index; what was never summed up is scanned. Newest first, so that the latest record of a key wins, and
 * in the background if wished (disk_load): a record that is not loaded yet is a miss, and one that was put or
 * removed meanwhile is not undone by it.
 *
 * Any thread may call; what reads or writes the device parks the calling fiber when LOOP is given. Who calls
 * disk_load, disk_write, disk_flush and disk_reclaim, one at a time, is the owner's business: there is
 * no thread in here. */
#ifndef SK_CACHE_DISK_H
#define SK_CACHE_DISK_H

#include "cache/disk_format.h"
#include "cache/disk_index.h"

struct io_loop;
struct disk;
struct disk_keys;

/* The device. Offsets and lengths are multiples of DISK_SECTOR_BYTES, and so are addresses. */
struct disk_io {
    void *arg;
    uint64_t bytes;
    sk_err (*read)(void *arg, struct io_loop *loop, void *data, size_t bytes, uint64_t offset);
    sk_err (*write)(void *arg, struct io_loop *loop, const void *data, size_t bytes, uint64_t offset);
    sk_err (*sync)(void *arg, struct io_loop *loop);
};
/* A file or block device for this process alone, without the page cache where the file system allows it. A file is
 * made or extended to BYTES (0: as it is). SK_ERR_BUSY: another process has it; SK_ERR_DENIED, _NOT_FOUND,
 * _FULL, _IO; SK_ERR_EXISTS: a shorter file that holds
 * something else. */
sk_err disk_io_open(const char *path, uint64_t bytes, struct disk_io *out_io);
void disk_io_close(struct disk_io *io);

struct disk_options {
    struct disk_io io;      /* stays the caller's; outlives the store */
    uint64_t segment_bytes; /* of a new store; 0: 8 MiB, to 64 MiB on a large device */
    uint64_t records;       /* that the index has room for; 0: one for each 4 KiB */
    bool create;            /* make a new store where there is nothing, or a damaged one */
    /* The node key, of DISK_KEY_BYTES (disk_seal.h): everything is encrypted. NULL: nothing is. A store without is
     * as good as none where a key is given, and the other way round SK_ERR_DENIED. */
    const uint8_t *key;
    /* With a key: the keys that records are also sealed with, site by site, so that one can be erased. NULL: none. Stays
     * the caller's, and outlives the store. */
    struct disk_keys *sites;
    bool background; /* after a crash, disk_open does not read the segments' summaries: disk_load does */
};

/* Reads what is there. SK_ERR_NOT_FOUND, _CORRUPT, _UNSUPPORTED: no store of ours (and not create); SK_ERR_INVALID:
 * too small, or sizes that do not fit; SK_ERR_DENIED: it was sealed with another key; SK_ERR_EXISTS: something else lies
 * there, and is left alone; SK_ERR_IO, _NO_MEMORY. */
sk_err disk_open(const struct disk_options *options, struct io_loop *loop, struct disk **out_disk);
/* Writes what is not written yet, and the index unless it is not all loaded; no reader may be open. An error of the
 * device loses only that. */
sk_err disk_close(struct disk *disk, struct io_loop *loop);
/* Loads the records of one segment more. SK_ERR_AGAIN: all are loaded; SK_ERR_IO: no segment could be read;
 * SK_ERR_NO_MEMORY: not now. */
sk_err disk_load(struct disk *disk, struct io_loop *loop);

/* Copies the record, whose body lies in PIECES, one after the other. SITE, in a store with `sites`: the number of its site's key (disk_keys_for); 0: it has none.
 * SK_ERR_TOO_LARGE: more than a segment holds, or than the format's limits; SK_ERR_FULL: the device does not keep up,
 * nothing was stored; SK_ERR_NOT_FOUND: the site's key was erased, nothing was stored; SK_ERR_IO: it is out of service. */
sk_err disk_put_pieces(struct disk *disk, sk_hash128 hash, uint32_t site, sk_str key, sk_str head,
                       const sk_str *pieces, size_t count);
/* The same of a body in one piece. */
sk_err disk_put(struct disk *disk, sk_hash128 hash, uint32_t site, sk_str key, sk_str head, const void *body,
                uint64_t body_bytes);
/* Whether something is known of HASH: from the index alone, which may mean another key. */
bool disk_has(const struct disk *disk, sk_hash128 hash);
/* Forgets what is known of HASH: after a crash it may be known again. */
void disk_remove(struct disk *disk, sk_hash128 hash);

/* One record, pinned until it is closed. */
struct disk_reader {
    struct disk_record record; /* key and head as they were put */
    /* private */
    struct disk *disk;
    uint64_t unit, offset; /* the latter in the segment */
    uint32_t segment;
    size_t meta_bytes, have_bytes; /* of the record, in `buffer` or in memory */
    const uint8_t *memory;         /* of a segment that is still in memory; NULL: on the device */
    uint8_t *buffer, *start;       /* aligned; where the record begins in it */
    uint64_t verified;         /* bit n: block n, of those that were read with the head, is what was put */
    uint8_t *block;            /* for blocks beyond */
    struct disk_record stored; /* as it lies there; `record` of a sealed one is opened */
    uint8_t *opened, *opened_block;
};
/* SK_ERR_NOT_FOUND (nothing, another key, damaged, its site's key was erased), SK_ERR_IO (the device failed: as good as nothing),
 * SK_ERR_NO_MEMORY. Counts as an access. */
sk_err disk_find(struct disk *disk, struct io_loop *loop, sk_hash128 hash, sk_str key,
                 struct disk_reader *out_reader);
/* Block NUMBER (of DISK_BLOCK_BYTES, the last one shorter) of the body, verified; valid until the next call.
 * SK_ERR_CORRUPT: the record is forgotten; SK_ERR_NOT_FOUND: its site's key was erased meanwhile; SK_ERR_IO, SK_ERR_END
 * (beyond the body), SK_ERR_NO_MEMORY. */
sk_err disk_read_block(struct disk_reader *reader, struct io_loop *loop, uint64_t number, sk_str *out_data);
void disk_reader_close(struct disk_reader *reader);

/* Writes full segments. SK_ERR_AGAIN: there is none. SK_ERR_IO takes the device out of service. */
sk_err disk_write(struct disk *disk, struct io_loop *loop);
/* Writes also what a segment has that is not full, and syncs: all that was put before is safe then. */
sk_err disk_flush(struct disk *disk, struct io_loop *loop);
/* Takes back the oldest segment when free ones are few. SK_ERR_AGAIN: nothing to do, or readers still hold it. */
sk_err disk_reclaim(struct disk *disk, struct io_loop *loop);

struct disk_usage {
    uint64_t segments, free_segments, segment_bytes;
    uint64_t put_bytes, written_bytes, read_bytes; /* records; device */
    uint64_t served_bytes;                         /* heads and blocks that readers were given */
    uint64_t reinserted, reclaimed;                /* records, segments */
    uint64_t reinserted_bytes;
    uint64_t damaged, foreign;          /* records that failed a sum; that were another key's */
    uint64_t refused;                   /* puts with SK_ERR_FULL */
    uint64_t read_errors, write_errors; /* of the device */
    bool failed;                        /* out of service */
    bool loading;                       /* disk_load has not loaded all yet */
    struct disk_index_usage index;
};
void disk_usage(struct disk *disk, struct disk_usage *out_usage);
/* Whether the device is out of service: a write or a sync failed, or DISK_READ_ERRORS_MAX reads one after the
 * other. It stays so until the store is opened again. Any thread. */
bool disk_failed(const struct disk *disk);
#define DISK_READ_ERRORS_MAX 64

#endif
