/* Several devices as one store: whose key is where, and what is left when one of them fails. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "cache/disk_set.h"
#include "disk_sim.h"

enum { DEVICES = 4, SEGMENT = 128 * 1024, KEYS = 800 };
#define SIM_BYTES (UINT64_C(16) * SEGMENT + DISK_SECTOR_BYTES)

static struct disk_sim sims[DEVICES];
static bool absent[DEVICES]; /* the device cannot be opened */
static int opened[DEVICES];

static sk_err open_sim(const char *path, uint64_t bytes, struct disk_io *out_io) {
    size_t i = (size_t)(path[0] - '0');
    assert_true(i < DEVICES);
    if (absent[i]) return SK_ERR_NOT_FOUND;
    opened[i]++;
    *out_io = sim_io(&sims[i]);
    (void)bytes;
    return SK_OK;
}
static void close_sim(struct disk_io *io) { opened[(struct disk_sim *)io->arg - sims]--; }

static int make_sims(void **state) {
    for (size_t i = 0; i < DEVICES; i++) {
        sim_open(&sims[i], SIM_BYTES, i);
        absent[i] = false;
        opened[i] = 0;
    }
    (void)state;
    return 0;
}
static int drop_sims(void **state) {
    for (size_t i = 0; i < DEVICES; i++) {
        sim_close(&sims[i]);
        if (opened[i]) return -1;
    }
    (void)state;
    return 0;
}

static const struct disk_set_path paths[DEVICES] = {{"0", 0}, {"1", 0}, {"2", 0}, {"3", 0}};

static struct disk_set *set_of(size_t count) {
    struct disk_set_options options = {.paths = paths,
                                       .count = count,
                                       .segment_bytes = SEGMENT,
                                       .records = 4 * KEYS,
                                       .create = true,
                                       .open = open_sim,
                                       .close = close_sim};
    struct disk_set *set;
    assert_ok(disk_set_open(&options, NULL, &set));
    return set;
}

static sk_hash128 hash_of(uint64_t key) { return sk_hash128_of(&key, sizeof key); }
static sk_str text_of(uint64_t key, char out[32]) {
    return sk_str_make(out, (size_t)snprintf(out, 32, "key %llu", (unsigned long long)key));
}

static sk_err put(struct disk_set *set, uint64_t key) {
    char text[32];
    sk_str name = text_of(key, text);
    const sk_str pieces[] = {sk_str_slice(name, 0, 1), sk_str_slice(name, 1, name.len)};
    return disk_set_put(set, hash_of(key), 0, name, SK_STR("head"), pieces, SK_COUNT(pieces));
}

static bool has(struct disk_set *set, uint64_t key) {
    struct disk_set_reader reader;
    char text[32];
    sk_str name = text_of(key, text), body;
    if (disk_set_find(set, NULL, hash_of(key), name, &reader) != SK_OK) return false;
    assert_str(reader.one.record.key, name);
    assert_ok(disk_set_read_block(&reader, NULL, 0, &body));
    assert_str(body, name);
    disk_set_reader_close(&reader);
    return true;
}

static void put_all(struct disk_set *set) {
    for (uint64_t key = 0; key < KEYS; key++) assert_ok(put(set, key));
    for (size_t i = 0; i < disk_set_count(set); i++) assert_ok(disk_set_flush(set, NULL, i));
}

static struct disk_set_usage usage_of(struct disk_set *set, size_t number) {
    struct disk_set_usage usage;
    disk_set_usage(set, number, &usage);
    return usage;
}

/* ---- cases ----------------------------------------------------------------------------------------------- */

static void each_device_has_its_share(void **state) {
    struct disk_set *set = set_of(DEVICES);
    put_all(set);
    for (size_t i = 0; i < DEVICES; i++) {
        uint64_t records = usage_of(set, i).disk.index.records;
        assert_in_range(records, KEYS / DEVICES * 7 / 10, KEYS / DEVICES * 13 / 10);
    }
    for (uint64_t key = 0; key < KEYS; key++) assert_true(has(set, key));
    assert_ok(disk_set_close(set, NULL));
    set = set_of(DEVICES);
    for (uint64_t key = 0; key < KEYS; key++) assert_true(has(set, key));
    disk_set_remove(set, hash_of(1));
    assert_false(has(set, 1));
    assert_ok(disk_set_close(set, NULL));
    (void)state;
}

static void a_larger_device_has_more(void **state) {
    struct disk_set_path sized[] = {{"0", 1 << 20}, {"1", 3 << 20}};
    struct disk_set_options options = {.paths = sized,
                                       .count = 2,
                                       .segment_bytes = SEGMENT,
                                       .create = true,
                                       .open = open_sim,
                                       .close = close_sim};
    struct disk_set *set;
    size_t larger = 0;
    assert_ok(disk_set_open(&options, NULL, &set));
    for (uint64_t key = 0; key < 10000; key++) larger += disk_set_device_of(set, hash_of(key)) == 1;
    assert_in_range(larger, 7200, 7800);
    assert_ok(disk_set_close(set, NULL));
    (void)state;
}

/* A device more takes its share, and moves nothing between the others. */
static void a_device_more_moves_only_its_share(void **state) {
    struct disk_set *three = set_of(DEVICES - 1);
    size_t before[KEYS], moved = 0;
    for (uint64_t key = 0; key < KEYS; key++) before[key] = disk_set_device_of(three, hash_of(key));
    assert_ok(disk_set_close(three, NULL));
    struct disk_set *four = set_of(DEVICES);
    for (uint64_t key = 0; key < KEYS; key++) {
        size_t now = disk_set_device_of(four, hash_of(key));
        assert_true(now == before[key] || now == DEVICES - 1);
        moved += now != before[key];
    }
    assert_in_range(moved, KEYS / DEVICES * 7 / 10, KEYS / DEVICES * 13 / 10);
    assert_ok(disk_set_close(four, NULL));
    (void)state;
}

static void a_device_that_is_not_there_costs_its_share(void **state) {
    struct disk_set *set = set_of(DEVICES);
    size_t dropped = 0;
    put_all(set);
    assert_ok(disk_set_close(set, NULL));
    absent[2] = true;
    set = set_of(DEVICES);
    assert_int_equal(usage_of(set, 2).err, SK_ERR_NOT_FOUND);
    for (uint64_t key = 0; key < KEYS; key++) {
        bool lost = disk_set_device_of(set, hash_of(key)) == 2;
        assert_int_equal(has(set, key), !lost);
        assert_err(put(set, key), lost ? SK_ERR_IO : SK_OK);
        dropped += lost;
    }
    assert_int_equal(usage_of(set, 2).dropped, dropped);
    assert_int_equal(usage_of(set, 2).outages, 1);
    assert_err(disk_set_write(set, NULL, 2), SK_ERR_IO);
    assert_err(disk_set_revive(set, NULL, 2), SK_ERR_NOT_FOUND);
    assert_err(disk_set_revive(set, NULL, 1), SK_ERR_AGAIN);
    absent[2] = false;
    assert_ok(disk_set_revive(set, NULL, 2));
    for (uint64_t key = 0; key < KEYS; key++) assert_true(has(set, key));
    assert_ok(disk_set_close(set, NULL));
    (void)state;
}

static uint64_t key_on(struct disk_set *set, size_t number, uint64_t after) {
    while (disk_set_device_of(set, hash_of(++after)) != number) continue;
    return after;
}

/* It is closed when its last reader has gone, and comes back with what lies on it. */
static void a_device_that_fails_goes_and_comes_back(void **state) {
    struct disk_set *set = set_of(DEVICES);
    struct disk_set_reader reader;
    char text[32];
    put_all(set);
    uint64_t key = key_on(set, 1, 0), late = key_on(set, 1, key), other = key_on(set, 3, 0);
    assert_ok(disk_set_find(set, NULL, hash_of(key), text_of(key, text), &reader));
    assert_ok(put(set, late));
    sims[1].write_fails = 1;
    assert_err(disk_set_flush(set, NULL, 1), SK_ERR_IO);
    assert_int_equal(usage_of(set, 1).err, SK_ERR_IO);
    assert_int_equal(usage_of(set, 1).outages, 1);
    assert_false(has(set, key));
    assert_true(has(set, other));
    assert_ok(put(set, other));
    assert_err(disk_set_revive(set, NULL, 1), SK_ERR_BUSY);
    disk_set_reader_close(&reader);
    assert_err(disk_set_revive(set, NULL, 1), SK_OK); /* reads do not fail; the next write does */
    assert_true(has(set, key));
    assert_ok(put(set, late));
    assert_err(disk_set_flush(set, NULL, 1), SK_ERR_IO);
    sims[1].write_fails = 0;
    assert_ok(disk_set_revive(set, NULL, 1));
    assert_ok(put(set, late));
    assert_ok(disk_set_flush(set, NULL, 1));
    assert_true(has(set, key) && has(set, late));
    assert_int_equal(usage_of(set, 1).outages, 2);
    assert_ok(disk_set_close(set, NULL));
    (void)state;
}

/* One bad sector is a miss; nothing but errors is a device that is gone. */
static void a_device_that_cannot_be_read_goes(void **state) {
    struct disk_set *set = set_of(2);
    put_all(set);
    assert_ok(disk_set_close(set, NULL));
    set = set_of(2);
    uint64_t key = key_on(set, 0, 0);
    sims[0].read_fails = 1;
    for (int i = 1; i < DISK_READ_ERRORS_MAX; i++) assert_false(has(set, key));
    assert_int_equal(usage_of(set, 0).err, SK_OK);
    assert_int_equal(usage_of(set, 0).disk.read_errors, DISK_READ_ERRORS_MAX - 1);
    assert_false(has(set, key));
    assert_int_equal(usage_of(set, 0).err, SK_ERR_IO);
    sims[0].read_fails = 0;
    assert_ok(disk_set_revive(set, NULL, 0));
    assert_true(has(set, key));
    assert_ok(disk_set_close(set, NULL));
    (void)state;
}

/* After a crash each device is loaded by itself. */
static void a_device_is_loaded_alone(void **state) {
    struct disk_set_options options = {.paths = paths,
                                       .count = 2,
                                       .segment_bytes = SEGMENT,
                                       .records = KEYS,
                                       .create = true,
                                       .background = true,
                                       .open = open_sim,
                                       .close = close_sim};
    struct disk_set *set, *dead;
    assert_ok(disk_set_open(&options, NULL, &dead));
    put_all(dead);
    assert_ok(disk_set_open(&options, NULL, &set));
    for (uint64_t key = 0; key < KEYS; key++) assert_false(has(set, key));
    assert_true(usage_of(set, 0).disk.loading);
    while (disk_set_load(set, NULL, 0) == SK_OK) continue;
    assert_false(usage_of(set, 0).disk.loading);
    for (uint64_t key = 0; key < KEYS; key++)
        assert_int_equal(has(set, key), disk_set_device_of(set, hash_of(key)) == 0);
    while (disk_set_load(set, NULL, 1) == SK_OK) continue;
    for (uint64_t key = 0; key < KEYS; key++) assert_true(has(set, key));
    assert_ok(disk_set_close(set, NULL));
    assert_ok(disk_set_close(dead, NULL));
    (void)state;
}

static void a_set_needs_a_device_and_has_a_limit(void **state) {
    struct disk_set *set;
    struct disk_set_options options = {.paths = paths, .open = open_sim, .close = close_sim};
    assert_err(disk_set_open(&options, NULL, &set), SK_ERR_INVALID);
    options.count = DISK_SET_MAX + 1;
    assert_err(disk_set_open(&options, NULL, &set), SK_ERR_INVALID);
    (void)state;
}

/* ---- threads --------------------------------------------------------------------------------------------- */

struct crowd {
    struct disk_set *set;
    _Atomic bool over;
};

static void *crowd_main(void *arg) {
    struct crowd *crowd = arg;
    for (uint64_t key = 0; !atomic_load(&crowd->over); key = (key + 1) % KEYS) {
        (void)put(crowd->set, key);
        (void)has(crowd->set, key);
    }
    return NULL;
}

static sk_err read_nothing(void *arg, struct io_loop *loop, void *data, size_t bytes, uint64_t offset) {
    memset(data, 0, bytes);
    (void)arg, (void)loop, (void)offset;
    return SK_OK;
}
static sk_err take_write(void *arg, struct io_loop *loop, const void *data, size_t bytes, uint64_t offset) {
    (void)arg, (void)loop, (void)data, (void)bytes;
    return offset < SEGMENT / 4 ? SK_OK : SK_ERR_IO; /* the superblock gets there, a segment does not */
}
static sk_err sync_nothing(void *arg, struct io_loop *loop) {
    (void)arg, (void)loop;
    return SK_OK;
}
static sk_err open_bad(const char *path, uint64_t bytes, struct disk_io *out_io) {
    *out_io =
        (struct disk_io){.bytes = SIM_BYTES, .read = read_nothing, .write = take_write, .sync = sync_nothing};
    (void)path, (void)bytes;
    return SK_OK;
}
static void close_bad(struct disk_io *io) { *io = (struct disk_io){0}; }

/* A device that fails at every first write, and is brought back again and again under a crowd. */
static void a_crowd_survives_revivals(void **state) {
    struct disk_set_options options = {.paths = paths,
                                       .count = 1,
                                       .segment_bytes = SEGMENT,
                                       .records = KEYS,
                                       .create = true,
                                       .open = open_bad,
                                       .close = close_bad};
    struct crowd crowd = {0};
    pthread_t threads[2];
    size_t revived = 0;
    assert_ok(disk_set_open(&options, NULL, &crowd.set));
    for (size_t i = 0; i < SK_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_main, &crowd), 0);
    for (int i = 0; i < 10000000 && revived < 30; i++) {
        (void)disk_set_flush(crowd.set, NULL, 0);
        revived += disk_set_revive(crowd.set, NULL, 0) == SK_OK;
        (void)usage_of(crowd.set, 0);
    }
    atomic_store(&crowd.over, true);
    for (size_t i = 0; i < SK_COUNT(threads); i++) pthread_join(threads[i], NULL);
    assert_int_equal(revived, 30);
    (void)disk_set_close(crowd.set, NULL);
    (void)state;
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_sims, drop_sims)
    const struct CMUnitTest tests[] = {
        CASE(each_device_has_its_share),
        CASE(a_larger_device_has_more),
        CASE(a_device_more_moves_only_its_share),
        CASE(a_device_that_is_not_there_costs_its_share),
        CASE(a_device_that_fails_goes_and_comes_back),
        CASE(a_device_that_cannot_be_read_goes),
        CASE(a_device_is_loaded_alone),
        CASE(a_set_needs_a_device_and_has_a_limit),
        CASE(a_crowd_survives_revivals),
    };
    return SK_RUN_TESTS(tests);
}
