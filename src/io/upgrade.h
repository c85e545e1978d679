/* Replacing the running program by a new one without losing what its sockets hold: a new process of the same program
 * gets duplicates of descriptors by name, says when it is ready, and then the old one may go. Until that word comes the
 * old one stays in service; if it never comes, nothing has changed. Which descriptors, and what going means, is a role's
 * own (edge/upgrade.h, route/upgrade.h). Main thread.
 *
 * The new process learns of them by IO_UPGRADE_VARIABLE, a line each: "ready=3", "admin=4", "127.0.0.1:8080=5,6". */
#ifndef SK_IO_UPGRADE_H
#define SK_IO_UPGRADE_H

#include "base/buf.h"
#include "io/loop.h"

#define IO_UPGRADE_VARIABLE "SKERRY_UPGRADE"

/* --- the old process -------------------------------------------------------------------------------- */

/* What goes along: names and descriptors, which stay the caller's. */
struct io_upgrade_package {
    struct sk_buf text;
    int *fds;
    size_t count, capacity;
};
void io_upgrade_package_init(struct io_upgrade_package *package);
/* A line "NAME=..."; NAME has no line break, COUNT is at least 1. SK_ERR_NO_MEMORY. */
sk_err io_upgrade_package_add(struct io_upgrade_package *package, sk_str name, const int *fds, size_t count);
void io_upgrade_package_free(struct io_upgrade_package *package);

struct io_upgrade;

struct io_upgrade_options {
    const char *role;        /* constant: in log lines */
    const char *program;     /* what is run */
    const char *const *argv; /* as it was given to us, NULL-terminated; [0] is replaced by PROGRAM */
    struct io_upgrade_package *package; /* stays the caller's; the line "ready=" is added */
    /* One of them is called, later and once: the new process serves, or it never will (logged). The upgrade is still
     * the caller's to free, there or later. */
    void (*on_ready)(void *arg);
    void (*on_failed)(void *arg);
    void *arg;
};
/* SK_ERR_NO_MEMORY, SK_ERR_FULL (descriptors), and as io_process_start. */
sk_err io_upgrade_start(struct io_loop *loop, const struct io_upgrade_options *options,
                        struct io_upgrade **out_upgrade);
/* Forgets it; a new process that is under way is not ended. NULL is allowed. */
void io_upgrade_free(struct io_upgrade *upgrade);

/* --- the new process -------------------------------------------------------------------------------- */

/* Gets the COUNT descriptors of NAME (they close at exec), which are its own from then on. */
typedef sk_err io_upgrade_take(void *arg, sk_str name, const int *fds, size_t count);
/* Each line of what the old process said, but for "ready"; nothing when there was none. SK_ERR_MALFORMED, SK_ERR_NO_MEMORY, and
 * what TAKE returns, at which it stops. */
sk_err io_upgrade_inherit(io_upgrade_take *take, void *arg);
/* The same of TEXT. *out_ready_fd is set where TEXT names one. Pure but for the look at the descriptors. */
sk_err io_upgrade_parse(sk_str text, io_upgrade_take *take, void *arg, int *out_ready_fd);
/* Tells the old process, if there is one, that this one serves. */
void io_upgrade_say_ready(void);

#endif
