/* A file or block device under the SSD tier. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/disk_internal.h"
#include "cache/disk_survey.h"
#include "io/file.h"

struct device {
    int fd;
};

static sk_err device_read(void *arg, struct io_loop *loop, void *data, size_t bytes, uint64_t offset) {
    struct device *device = arg;
    size_t n = 0;
    if (loop) {
        sk_err err = io_file_read(loop, device->fd, data, bytes, offset, &n);
        return err ? err : n == bytes ? SK_OK : SK_ERR_IO;
    }
    for (ssize_t got; n < bytes; n += (size_t)got) {
        got = pread(device->fd, (char *)data + n, bytes - n, (off_t)(offset + n));
        if (got < 0 && errno == EINTR)
            got = 0;
        else if (got <= 0)
            return SK_ERR_IO;
    }
    return SK_OK;
}

static sk_err device_write(void *arg, struct io_loop *loop, const void *data, size_t bytes, uint64_t offset) {
    struct device *device = arg;
    size_t n = 0;
    if (loop) return io_file_write(loop, device->fd, data, bytes, offset);
    for (ssize_t put; n < bytes; n += (size_t)put) {
        put = pwrite(device->fd, (const char *)data + n, bytes - n, (off_t)(offset + n));
        if (put < 0 && errno == EINTR)
            put = 0;
        else if (put <= 0)
            return errno == ENOSPC ? SK_ERR_FULL : SK_ERR_IO;
    }
    return SK_OK;
}

static sk_err device_sync(void *arg, struct io_loop *loop) {
    struct device *device = arg;
    if (loop) return io_file_sync(loop, device->fd);
    return fdatasync(device->fd) ? SK_ERR_IO : SK_OK;
}

static sk_err err_of(int number) {
    switch (number) {
    case ENOENT: return SK_ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS: return SK_ERR_DENIED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return SK_ERR_FULL;
    case EWOULDBLOCK: return SK_ERR_BUSY;
    default: return SK_ERR_IO;
    }
}

/* A file that holds something else is not made longer. What is long enough is looked at by disk_open. */
static sk_err look_for_others(int fd) {
    uint8_t *sector = disk_alloc(DISK_SECTOR_BYTES);
    struct disk_superblock super;
    if (!sector) return SK_ERR_NO_MEMORY;
    ssize_t n = pread(fd, sector, DISK_SECTOR_BYTES, 0);
    bool other = false;
    for (ssize_t i = 0; i < n; i++) other = other || sector[i];
    if (n == DISK_SECTOR_BYTES && disk_superblock_decode(sector, &super) != SK_ERR_NOT_FOUND) other = false;
    free(sector);
    return n < 0 ? SK_ERR_IO : other ? SK_ERR_EXISTS : SK_OK;
}

/* Blocks are taken now, so that a full file system is met at the start and not in the middle of a write. */
static sk_err size_of(int fd, uint64_t wanted, uint64_t *out_bytes) {
    struct stat status;
    if (fstat(fd, &status)) return SK_ERR_IO;
    if (S_ISBLK(status.st_mode)) {
        if (ioctl(fd, BLKGETSIZE64, out_bytes)) return SK_ERR_IO;
        if (wanted) *out_bytes = SK_MIN(*out_bytes, wanted);
        return SK_OK;
    }
    if (!S_ISREG(status.st_mode)) return SK_ERR_INVALID;
    if (wanted > (uint64_t)status.st_size) {
        sk_err err = look_for_others(fd);
        if (err) return err;
        int number = posix_fallocate(fd, 0, (off_t)wanted);
        if (number && number != EOPNOTSUPP && number != EINVAL) return err_of(number);
        if (number && ftruncate(fd, (off_t)wanted)) return err_of(errno);
    }
    *out_bytes = wanted ? wanted : (uint64_t)status.st_size;
    return SK_OK;
}

static int open_direct(const char *path, int flags) {
    flags |= O_CLOEXEC;
    int fd = open(path, flags | O_DIRECT, 0600);
    return fd < 0 && errno == EINVAL ? open(path, flags, 0600) : fd; /* tmpfs and the like have no O_DIRECT */
}

sk_err disk_io_open(const char *path, uint64_t bytes, struct disk_io *out_io) {
    struct device *device = malloc(sizeof *device);
    uint64_t size = 0;
    sk_err err = SK_OK;
    if (!device) return SK_ERR_NO_MEMORY;
    device->fd = open_direct(path, O_RDWR | (bytes ? O_CREAT : 0));
    if (device->fd < 0) err = err_of(errno);
    if (!err && flock(device->fd, LOCK_EX | LOCK_NB)) err = err_of(errno);
    if (!err) err = size_of(device->fd, bytes, &size);
    if (err) {
        if (device->fd >= 0) close(device->fd);
        free(device);
        return err;
    }
    *out_io = (struct disk_io){.arg = device,
                               .bytes = size / DISK_SECTOR_BYTES * DISK_SECTOR_BYTES,
                               .read = device_read,
                               .write = device_write,
                               .sync = device_sync};
    return SK_OK;
}

sk_err disk_io_open_to_read(const char *path, struct disk_io *out_io, bool *out_in_use) {
    struct device *device = malloc(sizeof *device);
    uint64_t size = 0;
    if (!device) return SK_ERR_NO_MEMORY;
    device->fd = open_direct(path, O_RDONLY);
    sk_err err = device->fd < 0 ? err_of(errno) : size_of(device->fd, 0, &size);
    if (err) {
        if (device->fd >= 0) close(device->fd);
        free(device);
        return err;
    }
    *out_in_use = flock(device->fd, LOCK_SH | LOCK_NB) != 0;
    *out_io = (struct disk_io){.arg = device,
                               .bytes = size / DISK_SECTOR_BYTES * DISK_SECTOR_BYTES,
                               .read = device_read,
                               .write = device_write,
                               .sync = device_sync};
    return SK_OK;
}

void disk_io_close(struct disk_io *io) {
    struct device *device = io->arg;
    close(device->fd);
    free(device);
    *io = (struct disk_io){0};
}
