#include "edge/upgrade.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/admin.h"
#include "edge/quic_upgrade.h"
#include "io/socket.h"
#include "io/upgrade.h"

struct edge_upgrade {
    struct edge_process *process;
    struct io_upgrade *io; /* NULL while it begins */
    int quic_fd;           /* our end of what the new process hands back to us; -1: not any more */
};

/* --- the old process -------------------------------------------------------------------------------------- */

void edge_upgrade_free(struct edge_process *process) {
    struct edge_upgrade *upgrade = process->upgrade;
    process->upgrade = NULL;
    io_upgrade_free(upgrade->io);
    if (upgrade->quic_fd >= 0) close(upgrade->quic_fd);
    free(upgrade);
}

static void on_failed(void *arg) { edge_upgrade_free(arg); }

static void on_ready(void *arg) {
    struct edge_process *process = arg;
    struct edge_upgrade *upgrade = process->upgrade;
    edge_quic_hand_over(process, upgrade->quic_fd);
    upgrade->quic_fd = -1;
    edge_upgrade_free(process);
    if (process->admin) fleet_admin_hand_over(process->admin);
    edge_process_drain(process, true);
}

static sk_err package_listener(struct io_upgrade_package *package, const struct edge_listener *listener) {
    char text[4 + IO_ADDR_TEXT_BYTES] = "udp:";
    size_t bytes = io_addr_format(&listener->addr, text + 4);
    sk_err err =
        io_upgrade_package_add(package, sk_str_make(text + 4, bytes), listener->fds, listener->fd_count);
    if (err || !listener->quic_count) return err;
    return io_upgrade_package_add(package, sk_str_make(text, 4 + bytes), listener->quic_fds,
                                  listener->quic_count);
}

static sk_err package_make(struct io_upgrade_package *package, const struct edge_process *process,
                           int quic_fd) {
    sk_err err = io_upgrade_package_add(package, SK_STR("quic"), &quic_fd, 1);
    int admin_fd = process->admin ? fleet_admin_fd(process->admin) : -1;
    if (!err && admin_fd >= 0) err = io_upgrade_package_add(package, SK_STR("admin"), &admin_fd, 1);
    for (unsigned i = 0; i < process->listeners.count && !err; i++)
        if (process->listeners.items[i].fd_count)
            err = package_listener(package, &process->listeners.items[i]);
    return err;
}

static sk_err begin(struct edge_upgrade *upgrade) {
    struct edge_process *process = upgrade->process;
    struct io_upgrade_package package;
    struct io_upgrade_options options = {.role = "edge",
                                         .program = process->start->program,
                                         .argv = process->start->argv,
                                         .package = &package,
                                         .on_ready = on_ready,
                                         .on_failed = on_failed,
                                         .arg = process};
    int quic_fd = -1;
    io_upgrade_package_init(&package);
    sk_err err = edge_quic_pair(process, &upgrade->quic_fd, &quic_fd);
    if (!err) err = package_make(&package, process, quic_fd);
    if (!err) err = io_upgrade_start(process->loop, &options, &upgrade->io);
    if (quic_fd >= 0) close(quic_fd);
    io_upgrade_package_free(&package);
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
    upgrade->quic_fd = -1;
    process->upgrade = upgrade;
    sk_err err = begin(upgrade);
    if (!err) return;
    sk_log(SK_LOG_ERROR, "edge", "upgrade: %s; this process stays in service", sk_err_text(err));
    edge_upgrade_free(process);
}

/* --- the new process -------------------------------------------------------------------------------------- */

static int inherited_admin_fd = -1;

/* What TAKE is given, while it comes. */
struct inheritance {
    struct edge_listeners listeners;
    int admin_fd, quic_fd;
};

static sk_err copy_fds(const int *fds, size_t count, int **out_fds) {
    *out_fds = malloc(count * sizeof *fds);
    if (!*out_fds) return SK_ERR_NO_MEMORY;
    memcpy(*out_fds, fds, count * sizeof *fds);
    return SK_OK;
}

static sk_err take_listener(struct edge_listeners *listeners, sk_str addr, const int *fds, size_t count) {
    struct edge_listener listener = {.unused = true};
    sk_err err = io_addr_parse(addr, &listener.addr);
    if (!err) err = io_socket_local_addr(fds[0], &listener.bound);
    struct edge_listener *items =
        err ? NULL : realloc(listeners->items, (listeners->count + 1) * sizeof *items);
    if (!err && !items) err = SK_ERR_NO_MEMORY;
    if (items) listeners->items = items;
    if (!err) err = copy_fds(fds, count, &listener.fds);
    if (err) return err;
    listener.fd_count = (unsigned)count;
    items[listeners->count++] = listener;
    return SK_OK;
}

/* Its listener came before it. */
static sk_err take_udp(struct edge_listeners *listeners, sk_str addr_text, const int *fds, size_t count) {
    struct io_addr addr;
    sk_err err = io_addr_parse(addr_text, &addr);
    struct edge_listener *listener = err ? NULL : edge_listeners_find(listeners, &addr);
    if (!listener || listener->quic_fds) return SK_ERR_MALFORMED;
    err = copy_fds(fds, count, &listener->quic_fds);
    if (err) return err;
    listener->quic_unused = true;
    listener->quic_count = (unsigned)count;
    return SK_OK;
}

static sk_err take(void *arg, sk_str name, const int *fds, size_t count) {
    struct inheritance *in = arg;
    if (sk_str_eq(name, SK_STR("admin"))) {
        in->admin_fd = fds[0];
        return SK_OK;
    }
    if (sk_str_eq(name, SK_STR("quic"))) {
        in->quic_fd = fds[0];
        return SK_OK;
    }
    if (sk_str_starts_with(name, SK_STR("udp:")))
        return take_udp(&in->listeners, sk_str_slice(name, 4, name.len), fds, count);
    return take_listener(&in->listeners, name, fds, count);
}

/* Outputs stay untouched on failure. */
static sk_err finish(struct inheritance *in, sk_err err, struct edge_listeners *out_listeners,
                     int *out_admin_fd, int *out_quic_fd) {
    if (err) {
        edge_listeners_free(&in->listeners);
        return err;
    }
    *out_listeners = in->listeners;
    *out_admin_fd = in->admin_fd;
    *out_quic_fd = in->quic_fd;
    return SK_OK;
}

sk_err edge_upgrade_parse(sk_str text, struct edge_listeners *out_listeners, int *out_ready_fd,
                          int *out_admin_fd, int *out_quic_fd) {
    struct inheritance in = {.admin_fd = -1, .quic_fd = -1};
    sk_err err = io_upgrade_parse(text, take, &in, out_ready_fd);
    return finish(&in, err, out_listeners, out_admin_fd, out_quic_fd);
}

sk_err edge_upgrade_inherit(struct edge_listeners *out_listeners, int *out_quic_fd) {
    struct inheritance in = {.admin_fd = -1, .quic_fd = *out_quic_fd};
    return finish(&in, io_upgrade_inherit(take, &in), out_listeners, &inherited_admin_fd, out_quic_fd);
}

int edge_upgrade_take_admin(void) {
    int fd = inherited_admin_fd;
    inherited_admin_fd = -1;
    return fd;
}

void edge_upgrade_say_ready(void) {
    if (inherited_admin_fd >= 0) close(edge_upgrade_take_admin());
    io_upgrade_say_ready();
}
