#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fibers.h"
#include "io/process.h"

static int exits, last_status;
static struct io_fiber *teller;

static void on_exit_noted(void *arg, int status) {
    exits++;
    last_status = status;
    (void)arg;
    io_fiber_wake(teller);
}

static struct io_process *start(const char *const *argv, const int *fds, size_t fd_count,
                                const char *const *environment) {
    struct io_process_options options = {.argv = argv,
                                         .environment = environment,
                                         .keep_fds = fds,
                                         .keep_fd_count = fd_count,
                                         .on_exit = on_exit_noted};
    struct io_process *process;
    exits = 0;
    teller = io_fiber_self();
    assert_ok(io_process_start(loop, &options, &process));
    assert_true(io_process_pid(process) > 0);
    return process;
}

static struct io_process *start_shell(const char *script, const int *fds, size_t fd_count) {
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    return start(argv, fds, fd_count, NULL);
}

static void await_exit(void) {
    while (!exits) assert_ok(io_fiber_park(in_ms(10000)));
}

static bool has_children(void) { return waitpid(-1, NULL, WNOHANG) >= 0; }

static void tell_status(void) {
    static const struct {
        const char *script;
        int exit_status; /* or -1 */
        int signal;
    } cases[] = {
        {"exit 0", 0, 0}, {"exit 7", 7, 0}, {"kill -9 $$", -1, SIGKILL}, {"kill -TERM $$", -1, SIGTERM}};
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct io_process *process = start_shell(cases[i].script, NULL, 0);
        await_exit();
        assert_int_equal(exits, 1);
        if (cases[i].exit_status >= 0) assert_true(WIFEXITED(last_status));
        if (cases[i].exit_status >= 0) assert_int_equal(WEXITSTATUS(last_status), cases[i].exit_status);
        if (cases[i].signal)
            assert_true(WIFSIGNALED(last_status) && WTERMSIG(last_status) == cases[i].signal);
        assert_err(io_process_signal(process, SIGTERM), SK_ERR_NOT_FOUND);
        io_process_release(process);
        assert_false(has_children());
    }
}

static void the_exit_status_is_told_once_and_no_zombie_stays(void **state) {
    (void)state, run_story(tell_status);
}

static void tell_signal(void) {
    struct io_process *process = start_shell("exec sleep 100", NULL, 0);
    assert_err(io_fiber_park(in_ms(10)), SK_ERR_TIMEOUT);
    assert_int_equal(exits, 0);
    assert_ok(io_process_signal(process, SIGTERM));
    await_exit();
    assert_true(WIFSIGNALED(last_status) && WTERMSIG(last_status) == SIGTERM);
    io_process_release(process);
}

static void a_child_can_be_signalled(void **state) { (void)state, run_story(tell_signal); }

static void tell_missing(void) {
    const char *none[] = {"/nonexistent/program", NULL}, *denied[] = {"/etc/passwd", NULL};
    struct io_process_options options = {.argv = none};
    struct io_process *process;
    assert_err(io_process_start(loop, &options, &process), SK_ERR_NOT_FOUND);
    options.argv = denied;
    assert_err(io_process_start(loop, &options, &process), SK_ERR_DENIED);
    assert_false(has_children());
}

static void what_cannot_be_run_fails_at_once(void **state) { (void)state, run_story(tell_missing); }

/* Runs SCRIPT with a pipe as its descriptor 3 (and FD as 4) and gives what it wrote there. */
static char output[65536];
static sk_str output_of(const char *script, int fd, const char *const *environment) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    const int fds[] = {ends[1], fd};
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct io_process *process = start(argv, fds, fd >= 0 ? 2 : 1, environment);
    close(ends[1]);
    await_exit();
    io_process_release(process);
    size_t len = 0;
    for (ssize_t n; (n = read(ends[0], output + len, sizeof output - len)) > 0;) len += (size_t)n;
    close(ends[0]);
    return sk_str_make(output, len);
}

static void tell_descriptors(void) {
    int leaky = fcntl(STDERR_FILENO, F_DUPFD, 50); /* not close-on-exec, and yet not in the child */
    assert_true(leaky >= 50);
    int given = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    sk_str text = output_of("ls -l /proc/$$/fd >&3", given, NULL);
    assert_true(sk_str_find(text, SK_STR(" 3 -> pipe:")) < text.len);
    assert_true(sk_str_find(text, SK_STR(" 4 -> /dev/zero")) < text.len);
    for (int fd = 5; fd < 100; fd++) {
        if (fd == 10) continue; /* where the shell keeps its standard output meanwhile */
        char entry[16];
        int len = snprintf(entry, sizeof entry, " %d -> ", fd);
        assert_true(sk_str_find(text, sk_str_make(entry, (size_t)len)) == text.len);
    }
    close(leaky), close(given);
}

static void the_child_has_the_descriptors_it_was_given_and_no_other(void **state) {
    (void)state, run_story(tell_descriptors);
}

/* Descriptors whose places in the child are each other's numbers here. */
#define CROSSED 12
static void tell_crossed(void) {
    int fds[CROSSED + 1], ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fds[0] = ends[1];
    for (int i = CROSSED; i > 0; i--) {
        char name[8] = {(char)('a' + i - 1)};
        fds[i] = memfd_create(name, MFD_CLOEXEC);
        assert_true(fds[i] >= 0);
    }
    assert_true(fds[1] > fds[2] && fds[CROSSED] < 4 + CROSSED);
    struct io_process *process =
        start_shell("for i in 4 5 14 15; do readlink /proc/$$/fd/$i; done >&3", fds, CROSSED + 1);
    for (int i = 0; i <= CROSSED; i++) close(fds[i]);
    await_exit();
    io_process_release(process);
    ssize_t n = read(ends[0], output, sizeof output);
    assert_str(sk_str_make(output, n > 0 ? (size_t)n : 0),
               SK_STR("/memfd:a (deleted)\n/memfd:b (deleted)\n/memfd:k (deleted)\n/memfd:l (deleted)\n"));
    close(ends[0]);
}

static void crossed_descriptors_arrive_in_order(void **state) { (void)state, run_story(tell_crossed); }

static void tell_environment(void) {
    const char *const additions[] = {"SK_TEST_A=new", "SK_TEST_B=b", NULL};
    setenv("SK_TEST_A", "old", 1);
    setenv("SK_TEST_C", "kept", 1);
    assert_str(
        output_of("echo $SK_TEST_A $SK_TEST_B $SK_TEST_C >&3; env | grep -c ^SK_TEST_A= >&3", -1, additions),
        SK_STR("new b kept\n1\n"));
}

static void additions_override_the_environment(void **state) { (void)state, run_story(tell_environment); }

static void tell_signals(void) {
    io_signals_block();
    /* SigBlk and SigIgn of the child: nothing, though we block some and ignore SIGPIPE. */
    sk_str text = output_of("grep -E '^Sig(Blk|Ign)' /proc/self/status >&3", -1, NULL);
    assert_str(text, SK_STR("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"));
}

static void no_signal_is_blocked_or_ignored_in_the_child(void **state) {
    (void)state, run_story(tell_signals);
}

static void on_exit_release(void *arg, int status) {
    on_exit_noted(arg, status);
    io_process_release(*(struct io_process **)arg);
}

static void tell_release(void) {
    const char *argv[] = {"/bin/sh", "-c", "exit 3", NULL};
    struct io_process *process;
    struct io_process_options options = {.argv = argv, .on_exit = on_exit_release, .arg = &process};
    teller = io_fiber_self();
    exits = 0;
    assert_ok(io_process_start(loop, &options, &process));
    await_exit();
    /* Released before its end: it is not told, but reaped. */
    exits = 0;
    assert_ok(io_process_start(loop, &options, &process));
    io_process_release(process);
    for (int i = 0; i < 500 && has_children(); i++) assert_err(io_fiber_park(in_ms(10)), SK_ERR_TIMEOUT);
    assert_false(has_children());
    assert_int_equal(exits, 0);
    /* Released and still alive when the loop is destroyed. */
    argv[2] = "read x";
    assert_ok(io_process_start(loop, &options, &process));
    kill(io_process_pid(process), SIGKILL);
    io_process_release(process);
}

static void a_released_child_is_forgotten_but_reaped(void **state) {
    (void)state;
    run_story(tell_release);
    assert_true(waitpid(-1, NULL, 0) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exit_status_is_told_once_and_no_zombie_stays),
        cmocka_unit_test(a_child_can_be_signalled),
        cmocka_unit_test(what_cannot_be_run_fails_at_once),
        cmocka_unit_test(the_child_has_the_descriptors_it_was_given_and_no_other),
        cmocka_unit_test(crossed_descriptors_arrive_in_order),
        cmocka_unit_test(additions_override_the_environment),
        cmocka_unit_test(no_signal_is_blocked_or_ignored_in_the_child),
        cmocka_unit_test(a_released_child_is_forgotten_but_reaped),
    };
    return SK_RUN_TESTS(tests);
}
