#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "observe/access_log.h"
#include "unit.h"

static char folder[64], path[96];
static struct observe_thread *self;

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/skerry-test-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof(path), "%s/access.log", folder);
    return observe_thread_join(&self) == SK_OK ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static char *read_file(const char *name) {
    static char text[1 << 20];
    int fd = open(name, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    assert_true(n >= 0);
    text[n] = 0;
    close(fd);
    return text;
}

static unsigned lines_in(const char *text) {
    unsigned lines = 0;
    for (; *text; text++) lines += *text == '\n';
    return lines;
}

/* Lines come at the latest a nap later; a second says that they never come. */
static bool wait_for(const char *name, const char *needle) {
    for (int i = 0; i < 500; i++) {
        if (access(name, R_OK) == 0 && strstr(read_file(name), needle)) return true;
        usleep(10000);
    }
    return false;
}

static void log_target(struct access_log_ring *ring, const char *target) {
    struct access_log_entry entry = {.method = SK_STR("GET"), .target = sk_str_from_c(target), .status = 200};
    access_log_write(ring, &entry);
}

static void open_log(const char *name, struct access_log **log, struct access_log_ring **ring) {
    assert_int_equal(access_log_open(name, ACCESS_LOG_JSON, log), SK_OK);
    assert_int_equal(access_log_join(*log, self, ring), SK_OK);
}

static void a_line_is_written_without_waiting_for_more(void **state) {
    struct access_log *log;
    struct access_log_ring *ring;
    (void)state;
    unlink(path);
    open_log(path, &log, &ring);
    for (int i = 0; i < 3; i++) {
        char target[16];
        snprintf(target, sizeof(target), "/wake-%d", i);
        usleep(60000); /* the writer sleeps by now */
        log_target(ring, target);
        assert_true(wait_for(path, target));
    }
    access_log_close(log);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07, 0); /* others may not read who asked for what */
}

enum { THREADS = 3, LINES = 20000 };

static void *write_lines(void *arg) {
    struct access_log *log = arg;
    struct observe_thread *metrics;
    struct access_log_ring *ring;
    if (observe_thread_join(&metrics) || access_log_join(log, metrics, &ring)) return NULL;
    for (unsigned i = 0; i < LINES; i++) log_target(ring, "/x");
    return log;
}

static void every_line_is_written_or_counted_as_dropped(void **state) {
    struct access_log *log;
    pthread_t threads[THREADS];
    (void)state;
    unlink(path);
    uint64_t dropped = observe_total(OBSERVE_LOG_DROPPED);
    assert_int_equal(access_log_open(path, ACCESS_LOG_COMMON, &log), SK_OK);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, log), 0);
    for (int i = 0; i < THREADS; i++) {
        void *done;
        pthread_join(threads[i], &done);
        assert_non_null(done);
    }
    access_log_close(log);
    dropped = observe_total(OBSERVE_LOG_DROPPED) - dropped;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char line[256];
    unsigned lines = 0;
    for (; fgets(line, sizeof(line), file); lines++)
        assert_string_equal(strchr(line, ']'), "] \"GET /x HTTP/1.0\" 200 -\n");
    fclose(file);
    assert_int_equal(lines + dropped, THREADS * LINES);
}

static void rotation_reopens_the_file_by_its_name(void **state) {
    struct access_log *log;
    struct access_log_ring *ring;
    char old[112];
    (void)state;
    snprintf(old, sizeof(old), "%s.1", path);
    unlink(path);
    open_log(path, &log, &ring);
    log_target(ring, "/before");
    assert_true(wait_for(path, "/before"));
    assert_int_equal(rename(path, old), 0);
    log_target(ring, "/between");
    assert_true(wait_for(old, "/between")); /* nobody said yet that it was renamed */
    access_log_rotate(log);
    for (int i = 0; i < 500 && access(path, F_OK); i++) usleep(10000);
    log_target(ring, "/after");
    assert_true(wait_for(path, "/after"));
    assert_null(strstr(read_file(old), "/after"));
    access_log_close(log);
    unlink(old);
}

static void a_reload_changes_path_and_format(void **state) {
    struct access_log *log;
    struct access_log_ring *ring;
    (void)state;
    unlink(path);
    open_log("", &log, &ring);
    log_target(ring, "/nowhere");
    assert_int_equal(access_log_change(log, "/nonexistent/folder/x", ACCESS_LOG_JSON), SK_ERR_NOT_FOUND);
    assert_int_equal(access_log_change(log, path, ACCESS_LOG_COMMON), SK_OK);
    usleep(50000);
    log_target(ring, "/here");
    assert_true(wait_for(path, "\"GET /here HTTP/1.0\" 200 -\n"));
    assert_null(strstr(read_file(path), "/nowhere"));
    assert_int_equal(access_log_change(log, NULL, ACCESS_LOG_JSON), SK_OK);
    log_target(ring, "/gone");
    access_log_close(log);
    assert_null(strstr(read_file(path), "/gone"));
}

/* The writer is mid-way in a drain as often as not when the change comes: a line of afterwards never lands before. */
static void what_is_logged_after_a_change_goes_to_the_new_file(void **state) {
    enum { ROUNDS = 300, EACH = 20 };
    struct access_log *log;
    struct access_log_ring *ring;
    char first[112], second[112], target[32];
    (void)state;
    snprintf(first, sizeof(first), "%s.first", path);
    snprintf(second, sizeof(second), "%s.second", path);
    for (int round = 0; round < ROUNDS; round++) {
        open_log(first, &log, &ring);
        for (int i = 0; i < EACH; i++) log_target(ring, "/before");
        usleep((useconds_t)(round % 7) * 10);
        assert_int_equal(access_log_change(log, second, ACCESS_LOG_JSON), SK_OK);
        snprintf(target, sizeof(target), "/after-%d", round);
        for (int i = 0; i < EACH; i++) log_target(ring, target);
        access_log_close(log);
        assert_int_equal(lines_in(read_file(first)), EACH);
        assert_null(strstr(read_file(first), "/after"));
        assert_int_equal(lines_in(read_file(second)), EACH);
        unlink(first);
        unlink(second);
    }
}

static void an_unusable_path_is_refused(void **state) {
    struct access_log *log;
    (void)state;
    assert_int_equal(access_log_open("/nonexistent/folder/x", ACCESS_LOG_JSON, &log), SK_ERR_NOT_FOUND);
}

/* Runs BODY with stdout replaced by FD. */
static int swap_stdout(int fd) {
    int saved = dup(STDOUT_FILENO);
    assert_true(saved >= 0 && dup2(fd, STDOUT_FILENO) >= 0);
    return saved;
}

static void restore_stdout(int saved) {
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    close(saved);
}

static void lines_to_a_closed_stdout_are_lost_and_counted_and_nobody_dies(void **state) {
    struct access_log *log;
    struct access_log_ring *ring;
    int ends[2];
    (void)state;
    uint64_t lost = observe_total(OBSERVE_LOG_LOST);
    assert_int_equal(pipe(ends), 0);
    int saved = swap_stdout(ends[1]);
    open_log("-", &log, &ring);
    restore_stdout(saved);
    close(ends[0]); /* SIGPIPE is not ignored in this test */
    for (int i = 0; i < 10; i++) log_target(ring, "/x");
    access_log_close(log);
    close(ends[1]);
    assert_int_equal(observe_total(OBSERVE_LOG_LOST) - lost, 10);
}

static void a_stuck_stdout_neither_blocks_requests_nor_the_end(void **state) {
    struct access_log *log;
    struct access_log_ring *ring;
    int ends[2];
    (void)state;
    uint64_t before = observe_total(OBSERVE_LOG_LOST) + observe_total(OBSERVE_LOG_DROPPED);
    assert_int_equal(pipe(ends), 0);
    int saved = swap_stdout(ends[1]);
    open_log("-", &log, &ring);
    restore_stdout(saved);
    sk_time_ns start = sk_time_now();
    for (int i = 0; i < LINES; i++) log_target(ring, "/x"); /* many rings full */
    access_log_close(log);
    assert_true(sk_time_now() - start < 20 * SK_NS_PER_S);
    uint64_t missing = observe_total(OBSERVE_LOG_LOST) + observe_total(OBSERVE_LOG_DROPPED) - before;
    close(ends[1]);
    static char text[1 << 20];
    size_t got = 0;
    for (ssize_t n; (n = read(ends[0], text + got, sizeof(text) - 1 - got)) > 0;) got += (size_t)n;
    text[got] = 0;
    close(ends[0]);
    assert_int_equal(lines_in(text) + missing, LINES);
}

static void a_line_cut_by_a_full_disk_is_not_continued_by_the_next(void **state) {
    struct access_log *log;
    struct access_log_ring *ring;
    (void)state;
    unlink(path);
    uint64_t lost = observe_total(OBSERVE_LOG_LOST);
    open_log(path, &log, &ring);
    struct rlimit before, tight = {.rlim_cur = 100, .rlim_max = RLIM_INFINITY};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    log_target(ring, "/cut");
    for (int i = 0; i < 500 && observe_total(OBSERVE_LOG_LOST) == lost; i++) usleep(10000);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(observe_total(OBSERVE_LOG_LOST), lost + 1);
    log_target(ring, "/whole");
    assert_true(wait_for(path, "/whole"));
    access_log_close(log);
    const char *second = strchr(read_file(path), '\n');
    assert_int_equal(second - read_file(path), 100);
    assert_memory_equal(second + 1, "{\"time\":", 8);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_written_without_waiting_for_more),
        cmocka_unit_test(every_line_is_written_or_counted_as_dropped),
        cmocka_unit_test(rotation_reopens_the_file_by_its_name),
        cmocka_unit_test(a_reload_changes_path_and_format),
        cmocka_unit_test(what_is_logged_after_a_change_goes_to_the_new_file),
        cmocka_unit_test(an_unusable_path_is_refused),
        cmocka_unit_test(lines_to_a_closed_stdout_are_lost_and_counted_and_nobody_dies),
        cmocka_unit_test(a_stuck_stdout_neither_blocks_requests_nor_the_end),
        cmocka_unit_test(a_line_cut_by_a_full_disk_is_not_continued_by_the_next),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
