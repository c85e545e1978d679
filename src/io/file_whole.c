/* Whole files, blocking: for start-up and tools. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/random.h"
#include "io/file.h"

#define READ_BYTES ((size_t)64 << 10)

static sk_err last_error(void) { return sk_err_from_errno(errno); }

/* Reads on to the end of FD: its size may be unknown (pipes, /proc) or change. */
static sk_err read_all(int fd, size_t limit, struct sk_buf *buf) {
    size_t start = sk_buf_len(buf);
    for (;;) {
        size_t left = limit - (sk_buf_len(buf) - start);
        /* One byte more than allowed tells a file at its limit from one over it. */
        size_t want = SK_MIN(left, READ_BYTES - 1) + 1;
        sk_err err = sk_buf_reserve(buf, want);
        if (err) return err;
        ssize_t n = read(fd, sk_buf_space(buf), want);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return last_error();
        if (n == 0) return SK_OK;
        if ((size_t)n > left) return SK_ERR_TOO_LARGE;
        sk_buf_commit(buf, (size_t)n);
    }
}

sk_err io_file_load(const char *path, size_t limit, struct sk_buf *out_text) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return last_error();
    size_t before = sk_buf_len(out_text);
    sk_err err = read_all(fd, limit, out_text);
    if (err) out_text->end -= sk_buf_len(out_text) - before;
    close(fd);
    return err;
}

static sk_err write_all(int fd, const char *data, size_t bytes) {
    while (bytes > 0) {
        ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return last_error();
        data += n;
        bytes -= (size_t)n;
    }
    return SK_OK;
}

/* A new name in the folder of PATH survives a crash only once the folder is on disk too. */
static sk_err sync_folder(const char *path) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return last_error();
    sk_err err = fsync(fd) < 0 ? last_error() : SK_OK;
    close(fd);
    return err;
}

static sk_err write_beside(const char *beside, const void *data, size_t bytes, unsigned mode) {
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return last_error();
    sk_err err = write_all(fd, data, bytes);
    if (!err && (fchmod(fd, mode) < 0 || fsync(fd) < 0)) err = last_error();
    if (close(fd) < 0 && !err) err = last_error();
    return err;
}

sk_err io_file_replace(const char *path, const void *data, size_t bytes, unsigned mode) {
    char beside[PATH_MAX];
    int len = snprintf(beside, sizeof beside, "%s.new-%016" PRIx64, path, sk_random_u64());
    if (len >= (int)sizeof beside) return SK_ERR_TOO_LARGE;
    sk_err err = write_beside(beside, data, bytes, mode);
    if (!err && rename(beside, path) < 0) err = last_error();
    if (err) {
        if (err != SK_ERR_EXISTS) unlink(beside);
        return err;
    }
    return sync_folder(path);
}

uint64_t io_file_stamp(uint64_t stamp, const char *path) {
    struct stat st;
    uint64_t parts[5] = {stamp};
    if (stat(path, &st) == 0) {
        parts[1] = st.st_ino;
        parts[2] = (uint64_t)st.st_size;
        parts[3] = (uint64_t)st.st_mtim.tv_sec;
        parts[4] = (uint64_t)st.st_mtim.tv_nsec;
    }
    return sk_hash64(parts, sizeof parts);
}
