/* Child processes: started with an explicit set of descriptors, watched by pidfd, never a zombie. Own
 * thread. */
#ifndef SK_IO_PROCESS_H
#define SK_IO_PROCESS_H

#include <sys/types.h>

#include "io/loop.h"

struct io_process;

struct io_process_options {
    const char *const *argv;        /* NULL-terminated; argv[0] is a path */
    const char *const *environment; /* NULL-terminated additions "NAME=value"; may be NULL */
    const int *standard_fds;        /* three, to be its 0, 1 and 2; NULL: ours */
    const int *keep_fds;            /* these descriptors become 3, 4, ... in the child, in order */
    size_t keep_fd_count;
    void (*on_exit)(void *arg, int wait_status); /* once, on the loop's thread */
    void *arg;
};

/* The child has the standard descriptors, the kept ones and nothing else; no signal is blocked or ignored.
 * OPTIONS are copied as needed. SK_ERR_NOT_FOUND, SK_ERR_DENIED when argv[0] cannot be run. */
sk_err io_process_start(struct io_loop *loop, const struct io_process_options *options,
                        struct io_process **out_process);
pid_t io_process_pid(const struct io_process *process);
/* SK_ERR_NOT_FOUND when it has ended. */
sk_err io_process_signal(struct io_process *process, int signo);
/* Forgets the child (it goes on, and is reaped when it ends); on_exit is not called after it. Frees the
 * handle; also in or after on_exit. A handle does not outlive its loop. */
void io_process_release(struct io_process *process);

#endif
