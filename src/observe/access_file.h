/* Where the access log's lines go: a file, a named pipe, a terminal, stdout. The log's writer thread alone, but
 * for access_file_open. */
#ifndef SK_OBSERVE_ACCESS_FILE_H
#define SK_OBSERVE_ACCESS_FILE_H

#include "base/str.h"

struct access_file {
    int fd; /* -1: none */
    bool is_regular, mid_line;
    /* Asked each 100 ms while a reader is stuck: false gives up. ARG is its own. */
    bool (*is_patient)(void *arg);
    void *arg;
};

/* A descriptor to append to PATH ("-": stdout); -1 for NULL and "". Any thread.
 * SK_ERR_DENIED, SK_ERR_NOT_FOUND (no such folder), SK_ERR_IO. */
sk_err access_file_open(const char *path, int *out_fd);
/* Takes FD, and closes the one before. */
void access_file_use(struct access_file *file, int fd);
/* Writes LINES, whole lines, where there is a descriptor. 0, or an errno value (ETIMEDOUT: its reader is stuck); LINES
 * keeps what was not written. */
[[nodiscard]] int access_file_write(struct access_file *file, sk_str *lines);

#endif
