/* The SSD tier's store against a map, on a device that fails in every way. A run can be repeated:
 * SKERRY_TEST_SEED=N; SKERRY_TEST_LONG=1 takes a hundred times as many steps, SKERRY_TEST_STEPS=N so many of each kind. */
#include <stdio.h>
#include <unistd.h>

#include "disk_sim.h"

enum { KEYS = 400, SEGMENT = 256 * 1024 };
#define SIM_BYTES (UINT64_C(24) * SEGMENT + DISK_SECTOR_BYTES)

#ifdef SK_SLOW_BUILD
#define SEEDS 1
#else
#define SEEDS 4
#endif

static bool is_long(void) { return getenv("SKERRY_TEST_LONG") != NULL; }

/* ---- records whose content tells which they are ---------------------------------------------------------- */

static sk_hash128 hash_of(uint64_t key) { return sk_hash128_of(&key, sizeof key); }

struct content {
    char key[32], head[64];
    uint8_t *body;
    size_t body_bytes;
};

static uint64_t spread(uint64_t value) { return (value * UINT64_C(0x9e3779b97f4a7c15)) >> 20; }

static struct content content_of(uint64_t key, uint64_t version) {
    struct content content;
    uint64_t kind = spread(key * 31 + version) % 8;
    snprintf(content.key, sizeof content.key, "site|host|/%llu", (unsigned long long)key);
    snprintf(content.head, sizeof content.head, "version %llu of %llu", (unsigned long long)version,
             (unsigned long long)key);
    content.body_bytes = kind == 0  ? 0
                         : kind < 7 ? spread(key + version * 7) % 3000
                                    : spread(key ^ version) % 150000;
    content.body = malloc(content.body_bytes + 1);
    assert_non_null(content.body);
    uint64_t state = key * 1000003 + version;
    for (size_t i = 0; i < content.body_bytes; i++) {
        state = state * UINT64_C(6364136223846793005) + 1;
        content.body[i] = (uint8_t)(state >> 56);
    }
    return content;
}

/* ---- the map ------------------------------------------------------------------------------------------------ */

struct model {
    struct disk_sim sim;
    struct disk *disk;
    bool sealed;
    uint64_t put[KEYS];   /* the latest version that was put; 0: none */
    uint64_t lived[KEYS]; /* of these, in this life; what an earlier one put may be lost */
    uint64_t least[KEYS]; /* no older one may be found */
    uint64_t found, missed, crashes, stops;
};

static sk_err put(struct model *model, uint64_t key) {
    struct content content = content_of(key, model->put[key] + 1);
    sk_err err = disk_put(model->disk, hash_of(key), 0, sk_str_from_c(content.key),
                          sk_str_from_c(content.head), content.body, content.body_bytes);
    if (!err) model->lived[key] = model->least[key] = ++model->put[key];
    free(content.body);
    return err;
}

/* Whatever is found is what was put under this key, byte for byte, and no older than it may be. */
static bool look(struct model *model, uint64_t key) {
    struct disk_reader reader;
    char name[32];
    unsigned long long version = 0, of = 0;
    snprintf(name, sizeof name, "site|host|/%llu", (unsigned long long)key);
    if (disk_find(model->disk, NULL, hash_of(key), sk_str_from_c(name), &reader) != SK_OK) return false;
    char head[64] = "";
    assert_true(reader.record.head.len < sizeof head);
    memcpy(head, reader.record.head.data, reader.record.head.len);
    assert_int_equal(sscanf(head, "version %llu of %llu", &version, &of), 2);
    assert_int_equal(of, key);
    if (version < model->least[key] || version > model->put[key])
        fail_msg("key %llu: version %llu, put %llu, at least %llu", (unsigned long long)key, version,
                 (unsigned long long)model->put[key], (unsigned long long)model->least[key]);
    struct content content = content_of(key, version);
    assert_str(reader.record.head, sk_str_from_c(content.head));
    assert_int_equal(reader.record.body_bytes, content.body_bytes);
    bool whole = true;
    for (uint64_t i = 0; i * DISK_BLOCK_BYTES < content.body_bytes && whole; i++) {
        sk_str data;
        whole = disk_read_block(&reader, NULL, i, &data) == SK_OK;
        if (whole) assert_memory_equal(data.data, content.body + i * DISK_BLOCK_BYTES, data.len);
    }
    disk_reader_close(&reader);
    free(content.body);
    if (whole) model->least[key] = version; /* what was there once is not older later */
    return whole;
}

static void work(struct model *model) {
    while (disk_write(model->disk, NULL) == SK_OK) continue;
    while (disk_reclaim(model->disk, NULL) == SK_OK) continue;
    for (uint64_t steps = sim_random(&model->sim, 8); steps > 0; steps--) (void)disk_load(model->disk, NULL);
}

static void forget_key(struct model *model, uint64_t key) {
    disk_remove(model->disk, hash_of(key));
    model->least[key] = model->put[key] + 1;
    assert_false(look(model, key));
}

static const uint8_t node_key[32] = "a key for the tests of the store";

/* What is not loaded yet at the start is loaded step by step in `work`. */
static void open_store(struct model *model, bool create) {
    struct disk_options options = {.io = sim_io(&model->sim),
                                   .segment_bytes = SEGMENT,
                                   .records = 8 * KEYS,
                                   .create = create,
                                   .key = model->sealed ? node_key : NULL,
                                   .background = sim_random(&model->sim, 2)};
    assert_ok(disk_open(&options, NULL, &model->disk));
}

/* The process or the machine dies, and the store is opened again. */
static void crash(struct model *model, bool killed) {
    uint32_t reads = model->sim.read_fails, writes = model->sim.write_fails;
    struct disk *dead = model->disk;
    sim_crash(&model->sim, killed);
    model->sim.write_fails = 1; /* what the dead one still does gets nowhere */
    uint8_t *image = malloc(model->sim.bytes);
    assert_non_null(image);
    memcpy(image, model->sim.now, model->sim.bytes);
    (void)disk_close(dead, NULL);
    memcpy(model->sim.now, image, model->sim.bytes);
    free(image);
    (void)sim_sync(&model->sim, NULL);
    model->sim.write_fails = model->sim.read_fails = 0;
    open_store(model, false);
    model->sim.read_fails = reads;
    model->sim.write_fails = writes;
    memset(model->lived, 0, sizeof model->lived);
    model->crashes++;
}

/* Nothing is lost by a clean stop, unless the device takes it. What was removed may be known again if the index
 * could not be kept, because it was not all loaded. */
static void stop_cleanly(struct model *model, uint64_t flushed[KEYS], bool sound) {
    struct disk_usage before, after;
    uint32_t reads = model->sim.read_fails;
    disk_usage(model->disk, &before);
    sk_err err = disk_close(model->disk, NULL);
    for (size_t key = 0; key < KEYS; key++) {
        if (model->lived[key] && !err) flushed[key] = model->lived[key];
        if (before.loading || !sound) model->least[key] = SK_MIN(model->least[key], model->put[key]);
        if (err || !sound) model->least[key] = sound ? flushed[key] : 0;
    }
    (void)sim_sync(&model->sim, NULL);
    model->sim.read_fails = 0;
    open_store(model, false);
    disk_usage(model->disk, &after);
    if (sound && !err && !before.loading) {
        assert_false(after.loading && after.index.records);
        assert_int_equal(after.index.records, before.index.records);
    }
    model->sim.read_fails = reads;
    memset(model->lived, 0, sizeof model->lived);
    model->stops++;
}

static void flush(struct model *model, uint64_t flushed[KEYS]) {
    if (disk_flush(model->disk, NULL) != SK_OK) return;
    for (size_t key = 0; key < KEYS; key++)
        if (model->lived[key]) flushed[key] = model->lived[key];
}

static void forget_safety(struct model *model, const uint64_t *flushed) {
    for (size_t key = 0; key < KEYS; key++) model->least[key] = flushed[key];
}

static void rot(struct model *model) {
    for (int i = 0; i < 20; i++) {
        uint64_t at = DISK_SECTOR_BYTES + sim_random(&model->sim, model->sim.bytes - DISK_SECTOR_BYTES);
        model->sim.now[at] ^= (uint8_t)(1 << sim_random(&model->sim, 8));
    }
}

struct trouble {
    const char *name;
    bool crashes, power, rots, sealed;
    uint32_t read_fails;
};

static uint64_t run(const struct trouble *trouble, uint64_t seed, uint64_t steps) {
    static struct model model;
    uint64_t flushed[KEYS] = {0};
    model = (struct model){.sealed = trouble->sealed};
    sim_open(&model.sim, SIM_BYTES, seed);
    open_store(&model, true);
    model.sim.read_fails = trouble->read_fails;
    for (uint64_t step = 0; step < steps; step++) {
        uint64_t key = sim_random(&model.sim, KEYS);
        key = key * key / KEYS; /* some more often than others */
        uint64_t what = sim_random(&model.sim, 1000);
        if (what < 350) {
            (void)put(&model, key);
        } else if (what < 900) {
            if (look(&model, key))
                model.found++;
            else
                model.missed++;
        } else if (what < 990) {
            work(&model);
        } else if (what < 994) {
            flush(&model, flushed);
        } else if (what < 996 && trouble->rots) {
            rot(&model);
        } else if (what < 998 && trouble->crashes) {
            forget_safety(&model, trouble->rots || trouble->read_fails ? (uint64_t[KEYS]){0} : flushed);
            crash(&model, !trouble->power || sim_random(&model.sim, 2));
        } else if (what < 999) {
            stop_cleanly(&model, flushed, !trouble->rots && !trouble->read_fails);
        } else {
            forget_key(&model, key);
        }
    }
    assert_true(model.found > steps / 10);
    assert_true(model.stops > 0 && (!trouble->crashes || model.crashes > 0));
    (void)disk_close(model.disk, NULL);
    sim_close(&model.sim);
    return model.found;
}

static const struct trouble troubles[] = {
    {"nothing", .crashes = false},
    {"sealed", .crashes = false, .sealed = true},
    {"kill -9", .crashes = true},
    {"power cuts, torn and reordered writes", .crashes = true, .power = true},
    {"sealed, power cuts, torn and reordered writes", .crashes = true, .power = true, .sealed = true},
    {"sealed, bits rot", .crashes = true, .rots = true, .sealed = true},
    {"bits rot", .crashes = true, .rots = true},
    {"reads fail", .crashes = true, .power = true, .read_fails = 50},
};

static void random_operations_agree_with_a_map(void **state) {
    const char *given = getenv("SKERRY_TEST_SEED"), *steps = getenv("SKERRY_TEST_STEPS");
    uint64_t first = given ? strtoull(given, NULL, 10) : 1, seeds = given || steps ? 1
                                                                    : is_long()    ? 250
                                                                                   : SEEDS;
    for (size_t i = 0; i < SK_COUNT(troubles); i++)
        for (uint64_t seed = first; seed < first + seeds; seed++) {
            print_message("%s, seed %llu\n", troubles[i].name, (unsigned long long)seed);
            (void)run(&troubles[i], seed, steps ? strtoull(steps, NULL, 10) : is_long() ? 20000 : 6000);
        }
    (void)state;
}

/* ---- single cases -------------------------------------------------------------------------------------------- */

static void what_was_flushed_is_there_after_a_crash(void **state) {
    struct model model = {0};
    sim_open(&model.sim, SIM_BYTES, 1);
    open_store(&model, true);
    for (uint64_t key = 0; key < 100; key++) {
        work(&model);
        assert_ok(put(&model, key));
    }
    assert_ok(disk_flush(model.disk, NULL));
    crash(&model, false);
    for (uint64_t key = 0; key < 100; key++) assert_true(look(&model, key));
    (void)disk_close(model.disk, NULL);
    sim_close(&model.sim);
    (void)state;
}

static void a_foreign_or_damaged_device_is_told(void **state) {
    struct disk_sim sim;
    struct disk *disk;
    sim_open(&sim, SIM_BYTES, 1);
    struct disk_options options = {.io = sim_io(&sim), .segment_bytes = SEGMENT};
    assert_int_equal(disk_open(&options, NULL, &disk), SK_ERR_NOT_FOUND);
    options.create = true;
    assert_ok(disk_open(&options, NULL, &disk));
    assert_ok(disk_close(disk, NULL));
    options.create = false;
    sim.now[100] ^= 1;
    assert_int_equal(disk_open(&options, NULL, &disk), SK_ERR_CORRUPT);
    sim.now[100] ^= 1;
    assert_ok(disk_open(&options, NULL, &disk));
    assert_ok(disk_close(disk, NULL));
    options.create = true; /* nothing is made where something else lies, wherever that says what it is */
    for (uint64_t at = 0; at < UINT64_C(256) * 1024; at += 65536 - 1) {
        memset(sim.now, 0, sim.bytes);
        sim.now[at] = 1;
        assert_int_equal(disk_open(&options, NULL, &disk), SK_ERR_EXISTS);
        assert_int_equal(sim.now[at], 1);
    }
    memset(sim.now, 0, sim.bytes);
    assert_ok(disk_open(&options, NULL, &disk));
    assert_ok(disk_close(disk, NULL));
    options.create = false;
    options.io.bytes = 4 * SEGMENT; /* cut off */
    assert_int_equal(disk_open(&options, NULL, &disk), SK_ERR_INVALID);
    sim_close(&sim);
    (void)state;
}

static void a_device_that_does_not_write_goes_out_of_service(void **state) {
    struct model model = {0};
    struct disk_usage usage;
    sim_open(&model.sim, SIM_BYTES, 1);
    open_store(&model, true);
    assert_ok(put(&model, 1));
    model.sim.write_fails = 1;
    assert_int_equal(disk_flush(model.disk, NULL), SK_ERR_IO);
    assert_int_equal(put(&model, 2), SK_ERR_IO);
    disk_usage(model.disk, &usage);
    assert_true(usage.failed);
    (void)disk_close(model.disk, NULL);
    sim_close(&model.sim);
    (void)state;
}

/* Puts are refused while nobody writes, and go on when somebody does: nothing grows meanwhile. */
static void a_writer_that_is_behind_refuses(void **state) {
    struct model model = {0};
    sk_err err = SK_OK;
    sim_open(&model.sim, SIM_BYTES, 1);
    open_store(&model, true);
    for (uint64_t i = 0; i < 10000 && !err; i++) err = put(&model, i % KEYS);
    assert_int_equal(err, SK_ERR_FULL);
    work(&model);
    assert_ok(put(&model, 1));
    (void)disk_close(model.disk, NULL);
    sim_close(&model.sim);
    (void)state;
}

/* What is asked for survives as many turns of the log as one likes; what is not leaves with its segment. */
static void what_is_asked_for_is_put_in_again(void **state) {
    struct model model = {0};
    struct disk_usage usage;
    sim_open(&model.sim, SIM_BYTES, 1);
    open_store(&model, true);
    assert_ok(put(&model, 1));
    assert_ok(put(&model, 2));
    for (uint64_t i = 0; i < 20000; i++) {
        if (put(&model, 3 + i % (KEYS - 3)) == SK_ERR_FULL) work(&model);
        assert_true(look(&model, 1));
    }
    assert_false(look(&model, 2));
    disk_usage(model.disk, &usage);
    assert_true(usage.reinserted > 0 && usage.reclaimed > usage.segments);
    assert_true(usage.reinserted_bytes >=
                usage.reinserted * DISK_RECORD_ALIGN); /* what the write limit is charged */
    (void)disk_close(model.disk, NULL);
    sim_close(&model.sim);
    (void)state;
}

/* A reader keeps its record through the reclaiming of its segment. */
static void a_record_that_is_read_stays(void **state) {
    struct model model = {0};
    struct disk_reader reader;
    struct content content = content_of(1, 1);
    sk_str data;
    sim_open(&model.sim, SIM_BYTES, 1);
    open_store(&model, true);
    assert_ok(put(&model, 1));
    assert_ok(disk_find(model.disk, NULL, hash_of(1), sk_str_from_c(content.key), &reader));
    for (uint64_t i = 0; i < 5000; i++)
        if (put(&model, 3 + i % (KEYS - 3)) == SK_ERR_FULL) work(&model);
    if (content.body_bytes) {
        assert_ok(disk_read_block(&reader, NULL, 0, &data));
        assert_memory_equal(data.data, content.body, data.len);
    }
    disk_reader_close(&reader);
    free(content.body);
    (void)disk_close(model.disk, NULL);
    sim_close(&model.sim);
    (void)state;
}

static void a_key_with_the_same_hash_is_another_record(void **state) {
    struct model model = {0};
    struct disk_reader reader;
    sim_open(&model.sim, SIM_BYTES, 1);
    open_store(&model, true);
    assert_ok(put(&model, 1));
    assert_int_equal(disk_find(model.disk, NULL, hash_of(1), SK_STR("site|host|/other"), &reader),
                     SK_ERR_NOT_FOUND);
    assert_true(look(&model, 1));
    (void)disk_close(model.disk, NULL);
    sim_close(&model.sim);
    (void)state;
}

/* A real file, without a loop: the same through the system's calls. */
static void a_file_is_for_one_process_and_keeps_its_records(void **state) {
    char path[] = "/tmp/skerry-disk-XXXXXX";
    int fd = mkstemp(path);
    struct disk_io io, second;
    struct disk *disk;
    struct disk_reader reader;
    sk_str data;
    assert_true(fd >= 0);
    assert_ok(disk_io_open(path, SIM_BYTES, &io));
    assert_int_equal(disk_io_open(path, 0, &second), SK_ERR_BUSY);
    struct disk_options options = {.io = io, .segment_bytes = SEGMENT, .create = true};
    assert_ok(disk_open(&options, NULL, &disk));
    assert_ok(disk_put(disk, hash_of(1), 0, SK_STR("key"), SK_STR("head"), "body", 4));
    assert_ok(disk_close(disk, NULL));
    disk_io_close(&io);
    assert_ok(disk_io_open(path, 0, &options.io));
    options.create = false;
    assert_ok(disk_open(&options, NULL, &disk));
    assert_ok(disk_find(disk, NULL, hash_of(1), SK_STR("key"), &reader));
    assert_str(reader.record.head, SK_STR("head"));
    assert_ok(disk_read_block(&reader, NULL, 0, &data));
    assert_str(data, SK_STR("body"));
    disk_reader_close(&reader);
    assert_ok(disk_close(disk, NULL));
    disk_io_close(&options.io);
    assert_int_equal(disk_io_open("/tmp/skerry-no-such-folder/x", 0, &io), SK_ERR_NOT_FOUND);
    close(fd);
    unlink(path);
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_flushed_is_there_after_a_crash),
        cmocka_unit_test(a_foreign_or_damaged_device_is_told),
        cmocka_unit_test(a_device_that_does_not_write_goes_out_of_service),
        cmocka_unit_test(a_writer_that_is_behind_refuses),
        cmocka_unit_test(what_is_asked_for_is_put_in_again),
        cmocka_unit_test(a_record_that_is_read_stays),
        cmocka_unit_test(a_key_with_the_same_hash_is_another_record),
        cmocka_unit_test(a_file_is_for_one_process_and_keeps_its_records),
        cmocka_unit_test(random_operations_agree_with_a_map),
    };
    return SK_RUN_TESTS(tests);
}
