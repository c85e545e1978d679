#include <stdlib.h>

#include "base/random.h"
#include "cache/disk_index.h"
#include "unit.h"

static sk_hash128 hash_of(uint64_t number) { return sk_hash128_of(&number, sizeof number); }

static void lengths_go_up_and_cover(void **state) {
    for (uint64_t bytes = 1; bytes < (1u << 20); bytes += 1 + bytes / 16) {
        uint8_t c = disk_length_class(bytes);
        assert_true(disk_length_of(c) >= bytes);
        assert_true(c == 0 || disk_length_of((uint8_t)(c - 1)) < bytes);
    }
    assert_int_equal(disk_length_class(UINT64_MAX), DISK_LENGTH_CLASSES - 1);
    (void)state;
}

static void what_was_put_is_found_where_it_was_put_last(void **state) {
    struct disk_index *index;
    struct disk_place place;
    assert_ok(disk_index_create(1000, &index));
    assert_false(disk_index_find(index, hash_of(1), &place));
    assert_false(disk_index_put(index, hash_of(1), (struct disk_place){.unit = 7, .length_class = 3}, NULL));
    assert_false(disk_index_put(index, hash_of(1), (struct disk_place){.unit = 9, .length_class = 5}, NULL));
    assert_true(disk_index_find(index, hash_of(1), &place));
    assert_int_equal(place.unit, 9);
    assert_int_equal(place.length_class, 5);
    assert_int_equal(disk_index_usage(index).records, 1);
    disk_index_destroy(index);
    (void)state;
}

static void accesses_count_up_and_saturate(void **state) {
    struct disk_index *index;
    struct disk_place place;
    assert_ok(disk_index_create(1000, &index));
    disk_index_put(index, hash_of(1), (struct disk_place){.unit = DISK_PLACE_MAX, .length_class = 63}, NULL);
    disk_index_touch(index, hash_of(1), 5); /* another place: not this record */
    for (int i = 0; i < 6; i++) {
        assert_true(disk_index_find(index, hash_of(1), &place));
        assert_int_equal(place.accesses, SK_MIN(i, DISK_ACCESSES_MAX));
        assert_int_equal(place.unit, DISK_PLACE_MAX);
        assert_int_equal(place.length_class, 63);
        disk_index_touch(index, hash_of(1), DISK_PLACE_MAX);
    }
    disk_index_destroy(index);
    (void)state;
}

static void only_the_place_that_is_meant_is_moved_or_removed(void **state) {
    struct disk_index *index;
    struct disk_place place;
    assert_ok(disk_index_create(1000, &index));
    disk_index_put(index, hash_of(1), (struct disk_place){.unit = 5}, NULL);
    assert_false(disk_index_move(index, hash_of(1), 4, (struct disk_place){.unit = 6}));
    assert_true(disk_index_move(index, hash_of(1), 5, (struct disk_place){.unit = 6, .length_class = 2}));
    assert_true(disk_index_find(index, hash_of(1), &place) && place.unit == 6 && place.length_class == 2);
    assert_false(disk_index_remove(index, hash_of(1), 5));
    assert_false(disk_index_put_older(index, hash_of(1), (struct disk_place){.unit = 3}));
    assert_true(disk_index_remove(index, hash_of(1), 6));
    assert_false(disk_index_find(index, hash_of(1), &place));
    assert_true(disk_index_put_older(index, hash_of(1), (struct disk_place){.unit = 3}));
    assert_true(disk_index_remove(index, hash_of(1), 0));
    assert_int_equal(disk_index_usage(index).records, 0);
    disk_index_destroy(index);
    (void)state;
}

/* As many records as it was made for: next to none is lost, and a record costs ten bytes. */
static void as_full_as_it_may_be_it_has_nearly_all(void **state) {
    enum { RECORDS = 200000 };
    struct disk_index *index;
    struct disk_place place;
    uint64_t found = 0;
    assert_ok(disk_index_create(RECORDS, &index));
    for (uint64_t i = 1; i <= RECORDS; i++)
        disk_index_put(index, hash_of(i), (struct disk_place){.unit = i}, NULL);
    for (uint64_t i = 1; i <= RECORDS; i++)
        found += disk_index_find(index, hash_of(i), &place) && place.unit == i;
    struct disk_index_usage usage = disk_index_usage(index);
    print_message("%llu of %d found, %.2f bytes a record\n", (unsigned long long)found, RECORDS,
                  (double)usage.bytes / RECORDS);
    assert_true(usage.bytes < RECORDS * UINT64_C(11));
    assert_true(found > RECORDS / 1000 * 997);
    assert_true(usage.records <= RECORDS);
    disk_index_destroy(index);
    (void)state;
}

/* Against a map: what is found is the latest place of the hash, or of another that has the same tag there. */
static void random_operations_agree_with_a_map(void **state) {
    enum { KEYS = 5000, STEPS = 1000000 };
    struct disk_index *index;
    struct disk_place place;
    uint64_t *units = calloc(KEYS, sizeof *units), unit = 0, foreign = 0, missing = 0, present = 0;
    assert_non_null(units);
    assert_ok(disk_index_create(KEYS, &index));
    for (int step = 0; step < STEPS; step++) {
        size_t key = sk_random_below(KEYS);
        switch (sk_random_below(5)) {
        case 0:
            units[key] = ++unit;
            disk_index_put(index, hash_of(key), (struct disk_place){.unit = unit}, NULL);
            break;
        case 1:
            if (units[key] &&
                disk_index_move(index, hash_of(key), units[key], (struct disk_place){.unit = unit + 1}))
                units[key] = ++unit;
            break;
        case 2:
            disk_index_remove(index, hash_of(key), 0);
            units[key] = 0;
            break;
        default: {
            bool found = disk_index_find(index, hash_of(key), &place);
            present += units[key] != 0;
            missing += !found && units[key];
            foreign += found && place.unit != units[key];
        }
        }
    }
    assert_true(missing + foreign < present / 100);
    disk_index_destroy(index);
    free(units);
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_go_up_and_cover),
        cmocka_unit_test(what_was_put_is_found_where_it_was_put_last),
        cmocka_unit_test(accesses_count_up_and_saturate),
        cmocka_unit_test(only_the_place_that_is_meant_is_moved_or_removed),
        cmocka_unit_test(as_full_as_it_may_be_it_has_nearly_all),
        cmocka_unit_test(random_operations_agree_with_a_map),
    };
    return SK_RUN_TESTS(tests);
}
