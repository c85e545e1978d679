/* File operations by io_uring: one ring a loop, submitted in one go before each sleep, completed through
 * an eventfd on the loop. Private to file.c. */
#ifndef SK_IO_FILE_RING_H
#define SK_IO_FILE_RING_H

#include "io/fiber.h"
#include "io/work_pool.h"

enum io_file_kind { IO_FILE_READ, IO_FILE_WRITE, IO_FILE_SYNC };

/* One operation; lives on the stack of the fiber that waits for it. */
struct io_file_op {
    enum io_file_kind kind;
    int fd;
    void *data;
    size_t bytes;
    uint64_t offset;

    struct io_fiber *fiber;
    bool done;
    int64_t result;      /* bytes, or a negative errno value */
    struct sk_list link; /* while the ring is full */
    struct io_work work; /* without a ring */
};

struct io_file_ring;

/* SK_ERR_UNSUPPORTED, SK_ERR_DENIED, ... where the kernel or a sandbox has no io_uring for us. */
sk_err io_file_ring_create(struct io_loop *loop, struct io_file_ring **out_ring);
/* Nothing is in flight any more. */
void io_file_ring_destroy(struct io_file_ring *ring);
/* Wakes op->fiber when op->done. */
void io_file_ring_submit(struct io_file_ring *ring, struct io_file_op *op);
/* Blocks until something completes, at most a few milliseconds; false when nothing is in flight. */
bool io_file_ring_wait(struct io_file_ring *ring);

#endif
