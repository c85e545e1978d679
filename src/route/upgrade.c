#include "route/upgrade.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/log.h"
#include "fleet/admin_server.h"
#include "route/keep.h"
#include "route/redirect.h"
#include "route/watch.h"

enum { STATE_BYTES_MAX = 1 << 20, HTTP_MAX = 16, LOOK_MS = 100 };

/* --- what lives in memory alone, as JSON ---------------------------------------------------------------- */

static char *state_text(const struct route_process *process, size_t *out_bytes) {
    char secret[2 * SIPHASH_KEY_BYTES + 1] = "", *text = NULL;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL;
    sk_hex_write(process->secrets.current, SIPHASH_KEY_BYTES, secret);
    if (root && yyjson_mut_obj_add_strcpy(doc, root, "cookie_secret", secret) &&
        challenges_write(&process->challenges, doc, root, "challenges", sk_time_now())) {
        yyjson_mut_doc_set_root(doc, root);
        text = yyjson_mut_write(doc, 0, out_bytes);
    }
    yyjson_mut_doc_free(doc);
    return text;
}

static sk_err write_state(const struct route_process *process, int *out_fd) {
    size_t bytes = 0, done = 0;
    char *text = state_text(process, &bytes);
    if (!text) return SK_ERR_NO_MEMORY;
    int fd = memfd_create("route-state", MFD_CLOEXEC);
    while (fd >= 0 && done < bytes) {
        ssize_t n = pwrite(fd, text + done, bytes - done, (off_t)done);
        if (n <= 0) break;
        done += (size_t)n;
    }
    free(text);
    if (fd < 0) return SK_ERR_FULL;
    if (done == bytes) {
        *out_fd = fd;
        return SK_OK;
    }
    close(fd);
    return SK_ERR_IO;
}

static sk_err read_secret(yyjson_val *value, uint8_t out[SIPHASH_KEY_BYTES]) {
    sk_str hex =
        yyjson_is_str(value) ? sk_str_make(yyjson_get_str(value), yyjson_get_len(value)) : (sk_str){0};
    return sk_str_hex_to_bytes(hex, out, SIPHASH_KEY_BYTES);
}

/* Takes FD. */
static sk_err read_state(struct route_process *process, int fd) {
    char *text = malloc(STATE_BYTES_MAX);
    ssize_t bytes = text ? pread(fd, text, STATE_BYTES_MAX, 0) : -1;
    yyjson_doc *doc = bytes > 0 ? yyjson_read(text, (size_t)bytes, 0) : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc);
    sk_err err = read_secret(yyjson_obj_get(root, "cookie_secret"), process->secrets.current);
    if (!err) err = challenges_read(&process->challenges, yyjson_obj_get(root, "challenges"), sk_time_now());
    yyjson_doc_free(doc);
    free(text);
    close(fd);
    return err;
}

/* --- the old process ------------------------------------------------------------------------------------ */

static void on_look(struct io_timer *timer) {
    struct route_process *process = SK_CONTAINER_OF(timer, struct route_process, leave_timer);
    bool all = true;
    for (unsigned i = 0; i < process->running; i++) all &= route_worker_ended(&process->workers[i]);
    if (all) {
        process->stopping = true;
        io_loop_stop(process->loop);
    } else {
        io_timer_start(process->loop, timer, io_loop_now(process->loop) + LOOK_MS * SK_NS_PER_MS, on_look);
    }
}

/* The new process answers from now on. */
static void leave(struct route_process *process) {
    process->handed_over = true;
    sk_log(SK_LOG_INFO, "route", "upgrade: the new process answers; this one ends with its last connection");
    watch_stop(process);
    io_timer_stop(&process->look_timer);
    io_timer_stop(&process->sign_timer);
    io_timer_stop(&process->settle_timer);
    if (process->admin) fleet_admin_hand_over(process->admin);
    redirect_hand_over(process->redirect);
    for (unsigned i = 0; i < process->udp_running; i++) udp_thread_stop(&process->udp[i]);
    for (unsigned i = 0; i < process->running; i++) route_worker_leave(&process->workers[i]);
    on_look(&process->leave_timer);
}

static void forget(struct route_process *process) {
    io_upgrade_free(process->upgrade);
    process->upgrade = NULL;
}

static void on_ready(void *arg) {
    forget(arg);
    leave(arg);
}

static void on_failed(void *arg) { forget(arg); }

static sk_err package_all(const struct route_process *process, struct io_upgrade_package *package,
                          int state_fd) {
    int admin_fd = process->admin ? fleet_admin_fd(process->admin) : -1;
    sk_err err = io_upgrade_package_add(package, SK_STR("state"), &state_fd, 1);
    if (!err) err = route_sockets_package(&process->sockets, package);
    if (!err && admin_fd >= 0) err = io_upgrade_package_add(package, SK_STR("admin"), &admin_fd, 1);
    return err ? err : redirect_package(process->redirect, package);
}

static sk_err begin(struct route_process *process) {
    struct io_upgrade_package package;
    struct io_upgrade_options options = {.role = "route",
                                         .program = process->start->program,
                                         .argv = process->start->argv,
                                         .package = &package,
                                         .on_ready = on_ready,
                                         .on_failed = on_failed,
                                         .arg = process};
    int state_fd = -1;
    io_upgrade_package_init(&package);
    keep_save(process, true); /* where clients are sent goes along by the folder `state` */
    sk_err err = write_state(process, &state_fd);
    if (!err) err = package_all(process, &package, state_fd);
    if (!err) err = io_upgrade_start(process->loop, &options, &process->upgrade);
    if (state_fd >= 0) close(state_fd);
    io_upgrade_package_free(&package);
    return err;
}

void route_upgrade_start(struct route_process *process) {
    if (process->upgrade || process->handed_over || process->stopping) {
        sk_log(SK_LOG_WARN, "route", "upgrade: not now, %s",
               process->upgrade ? "another one is running" : "this process is stopping");
        return;
    }
    sk_err err = begin(process);
    if (err) sk_log(SK_LOG_ERROR, "route", "upgrade: %s; this process stays in service", sk_err_text(err));
}

/* --- the new process ------------------------------------------------------------------------------------ */

/* Until they are taken. */
static int admin_fd = -1;
static struct {
    struct io_addr addr;
    int fd;
} http[HTTP_MAX];
static unsigned http_count;

static sk_err take_http(sk_str addr, int fd) {
    if (http_count == HTTP_MAX || io_addr_parse(addr, &http[http_count].addr)) return SK_ERR_MALFORMED;
    http[http_count++].fd = fd;
    return SK_OK;
}

static sk_err take(void *arg, sk_str name, const int *fds, size_t count) {
    struct route_process *process = arg;
    sk_err err;
    if (route_inherited_take(&process->inherited, name, fds, count, &err)) return err;
    if (sk_str_starts_with(name, SK_STR("http:"))) return take_http(sk_str_slice(name, 5, name.len), fds[0]);
    if (sk_str_eq(name, SK_STR("state"))) return read_state(process, fds[0]);
    if (!sk_str_eq(name, SK_STR("admin"))) return SK_ERR_MALFORMED;
    admin_fd = fds[0];
    return SK_OK;
}

sk_err route_upgrade_inherit(struct route_process *process) {
    sk_err err = io_upgrade_inherit(take, process);
    if (err) sk_log(SK_LOG_ERROR, "route", "upgrade: what the old process says: %s", sk_err_text(err));
    return err;
}

int route_upgrade_take_admin(void) {
    int fd = admin_fd;
    admin_fd = -1;
    return fd;
}

int route_upgrade_take_http(const struct io_addr *addr) {
    for (unsigned i = 0; i < http_count; i++) {
        int fd = http[i].fd;
        if (fd < 0 || !io_addr_eq(&http[i].addr, addr) || io_addr_port(&http[i].addr) != io_addr_port(addr))
            continue;
        http[i].fd = -1;
        return fd;
    }
    return -1;
}

void route_upgrade_say_ready(struct route_process *process) {
    route_inherited_free(&process->inherited);
    if (admin_fd >= 0) close(route_upgrade_take_admin());
    for (unsigned i = 0; i < http_count; i++)
        if (http[i].fd >= 0) close(http[i].fd);
    http_count = 0;
    io_upgrade_say_ready();
}
