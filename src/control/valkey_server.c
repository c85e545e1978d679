#include "control/valkey_server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "fleet/identity.h"
#include "io/process.h"

enum { END_MS = 10000, PAUSE_FIRST_MS = 100, PAUSE_MAX_MS = 5000, GOOD_RUN_S = 10 };

struct control_valkey_server {
    struct io_loop *loop;
    char program[FLEET_PATH_BYTES], folder[FLEET_PATH_BYTES];
    struct sockaddr_un socket;
    struct io_process *process; /* NULL: it does not run */
    struct io_timer again;
    sk_time_ns started;
    int64_t pause_ms;
    void (*on_stopped)(void *arg); /* it is to end */
    void *arg;
};

static void start_again(struct io_timer *timer);

static void on_exit_of(void *arg, int status) {
    struct control_valkey_server *server = arg;
    io_process_release(server->process);
    server->process = NULL;
    if (server->on_stopped) {
        server->on_stopped(server->arg);
        return;
    }
    bool ran = sk_time_now() - server->started > GOOD_RUN_S * SK_NS_PER_S;
    server->pause_ms = ran ? PAUSE_FIRST_MS : SK_MIN(2 * server->pause_ms, PAUSE_MAX_MS);
    sk_log(SK_LOG_ERROR, "control", "Valkey has ended (status %d): started again in %lld ms", status,
           (long long)server->pause_ms);
    io_timer_start(server->loop, &server->again, sk_time_now() + server->pause_ms * SK_NS_PER_MS,
                   start_again);
}

static sk_err start(struct control_valkey_server *server) {
    const char *const argv[] = {server->program,
                                "--port",
                                "0",
                                "--unixsocket",
                                server->socket.sun_path,
                                "--unixsocketperm",
                                "700",
                                "--dir",
                                server->folder,
                                "--appendonly",
                                "yes",
                                "--appendfsync",
                                "always",
                                "--save",
                                "",
                                "--daemonize",
                                "no",
                                "--logfile",
                                "valkey.log",
                                "--loglevel",
                                "notice",
                                NULL};
    struct io_process_options options = {.argv = argv, .on_exit = on_exit_of, .arg = server};
    server->started = sk_time_now();
    return io_process_start(server->loop, &options, &server->process);
}

static void start_again(struct io_timer *timer) {
    struct control_valkey_server *server = SK_CONTAINER_OF(timer, struct control_valkey_server, again);
    sk_err err = start(server);
    if (!err) return;
    sk_log(SK_LOG_ERROR, "control", "Valkey cannot be started: %s", sk_err_text(err));
    io_timer_start(server->loop, timer, sk_time_now() + PAUSE_MAX_MS * SK_NS_PER_MS, start_again);
}

/* --- one that was left behind -------------------------------------------------------------------------------- */

/* Until the other end closes. */
static sk_err await_end(int fd) {
    sk_time_ns deadline = sk_time_now() + END_MS * SK_NS_PER_MS;
    for (;;) {
        char bytes[256];
        int64_t left_ms = (deadline - sk_time_now()) / SK_NS_PER_MS;
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        if (left_ms <= 0) return SK_ERR_BUSY;
        if (poll(&waiting, 1, (int)left_ms) <= 0) continue;
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n == 0 || (n < 0 && errno != EINTR)) return SK_OK;
    }
}

static sk_err end_earlier(const struct control_valkey_server *server) {
    static const char command[] = "SHUTDOWN\r\n";
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sk_err err = SK_OK;
    if (fd < 0) return sk_err_from_errno(errno);
    if (connect(fd, (const struct sockaddr *)&server->socket, sizeof server->socket) == 0) {
        sk_log(SK_LOG_WARN, "control", "a Valkey that an earlier control left behind is ended");
        if (send(fd, command, sizeof command - 1, MSG_NOSIGNAL) < 0) err = SK_ERR_BUSY;
        if (!err) err = await_end(fd);
    }
    close(fd);
    return err;
}

/* --- the whole ----------------------------------------------------------------------------------------------- */

sk_err control_valkey_start(struct io_loop *loop, sk_str program, sk_str folder,
                            struct control_valkey_server **out_server) {
    struct control_valkey_server *server = calloc(1, sizeof *server);
    if (!server) return SK_ERR_NO_MEMORY;
    server->loop = loop;
    server->pause_ms = PAUSE_FIRST_MS;
    server->socket.sun_family = AF_UNIX;
    int p = snprintf(server->program, sizeof server->program, "%.*s", SK_STR_ARGS(program));
    int f = snprintf(server->folder, sizeof server->folder, "%.*s", SK_STR_ARGS(folder));
    int s = snprintf(server->socket.sun_path, sizeof server->socket.sun_path, "%.*s/valkey.sock",
                     SK_STR_ARGS(folder));
    bool fits = p < (int)sizeof server->program && f < (int)sizeof server->folder &&
                s < (int)sizeof server->socket.sun_path;
    sk_err err = fits ? fleet_folder(folder) : SK_ERR_TOO_LARGE;
    if (!err) err = end_earlier(server);
    if (!err) err = start(server);
    if (err)
        control_valkey_free(server);
    else
        *out_server = server;
    return err;
}

void control_valkey_stop(struct control_valkey_server *server, void (*on_stopped)(void *arg), void *arg) {
    server->on_stopped = on_stopped;
    server->arg = arg;
    io_timer_stop(&server->again);
    if (!server->process || io_process_signal(server->process, SIGTERM) != SK_OK) on_stopped(arg);
}

void control_valkey_free(struct control_valkey_server *server) {
    if (!server) return;
    io_timer_stop(&server->again);
    if (server->process) io_process_release(server->process);
    free(server);
}
