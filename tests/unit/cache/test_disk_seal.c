/* Encryption at rest: keys, tags, and that nothing readable lies on the device. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/disk_keys.h"
#include "disk_sim.h"

enum { SEGMENT = 64 * 1024, SIM_BYTES = 64 * SEGMENT };

static const uint8_t node_key[DISK_KEY_BYTES] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                                 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                                 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
static const uint8_t other_key[DISK_KEY_BYTES] = {1};

/* ---- keys -------------------------------------------------------------------------------------------------- */

/* Made by another implementation of HMAC-SHA-256: T(1) of HKDF over "skerry disk segment", NUL, store, index,
 * sequence. */
static void a_segment_key_is_hkdf_of_all_that_names_the_segment(void **state) {
    static const uint8_t expected[DISK_KEY_BYTES] = {
        0x85, 0x3d, 0x0d, 0x76, 0x9d, 0xd7, 0x35, 0x67, 0x14, 0x9e, 0x46, 0xc8, 0xec, 0x6b, 0x12, 0x8b,
        0x4e, 0x0c, 0x09, 0xc5, 0xff, 0x22, 0xcb, 0x3a, 0x71, 0xe7, 0xf8, 0xf8, 0x4f, 0xb8, 0x13, 0x8c};
    struct disk_segment_head head = {.index = 3, .sequence = 99};
    struct disk_seal *seal;
    uint8_t key[DISK_KEY_BYTES];
    for (size_t i = 0; i < sizeof head.salt; i++) head.salt[i] = (uint8_t)(0xa0 + i);
    assert_ok(disk_seal_create(node_key, &seal));
    disk_seal_segment_key(seal, UINT64_C(0x1122334455667788), &head, key);
    assert_memory_equal(key, expected, sizeof key);
    head.salt[31] ^= 1;
    disk_seal_segment_key(seal, UINT64_C(0x1122334455667788), &head, key);
    assert_memory_not_equal(key, expected, sizeof key);
    disk_seal_destroy(seal);
    (void)state;
}

static void a_key_file_is_for_its_owner_alone(void **state) {
    char folder[] = "/tmp/skerry-key-XXXXXX", path[64];
    uint8_t key[DISK_KEY_BYTES] = {0}, again[DISK_KEY_BYTES] = {0};
    struct stat status;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/key", folder);
    assert_err(disk_key_load(path, false, key), SK_ERR_NOT_FOUND);
    assert_ok(disk_key_load(path, true, key));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(status.st_size, DISK_KEY_BYTES);
    assert_ok(disk_key_load(path, true, again));
    assert_memory_equal(key, again, sizeof key);
    assert_int_equal(chmod(path, 0640), 0);
    assert_err(disk_key_load(path, true, again), SK_ERR_DENIED);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, DISK_KEY_BYTES - 1), 0);
    assert_err(disk_key_load(path, false, again), SK_ERR_INVALID);
    assert_int_equal(truncate(path, DISK_KEY_BYTES + 1), 0);
    assert_err(disk_key_load(path, false, again), SK_ERR_INVALID);
    unlink(path);
    rmdir(folder);
    (void)state;
}

/* ---- records ------------------------------------------------------------------------------------------------- */

enum { BODY = DISK_BLOCK_BYTES + 1000 };

struct sealed {
    uint8_t *data, *body;
    size_t bytes;
    struct disk_seal *seal;
    struct disk_seal_place place;
};

static struct sealed make_sealed(uint32_t place) {
    struct sealed out = {.place = {.key = {1}, .place = place, .seed = 5}}; /* other_key */
    struct disk_record record = {.sequence = 9,
                                 .key = SK_STR("the key"),
                                 .head = SK_STR("the head"),
                                 .body_bytes = BODY,
                                 .sealed = true};
    out.bytes = disk_record_size(&record);
    out.data = calloc(1, out.bytes);
    out.body = malloc(BODY);
    assert_true(out.data && out.body);
    for (size_t i = 0; i < BODY; i++) out.body[i] = (uint8_t)(i * 7);
    disk_record_encode(&record, out.body, 5, out.data);
    memcpy(out.data + disk_record_meta_size(&record), out.body, BODY);
    assert_ok(disk_seal_create(node_key, &out.seal));
    assert_ok(disk_seal_record(out.seal, &out.place, out.data));
    return out;
}

static void drop_sealed(struct sealed *sealed) {
    disk_seal_destroy(sealed->seal);
    free(sealed->data);
    free(sealed->body);
}

static void a_sealed_record_opens_as_it_was(void **state) {
    struct sealed sealed = make_sealed(64);
    struct disk_record record;
    uint8_t meta[15], block[DISK_BLOCK_BYTES];
    assert_null(memmem(sealed.data, sealed.bytes, "the key", 7));
    assert_null(memmem(sealed.data, sealed.bytes, sealed.body, 32));
    assert_ok(disk_record_decode(sealed.data, sealed.bytes, 5, &record));
    uint8_t *body = sealed.data + disk_record_meta_size(&record);
    assert_true(disk_record_block_good(&record, 0, body, DISK_BLOCK_BYTES, 5)); /* verified without a key */
    assert_true(disk_record_block_good(&record, 1, body + DISK_BLOCK_BYTES, 1000, 5));
    assert_ok(disk_seal_open_meta(sealed.seal, &sealed.place, &record, meta));
    assert_memory_equal(meta, "the keythe head", 15);
    assert_ok(
        disk_seal_open_block(sealed.seal, &sealed.place, &record, 1, body + DISK_BLOCK_BYTES, 1000, block));
    assert_memory_equal(block, sealed.body + DISK_BLOCK_BYTES, 1000);
    assert_ok(disk_seal_open_record(sealed.seal, &sealed.place, sealed.data));
    assert_ok(disk_record_decode(sealed.data, sealed.bytes, 5, &record));
    assert_str(record.key, SK_STR("the key"));
    assert_memory_equal(body, sealed.body, BODY);
    drop_sealed(&sealed);
    (void)state;
}

/* With sums that were made right again: whoever can write to the device can make those. */
static void what_was_changed_does_not_open(void **state) {
    struct sealed sealed = make_sealed(64);
    struct disk_record record;
    uint8_t meta[15], block[DISK_BLOCK_BYTES];
    assert_ok(disk_record_decode(sealed.data, sealed.bytes, 5, &record));
    uint8_t *body = sealed.data + disk_record_meta_size(&record);
    struct disk_seal_place elsewhere = sealed.place, other = sealed.place;
    elsewhere.place++;
    memcpy(other.key, node_key, sizeof other.key);
    assert_err(disk_seal_open_meta(sealed.seal, &elsewhere, &record, meta), SK_ERR_CORRUPT);
    assert_err(disk_seal_open_meta(sealed.seal, &other, &record, meta), SK_ERR_CORRUPT);
    /* a block in the place of another one */
    assert_err(disk_seal_open_block(sealed.seal, &sealed.place, &record, 1, body, 1000, block),
               SK_ERR_CORRUPT);
    for (size_t at = 8; at < 48; at += 8) { /* hash, sequence, lengths */
        sealed.data[at] ^= 1;
        assert_err(disk_seal_open_meta(sealed.seal, &sealed.place, &record, meta), SK_ERR_CORRUPT);
        sealed.data[at] ^= 1;
    }
    body[5] ^= 1;
    assert_err(disk_seal_open_block(sealed.seal, &sealed.place, &record, 0, body, DISK_BLOCK_BYTES, block),
               SK_ERR_CORRUPT);
    disk_record_resum(sealed.data, &record, 5);
    assert_err(disk_seal_open_record(sealed.seal, &sealed.place, sealed.data), SK_ERR_CORRUPT);
    drop_sealed(&sealed);
    (void)state;
}

/* ---- stores ---------------------------------------------------------------------------------------------------- */

static struct disk_sim sim;

static struct disk_keys *site_keys; /* NULL: none */

static sk_err open_with(const uint8_t *key, bool create, struct disk **out_disk) {
    struct disk_options options = {.io = sim_io(&sim),
                                   .segment_bytes = SEGMENT,
                                   .records = 1000,
                                   .create = create,
                                   .key = key,
                                   .sites = site_keys};
    return disk_open(&options, NULL, out_disk);
}

static bool has(struct disk *disk, uint64_t number) {
    struct disk_reader reader;
    sk_str data;
    sk_hash128 hash = sk_hash128_of(&number, sizeof number);
    if (disk_find(disk, NULL, hash, SK_STR("a readable key"), &reader)) return false;
    assert_str(reader.record.head, SK_STR("a readable head"));
    assert_ok(disk_read_block(&reader, NULL, 0, &data));
    assert_str(data, SK_STR("a readable body"));
    disk_reader_close(&reader);
    return true;
}

static void put(struct disk *disk, uint64_t number) {
    sk_hash128 hash = sk_hash128_of(&number, sizeof number);
    assert_ok(
        disk_put(disk, hash, 0, SK_STR("a readable key"), SK_STR("a readable head"), "a readable body", 15));
}

static void a_store_opens_with_its_key_alone(void **state) {
    struct disk *disk;
    sim_open(&sim, SIM_BYTES, 1);
    assert_ok(open_with(node_key, true, &disk));
    put(disk, 1);
    assert_true(has(disk, 1)); /* still in memory */
    assert_ok(disk_close(disk, NULL));
    assert_null(memmem(sim.now, sim.bytes, "readable", 8));
    assert_err(open_with(NULL, true, &disk), SK_ERR_DENIED);
    assert_err(open_with(other_key, true, &disk), SK_ERR_DENIED);
    assert_ok(open_with(node_key, false, &disk));
    assert_true(has(disk, 1));
    assert_ok(disk_close(disk, NULL));
    sim_close(&sim);
    (void)state;
}

static void a_store_that_is_not_sealed_is_made_anew(void **state) {
    struct disk *disk;
    sim_open(&sim, SIM_BYTES, 1);
    assert_ok(open_with(NULL, true, &disk));
    put(disk, 1);
    assert_ok(disk_close(disk, NULL));
    assert_non_null(memmem(sim.now, sim.bytes, "readable", 8)); /* the other test would see it */
    assert_err(open_with(node_key, false, &disk), SK_ERR_UNSUPPORTED);
    assert_ok(open_with(node_key, true, &disk));
    assert_false(has(disk, 1));
    put(disk, 1);
    assert_true(has(disk, 1));
    assert_ok(disk_close(disk, NULL));
    sim_close(&sim);
    (void)state;
}

/* The same record in the same place of the same segment never looks the same twice: each life has another key. */
static void each_life_of_a_segment_has_its_own_key(void **state) {
    enum { HEADER_AND_KEY = DISK_RECORD_HEADER_BYTES + 29 };
    uint8_t seen[2][29];
    struct disk *disk;
    sim_open(&sim, SIM_BYTES, 1);
    assert_ok(open_with(node_key, true, &disk));
    for (int life = 0; life < 2; life++) {
        uint64_t base = 0;
        put(disk, 1);
        assert_ok(disk_flush(disk, NULL));
        for (uint64_t at = 0; at < sim.bytes && !base; at += DISK_SECTOR_BYTES)
            if (memcmp(sim.now + at, "SKRD", 4) == 0) base = at;
        assert_true(base > 0);
        memcpy(seen[life], sim.now + base + DISK_RECORD_HEADER_BYTES, 29);
        memset(sim.now + base, 0, HEADER_AND_KEY);
        struct disk *old = disk; /* the device is rolled back to nothing but its superblock */
        memset(sim.now + DISK_SECTOR_BYTES, 0, sim.bytes - DISK_SECTOR_BYTES);
        assert_ok(open_with(node_key, false, &disk));
        sim.write_fails = 1;
        (void)disk_close(old, NULL);
        sim.write_fails = 0;
        memset(sim.now + DISK_SECTOR_BYTES, 0, sim.bytes - DISK_SECTOR_BYTES);
    }
    assert_memory_not_equal(seen[0], seen[1], 29);
    assert_ok(disk_close(disk, NULL));
    sim_close(&sim);
    (void)state;
}

/* ---- sites ------------------------------------------------------------------------------------------------------- */

static char keys_path[64];

static void open_keys(void) { assert_ok(disk_keys_open(keys_path, node_key, &site_keys)); }
static void close_keys(void) {
    disk_keys_close(site_keys);
    site_keys = NULL;
}

static void put_for(struct disk *disk, uint64_t number, const char *site) {
    sk_hash128 hash = sk_hash128_of(&number, sizeof number);
    uint32_t key;
    sk_err err;
    assert_ok(disk_keys_for(site_keys, sk_str_from_c(site), &key));
    while ((err = disk_put(disk, hash, key, SK_STR("a readable key"), SK_STR("a readable head"),
                           "a readable body", 15)) == SK_ERR_FULL) {
        assert_ok(disk_write(disk, NULL));
        while (disk_reclaim(disk, NULL) == SK_OK) continue;
    }
    assert_ok(err);
}

/* In memory, on the device, in a copy of the device that was made before, and after the records were moved. */
static void an_erased_site_cannot_be_read_anywhere(void **state) {
    struct disk *disk;
    char folder[] = "/tmp/skerry-sites-XXXXXX";
    assert_non_null(mkdtemp(folder));
    snprintf(keys_path, sizeof keys_path, "%s/keys", folder);
    sim_open(&sim, SIM_BYTES, 1);
    open_keys();
    assert_ok(open_with(node_key, true, &disk));
    for (uint64_t i = 0; i < 40; i++) put_for(disk, i, i % 2 ? "stays" : "goes");
    for (uint64_t i = 0; i < 40; i++) assert_true(has(disk, i));
    assert_ok(disk_flush(disk, NULL));
    uint8_t *copy = malloc(sim.bytes);
    assert_non_null(copy);
    memcpy(copy, sim.now, sim.bytes);
    assert_ok(disk_keys_erase(site_keys, SK_STR("goes")));
    for (uint64_t i = 0; i < 40; i++) assert_int_equal(has(disk, i), i % 2);
    put_for(disk, 0, "goes"); /* a new life */
    assert_true(has(disk, 0));
    for (uint64_t i = 100; i < 60000; i++) { /* the segments are taken back, what is asked for moves */
        put_for(disk, i, "stays");
        if (i % 500 == 0)
            for (uint64_t k = 0; k < 40; k++) assert_int_equal(has(disk, k) && k && k % 2 == 0, false);
    }
    struct disk_usage usage;
    disk_usage(disk, &usage);
    assert_true(usage.reclaimed > 10 && usage.reinserted > 0 && usage.damaged == 0);
    assert_true(has(disk, 1));
    assert_ok(disk_close(disk, NULL));
    memcpy(sim.now, copy, sim.bytes); /* with the node key, and what is left of the others */
    free(copy);
    close_keys();
    open_keys();
    assert_ok(open_with(node_key, false, &disk));
    for (uint64_t i = 0; i < 40; i++) assert_int_equal(has(disk, i), i % 2);
    assert_ok(disk_close(disk, NULL));
    close_keys();
    assert_ok(open_with(node_key, false, &disk)); /* the node key alone is not enough */
    for (uint64_t i = 0; i < 40; i++) assert_false(has(disk, i));
    assert_ok(disk_close(disk, NULL));
    unlink(keys_path);
    rmdir(folder);
    sim_close(&sim);
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segment_key_is_hkdf_of_all_that_names_the_segment),
        cmocka_unit_test(a_key_file_is_for_its_owner_alone),
        cmocka_unit_test(a_sealed_record_opens_as_it_was),
        cmocka_unit_test(what_was_changed_does_not_open),
        cmocka_unit_test(a_store_opens_with_its_key_alone),
        cmocka_unit_test(a_store_that_is_not_sealed_is_made_anew),
        cmocka_unit_test(each_life_of_a_segment_has_its_own_key),
        cmocka_unit_test(an_erased_site_cannot_be_read_anywhere),
    };
    return SK_RUN_TESTS(tests);
}
