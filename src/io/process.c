#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/loop_private.h"

#define FIRST_KEPT_FD 3
#define MAX_KEPT_FDS 1024

struct processes {
    struct io_part part;
    struct sk_list all;
};

struct io_process {
    struct sk_list link;
    pid_t pid;
    struct io_watch watch; /* the pidfd; readable once the child has ended */
    bool ended;            /* and reaped */
    bool released;         /* its owner has let it go; freed when it has ended */
    bool in_callback;
    void (*on_exit)(void *arg, int wait_status);
    void *arg;
};

/* --- the end of a child ---------------------------------------------------------------------------------- */

static void free_process(struct io_process *process) {
    sk_list_remove(&process->link);
    io_watch_stop(&process->watch);
    if (process->watch.fd >= 0) close(process->watch.fd);
    free(process);
}

static void on_ready(struct io_watch *watch, unsigned ready) {
    struct io_process *process = SK_CONTAINER_OF(watch, struct io_process, watch);
    int status;
    pid_t pid;
    (void)ready;
    do pid = waitpid(process->pid, &status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    if (pid == 0) return;
    if (pid < 0) status = 0xff00; /* somebody else has reaped it: all that is known is that it has ended */
    process->ended = true;
    io_watch_stop(watch);
    process->in_callback = true;
    if (!process->released && process->on_exit) process->on_exit(process->arg, status);
    process->in_callback = false;
    if (process->released) free_process(process);
}

void io_process_release(struct io_process *process) {
    process->released = true;
    if (process->ended && !process->in_callback) free_process(process);
}

static void destroy(struct io_loop *loop, struct io_part *part) {
    struct processes *processes = SK_CONTAINER_OF(part, struct processes, part);
    (void)loop;
    SK_LIST_FOR_EACH(link, &processes->all) free_process(SK_CONTAINER_OF(link, struct io_process, link));
    free(processes);
}

static struct processes *processes_of(struct io_loop *loop) {
    struct io_part *part = loop->parts[IO_PART_PROCESSES];
    if (part) return SK_CONTAINER_OF(part, struct processes, part);
    struct processes *processes = calloc(1, sizeof *processes);
    if (!processes) return NULL;
    sk_list_init(&processes->all);
    processes->part.destroy = destroy;
    loop->parts[IO_PART_PROCESSES] = &processes->part;
    return processes;
}

/* --- the start of a child -------------------------------------------------------------------------------- */

static size_t count_strings(const char *const *strings) {
    size_t n = 0;
    while (strings && strings[n]) n++;
    return n;
}

/* True when one of ADDITIONS sets the variable that VARIABLE ("NAME=value") sets. */
static bool is_overridden(const char *variable, const char *const *additions) {
    const char *sign = strchr(variable, '=');
    size_t head = sign ? (size_t)(sign - variable) + 1 : strlen(variable);
    for (; additions && *additions; additions++)
        if (strncmp(*additions, variable, head) == 0) return true;
    return false;
}

/* Our environment and what is added to it; the strings are borrowed. */
static char **make_environment(const char *const *additions) {
    const char *const *ours = (const char *const *)environ;
    char **made = calloc(count_strings(ours) + count_strings(additions) + 1, sizeof *made);
    size_t n = 0;
    if (!made) return NULL;
    for (; ours && *ours; ours++)
        if (!is_overridden(*ours, additions)) made[n++] = (char *)*ours;
    for (; additions && *additions; additions++) made[n++] = (char *)*additions;
    return made;
}

/* The kept descriptors' way into the child: copies above all targets, so that moving one never overwrites
 * another, and out of the reach of what is closed. */
struct kept {
    int fds[MAX_KEPT_FDS];
    size_t count;
};

static void close_kept(struct kept *kept) {
    while (kept->count > 0) close(kept->fds[--kept->count]);
}

static sk_err copy_kept(const struct io_process_options *options, struct kept *kept) {
    int floor = FIRST_KEPT_FD + (int)options->keep_fd_count;
    kept->count = 0;
    if (options->keep_fd_count > MAX_KEPT_FDS) return SK_ERR_TOO_LARGE;
    for (size_t i = 0; i < options->keep_fd_count; i++) {
        int fd = fcntl(options->keep_fds[i], F_DUPFD_CLOEXEC, floor);
        if (fd < 0) {
            sk_err err = sk_err_from_errno(errno);
            close_kept(kept);
            return err;
        }
        kept->fds[kept->count++] = fd;
    }
    return SK_OK;
}

/* The three standard ones first: those given may be among what is closed or overwritten later. */
static int add_standard(posix_spawn_file_actions_t *actions, const int *fds) {
    int error = 0;
    for (int i = 0; fds && i < FIRST_KEPT_FD && !error; i++)
        error = posix_spawn_file_actions_adddup2(actions, fds[i], i);
    return error;
}

/* 0, 1, 2, then the kept ones, and nothing else. */
static int add_actions(posix_spawn_file_actions_t *actions, const int *standard_fds,
                       const struct kept *kept) {
    int error = add_standard(actions, standard_fds);
    if (error) return error;
    for (size_t i = 0; i < kept->count; i++) {
        error = posix_spawn_file_actions_adddup2(actions, kept->fds[i], FIRST_KEPT_FD + (int)i);
        if (error) return error;
    }
    return posix_spawn_file_actions_addclosefrom_np(actions, FIRST_KEPT_FD + (int)kept->count);
}

/* No signal blocked or ignored: what we did for ourselves must not reach the child. */
static int set_signals(posix_spawnattr_t *attributes) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static sk_err spawn(const struct io_process_options *options, const struct kept *kept, char **environment,
                    pid_t *out_pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int error = add_actions(&actions, options->standard_fds, kept);
    if (!error) error = set_signals(&attributes);
    if (!error)
        error = posix_spawn(out_pid, options->argv[0], &actions, &attributes, (char *const *)options->argv,
                            environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return sk_err_from_errno(error);
}

static sk_err spawn_with_copies(const struct io_process_options *options, pid_t *out_pid) {
    struct kept kept;
    char **environment = make_environment(options->environment);
    if (!environment) return SK_ERR_NO_MEMORY;
    sk_err err = copy_kept(options, &kept);
    if (!err) {
        err = spawn(options, &kept, environment, out_pid);
        close_kept(&kept);
    }
    free(environment);
    return err;
}

/* A child that nobody could be told of is ended. */
static sk_err abandon(struct io_process *process, sk_err err) {
    kill(process->pid, SIGKILL);
    waitpid(process->pid, NULL, 0);
    free_process(process);
    return err;
}

sk_err io_process_start(struct io_loop *loop, const struct io_process_options *options,
                        struct io_process **out_process) {
    struct processes *processes = processes_of(loop);
    struct io_process *process = processes ? calloc(1, sizeof *process) : NULL;
    if (!process) return SK_ERR_NO_MEMORY;
    process->watch = (struct io_watch){.fd = -1, .on_ready = on_ready};
    process->on_exit = options->on_exit;
    process->arg = options->arg;
    sk_list_push_back(&processes->all, &process->link);
    sk_err err = spawn_with_copies(options, &process->pid);
    if (err) {
        free_process(process);
        return err;
    }
    /* Close-on-exec by definition; the pid cannot be another's before we have waited for it. */
    process->watch.fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    if (process->watch.fd < 0) return abandon(process, sk_err_from_errno(errno));
    if ((err = io_watch_start(loop, &process->watch))) return abandon(process, err);
    *out_process = process;
    return SK_OK;
}

pid_t io_process_pid(const struct io_process *process) { return process->pid; }

sk_err io_process_signal(struct io_process *process, int signo) {
    if (process->ended) return SK_ERR_NOT_FOUND;
    if (syscall(SYS_pidfd_send_signal, process->watch.fd, signo, NULL, 0) < 0)
        return sk_err_from_errno(errno);
    return SK_OK;
}
