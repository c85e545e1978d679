/* What the SSD tier's store knows when it is opened again: the kept index, and records that are loaded in the
 * background. */
#include "disk_sim.h"

enum { SEGMENT = 64 * 1024, KEYS = 500 };
#define SIM_BYTES (UINT64_C(64) * SEGMENT)

static struct disk_sim sim;
static struct disk *disk;

static void open_as(bool background) {
    struct disk_options options = {.io = sim_io(&sim),
                                   .segment_bytes = SEGMENT,
                                   .records = 4 * KEYS,
                                   .create = true,
                                   .background = background};
    assert_ok(disk_open(&options, NULL, &disk));
}

static int make_store(void **state) {
    sim_open(&sim, SIM_BYTES, 1);
    open_as(false);
    (void)state;
    return 0;
}
static int drop_store(void **state) {
    (void)disk_close(disk, NULL);
    sim_close(&sim);
    (void)state;
    return 0;
}

/* As if the process had been killed: what it had in memory is gone, what it had written is there. */
static void die_and_open(bool background) {
    uint8_t *image = malloc(sim.bytes);
    assert_non_null(image);
    memcpy(image, sim.now, sim.bytes);
    (void)disk_close(disk, NULL);
    memcpy(sim.now, image, sim.bytes);
    free(image);
    open_as(background);
}

static sk_hash128 hash_of(uint64_t key) { return sk_hash128_of(&key, sizeof key); }

static void put(uint64_t key, uint64_t version) {
    uint64_t body[100] = {key, version};
    sk_err err;
    while ((err = disk_put(disk, hash_of(key), 0, SK_STR("key"), SK_STR("head"), body, sizeof body)) ==
           SK_ERR_FULL)
        assert_ok(disk_write(disk, NULL));
    assert_ok(err);
}

/* 0: not found */
static uint64_t version_of(uint64_t key) {
    struct disk_reader reader;
    uint64_t body[100];
    sk_str data;
    if (disk_find(disk, NULL, hash_of(key), SK_STR("key"), &reader) != SK_OK) return 0;
    assert_ok(disk_read_block(&reader, NULL, 0, &data));
    assert_int_equal(data.len, sizeof body);
    memcpy(body, data.data, sizeof body);
    assert_int_equal(body[0], key);
    disk_reader_close(&reader);
    return body[1];
}

static void fill(uint64_t version) {
    for (uint64_t key = 0; key < KEYS; key++) put(key, version);
    assert_ok(disk_flush(disk, NULL));
}

static struct disk_usage usage(void) {
    struct disk_usage out;
    disk_usage(disk, &out);
    return out;
}

/* ---- the index ------------------------------------------------------------------------------------------- */

static void after_a_clean_stop_all_is_known_at_once(void **state) {
    fill(1);
    assert_true(version_of(7) == 1); /* accesses are kept, too */
    assert_ok(disk_close(disk, NULL));
    open_as(true);
    assert_false(usage().loading);
    assert_int_equal(usage().index.records, KEYS);
    for (uint64_t key = 0; key < KEYS; key++) assert_int_equal(version_of(key), 1);
    assert_int_equal(usage().served_bytes, KEYS * (100 * sizeof(uint64_t) + 4)); /* bodies and heads */
    assert_int_equal(disk_load(disk, NULL), SK_ERR_AGAIN);
    (void)state;
}

/* The kept index is older than what was written after it. */
static void a_kept_index_does_not_outlive_its_life(void **state) {
    fill(1);
    assert_ok(disk_close(disk, NULL));
    open_as(false);
    fill(2);
    die_and_open(false);
    for (uint64_t key = 0; key < KEYS; key++) assert_int_equal(version_of(key), 2);
    (void)state;
}

/* In its header, which follows the superblock, and behind it. */
static void a_damaged_index_is_made_anew(void **state) {
    fill(1);
    for (uint64_t sector = 1; sector < 3; sector++) {
        assert_ok(disk_close(disk, NULL));
        sim.now[sector * DISK_SECTOR_BYTES + 100] ^= 1;
        open_as(true);
        assert_true(usage().loading);
        while (disk_load(disk, NULL) == SK_OK) continue;
        for (uint64_t key = 0; key < KEYS; key++) assert_int_equal(version_of(key), 1);
    }
    (void)state;
}

static void records_are_loaded_newest_first(void **state) {
    fill(1);
    put(1, 2);
    assert_ok(disk_flush(disk, NULL));
    die_and_open(true);
    assert_true(usage().loading);
    assert_int_equal(version_of(1), 0);
    assert_ok(disk_load(disk, NULL));
    assert_int_equal(version_of(1), 2);
    assert_int_equal(version_of(0), 0);
    while (disk_load(disk, NULL) == SK_OK) continue;
    assert_false(usage().loading);
    assert_int_equal(version_of(0), 1);
    assert_int_equal(version_of(1), 2);
    (void)state;
}

/* "Not known" while it is loaded is no proof of absence: the later one wins, and what was removed stays away. */
static void what_happens_while_it_is_loaded_holds(void **state) {
    fill(1);
    die_and_open(true);
    put(1, 5);
    disk_remove(disk, hash_of(2));
    disk_remove(disk, hash_of(3));
    put(3, 6);
    assert_ok(disk_load(disk, NULL));
    disk_remove(disk, hash_of(KEYS - 1)); /* of the newest segment */
    while (disk_load(disk, NULL) == SK_OK) continue;
    assert_int_equal(version_of(1), 5);
    assert_int_equal(version_of(2), 0);
    assert_int_equal(version_of(3), 6);
    assert_int_equal(version_of(KEYS - 1), 0);
    assert_int_equal(version_of(4), 1);
    assert_int_equal(usage().index.records, KEYS - 2);
    put(2, 7);
    assert_int_equal(version_of(2), 7);
    assert_int_equal(usage().index.records, KEYS - 1);
    (void)state;
}

/* A store that is stopped before all was loaded is loaded again from its segments. */
static void a_stop_while_it_is_loaded_loses_nothing(void **state) {
    fill(1);
    die_and_open(true);
    assert_ok(disk_load(disk, NULL));
    put(1, 2);
    assert_ok(disk_close(disk, NULL));
    open_as(false);
    for (uint64_t key = 0; key < KEYS; key++) assert_int_equal(version_of(key), 1 + (key == 1));
    (void)state;
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_store, drop_store)
    const struct CMUnitTest tests[] = {
        CASE(after_a_clean_stop_all_is_known_at_once),
        CASE(a_kept_index_does_not_outlive_its_life),
        CASE(a_damaged_index_is_made_anew),
        CASE(records_are_loaded_newest_first),
        CASE(what_happens_while_it_is_loaded_holds),
        CASE(a_stop_while_it_is_loaded_loses_nothing),
    };
    return SK_RUN_TESTS(tests);
}
