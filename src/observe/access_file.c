#include "observe/access_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { POLL_MS = 100 };

/* O_NONBLOCK matters for named pipes only: opening one without a reader must not hang. */
sk_err access_file_open(const char *path, int *out_fd) {
    *out_fd = -1;
    if (!path || !*path) return SK_OK;
    if (!strcmp(path, "-"))
        *out_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    else
        *out_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    return *out_fd < 0 ? sk_err_from_errno(errno) : SK_OK;
}

void access_file_use(struct access_file *file, int fd) {
    struct stat st;
    if (file->fd >= 0) close(file->fd);
    file->fd = fd;
    file->is_regular = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    file->mid_line = false;
}

/* Whether the file takes PIPE_BUF bytes without blocking; waits for it. */
static bool wait_writable(struct access_file *file) {
    while (file->is_patient(file->arg)) {
        struct pollfd poll_fd = {.fd = file->fd, .events = POLLOUT};
        if (poll(&poll_fd, 1, POLL_MS) > 0) return true;
    }
    return false;
}

/* What to hand to one write: all for a file; for pipes and terminals what never blocks, in whole lines if one
 * ends there, so that lines of others on the same stdout do not land inside ours. */
static size_t portion(const struct access_file *file, sk_str bytes) {
    if (file->is_regular || bytes.len <= PIPE_BUF) return bytes.len;
    const char *line_end = memrchr(bytes.data, '\n', PIPE_BUF);
    return line_end ? (size_t)(line_end - bytes.data) + 1 : PIPE_BUF;
}

/* As access_file_write. */
static int write_bytes(struct access_file *file, sk_str *bytes) {
    while (bytes->len) {
        if (!file->is_regular && !wait_writable(file)) return ETIMEDOUT;
        ssize_t n = write(file->fd, bytes->data, portion(file, *bytes));
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n < 0) return errno;
        if (n == 0) return EIO;
        file->mid_line = bytes->data[n - 1] != '\n';
        *bytes = sk_str_slice(*bytes, (size_t)n, bytes->len);
    }
    return 0;
}

int access_file_write(struct access_file *file, sk_str *lines) {
    sk_str newline = SK_STR("\n");
    if (file->fd < 0 || !lines->len) return 0;
    /* A full disk may have cut a line short: the next one does not continue it. */
    int failed = file->mid_line ? write_bytes(file, &newline) : 0;
    return failed ? failed : write_bytes(file, lines);
}
