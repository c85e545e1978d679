/* A program whose reads, writes and syncs of files stop until we have said what becomes of them: the kernel's own
 * notifications of a seccomp filter. No privilege is needed. */
#ifndef FAULTDEVICE_TRAP_H
#define FAULTDEVICE_TRAP_H

#include <seccomp.h>
#include <stdbool.h>
#include <sys/types.h>

/* Starts ARGV with the filter. Gives its pid, and the descriptor for trap_next; -1: it cannot be done, errno says why. */
pid_t trap_start(char **argv, int *out_fd);
/* The next call that waits; false: there is none any more, or it was a false alarm. */
bool trap_next(int fd, struct seccomp_notif *out_call);
/* The call goes its way. */
void trap_continue(int fd, const struct seccomp_notif *call);
/* The call has done nothing and gives VALUE, or fails with ERROR (positive) if that is not 0. */
void trap_answer(int fd, const struct seccomp_notif *call, long value, int error);

#endif
