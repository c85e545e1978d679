/* The keys of sites: kept, found, erased, and what a damaged or foreign file says. */
#include "cache/disk_keys.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache_test.h"

static const uint8_t node_key[DISK_KEY_BYTES] = {1, 2, 3}, other_key[DISK_KEY_BYTES] = {4};
static char folder[32], path[64];
static struct disk_keys *keys;

static int setup(void **state) {
    snprintf(folder, sizeof folder, "/tmp/skerry-keys-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/keys", folder);
    assert_ok(disk_keys_open(path, node_key, &keys));
    (void)state;
    return 0;
}

static int teardown(void **state) {
    disk_keys_close(keys);
    unlink(path);
    rmdir(folder);
    (void)state;
    return 0;
}

static void reopen(void) {
    disk_keys_close(keys);
    keys = NULL;
    assert_ok(disk_keys_open(path, node_key, &keys));
}

static uint32_t number_of(const char *site) {
    uint32_t number = 0;
    assert_ok(disk_keys_for(keys, sk_str_from_c(site), &number));
    assert_in_range(number, 1, DISK_SITE_MAX);
    return number;
}

static size_t read_all(uint8_t *out, size_t room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, out, room);
    close(fd);
    assert_true(n >= 0);
    return (size_t)n;
}

static void change(off_t at, uint8_t bits) {
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= bits;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void a_key_is_kept_from_the_sync_on(void **state) {
    uint8_t key[DISK_KEY_BYTES], again[DISK_KEY_BYTES], other[DISK_KEY_BYTES], file[1024];
    struct stat status;
    uint32_t one = number_of("one"), two = number_of("two");
    assert_int_equal(number_of("one"), one);
    assert_int_not_equal(one, two);
    assert_ok(disk_keys_find(keys, one, key));
    assert_ok(disk_keys_find(keys, two, other));
    assert_memory_not_equal(key, other, sizeof key);
    assert_ok(disk_keys_sync(keys));
    uint32_t late = number_of("late"); /* not synced */
    reopen();
    assert_ok(disk_keys_find(keys, one, again));
    assert_memory_equal(key, again, sizeof key);
    assert_err(disk_keys_find(keys, late, again), SK_ERR_NOT_FOUND);
    assert_int_equal(number_of("one"), one);
    assert_int_equal(disk_keys_count(keys), 2);
    size_t bytes = read_all(file, sizeof file); /* wrapped, and without names */
    assert_null(memmem(file, bytes, key, sizeof key));
    assert_null(memmem(file, bytes, "one", 3));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    (void)state;
}

static void an_erased_key_is_gone_and_its_number_not_given_again(void **state) {
    uint8_t key[DISK_KEY_BYTES], file[2 * DISK_KEYS_SLOT_BYTES];
    uint32_t one = number_of("one"), two = number_of("two");
    assert_ok(disk_keys_sync(keys));
    size_t before = read_all(file, sizeof file);
    uint8_t wrapped[DISK_KEY_BYTES];
    memcpy(wrapped, file + 52, sizeof wrapped); /* of the first slot */
    assert_ok(disk_keys_erase(keys, SK_STR("one")));
    assert_err(disk_keys_find(keys, one, key), SK_ERR_NOT_FOUND);
    assert_ok(disk_keys_find(keys, two, key));
    assert_int_equal(read_all(file, sizeof file), before);
    assert_null(memmem(file, before, wrapped, sizeof wrapped));
    assert_err(disk_keys_erase(keys, SK_STR("one")), SK_ERR_NOT_FOUND);
    for (int i = 0; i < 2; i++) { /* in this life and in the next one */
        assert_err(disk_keys_find(keys, one, key), SK_ERR_NOT_FOUND);
        assert_int_equal(disk_keys_count(keys), 1);
        reopen();
    }
    for (uint32_t i = 0, used = 0; used != one % DISK_KEYS_MAX; i++) { /* until its slot is used again */
        char name[16];
        snprintf(name, sizeof name, "%u", i);
        uint32_t number = number_of(name);
        assert_int_not_equal(number, one);
        if (number % DISK_KEYS_MAX == one % DISK_KEYS_MAX) break;
        used = number % DISK_KEYS_MAX;
    }
    assert_err(disk_keys_find(keys, one, key), SK_ERR_NOT_FOUND);
    (void)state;
}

/* Also one that was not in the file yet. */
static void erasing_a_new_key_holds(void **state) {
    uint8_t key[DISK_KEY_BYTES];
    uint32_t one = number_of("one");
    assert_ok(disk_keys_erase(keys, SK_STR("one")));
    assert_ok(disk_keys_sync(keys));
    reopen();
    assert_err(disk_keys_find(keys, one, key), SK_ERR_NOT_FOUND);
    assert_int_not_equal(number_of("one"), one);
    (void)state;
}

static void there_is_room_for_so_many_and_no_more(void **state) {
    static uint32_t numbers[DISK_KEYS_MAX];
    uint8_t key[DISK_KEY_BYTES];
    uint32_t more;
    char name[16];
    for (uint32_t i = 0; i < DISK_KEYS_MAX; i++) {
        snprintf(name, sizeof name, "site%u", i);
        numbers[i] = number_of(name);
    }
    assert_err(disk_keys_for(keys, SK_STR("more"), &more), SK_ERR_FULL);
    assert_ok(disk_keys_sync(keys));
    for (uint32_t i = 0; i < DISK_KEYS_MAX; i += 97) {
        snprintf(name, sizeof name, "site%u", i);
        assert_ok(disk_keys_erase(keys, sk_str_from_c(name)));
    }
    for (int life = 0; life < 2; life++) {
        for (uint32_t i = 0; i < DISK_KEYS_MAX; i++)
            assert_err(disk_keys_find(keys, numbers[i], key), i % 97 ? SK_OK : SK_ERR_NOT_FOUND);
        for (uint32_t i = 1; i < 97; i++) { /* those whose names were beside erased ones too */
            snprintf(name, sizeof name, "site%u", i);
            assert_int_equal(number_of(name), numbers[i]);
        }
        reopen();
    }
    assert_ok(disk_keys_for(keys, SK_STR("more"), &more));
    (void)state;
}

static void a_damaged_slot_is_no_key_and_harms_no_other(void **state) {
    uint8_t key[DISK_KEY_BYTES];
    for (int bit = 0; bit < 8; bit++) {
        uint32_t one = number_of("one"), two = number_of("two");
        assert_ok(disk_keys_sync(keys));
        off_t at = (off_t)(one % DISK_KEYS_MAX) * DISK_KEYS_SLOT_BYTES + 15 * bit;
        change(at, (uint8_t)(1 << bit));
        reopen();
        assert_err(disk_keys_find(keys, one, key), SK_ERR_NOT_FOUND);
        assert_ok(disk_keys_find(keys, two, key));
    }
    (void)state;
}

static void another_node_key_a_second_process_and_a_foreign_file_are_told(void **state) {
    struct disk_keys *second;
    (void)number_of("one");
    assert_ok(disk_keys_sync(keys));
    assert_err(disk_keys_open(path, node_key, &second), SK_ERR_BUSY);
    disk_keys_close(keys);
    keys = NULL;
    assert_err(disk_keys_open(path, other_key, &second), SK_ERR_DENIED);
    assert_ok(disk_keys_open(path, node_key, &keys)); /* it was left alone */
    assert_int_equal(disk_keys_count(keys), 1);
    disk_keys_close(keys);
    keys = NULL;
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(fd, "somebody's thesis", 17), 17);
    close(fd);
    assert_err(disk_keys_open(path, node_key, &second), SK_ERR_EXISTS);
    (void)state;
}

/* A slot under another name or number is of no use: both are authenticated. */
static void a_slot_cannot_be_given_to_another_site(void **state) {
    struct disk_keys_slot slot;
    uint8_t data[DISK_KEYS_SLOT_BYTES];
    (void)number_of("one");
    (void)number_of("two");
    assert_ok(disk_keys_sync(keys));
    assert_int_equal(read_all(data, sizeof data), sizeof data);
    assert_ok(disk_keys_slot_decode(data, &slot));
    slot.site[0] ^= 1;
    disk_keys_slot_encode(&slot, data);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, data, sizeof data, 0), sizeof data);
    close(fd);
    reopen();
    assert_int_equal(disk_keys_count(keys), 1);
    (void)state;
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_key_is_kept_from_the_sync_on),
        CASE(an_erased_key_is_gone_and_its_number_not_given_again),
        CASE(erasing_a_new_key_holds),
        CASE(there_is_room_for_so_many_and_no_more),
        CASE(a_damaged_slot_is_no_key_and_harms_no_other),
        CASE(another_node_key_a_second_process_and_a_foreign_file_are_told),
        CASE(a_slot_cannot_be_given_to_another_site),
    };
    return SK_RUN_TESTS(tests);
}
