/* A store seen from outside: what is counted, and which damage is found. */
#include "cache/disk_survey.h"
#include "disk_sim.h"

enum { SEGMENT = 64 * 1024, KEYS = 300 };
#define SIM_BYTES (UINT64_C(32) * SEGMENT)

static struct disk_sim sim;
static const uint8_t node_key[32] = "a key";

static bool go_on(void *arg, uint64_t done, uint64_t of) {
    assert_in_range(done, 1, of);
    uint64_t *left = arg;
    return !left || (*left)-- > 1;
}

static void make_store(const uint8_t *key) {
    struct disk *disk;
    sim_open(&sim, SIM_BYTES, 1);
    struct disk_options options = {
        .io = sim_io(&sim), .segment_bytes = SEGMENT, .records = 1000, .create = true, .key = key};
    assert_ok(disk_open(&options, NULL, &disk));
    for (uint64_t i = 0; i < KEYS; i++) {
        uint64_t body[100] = {i};
        sk_err err;
        while ((err = disk_put(disk, sk_hash128_of(&i, sizeof i), 0, SK_STR("key"), SK_STR("head"), body,
                               sizeof body)) == SK_ERR_FULL)
            assert_ok(disk_write(disk, NULL));
        assert_ok(err);
    }
    assert_ok(disk_close(disk, NULL));
}

static struct disk_survey look(sk_err expected) {
    struct disk_io io = sim_io(&sim);
    struct disk_survey survey = {0};
    assert_err(disk_survey_check(&io, (struct disk_survey_progress){go_on, NULL}, &survey), expected);
    return survey;
}

static void what_is_there_is_counted(void **state) {
    for (int sealed = 0; sealed < 2; sealed++) { /* a sealed one without its key */
        make_store(sealed ? node_key : NULL);
        struct disk_survey survey = look(SK_OK);
        assert_int_equal(survey.sealed, sealed);
        assert_int_equal(survey.records, KEYS);
        assert_int_equal(survey.checked_records, KEYS);
        assert_int_equal(survey.damaged_records, 0);
        assert_int_equal(survey.unreadable_segments, 0);
        assert_true(survey.used_segments > 2 && survey.used_segments < survey.segments);
        assert_int_equal(survey.summed_up_segments, survey.used_segments - 1); /* all but the open one */
        assert_true(survey.index_kept);
        assert_true(survey.oldest_s > 1700000000 && survey.newest_s >= survey.oldest_s);
        sim_close(&sim);
    }
    (void)state;
}

static void each_damaged_record_is_found(void **state) {
    uint64_t damaged = 0;
    make_store(NULL);
    for (uint64_t at = SIM_BYTES - 64; at > 0; at -= 64)
        if (memcmp(sim.now + at, "SKRD", 4) == 0)
            if (damaged++ % 10 == 0) sim.now[at + 200] ^= 4;
    assert_int_equal(damaged, KEYS);
    assert_int_equal(look(SK_OK).damaged_records, KEYS / 10);
    sim_close(&sim);
    (void)state;
}

static void nothing_is_written(void **state) {
    make_store(NULL);
    sim.write_fails = 1;
    (void)look(SK_OK);
    uint8_t *before = malloc(SIM_BYTES);
    assert_non_null(before);
    memcpy(before, sim.now, SIM_BYTES);
    (void)look(SK_OK);
    assert_memory_equal(before, sim.now, SIM_BYTES);
    free(before);
    sim_close(&sim);
    (void)state;
}

static void it_stops_when_it_is_told_to(void **state) {
    make_store(NULL);
    struct disk_io io = sim_io(&sim);
    struct disk_survey survey;
    uint64_t left = 2;
    assert_err(disk_survey(&io, (struct disk_survey_progress){go_on, &left}, &survey), SK_ERR_CANCELLED);
    assert_int_equal(left, 0);
    assert_true(survey.records > 0 && survey.records < KEYS);
    sim_close(&sim);
    (void)state;
}

static void what_is_no_store_is_told(void **state) {
    make_store(NULL);
    sim.now[0] ^= 1;
    (void)look(SK_ERR_NOT_FOUND);
    sim.now[0] ^= 1;
    sim.now[100] ^= 1;
    (void)look(SK_ERR_CORRUPT);
    sim_close(&sim);
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there_is_counted), cmocka_unit_test(each_damaged_record_is_found),
        cmocka_unit_test(nothing_is_written),       cmocka_unit_test(it_stops_when_it_is_told_to),
        cmocka_unit_test(what_is_no_store_is_told),
    };
    return SK_RUN_TESTS(tests);
}
