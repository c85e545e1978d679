#include "io/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "io/process.h"

/* A new process that is not ready by then never will be. */
#define READY_MS 60000
#define FIRST_KEPT_FD 3

/* --- what goes along -------------------------------------------------------------------------------------- */

void io_upgrade_package_init(struct io_upgrade_package *package) {
    *package = (struct io_upgrade_package){0};
    sk_buf_init(&package->text, 0);
}

void io_upgrade_package_free(struct io_upgrade_package *package) {
    free(package->fds);
    sk_buf_free(&package->text);
}

static sk_err add_fd(struct io_upgrade_package *package, int fd) {
    if (package->count == package->capacity) {
        size_t capacity = package->capacity ? package->capacity * 2 : 16;
        int *fds = realloc(package->fds, capacity * sizeof *fds);
        if (!fds) return SK_ERR_NO_MEMORY;
        package->fds = fds;
        package->capacity = capacity;
    }
    package->fds[package->count] = fd;
    return sk_buf_printf(&package->text, "%d", FIRST_KEPT_FD + (int)package->count++);
}

sk_err io_upgrade_package_add(struct io_upgrade_package *package, sk_str name, const int *fds, size_t count) {
    const char *before = sk_buf_len(&package->text) ? "\n" : IO_UPGRADE_VARIABLE "=";
    sk_err err = sk_buf_printf(&package->text, "%s%.*s=", before, SK_STR_ARGS(name));
    for (size_t i = 0; i < count && !err; i++) {
        if (i) err = sk_buf_append(&package->text, SK_STR(","));
        if (!err) err = add_fd(package, fds[i]);
    }
    return err;
}

/* --- the old process -------------------------------------------------------------------------------------- */

struct io_upgrade {
    struct io_loop *loop;
    struct io_upgrade_options options; /* without the package */
    struct io_process *child;          /* NULL once it has ended */
    struct io_watch ready;             /* the pipe's read end; fd -1: not any more */
    struct io_timer timer;
};

static void stop_watching(struct io_upgrade *upgrade) {
    io_timer_stop(&upgrade->timer);
    if (upgrade->ready.fd >= 0) {
        io_watch_stop(&upgrade->ready);
        close(upgrade->ready.fd);
        upgrade->ready.fd = -1;
    }
    if (upgrade->child) io_process_release(upgrade->child);
    upgrade->child = NULL;
}

void io_upgrade_free(struct io_upgrade *upgrade) {
    if (!upgrade) return;
    stop_watching(upgrade);
    free(upgrade);
}

static void give_up(struct io_upgrade *upgrade, const char *why) {
    const char *role = upgrade->options.role;
    sk_log(SK_LOG_ERROR, role, "upgrade: %s; this process stays in service", why);
    if (upgrade->child && io_process_signal(upgrade->child, SIGKILL) != SK_OK)
        sk_log(SK_LOG_INFO, role, "upgrade: the new process has ended already");
    stop_watching(upgrade);
    upgrade->options.on_failed(upgrade->options.arg);
}

static void on_exit_of_child(void *arg, int wait_status) {
    give_up(arg, "the new process ended before it was ready");
}

static void on_timer(struct io_timer *timer) {
    give_up(SK_CONTAINER_OF(timer, struct io_upgrade, timer), "the new process was not ready in time");
}

static void on_ready(struct io_watch *watch, unsigned ready) {
    struct io_upgrade *upgrade = SK_CONTAINER_OF(watch, struct io_upgrade, ready);
    char byte;
    ssize_t n = read(watch->fd, &byte, 1);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return; /* it has closed the pipe: its end is seen by itself */
    stop_watching(upgrade);
    upgrade->options.on_ready(upgrade->options.arg);
}

/* The arguments that we were given, with the program's place for its name; the strings are borrowed. */
static const char **make_arguments(const struct io_upgrade_options *options) {
    size_t count = 1;
    while (options->argv[count]) count++;
    const char **argv = calloc(count + 1, sizeof *argv);
    if (!argv) return NULL;
    memcpy(argv, options->argv, count * sizeof *argv);
    argv[0] = options->program;
    return argv;
}

static sk_err start_child(struct io_upgrade *upgrade, struct io_upgrade_package *package, int ready_fd) {
    const char **argv = make_arguments(&upgrade->options);
    sk_err err = argv ? io_upgrade_package_add(package, SK_STR("ready"), &ready_fd, 1) : SK_ERR_NO_MEMORY;
    if (!err) err = sk_buf_append(&package->text, sk_str_make("", 1));
    if (!err) {
        const char *const environment[] = {sk_buf_str(&package->text).data, NULL};
        struct io_process_options options = {
            .argv = argv,
            .environment = environment,
            .keep_fds = package->fds,
            .keep_fd_count = package->count,
            .on_exit = on_exit_of_child,
            .arg = upgrade,
        };
        err = io_process_start(upgrade->loop, &options, &upgrade->child);
    }
    free(argv);
    return err;
}

sk_err io_upgrade_start(struct io_loop *loop, const struct io_upgrade_options *options,
                        struct io_upgrade **out_upgrade) {
    int ends[2];
    struct io_upgrade *upgrade = calloc(1, sizeof *upgrade);
    if (!upgrade) return SK_ERR_NO_MEMORY;
    upgrade->loop = loop;
    upgrade->options = *options;
    upgrade->options.package = NULL;
    upgrade->ready.fd = -1;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        free(upgrade);
        return SK_ERR_FULL;
    }
    upgrade->ready = (struct io_watch){.fd = ends[0], .on_ready = on_ready};
    sk_log(SK_LOG_INFO, options->role, "upgrade: starting %s", options->program);
    sk_err err = io_watch_start(loop, &upgrade->ready);
    if (!err) err = start_child(upgrade, options->package, ends[1]);
    close(ends[1]);
    if (err) {
        io_upgrade_free(upgrade);
        return err;
    }
    io_timer_start(loop, &upgrade->timer, io_loop_now(loop) + READY_MS * SK_NS_PER_MS, on_timer);
    *out_upgrade = upgrade;
    return SK_OK;
}

/* --- the new process -------------------------------------------------------------------------------------- */

static int inherited_ready_fd = -1;

static sk_err parse_fd(sk_str text, int *out_fd) {
    uint64_t number;
    if (sk_str_to_u64(text, &number) != SK_OK || number < FIRST_KEPT_FD || number > 1 << 20)
        return SK_ERR_MALFORMED;
    if (fcntl((int)number, F_SETFD, FD_CLOEXEC) != 0) return SK_ERR_MALFORMED; /* not open */
    *out_fd = (int)number;
    return SK_OK;
}

static sk_err parse_line(sk_str line, io_upgrade_take *take, void *arg, int *ready_fd) {
    size_t equals = line.len, count = 0;
    while (equals > 0 && line.data[equals - 1] != '=') equals--;
    if (equals < 2) return SK_ERR_MALFORMED;
    sk_str name = sk_str_slice(line, 0, equals - 1), value = sk_str_slice(line, equals, line.len), text;
    if (!value.len || value.data[value.len - 1] == ',') return SK_ERR_MALFORMED;
    int *fds = calloc(value.len, sizeof *fds); /* more than it can name */
    if (!fds) return SK_ERR_NO_MEMORY;
    sk_err err = SK_OK;
    while (!err && sk_str_cut(&value, ',', &text)) err = parse_fd(text, &fds[count++]);
    if (!err && !sk_str_eq(name, SK_STR("ready"))) err = take(arg, name, fds, count);
    if (!err && sk_str_eq(name, SK_STR("ready"))) *ready_fd = fds[0];
    free(fds);
    return err;
}

sk_err io_upgrade_parse(sk_str text, io_upgrade_take *take, void *arg, int *out_ready_fd) {
    sk_str line;
    sk_err err = SK_OK;
    int ready_fd = *out_ready_fd;
    while (!err && sk_str_cut(&text, '\n', &line)) err = parse_line(line, take, arg, &ready_fd);
    if (!err) *out_ready_fd = ready_fd;
    return err;
}

sk_err io_upgrade_inherit(io_upgrade_take *take, void *arg) {
    const char *text = getenv(IO_UPGRADE_VARIABLE);
    if (!text) return SK_OK;
    sk_err err = io_upgrade_parse(sk_str_from_c(text), take, arg, &inherited_ready_fd);
    unsetenv(IO_UPGRADE_VARIABLE);
    return err;
}

void io_upgrade_say_ready(void) {
    if (inherited_ready_fd < 0) return;
    if (write(inherited_ready_fd, "r", 1) != 1) sk_log(SK_LOG_WARN, "io", "the old process cannot be told");
    close(inherited_ready_fd);
    inherited_ready_fd = -1;
}
