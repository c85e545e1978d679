#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t device_draw(struct device *device, uint64_t below) {
    device->random = device->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (device->random >> 33) % below;
}

bool device_open(struct device *device, const char *path) {
    device->fd = open(path, O_RDWR | O_CLOEXEC | O_DIRECT);
    if (device->fd < 0 && errno == EINVAL) device->fd = open(path, O_RDWR | O_CLOEXEC);
    return device->fd >= 0;
}

static void forget(struct device *device, size_t count) {
    if (!count) return;
    for (size_t i = 0; i < count; i++) free(device->writes[i].before);
    memmove(device->writes, device->writes + count, (device->count - count) * sizeof *device->writes);
    device->count -= count;
}

void device_will_write(struct device *device, uint64_t offset, size_t bytes) {
    struct device_write write = {.offset = offset, .bytes = bytes};
    if (bytes % DEVICE_SECTOR || offset % DEVICE_SECTOR) return; /* not one of the store's */
    if (device->count == device->room) {
        device->room = device->room * 2 + 16;
        device->writes = realloc(device->writes, device->room * sizeof *device->writes);
        if (!device->writes) abort();
    }
    if (posix_memalign((void **)&write.before, DEVICE_SECTOR, bytes)) abort();
    memset(write.before, 0, bytes); /* what lies beyond the end */
    if (pread(device->fd, write.before, bytes, (off_t)offset) < 0) abort();
    device->writes[device->count++] = write;
}

void device_will_sync(struct device *device, pid_t thread) {
    device->safe = device->count;
    device->syncer = thread;
}

void device_acts(struct device *device, pid_t thread) {
    if (!device->safe || thread != device->syncer) return;
    forget(device, device->safe);
    device->safe = 0;
}

static uint64_t undo(struct device *device, const struct device_write *write) {
    uint64_t undone = 0, share = device_draw(device, 5); /* of four: none of it, some, all of it */
    for (size_t at = 0; at < write->bytes; at += DEVICE_SECTOR) {
        if (device_draw(device, 4) >= share) continue;
        undone += pwrite(device->fd, write->before + at, DEVICE_SECTOR, (off_t)(write->offset + at)) > 0;
    }
    return undone;
}

uint64_t device_cut(struct device *device) {
    uint64_t undone = 0;
    for (size_t i = device->count; i > 0; i--) undone += undo(device, &device->writes[i - 1]);
    forget(device, device->count);
    return undone;
}
