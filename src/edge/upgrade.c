#include "edge/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "edge/admin.h"
#include "edge/quic_upgrade.h"
#include "io/process.h"
#include "io/socket.h"

/* A new process that is not ready by then never will be. */
#define READY_MS 60000
#define FIRST_KEPT_FD 3

struct edge_upgrade {
    struct edge_process *process;
    struct io_process *child; /* NULL once it has ended */
    struct io_watch ready;    /* the pipe's read end */
    struct io_timer timer;
    int quic_fd; /* our end of what the new process hands back to us; -1: not any more */
};

/* --- the old process -------------------------------------------------------------------------------------- */

void edge_upgrade_free(struct edge_process *process) {
    struct edge_upgrade *upgrade = process->upgrade;
    process->upgrade = NULL;
    io_timer_stop(&upgrade->timer);
    io_watch_stop(&upgrade->ready);
    if (upgrade->ready.fd >= 0) close(upgrade->ready.fd);
    if (upgrade->quic_fd >= 0) close(upgrade->quic_fd);
    if (upgrade->child) io_process_release(upgrade->child);
    free(upgrade);
}

static void give_up(struct edge_upgrade *upgrade, const char *why) {
    sk_log(SK_LOG_ERROR, "edge", "upgrade: %s; this process stays in service", why);
    if (upgrade->child && io_process_signal(upgrade->child, SIGKILL) != SK_OK)
        sk_log(SK_LOG_INFO, "edge", "upgrade: the new process has ended already");
    edge_upgrade_free(upgrade->process);
}

static void on_exit_of_child(void *arg, int wait_status) {
    give_up(arg, "the new process ended before it was ready");
}

static void on_timer(struct io_timer *timer) {
    give_up(SK_CONTAINER_OF(timer, struct edge_upgrade, timer), "the new process was not ready in time");
}

static void on_ready(struct io_watch *watch, unsigned ready) {
    struct edge_upgrade *upgrade = SK_CONTAINER_OF(watch, struct edge_upgrade, ready);
    struct edge_process *process = upgrade->process;
    char byte;
    ssize_t n = read(watch->fd, &byte, 1);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return; /* it has closed the pipe: its end is seen by itself */
    edge_quic_hand_over(process, upgrade->quic_fd);
    upgrade->quic_fd = -1;
    edge_upgrade_free(process);
    if (process->admin) fleet_admin_hand_over(process->admin);
    edge_process_drain(process, true);
}

/* The descriptors in the order in which the child gets them, and the text that names them. */
struct package {
    struct sk_buf text;
    int *fds;
    size_t count;
};

static sk_err package_add(struct package *package, int fd) {
    package->fds[package->count] = fd;
    return sk_buf_printf(&package->text, "%d", FIRST_KEPT_FD + (int)package->count++);
}

static sk_err package_fds(struct package *package, const int *fds, unsigned count) {
    sk_err err = SK_OK;
    for (unsigned i = 0; i < count && !err; i++) {
        if (i) err = sk_buf_append(&package->text, SK_STR(","));
        if (!err) err = package_add(package, fds[i]);
    }
    return err;
}

static sk_err package_listener(struct package *package, const struct edge_listener *listener) {
    char addr[IO_ADDR_TEXT_BYTES];
    io_addr_format(&listener->addr, addr);
    sk_err err = sk_buf_printf(&package->text, "\n%s=", addr);
    if (!err) err = package_fds(package, listener->fds, listener->fd_count);
    if (err || !listener->quic_count) return err;
    err = sk_buf_printf(&package->text, "\nudp:%s=", addr);
    return err ? err : package_fds(package, listener->quic_fds, listener->quic_count);
}

static sk_err package_make(struct package *package, const struct edge_process *process, int ready_fd,
                           int quic_fd) {
    size_t room = 3;
    for (unsigned i = 0; i < process->listeners.count; i++)
        room += process->listeners.items[i].fd_count + process->listeners.items[i].quic_count;
    *package = (struct package){.fds = calloc(room, sizeof(int))};
    sk_buf_init(&package->text, 0);
    if (!package->fds) return SK_ERR_NO_MEMORY;
    sk_err err = sk_buf_append(&package->text, SK_STR(EDGE_UPGRADE_VARIABLE "=ready="));
    if (!err) err = package_add(package, ready_fd);
    if (!err) err = sk_buf_append(&package->text, SK_STR("\nquic="));
    if (!err) err = package_add(package, quic_fd);
    if (!err && process->admin) {
        err = sk_buf_append(&package->text, SK_STR("\nadmin="));
        if (!err) err = package_add(package, fleet_admin_fd(process->admin));
    }
    for (unsigned i = 0; i < process->listeners.count && !err; i++)
        if (process->listeners.items[i].fd_count)
            err = package_listener(package, &process->listeners.items[i]);
    if (!err) err = sk_buf_append(&package->text, sk_str_make("", 1));
    return err;
}

static void package_free(struct package *package) {
    free(package->fds);
    sk_buf_free(&package->text);
}

/* The arguments that we were given, with the program's place for its name; the strings are borrowed. */
static const char **make_arguments(const struct edge_start *start) {
    size_t count = 1;
    while (start->argv[count]) count++;
    const char **argv = calloc(count + 1, sizeof *argv);
    if (!argv) return NULL;
    memcpy(argv, start->argv, count * sizeof *argv);
    argv[0] = start->program;
    return argv;
}

static sk_err start_child(struct edge_upgrade *upgrade, int ready_fd, int quic_fd) {
    struct edge_process *process = upgrade->process;
    struct package package;
    const char **argv = make_arguments(process->start);
    sk_err err = package_make(&package, process, ready_fd, quic_fd);
    if (!err && !argv) err = SK_ERR_NO_MEMORY;
    if (!err) {
        const char *const environment[] = {sk_buf_str(&package.text).data, NULL};
        struct io_process_options options = {
            .argv = argv,
            .environment = environment,
            .keep_fds = package.fds,
            .keep_fd_count = package.count,
            .on_exit = on_exit_of_child,
            .arg = upgrade,
        };
        err = io_process_start(process->loop, &options, &upgrade->child);
    }
    package_free(&package);
    free(argv);
    return err;
}

static sk_err begin(struct edge_upgrade *upgrade) {
    int ends[2];
    struct io_loop *loop = upgrade->process->loop;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return SK_ERR_FULL;
    upgrade->ready = (struct io_watch){.fd = ends[0], .on_ready = on_ready};
    sk_err err = io_watch_start(loop, &upgrade->ready);
    int quic_fd = -1;
    if (!err) err = edge_quic_pair(upgrade->process, &upgrade->quic_fd, &quic_fd);
    if (!err) err = start_child(upgrade, ends[1], quic_fd);
    close(ends[1]);
    if (quic_fd >= 0) close(quic_fd);
    if (!err) io_timer_start(loop, &upgrade->timer, io_loop_now(loop) + READY_MS * SK_NS_PER_MS, on_timer);
    return err;
}

void edge_upgrade_start(struct edge_process *process) {
    if (process->stage != EDGE_RUNNING || process->upgrade) {
        sk_log(SK_LOG_WARN, "edge", "upgrade: not now, %s",
               process->upgrade ? "another one is running" : "the edge is stopping");
        return;
    }
    struct edge_upgrade *upgrade = calloc(1, sizeof *upgrade);
    if (!upgrade) {
        sk_log(SK_LOG_ERROR, "edge", "upgrade: out of memory");
        return;
    }
    upgrade->process = process;
    upgrade->ready.fd = upgrade->quic_fd = -1;
    process->upgrade = upgrade;
    sk_log(SK_LOG_INFO, "edge", "upgrade: starting %s", process->start->program);
    sk_err err = begin(upgrade);
    if (err) give_up(upgrade, sk_err_text(err));
}

/* --- the new process -------------------------------------------------------------------------------------- */

static int inherited_ready_fd = -1, inherited_admin_fd = -1;

static sk_err parse_fd(sk_str text, int *out_fd) {
    uint64_t number;
    if (sk_str_to_u64(text, &number) != SK_OK || number < FIRST_KEPT_FD || number > 1 << 20)
        return SK_ERR_MALFORMED;
    if (fcntl((int)number, F_SETFD, FD_CLOEXEC) != 0) return SK_ERR_MALFORMED; /* not open */
    *out_fd = (int)number;
    return SK_OK;
}

static sk_err parse_listener(sk_str addr, sk_str fds, struct edge_listener *out) {
    struct edge_listener listener = {.fds = calloc(fds.len + 1, sizeof(int)), /* more than it can name */
                                     .unused = true};
    sk_str fd;
    if (!listener.fds) return SK_ERR_NO_MEMORY;
    sk_err err = io_addr_parse(addr, &listener.addr);
    while (!err && sk_str_cut(&fds, ',', &fd)) {
        err = parse_fd(fd, &listener.fds[listener.fd_count]);
        if (!err) listener.fd_count++;
    }
    if (!err && !listener.fd_count) err = SK_ERR_MALFORMED;
    if (!err) err = io_socket_local_addr(listener.fds[0], &listener.bound);
    if (err)
        edge_listener_close(&listener);
    else
        *out = listener;
    return err;
}

/* Its listener came before it. */
static sk_err parse_udp(sk_str addr_text, sk_str fds, struct edge_listeners *listeners) {
    struct io_addr addr;
    sk_str text;
    sk_err err = io_addr_parse(addr_text, &addr);
    struct edge_listener *listener = err ? NULL : edge_listeners_find(listeners, &addr);
    if (!listener || listener->quic_fds) return SK_ERR_MALFORMED;
    listener->quic_fds = calloc(fds.len + 1, sizeof(int));
    listener->quic_unused = true;
    if (!listener->quic_fds) return SK_ERR_NO_MEMORY;
    while (!err && sk_str_cut(&fds, ',', &text)) {
        err = parse_fd(text, &listener->quic_fds[listener->quic_count]);
        if (!err) listener->quic_count++;
    }
    return err;
}

static sk_err parse_line(sk_str line, struct edge_listeners *listeners, int *ready_fd, int *admin_fd,
                         int *quic_fd) {
    size_t equals = line.len;
    while (equals > 0 && line.data[equals - 1] != '=') equals--;
    if (equals < 2) return SK_ERR_MALFORMED;
    sk_str name = sk_str_slice(line, 0, equals - 1), value = sk_str_slice(line, equals, line.len);
    if (sk_str_eq(name, SK_STR("ready"))) return parse_fd(value, ready_fd);
    if (sk_str_eq(name, SK_STR("admin"))) return parse_fd(value, admin_fd);
    if (sk_str_eq(name, SK_STR("quic"))) return parse_fd(value, quic_fd);
    if (sk_str_starts_with(name, SK_STR("udp:")))
        return parse_udp(sk_str_slice(name, 4, name.len), value, listeners);
    struct edge_listener *items = realloc(listeners->items, (listeners->count + 1) * sizeof *items);
    if (!items) return SK_ERR_NO_MEMORY;
    listeners->items = items;
    sk_err err = parse_listener(name, value, &items[listeners->count]);
    if (!err) listeners->count++;
    return err;
}

sk_err edge_upgrade_parse(sk_str text, struct edge_listeners *out_listeners, int *out_ready_fd,
                          int *out_admin_fd, int *out_quic_fd) {
    struct edge_listeners listeners = {0};
    int ready_fd = -1, admin_fd = -1, quic_fd = -1;
    sk_err err = SK_OK;
    sk_str line;
    while (!err && sk_str_cut(&text, '\n', &line))
        err = parse_line(line, &listeners, &ready_fd, &admin_fd, &quic_fd);
    if (err) {
        edge_listeners_free(&listeners);
        return err;
    }
    *out_listeners = listeners;
    *out_ready_fd = ready_fd;
    *out_admin_fd = admin_fd;
    *out_quic_fd = quic_fd;
    return SK_OK;
}

sk_err edge_upgrade_inherit(struct edge_listeners *out_listeners, int *out_quic_fd) {
    const char *text = getenv(EDGE_UPGRADE_VARIABLE);
    if (!text) return SK_OK;
    sk_err err = edge_upgrade_parse(sk_str_from_c(text), out_listeners, &inherited_ready_fd,
                                    &inherited_admin_fd, out_quic_fd);
    unsetenv(EDGE_UPGRADE_VARIABLE);
    return err;
}

int edge_upgrade_take_admin(void) {
    int fd = inherited_admin_fd;
    inherited_admin_fd = -1;
    return fd;
}

void edge_upgrade_say_ready(void) {
    if (inherited_admin_fd >= 0) close(edge_upgrade_take_admin());
    if (inherited_ready_fd < 0) return;
    if (write(inherited_ready_fd, "r", 1) != 1) sk_log(SK_LOG_WARN, "edge", "the old process cannot be told");
    close(inherited_ready_fd);
    inherited_ready_fd = -1;
}
