#include "cache/disk_set.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cache/disk_seal.h"

/* Which device a key belongs to is looked up by 12 bits of its hash. They are not those that the index of a device
 * chooses its buckets and tags by: with those, a device would use a part of its index only. */
#define LOTS 4096
#define LOT_SHIFT 20

struct disk_set_device {
    /* set once */
    char *path;
    uint64_t bytes, records;
    /* the one who works on the device */
    struct disk_io io;
    struct disk *retired; /* out of service, to be closed when nobody uses it any more */
    /* under the lock; microseconds: of the lives that it has had, and with it which life is the present one */
    pthread_mutex_t lock;
    struct disk_usage past;
    /* any thread */
    _Atomic(struct disk *) disk; /* NULL: out of service */
    _Atomic uint64_t users;      /* calls and readers that may use `disk` or `retired` */
    _Atomic sk_err err;          /* why it was not opened */
    _Atomic uint64_t outages, dropped;
    _Atomic bool noticed; /* this outage is counted */
};

#define DISK_SET_MAGIC 0x64736574u
struct disk_set {
    uint32_t magic;
    /* set once */
    size_t count;
    uint64_t segment_bytes;
    bool create, background, sealed;
    uint8_t key[DISK_KEY_BYTES];
    struct disk_keys *sites; /* the owner's */
    sk_err (*open)(const char *path, uint64_t bytes, struct disk_io *out_io);
    void (*close)(struct disk_io *io);
    uint8_t lots[LOTS]; /* the device of each */
    struct disk_set_device devices[];
};

static void count_one(_Atomic uint64_t *counter) {
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed); /* a figure, orders nothing */
}

/* ---- who may use a device ------------------------------------------------------------------------------ */

static void leave(struct disk_set_device *device) {
    /* release: what was done with the store is over before it is closed */
    atomic_fetch_sub_explicit(&device->users, 1, memory_order_release);
}

static void notice_outage(struct disk_set_device *device) {
    if (!atomic_exchange_explicit(&device->noticed, true, memory_order_relaxed)) count_one(&device->outages);
}

/* NULL: out of service. Otherwise the store stays until `leave`: who comes is counted before he looks, and who
 * retires the store takes it away before he counts (both sequentially consistent), so that one sees the other.
 * The first look is for those who come after that: were they counted, the count might never be seen at 0. */
static struct disk *enter(struct disk_set_device *device) {
    if (!atomic_load_explicit(&device->disk, memory_order_relaxed)) return NULL;
    atomic_fetch_add_explicit(&device->users, 1, memory_order_seq_cst);
    struct disk *disk = atomic_load_explicit(&device->disk, memory_order_seq_cst);
    if (disk && !disk_failed(disk)) return disk;
    leave(device);
    notice_outage(device);
    return NULL;
}

/* What only grows. */
static void add_figures(struct disk_usage *sum, const struct disk_usage *life) {
    sum->put_bytes += life->put_bytes;
    sum->written_bytes += life->written_bytes;
    sum->read_bytes += life->read_bytes;
    sum->served_bytes += life->served_bytes;
    sum->reinserted += life->reinserted;
    sum->reclaimed += life->reclaimed;
    sum->damaged += life->damaged;
    sum->foreign += life->foreign;
    sum->refused += life->refused;
    sum->read_errors += life->read_errors;
    sum->write_errors += life->write_errors;
}

static void take_away(struct disk_set_device *device) {
    struct disk_usage life;
    pthread_mutex_lock(&device->lock);
    device->retired = atomic_exchange_explicit(&device->disk, NULL, memory_order_seq_cst);
    if (device->retired) {
        disk_usage(device->retired, &life);
        add_figures(&device->past, &life);
    }
    pthread_mutex_unlock(&device->lock);
}

/* The store is of no use any more. SK_ERR_BUSY: somebody still has it. */
static sk_err retire(struct disk_set *set, struct disk_set_device *device, struct io_loop *loop) {
    if (!device->retired) take_away(device);
    if (!device->retired) return SK_OK;
    if (atomic_load_explicit(&device->users, memory_order_seq_cst)) return SK_ERR_BUSY;
    sk_err err = disk_close(device->retired, loop);
    set->close(&device->io);
    device->retired = NULL;
    return err == SK_ERR_NO_MEMORY ? err : SK_OK; /* that it failed is why it goes */
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static sk_err open_device(struct disk_set *set, struct disk_set_device *device, struct io_loop *loop) {
    struct disk *disk = NULL;
    sk_err err = set->open(device->path, device->bytes, &device->io);
    if (!err) {
        struct disk_options options = {.io = device->io,
                                       .segment_bytes = set->segment_bytes,
                                       .records = device->records,
                                       .create = set->create,
                                       .key = set->sealed ? set->key : NULL,
                                       .sites = set->sites,
                                       .background = set->background};
        err = disk_open(&options, loop, &disk);
        if (err) set->close(&device->io);
    }
    atomic_store_explicit(&device->err, err, memory_order_relaxed); /* a figure, orders nothing */
    if (err) {
        notice_outage(device);
        return err;
    }
    atomic_store_explicit(&device->noticed, false, memory_order_relaxed);
    atomic_store_explicit(&device->disk, disk, memory_order_seq_cst); /* made before it is seen; see enter */
    return SK_OK;
}

/* The chance to win a lot is in proportion to the weight: -log of an even number in (0, 1) is a waiting time, and
 * the device with the most weight comes soonest. */
static double waiting_time(const struct disk_set_device *device, uint32_t lot, double weight) {
    char name[8 + 4096];
    size_t length = strnlen(device->path, 4096);
    for (int i = 0; i < 4; i++) name[i] = (char)(lot >> 8 * i);
    memcpy(name + 4, device->path, length);
    double even = ((double)(sk_hash64(name, 4 + length) >> 11) + 0.5) / 9007199254740992.0; /* 2^53 */
    return -log(even) / weight;
}

static void draw_lots(struct disk_set *set) {
    bool weighted = true;
    for (size_t i = 0; i < set->count; i++) weighted = weighted && set->devices[i].bytes > 0;
    for (uint32_t lot = 0; lot < LOTS; lot++) {
        double least = 0;
        for (size_t i = 0; i < set->count; i++) {
            double time = waiting_time(&set->devices[i], lot, weighted ? (double)set->devices[i].bytes : 1.0);
            if (i && time >= least) continue;
            least = time;
            set->lots[lot] = (uint8_t)i;
        }
    }
}

/* Each index has room for its device's share, and a tenth for unevenness. */
static void share_records(struct disk_set *set, uint64_t records) {
    uint32_t lots[DISK_SET_MAX] = {0};
    for (uint32_t lot = 0; lot < LOTS; lot++) lots[set->lots[lot]]++;
    for (size_t i = 0; i < set->count; i++)
        set->devices[i].records =
            records ? (uint64_t)((double)records * lots[i] / LOTS * (set->count > 1 ? 1.1 : 1.0)) + 1 : 0;
}

static void set_free(struct disk_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        pthread_mutex_destroy(&set->devices[i].lock);
        free(set->devices[i].path);
    }
    explicit_bzero(set->key, sizeof set->key);
    free(set);
}

static struct disk_set *set_make(const struct disk_set_options *options) {
    struct disk_set *set = calloc(1, sizeof *set + options->count * sizeof *set->devices);
    if (!set) return NULL;
    set->magic = DISK_SET_MAGIC;
    set->count = options->count;
    set->segment_bytes = options->segment_bytes;
    set->create = options->create;
    set->background = options->background;
    set->sealed = options->key != NULL;
    if (options->key) memcpy(set->key, options->key, sizeof set->key);
    set->sites = options->sites;
    set->open = options->open ? options->open : disk_io_open;
    set->close = options->close ? options->close : disk_io_close;
    bool made = true;
    for (size_t i = 0; i < set->count; i++) {
        pthread_mutex_init(&set->devices[i].lock, NULL);
        set->devices[i].bytes = options->paths[i].bytes;
        set->devices[i].path = strdup(options->paths[i].path);
        made = made && set->devices[i].path;
    }
    if (made) return set;
    set_free(set);
    return NULL;
}

sk_err disk_set_open(const struct disk_set_options *options, struct io_loop *loop,
                     struct disk_set **out_set) {
    if (!options->count || options->count > DISK_SET_MAX) return SK_ERR_INVALID;
    struct disk_set *set = set_make(options);
    if (!set) return SK_ERR_NO_MEMORY;
    draw_lots(set);
    share_records(set, options->records);
    sk_err err = SK_OK;
    for (size_t i = 0; i < set->count && err != SK_ERR_NO_MEMORY; i++)
        err = open_device(set, &set->devices[i], loop);
    if (err == SK_ERR_NO_MEMORY) {
        (void)disk_set_close(set, loop);
        return err;
    }
    *out_set = set;
    return SK_OK;
}

sk_err disk_set_close(struct disk_set *set, struct io_loop *loop) {
    SK_CHECK_MAGIC(set, DISK_SET_MAGIC);
    sk_err first = SK_OK;
    for (size_t i = 0; i < set->count; i++) {
        struct disk_set_device *device = &set->devices[i];
        struct disk *disk = device->retired ? device->retired : atomic_load(&device->disk);
        if (!disk) continue;
        sk_err err = disk_close(disk, loop);
        set->close(&device->io);
        first = first ? first : err;
    }
    set_free(set);
    return first;
}

size_t disk_set_count(const struct disk_set *set) { return set->count; }

size_t disk_set_device_of(const struct disk_set *set, sk_hash128 hash) {
    return set->lots[hash.low >> LOT_SHIFT & (LOTS - 1)];
}

/* ---- records ------------------------------------------------------------------------------------------- */

static struct disk_set_device *device_of(struct disk_set *set, sk_hash128 hash) {
    SK_CHECK_MAGIC(set, DISK_SET_MAGIC);
    return &set->devices[disk_set_device_of(set, hash)];
}

sk_err disk_set_put(struct disk_set *set, sk_hash128 hash, uint32_t site, sk_str key, sk_str head,
                    const sk_str *pieces, size_t count) {
    struct disk_set_device *device = device_of(set, hash);
    struct disk *disk = enter(device);
    if (!disk) {
        count_one(&device->dropped);
        return SK_ERR_IO;
    }
    sk_err err = disk_put_pieces(disk, hash, site, key, head, pieces, count);
    leave(device);
    return err;
}

void disk_set_remove(struct disk_set *set, sk_hash128 hash) {
    struct disk_set_device *device = device_of(set, hash);
    struct disk *disk = enter(device);
    if (!disk) return;
    disk_remove(disk, hash);
    leave(device);
}

sk_err disk_set_find(struct disk_set *set, struct io_loop *loop, sk_hash128 hash, sk_str key,
                     struct disk_set_reader *out_reader) {
    struct disk_set_device *device = device_of(set, hash);
    struct disk *disk = enter(device);
    if (!disk) return SK_ERR_NOT_FOUND;
    sk_err err = disk_find(disk, loop, hash, key, &out_reader->one);
    if (err)
        leave(device);
    else
        out_reader->device = device;
    return err;
}

sk_err disk_set_read_block(struct disk_set_reader *reader, struct io_loop *loop, uint64_t number,
                           sk_str *out_data) {
    return disk_read_block(&reader->one, loop, number, out_data);
}

void disk_set_reader_close(struct disk_set_reader *reader) {
    if (!reader->device) return;
    disk_reader_close(&reader->one);
    leave(reader->device);
    reader->device = NULL;
}

/* ---- one device ---------------------------------------------------------------------------------------- */

static sk_err step(struct disk_set *set, struct io_loop *loop, size_t number,
                   sk_err (*what)(struct disk *disk, struct io_loop *loop)) {
    SK_CHECK_MAGIC(set, DISK_SET_MAGIC);
    SK_ASSERT(number < set->count);
    struct disk *disk = enter(&set->devices[number]);
    if (!disk) return SK_ERR_IO;
    sk_err err = what(disk, loop);
    if (disk_failed(disk)) notice_outage(&set->devices[number]);
    leave(&set->devices[number]);
    return err;
}

sk_err disk_set_load(struct disk_set *set, struct io_loop *loop, size_t number) {
    return step(set, loop, number, disk_load);
}

sk_err disk_set_write(struct disk_set *set, struct io_loop *loop, size_t number) {
    return step(set, loop, number, disk_write);
}

sk_err disk_set_flush(struct disk_set *set, struct io_loop *loop, size_t number) {
    return step(set, loop, number, disk_flush);
}

sk_err disk_set_reclaim(struct disk_set *set, struct io_loop *loop, size_t number) {
    return step(set, loop, number, disk_reclaim);
}

sk_err disk_set_revive(struct disk_set *set, struct io_loop *loop, size_t number) {
    SK_CHECK_MAGIC(set, DISK_SET_MAGIC);
    SK_ASSERT(number < set->count);
    struct disk_set_device *device = &set->devices[number];
    struct disk *disk = enter(device);
    if (disk) {
        leave(device);
        return SK_ERR_AGAIN;
    }
    sk_err err = retire(set, device, loop);
    return err ? err : open_device(set, device, loop);
}

void disk_set_usage(struct disk_set *set, size_t number, struct disk_set_usage *out_usage) {
    SK_CHECK_MAGIC(set, DISK_SET_MAGIC);
    SK_ASSERT(number < set->count);
    struct disk_set_device *device = &set->devices[number];
    struct disk_set_usage usage = {.path = device->path};
    pthread_mutex_lock(&device->lock); /* it is not retired meanwhile */
    struct disk *disk = atomic_load_explicit(&device->disk, memory_order_seq_cst);
    if (disk) disk_usage(disk, &usage.disk);
    add_figures(&usage.disk, &device->past);
    pthread_mutex_unlock(&device->lock);
    if (!disk || usage.disk.failed) {
        sk_err err = atomic_load_explicit(&device->err, memory_order_relaxed);
        usage.err = err ? err : SK_ERR_IO;
        usage.disk.segments = usage.disk.free_segments = usage.disk.segment_bytes = 0;
        usage.disk.index = (struct disk_index_usage){0};
    }
    usage.outages = atomic_load_explicit(&device->outages, memory_order_relaxed); /* figures */
    usage.dropped = atomic_load_explicit(&device->dropped, memory_order_relaxed);
    *out_usage = usage;
}

bool disk_set_has(struct disk_set *set, sk_hash128 hash) {
    struct disk_set_device *device = device_of(set, hash);
    struct disk *disk = enter(device);
    if (!disk) return false;
    bool has = disk_has(disk, hash);
    leave(device);
    return has;
}
