#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "fibers.h"
#include "io/file.h"

static const char *const engines[] = {"uring", "threads"};
static const char *engine;

/* Tells STORY once with each engine. */
static void run_both(void (*tell)(void)) {
    for (size_t i = 0; i < SK_COUNT(engines); i++) {
        engine = engines[i];
        setenv("SKERRY_FILE_ENGINE", engine, 1);
        run_story(tell);
    }
}

static int open_temporary(void) {
    char path[] = "/tmp/skerry-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

static void tell_engine(void) {
    const char *used = io_file_engine(loop);
    if (strcmp(engine, "threads") == 0) assert_string_equal(used, "threads");
    /* Where the kernel forbids io_uring the other engine is right too, and all else is tested twice. */
    printf("# asked for %s, got %s\n", engine, used);
}

static void the_engine_is_chosen_at_the_start(void **state) { (void)state, run_both(tell_engine); }

/* --- operations ---------------------------------------------------------------------------------------- */

#define BYTES ((size_t)3 << 20)
static char written[BYTES], got[BYTES + 100];

static void tell_round_trip(void) {
    int fd = open_temporary();
    size_t n;
    sk_random_secret(written, BYTES);
    assert_ok(io_file_write(loop, fd, written, 1000, 0));
    assert_ok(io_file_write(loop, fd, written + 1000, BYTES - 1000, 1000));
    assert_ok(io_file_sync(loop, fd));
    assert_ok(io_file_read(loop, fd, got, BYTES, 0, &n));
    assert_int_equal(n, BYTES);
    assert_memory_equal(got, written, BYTES);
    /* Short only at the end of the file. */
    assert_ok(io_file_read(loop, fd, got, 1000, BYTES - 10, &n));
    assert_int_equal(n, 10);
    assert_memory_equal(got, written + BYTES - 10, 10);
    assert_ok(io_file_read(loop, fd, got, 1000, BYTES + 5, &n));
    assert_int_equal(n, 0);
    close(fd);
}

static void bytes_come_back_as_written(void **state) { (void)state, run_both(tell_round_trip); }

static void tell_errors(void) {
    size_t n = 77;
    int full = open("/dev/full", O_WRONLY), fd = open_temporary();
    assert_err(io_file_write(loop, full, "x", 1, 0), SK_ERR_FULL);
    assert_err(io_file_read(loop, full, got, 1, 0, &n), SK_ERR_INVALID);
    assert_int_equal(n, 77);
    close(full), close(fd);
    assert_err(io_file_read(loop, -1, got, 1, 0, &n), SK_ERR_INVALID);
    assert_err(io_file_sync(loop, -1), SK_ERR_INVALID);
}

static void errors_are_typed(void **state) { (void)state, run_both(tell_errors); }

#define READERS 700 /* more than one ring holds */
#define BLOCK 512
static int readers_left, shared_fd;

static void read_own_block(void *arg) {
    size_t block = (size_t)(intptr_t)arg, n;
    char mine[BLOCK];
    for (int i = 0; i < 5; i++) {
        assert_ok(io_file_read(loop, shared_fd, mine, BLOCK, block * BLOCK, &n));
        assert_int_equal(n, BLOCK);
        assert_memory_equal(mine, written + block * BLOCK, BLOCK);
    }
    readers_left--;
}

static void tell_many(void) {
    shared_fd = open_temporary();
    assert_ok(io_file_write(loop, shared_fd, written, READERS * BLOCK, 0));
    readers_left = READERS;
    for (intptr_t i = 0; i < READERS; i++)
        assert_ok(io_fiber_spawn(loop, "reader", read_own_block, (void *)i, NULL));
    while (readers_left) rest(1);
    close(shared_fd);
}

static void more_operations_than_the_engine_holds_all_complete(void **state) {
    (void)state, run_both(tell_many);
}

static void tell_direct(void) {
    char path[] = "./skerry-test-XXXXXX", *block = aligned_alloc(4096, 8192);
    size_t n;
    int fd = mkostemp(path, O_DIRECT);
    if (fd >= 0) {
        unlink(path);
        memset(block, 'd', 4096);
        memset(block + 4096, 0, 4096);
        assert_ok(io_file_write(loop, fd, block, 4096, 0));
        assert_ok(io_file_read(loop, fd, block + 4096, 4096, 0, &n));
        assert_int_equal(n, 4096);
        assert_memory_equal(block, block + 4096, 4096);
        assert_err(io_file_read(loop, fd, block + 1, 4096, 0, &n), SK_ERR_INVALID);
        close(fd);
    }
    free(block);
}

static void direct_files_work(void **state) { (void)state, run_both(tell_direct); }

static bool cancelled_read_done;
static void read_then_park(void *arg) {
    size_t n = 0;
    assert_ok(io_file_read(loop, *(int *)arg, got, BLOCK, 0, &n));
    assert_int_equal(n, BLOCK);
    assert_err(io_fiber_park(SK_TIME_NEVER), SK_ERR_CANCELLED);
    cancelled_read_done = true;
}

static void tell_cancelled(void) {
    int fd = open_temporary();
    struct io_fiber *fiber;
    assert_ok(io_file_write(loop, fd, written, BLOCK, 0));
    cancelled_read_done = false;
    assert_ok(io_fiber_spawn(loop, "reader", read_then_park, &fd, &fiber));
    io_fiber_cancel(fiber);
    for (int i = 0; i < 200 && !cancelled_read_done; i++) rest(5);
    assert_true(cancelled_read_done);
    close(fd);
}

static void a_cancelled_fiber_still_waits_for_its_operation(void **state) {
    (void)state, run_both(tell_cancelled);
}

static sk_err sleep_a_little(void *arg) {
    usleep(20000);
    ++*(int *)arg;
    return SK_ERR_BUSY;
}

static void destroyed_under_way(void *arg) {
    char *memory = malloc(BLOCK);
    size_t n;
    int value = 0;
    if ((intptr_t)arg % 2)
        assert_err(io_blocking(loop, sleep_a_little, &value), SK_ERR_BUSY);
    else
        assert_ok(io_file_read(loop, shared_fd, memory, BLOCK, 0, &n));
    free(memory);
    readers_left--;
}

static void a_destroyed_loop_waits_for_what_is_under_way(void **state) {
    (void)state;
    for (size_t i = 0; i < SK_COUNT(engines); i++) {
        setenv("SKERRY_FILE_ENGINE", engines[i], 1);
        assert_ok(io_loop_create("test", &loop));
        shared_fd = open_temporary();
        assert_int_equal(write(shared_fd, written, BLOCK), BLOCK);
        readers_left = 20;
        for (intptr_t k = 0; k < 20; k++)
            assert_ok(io_fiber_spawn(loop, "reader", destroyed_under_way, (void *)k, NULL));
        io_loop_destroy(loop);
        assert_int_equal(readers_left, 0);
        close(shared_fd);
    }
}

static int sum, sleepers_left;
static _Atomic bool may_end; /* set by the loop's thread, read by those of the pool */
static sk_err sleep_until_told(void *arg) {
    while (!may_end) usleep(1000);
    ++*(int *)arg;
    return SK_ERR_BUSY;
}

static void call_blocking(void *arg) {
    (void)arg;
    int value = 5;
    assert_err(io_blocking(loop, sleep_until_told, &value), SK_ERR_BUSY);
    sum += value;
    sleepers_left--;
}

static void tell_blocking(void) {
    sum = 0;
    sleepers_left = 20;
    may_end = false;
    for (int i = 0; i < 20; i++) assert_ok(io_fiber_spawn(loop, "caller", call_blocking, NULL, NULL));
    rest(5); /* the loop itself goes on meanwhile */
    assert_int_equal(sleepers_left, 20);
    may_end = true;
    while (sleepers_left) rest(5);
    assert_int_equal(sum, 20 * 6);
}

static void blocking_calls_run_beside_the_loop(void **state) { (void)state, run_both(tell_blocking); }

/* --- whole files ---------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/skerry-test-XXXXXX", file[64];

static size_t count_files(void) {
    size_t n = 0;
    DIR *dir = opendir(folder);
    SK_ASSERT(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir));) n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void a_replaced_file_has_the_new_content_and_mode(void **state) {
    struct stat st;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/file", folder);
    assert_ok(io_file_replace(file, "first", 5, 0640));
    assert_ok(io_file_replace(file, "the second", 10, 0644));
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_int_equal(count_files(), 1);
}

static void files_are_loaded_whole_and_within_a_limit(void **state) {
    struct sk_buf text;
    (void)state;
    sk_buf_init(&text, 0);
    assert_err(io_file_load("/tmp/nonexistent-file", 100, &text), SK_ERR_NOT_FOUND);
    assert_err(io_file_load(folder, 100, &text), SK_ERR_INVALID);
    assert_ok(sk_buf_append(&text, SK_STR("<")));
    assert_err(io_file_load(file, 9, &text), SK_ERR_TOO_LARGE);
    assert_err(io_file_load(file, 0, &text), SK_ERR_TOO_LARGE);
    assert_str(sk_buf_str(&text), SK_STR("<"));
    assert_ok(io_file_load(file, 10, &text));
    assert_str(sk_buf_str(&text), SK_STR("<the second"));
    sk_buf_clear(&text);
    assert_ok(io_file_load("/proc/self/status", 1 << 20, &text)); /* its size is told as 0 */
    assert_true(sk_str_starts_with(sk_buf_str(&text), SK_STR("Name:")));
    sk_buf_free(&text);
}

static void a_large_file_comes_back_as_written(void **state) {
    struct sk_buf text;
    (void)state;
    sk_buf_init(&text, 0);
    assert_ok(io_file_replace(file, written, BYTES, 0600));
    assert_err(io_file_load(file, BYTES - 1, &text), SK_ERR_TOO_LARGE);
    assert_ok(io_file_load(file, BYTES, &text));
    assert_int_equal(sk_buf_len(&text), BYTES);
    assert_memory_equal(sk_buf_str(&text).data, written, BYTES);
    sk_buf_free(&text);
}

static void a_stamp_tells_that_a_file_was_written_replaced_or_removed(void **state) {
    uint64_t last = io_file_stamp(1, file), now;
    (void)state;
    assert_true(io_file_stamp(1, file) == last);
    assert_true(io_file_stamp(2, file) != last);
    assert_ok(io_file_replace(file, written, BYTES, 0600));
    now = io_file_stamp(1, file);
    assert_true(now != last);
    last = now;
    assert_int_equal(truncate(file, BYTES - 1), 0);
    now = io_file_stamp(1, file);
    assert_true(now != last);
    last = now;
    assert_int_equal(unlink(file), 0);
    assert_true(io_file_stamp(1, file) != last);
    assert_ok(io_file_replace(file, written, BYTES, 0600));
}

static void a_failed_replacement_leaves_nothing_behind(void **state) {
    char path[96];
    (void)state;
    snprintf(path, sizeof path, "%s/none/file", folder);
    assert_err(io_file_replace(path, "x", 1, 0600), SK_ERR_NOT_FOUND);
    snprintf(path, sizeof path, "%s/dir", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_not_equal(io_file_replace(path, "x", 1, 0600), SK_OK);
    assert_int_equal(count_files(), 2);
    rmdir(path), unlink(file), rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_engine_is_chosen_at_the_start),
        cmocka_unit_test(bytes_come_back_as_written),
        cmocka_unit_test(errors_are_typed),
        cmocka_unit_test(more_operations_than_the_engine_holds_all_complete),
        cmocka_unit_test(direct_files_work),
        cmocka_unit_test(a_cancelled_fiber_still_waits_for_its_operation),
        cmocka_unit_test(a_destroyed_loop_waits_for_what_is_under_way),
        cmocka_unit_test(blocking_calls_run_beside_the_loop),
        cmocka_unit_test(a_replaced_file_has_the_new_content_and_mode),
        cmocka_unit_test(files_are_loaded_whole_and_within_a_limit),
        cmocka_unit_test(a_large_file_comes_back_as_written),
        cmocka_unit_test(a_stamp_tells_that_a_file_was_written_replaced_or_removed),
        cmocka_unit_test(a_failed_replacement_leaves_nothing_behind),
    };
    return SK_RUN_TESTS(tests);
}
