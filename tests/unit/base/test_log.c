#include "base/log.h"

#include <errno.h>
#include <unistd.h>

#include "unit.h"

/* Runs CALL with stderr going to a pipe and gives what came. */
#define LOGGED(out, call)                                                                                    \
    do {                                                                                                     \
        int pipe_[2], saved_ = dup(STDERR_FILENO);                                                           \
        SK_ASSERT(saved_ >= 0 && pipe(pipe_) == 0);                                                          \
        dup2(pipe_[1], STDERR_FILENO);                                                                       \
        call;                                                                                                \
        dup2(saved_, STDERR_FILENO);                                                                         \
        close(saved_), close(pipe_[1]);                                                                      \
        (out) = read_all(pipe_[0]);                                                                          \
    } while (0)

static char text[65536];

static sk_str read_all(int fd) {
    size_t len = 0;
    for (ssize_t n; (n = read(fd, text + len, sizeof text - len)) > 0;) len += (size_t)n;
    close(fd);
    return sk_str_make(text, len);
}

static size_t count_lines(sk_str s) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += s.data[i] == '\n';
    return n;
}

static void a_line_has_time_level_part_and_text(void **state) {
    sk_str line;
    (void)state;
    LOGGED(line, sk_log(SK_LOG_WARN, "edge", "port %d", 80));
    assert_true(sk_str_ends_with(line, SK_STR("Z warn edge: port 80\n")));
    assert_int_equal(line.len, sizeof "2026-01-02T03:04:05.678Z warn edge: port 80\n" - 1);
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    for (size_t i = 0; i < sizeof shape - 1; i++)
        assert_true(shape[i] == 'd' ? line.data[i] >= '0' && line.data[i] <= '9' : line.data[i] == shape[i]);
}

static void control_bytes_cannot_forge_a_line(void **state) {
    sk_str line;
    (void)state;
    LOGGED(line, sk_log(SK_LOG_ERROR, "edge", "%.*s", 8, "a\n\r\x1b[\x7f\t\xc3"));
    assert_true(sk_str_ends_with(line, SK_STR("edge: a\\x0a\\x0d\\x1b[\\x7f\\x09\xc3\n")));
}

static void a_long_text_is_cut_and_still_one_line(void **state) {
    sk_str line;
    char long_text[10000];
    (void)state;
    memset(long_text, '\n', sizeof long_text);
    LOGGED(line, sk_log(SK_LOG_ERROR, "edge", "%.*s", (int)sizeof long_text, long_text));
    assert_int_equal(count_lines(line), 1);
    assert_true(line.len < 4096 && line.len > 2000);
}

static void levels_over_the_set_one_are_silent(void **state) {
    sk_str lines;
    (void)state;
    assert_true(sk_log_enabled(SK_LOG_INFO));
    LOGGED(lines, sk_log(SK_LOG_DEBUG, "edge", "x"));
    assert_int_equal(lines.len, 0);
    sk_log_set_level(SK_LOG_DEBUG);
    LOGGED(lines, sk_log(SK_LOG_DEBUG, "edge", "x"));
    assert_int_equal(count_lines(lines), 1);
    sk_log_set_level(SK_LOG_ERROR);
    LOGGED(lines, sk_log(SK_LOG_WARN, "edge", "x"));
    assert_int_equal(lines.len, 0);
    sk_log_set_level(SK_LOG_INFO);
}

static void errno_survives_logging(void **state) {
    sk_str line;
    (void)state;
    errno = ENOTTY;
    LOGGED(line, (errno = ENOTTY, sk_log(SK_LOG_ERROR, "edge", "x"), assert_int_equal(errno, ENOTTY)));
    assert_int_equal(count_lines(line), 1);
}

static void log_often(int times) {
    for (int i = 0; i < times; i++) SK_LOG_LIMITED(SK_LOG_WARN, "edge", "bad request %d", i);
}

static void a_limited_site_logs_once_a_second_and_tells_what_it_left_out(void **state) {
    sk_str lines;
    (void)state;
    LOGGED(lines, log_often(1000));
    /* Two when a second ended in between. */
    assert_in_range(count_lines(lines), 1, 2);
    usleep(1100 * 1000);
    LOGGED(lines, log_often(1));
    assert_int_equal(count_lines(lines), 1);
    assert_true(sk_str_find(lines, SK_STR("bad request 0 (")) < lines.len);
    assert_true(sk_str_ends_with(lines, SK_STR(" more like it left out)\n")));
    LOGGED(lines, sk_log(SK_LOG_WARN, "edge", "other"));
    assert_true(sk_str_ends_with(lines, SK_STR("edge: other\n")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_part_and_text),
        cmocka_unit_test(control_bytes_cannot_forge_a_line),
        cmocka_unit_test(a_long_text_is_cut_and_still_one_line),
        cmocka_unit_test(levels_over_the_set_one_are_silent),
        cmocka_unit_test(errno_survives_logging),
        cmocka_unit_test(a_limited_site_logs_once_a_second_and_tells_what_it_left_out),
    };
    return SK_RUN_TESTS(tests);
}
