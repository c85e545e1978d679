/* faultdevice --store FILE [--log FILE] [--seed N] [--new-boot] --control FIFO -- PROGRAM [ARGUMENT]...
 *
 * Runs PROGRAM with a device under FILE that does what it is told over FIFO, a line each:
 *
 *   trouble KIND N    of a thousand operations, N go wrong: read, write, sync (EIO), full (ENOSPC), short; or none
 *   cut               the power goes: the program is killed; of what was not synced, any sectors are as before
 *
 * --log FILE (what follows FILE's path counts too) is appended to, and loses the end of what was not synced. --new-boot:
 * the kernel does not tell which boot it is. Ends as the program does: with its exit code, or 128 and the signal. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"
#include "trap.h"

#define PIECE_MAX (4u << 20)
#define LOGS_MAX 64

static struct device device = {.fd = -1, .random = 1};
static const char *store_path, *log_path, *control_path;
static bool new_boot;
static char trouble[16] = "none";
static unsigned permille;
static int traps, control;
static pid_t child;

/* How much of a file of the log is safe. */
static struct {
    ino_t inode;
    off_t bytes;
} logs[LOGS_MAX];
static size_t log_count;

/* ---- which file ------------------------------------------------------------------------------------------------ */

static bool is_store(const struct seccomp_notif *call) {
    char path[64];
    struct stat here, store;
    snprintf(path, sizeof path, "/proc/%u/fd/%d", call->pid, (int)call->data.args[0]);
    if (stat(path, &here) || stat(store_path, &store)) return false;
    if (here.st_ino != store.st_ino || here.st_dev != store.st_dev) return false;
    if (device.fd < 0 && !device_open(&device, store_path)) abort();
    return true;
}

/* What the log holds now will be safe. */
static void note_log(const struct seccomp_notif *call) {
    char path[64], name[PATH_MAX];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%u/fd/%d", call->pid, (int)call->data.args[0]);
    ssize_t n = readlink(path, name, sizeof name - 1);
    if (n < 0 || !log_path || strncmp(name, log_path, strlen(log_path)) != 0 || stat(path, &status)) return;
    size_t i = 0;
    while (i < log_count && logs[i].inode != status.st_ino) i++;
    if (i == LOGS_MAX) i = 0;
    if (i == log_count) log_count++;
    logs[i].inode = status.st_ino;
    logs[i].bytes = status.st_size;
}

static void cut_log(void) {
    struct stat status;
    if (!log_path || stat(log_path, &status)) return;
    for (size_t i = 0; i < log_count; i++) {
        if (logs[i].inode != status.st_ino || status.st_size <= logs[i].bytes) continue;
        off_t kept =
            logs[i].bytes + (off_t)device_draw(&device, (uint64_t)(status.st_size - logs[i].bytes) + 1);
        if (truncate(log_path, kept)) abort();
    }
}

/* ---- one operation ---------------------------------------------------------------------------------------------- */

static bool strikes(const char *kind) {
    return !strcmp(trouble, kind) && device_draw(&device, 1000) < permille;
}

/* Some sectors of it happen. */
static void do_part(const struct seccomp_notif *call, bool writes) {
    static uint8_t data[PIECE_MAX] __attribute__((aligned(DEVICE_SECTOR)));
    size_t sectors = (size_t)call->data.args[2] / DEVICE_SECTOR;
    off_t offset = (off_t)call->data.args[3];
    if (sectors < 2 || call->data.args[2] > PIECE_MAX) {
        trap_continue(traps, call);
        return;
    }
    size_t bytes = (1 + device_draw(&device, sectors - 1)) * DEVICE_SECTOR;
    struct iovec here = {data, bytes}, there = {(void *)(uintptr_t)call->data.args[1], bytes};
    ssize_t n = -1;
    if (writes && process_vm_readv((pid_t)call->pid, &here, 1, &there, 1, 0) == (ssize_t)bytes)
        n = pwrite(device.fd, data, bytes, offset);
    if (!writes && (n = pread(device.fd, data, bytes, offset)) > 0) {
        here.iov_len = there.iov_len = (size_t)n;
        if (process_vm_writev((pid_t)call->pid, &here, 1, &there, 1, 0) != n) n = -1;
    }
    trap_answer(traps, call, n, n < 0 ? EIO : 0);
}

static void on_write(const struct seccomp_notif *call) {
    if (strikes("write") || strikes("full")) {
        trap_answer(traps, call, 0, trouble[0] == 'f' ? ENOSPC : EIO);
        return;
    }
    device_will_write(&device, call->data.args[3], (size_t)call->data.args[2]);
    if (strikes("short"))
        do_part(call, true);
    else
        trap_continue(traps, call);
}

static void on_read(const struct seccomp_notif *call) {
    if (strikes("read"))
        trap_answer(traps, call, 0, EIO);
    else if (strikes("short"))
        do_part(call, false);
    else
        trap_continue(traps, call);
}

static void on_sync(const struct seccomp_notif *call, bool store) {
    if (store && strikes("sync")) {
        trap_answer(traps, call, 0, EIO);
        return;
    }
    if (store)
        device_will_sync(&device, (pid_t)call->pid);
    else
        note_log(call);
    trap_continue(traps, call);
}

static void on_open(const struct seccomp_notif *call) {
    static const char boot[] = "/proc/sys/kernel/random/boot_id";
    char name[sizeof boot] = "";
    struct iovec here = {name, sizeof name}, there = {(void *)(uintptr_t)call->data.args[1], sizeof name};
    bool asks = new_boot && process_vm_readv((pid_t)call->pid, &here, 1, &there, 1, 0) > 0 &&
                !memcmp(name, boot, sizeof boot);
    if (asks)
        trap_answer(traps, call, 0, ENOENT);
    else
        trap_continue(traps, call);
}

static void on_call(void) {
    struct seccomp_notif call;
    if (!trap_next(traps, &call)) return;
    device_acts(&device, (pid_t)call.pid);
    if (call.data.nr == SCMP_SYS(openat)) {
        on_open(&call);
        return;
    }
    bool store = is_store(&call);
    if (call.data.nr == SCMP_SYS(fdatasync) || call.data.nr == SCMP_SYS(fsync))
        on_sync(&call, store);
    else if (!store)
        trap_continue(traps, &call);
    else if (call.data.nr == SCMP_SYS(pwrite64))
        on_write(&call);
    else
        on_read(&call);
}

/* ---- the program -------------------------------------------------------------------------------------------------- */

/* At once: what else runs at an end, a sanitizer's look for leaks above all, is of no use here and takes its time. */
static _Noreturn void end(int status) {
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static _Noreturn void cut(void) {
    int status;
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    cut_log();
    fprintf(stderr, "faultdevice: the power went: %llu sectors are as before\n",
            (unsigned long long)(device.fd < 0 ? 0 : device_cut(&device)));
    end(status);
}

static void obey(char *line) {
    if (!strcmp(line, "cut")) cut();
    if (sscanf(line, "trouble %15s %u", trouble, &permille) < 1) fprintf(stderr, "faultdevice: %s?\n", line);
}

static void on_control(void) {
    char text[512];
    ssize_t n = read(control, text, sizeof text - 1);
    if (n <= 0) return;
    text[n] = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) obey(line);
}

static char **parse(int argc, char **argv) {
    static const struct option options[] = {
        {"store", required_argument, NULL, 's'}, {"log", required_argument, NULL, 'l'},
        {"seed", required_argument, NULL, 'r'},  {"control", required_argument, NULL, 'c'},
        {"new-boot", no_argument, NULL, 'n'},    {0}};
    for (int c; (c = getopt_long(argc, argv, "+", options, NULL)) != -1;) {
        if (c == 's') store_path = optarg;
        if (c == 'l') log_path = optarg;
        if (c == 'r') device.random = strtoull(optarg, NULL, 10) * 2 + 1;
        if (c == 'c') control_path = optarg;
        if (c == 'n') new_boot = true;
        if (c == '?') exit(2);
    }
    if (!store_path || !control_path || !argv[optind]) exit(2);
    return argv + optind;
}

int main(int argc, char **argv) {
    char **program = parse(argc, argv);
    int status;
    control = open(control_path, O_RDWR | O_NONBLOCK | O_CLOEXEC); /* never at its end */
    if (control < 0) return 2;
    signal(SIGTERM, SIG_IGN);         /* the program's business */
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is ended leaves nothing behind */
    child = trap_start(program, &traps);
    if (child < 0) {
        fprintf(stderr, "faultdevice: no notifications of calls here: %s\n", strerror(errno));
        return 77;
    }
    struct pollfd polls[] = {{.fd = traps, .events = POLLIN}, {.fd = control, .events = POLLIN}};
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (poll(polls, 2, 20) <= 0) continue;
        if (polls[1].revents & POLLIN) on_control();
        if (polls[0].revents & POLLIN) on_call();
    }
    end(status);
}
