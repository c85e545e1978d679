/* A few threads of the process for calls that block and have no other way: open, rename, stat, and file
 * I/O where io_uring is not allowed. Shared by all loops; threads start when they are needed and end with
 * the last user. Private to src/io. */
#ifndef SK_IO_WORK_POOL_H
#define SK_IO_WORK_POOL_H

#include "io/loop.h"

struct io_work {
    /* set by the owner */
    void (*run)(struct io_work *work); /* on a thread of the pool */
    struct io_task done;               /* posted to LOOP afterwards */
    struct io_loop *loop;
    /* the pool's */
    struct io_work *next;
};

/* Any thread. Each open is matched by a close, which joins the threads when it was the last. A loop closes
 * before it is destroyed, and after all its work is done. */
void io_work_pool_open(void);
void io_work_pool_close(void);
/* Any thread that holds the pool open. Never blocks. SK_ERR_NO_MEMORY when there is not one thread. */
sk_err io_work_pool_submit(struct io_work *work);

#endif
