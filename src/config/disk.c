#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config/compile_private.h"

#define SIZE_MIN_BYTES (UINT64_C(64) << 20)
#define PLACE_BYTES 4096

static void told(struct compile *c, const char *path, const char *key, const char *text) {
    char at[CONFIG_PATH_BYTES];
    snprintf(at, sizeof(at), "%s.%s", path, key);
    config_compile_problem(c, at, "%s", text);
}

static bool has_folder(sk_str path) {
    char text[PLACE_BYTES];
    struct stat st;
    if (path.len >= sizeof(text)) return false;
    memcpy(text, path.data, path.len);
    text[path.len] = 0;
    return stat(dirname(text), &st) == 0 && S_ISDIR(st.st_mode);
}

/* What can be said without opening it. */
static void check_device(struct compile *c, const char *path, const struct config_device *device) {
    struct stat st;
    bool there = stat(device->path.data, &st) == 0;
    if (there && S_ISDIR(st.st_mode))
        told(c, path, "path",
             "found a folder, expected a file or a block device (example: /var/cache/skerry/store)");
    else if (there && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        told(c, path, "path", "found neither a file nor a block device");
    else if (!there && !has_folder(device->path))
        told(c, path, "path",
             "found a path in a folder that is not there, expected one that is: make it first");
    bool sized = there && (S_ISBLK(st.st_mode) || (uint64_t)st.st_size >= SIZE_MIN_BYTES);
    if (!device->bytes && !sized)
        config_compile_problem(c, path,
                               "found no size, expected one of at least 64MiB (example: size: 100GiB)");
    else if (device->bytes && device->bytes < SIZE_MIN_BYTES)
        told(c, path, "size", "found less than 64MiB, expected that or more");
}

static void check_twice(struct compile *c, const struct config_disk *disk, uint32_t number,
                        const char *path) {
    for (uint32_t i = 0; i < number; i++)
        if (sk_str_eq(disk->devices[i].path, disk->devices[number].path))
            told(c, path, "path", "found the same path twice, expected a device of its own for each");
}

static void add_device(struct compile *c, struct config_disk *disk, struct config_device device,
                       const char *path) {
    if (!device.path.len) {
        config_compile_problem(c, path,
                               "found no path, expected one (example: path: /var/cache/skerry/store)");
        return;
    }
    device.path = config_compile_path(c, device.path);
    if (c->err) return;
    disk->devices[disk->device_count] = device;
    check_device(c, path, &device);
    check_twice(c, disk, disk->device_count++, path);
}

static void choose_state(struct compile *c, struct config_disk *disk) {
    sk_str first = disk->devices[0].path;
    if (disk->state.len) {
        disk->state = config_compile_path(c, disk->state);
        if (!c->err && !has_folder(disk->state))
            told(c, "disk", "state",
                 "found a path in a folder that is not there, expected one that is: make it first");
    } else if (sk_str_starts_with(first, SK_STR("/dev/"))) {
        config_compile_problem(c, "disk",
                               "found no state, expected a file beside the raw device (example: state: "
                               "/var/lib/skerry/tier)");
    } else {
        disk->state = sk_arena_printf(&c->config->arena, "%.*s.state", SK_STR_ARGS(first));
        if (!disk->state.data) c->err = SK_ERR_NO_MEMORY;
    }
}

void config_compile_disk(struct compile *c, const struct config_raw_DISK *raw, struct config_disk *disk) {
    const struct config_section *section = config_option_find(config_top, SK_STR("disk"))->section;
    const struct config_section *device_section = config_option_find(section, SK_STR("devices"))->section;
    char path[CONFIG_PATH_BYTES];
    config_compile_fill(c, section, raw, disk);
    if (!raw || c->err) return;
    disk->devices = config_compile_allocate(c, raw->devices_count + 1, sizeof(*disk->devices));
    if (!disk->devices) return;
    if (disk->path.len || !raw->devices_count)
        add_device(c, disk, (struct config_device){disk->path, disk->bytes}, "disk");
    for (unsigned i = 0; i < raw->devices_count && !c->err; i++) {
        struct config_device device = {0};
        snprintf(path, sizeof(path), "disk.devices[%u]", i);
        config_compile_fill(c, device_section, &raw->devices[i], &device);
        add_device(c, disk, device, path);
    }
    if (!c->err && disk->device_count) choose_state(c, disk);
    if (!c->err && disk->key_file.len) disk->key_file = config_compile_path(c, disk->key_file);
}

bool config_disk_same(const struct config_disk *a, const struct config_disk *b) {
    bool same = a->device_count == b->device_count && a->admit == b->admit &&
                a->write_limit == b->write_limit && sk_str_eq(a->state, b->state) &&
                sk_str_eq(a->key_file, b->key_file);
    for (uint32_t i = 0; i < a->device_count && same; i++)
        same =
            a->devices[i].bytes == b->devices[i].bytes && sk_str_eq(a->devices[i].path, b->devices[i].path);
    return same;
}
