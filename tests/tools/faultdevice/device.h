/* What a device would do, played on a file: it knows what each write since the last sync has overwritten, and when the
 * power goes it takes back any of it, sector by sector, in no order. */
#ifndef FAULTDEVICE_DEVICE_H
#define FAULTDEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DEVICE_SECTOR 4096u

struct device_write {
    uint64_t offset;
    size_t bytes;
    uint8_t *before;
};

struct device {
    int fd; /* without the page cache, if the file system allows it */
    uint64_t random;
    struct device_write *writes; /* since the last sync */
    size_t count, room;
    size_t safe; /* so many of them are safe as soon as SYNCER does anything more */
    pid_t syncer;
};

uint64_t device_draw(struct device *device, uint64_t below);
/* False: errno says why. */
bool device_open(struct device *device, const char *path);
/* Before a write happens. */
void device_will_write(struct device *device, uint64_t offset, size_t bytes);
/* THREAD syncs; and does the next thing: so it has synced. */
void device_will_sync(struct device *device, pid_t thread);
void device_acts(struct device *device, pid_t thread);
/* The power goes. How many sectors have forgotten what was written. */
uint64_t device_cut(struct device *device);

#endif
