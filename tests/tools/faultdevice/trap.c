#include "trap.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const int watched[] = {SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(fdatasync), SCMP_SYS(fsync),
                              SCMP_SYS(openat)};

static int install(void) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter) return -1;
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++)
        if (seccomp_rule_add(filter, SCMP_ACT_NOTIFY, watched[i], 0)) return -1;
    return seccomp_load(filter) ? -1 : seccomp_notify_fd(filter);
}

union control {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

static bool send_fd(int to, int fd) {
    union control control = {0};
    char byte = 0;
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head =
        (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    return sendmsg(to, &message, 0) == 1;
}

static int receive_fd(int from) {
    union control control = {0};
    char byte;
    int fd;
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&message)) return -1;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

static _Noreturn void become(char **argv, int ours) {
    signal(SIGTERM, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("SKERRY_FILE_ENGINE", "threads", 1); /* a ring's reads are no calls */
    int fd = install();
    if (fd < 0 || !send_fd(ours, fd)) _exit(126);
    close(fd);
    execv(argv[0], argv);
    _exit(127);
}

pid_t trap_start(char **argv, int *out_fd) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) return -1;
    pid_t child = fork();
    if (child == 0) become(argv, pair[1]);
    close(pair[1]);
    *out_fd = child > 0 ? receive_fd(pair[0]) : -1;
    close(pair[0]);
    return *out_fd < 0 ? -1 : child;
}

bool trap_next(int fd, struct seccomp_notif *out_call) {
    memset(out_call, 0, sizeof *out_call);
    return ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, out_call) ==
           0; /* libseccomp's own wants to have made the filter here */
}

static void respond(int fd, struct seccomp_notif_resp *answer) {
    (void)!ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, answer); /* the caller may have been killed meanwhile */
}

void trap_continue(int fd, const struct seccomp_notif *call) {
    struct seccomp_notif_resp answer = {.id = call->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    respond(fd, &answer);
}

void trap_answer(int fd, const struct seccomp_notif *call, long value, int error) {
    struct seccomp_notif_resp answer = {.id = call->id, .val = error ? 0 : value, .error = -error};
    respond(fd, &answer);
}
