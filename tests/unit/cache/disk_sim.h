/* A device in memory that fails as devices do: what was not synced is lost at a crash, wholly, partly or in another
 * order, torn at any sector; reads and writes fail, bits rot. Repeatable from its seed. */
#ifndef SK_TESTS_DISK_SIM_H
#define SK_TESTS_DISK_SIM_H

#include <stdlib.h>
#include <string.h>

#include "cache/disk.h"
#include "unit.h"

#define SIM_SECTOR 512 /* what a device writes whole */

struct disk_sim {
    uint64_t bytes;
    uint8_t *now;     /* what a read gives */
    uint8_t *durable; /* what is there after a crash, for certain */
    bool *dirty;      /* by sector: written since the last sync */
    uint64_t random;
    uint32_t read_fails, write_fails, sync_fails, full; /* one in so many; 0: none */
};

static inline uint64_t sim_random(struct disk_sim *sim, uint64_t below) {
    sim->random = sim->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (sim->random >> 24) % below;
}

static inline sk_err sim_read(void *arg, struct io_loop *loop, void *data, size_t bytes, uint64_t offset) {
    struct disk_sim *sim = arg;
    assert_true(offset % DISK_SECTOR_BYTES == 0 && bytes % DISK_SECTOR_BYTES == 0);
    assert_true((uintptr_t)data % DISK_SECTOR_BYTES == 0 && offset + bytes <= sim->bytes);
    if (sim->read_fails && sim_random(sim, sim->read_fails) == 0) return SK_ERR_IO;
    memcpy(data, sim->now + offset, bytes);
    (void)loop;
    return SK_OK;
}

static inline sk_err sim_write(void *arg, struct io_loop *loop, const void *data, size_t bytes,
                               uint64_t offset) {
    struct disk_sim *sim = arg;
    assert_true(offset % DISK_SECTOR_BYTES == 0 && bytes % DISK_SECTOR_BYTES == 0);
    assert_true((uintptr_t)data % DISK_SECTOR_BYTES == 0 && offset + bytes <= sim->bytes);
    if (sim->full && sim_random(sim, sim->full) == 0) return SK_ERR_FULL;
    bool fails = sim->write_fails && sim_random(sim, sim->write_fails) == 0;
    if (fails) bytes = sim_random(sim, bytes / SIM_SECTOR + 1) * SIM_SECTOR; /* a part of it got there */
    memcpy(sim->now + offset, data, bytes);
    for (uint64_t at = offset; at < offset + bytes; at += SIM_SECTOR) sim->dirty[at / SIM_SECTOR] = true;
    (void)loop;
    return fails ? SK_ERR_IO : SK_OK;
}

static inline sk_err sim_sync(void *arg, struct io_loop *loop) {
    struct disk_sim *sim = arg;
    bool fails = sim->sync_fails && sim_random(sim, sim->sync_fails) == 0;
    for (uint64_t s = 0; s < sim->bytes / SIM_SECTOR; s++) {
        if (!sim->dirty[s] || (fails && sim_random(sim, 2))) continue;
        memcpy(sim->durable + s * SIM_SECTOR, sim->now + s * SIM_SECTOR, SIM_SECTOR);
        sim->dirty[s] = false;
    }
    (void)loop;
    return fails ? SK_ERR_IO : SK_OK;
}

/* The power goes: of what was not synced, each sector is there or not. KILLED: only the process dies. */
static inline void sim_crash(struct disk_sim *sim, bool killed) {
    for (uint64_t s = 0; !killed && s < sim->bytes / SIM_SECTOR; s++)
        if (sim->dirty[s] && sim_random(sim, 2))
            memcpy(sim->now + s * SIM_SECTOR, sim->durable + s * SIM_SECTOR, SIM_SECTOR);
    memcpy(sim->durable, sim->now, sim->bytes);
    memset(sim->dirty, 0, sim->bytes / SIM_SECTOR * sizeof *sim->dirty);
}

static inline void sim_open(struct disk_sim *sim, uint64_t bytes, uint64_t seed) {
    *sim = (struct disk_sim){.bytes = bytes, .random = seed * 2 + 1};
    sim->now = calloc(1, bytes);
    sim->durable = calloc(1, bytes);
    sim->dirty = calloc(bytes / SIM_SECTOR, sizeof *sim->dirty);
    assert_true(sim->now && sim->durable && sim->dirty);
}

static inline void sim_close(struct disk_sim *sim) {
    free(sim->now);
    free(sim->durable);
    free(sim->dirty);
}

static inline struct disk_io sim_io(struct disk_sim *sim) {
    return (struct disk_io){
        .arg = sim, .bytes = sim->bytes, .read = sim_read, .write = sim_write, .sync = sim_sync};
}

#endif
