#include "io/file_ring.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "io/loop_private.h"

/* So many operations are with the kernel at once; more wait their turn. No smaller than the submission
 * queue, so that an entry of it is always free; the completion queue is twice as long. */
#define DEPTH 256

struct io_file_ring {
    struct io_loop *loop;
    struct io_uring ring;
    struct io_watch watch; /* the eventfd */
    struct io_timer retry; /* after a submission that the kernel put off */
    unsigned in_flight;    /* prepared or submitted */
    struct sk_list waiting;
};

static void on_retry(struct io_timer *timer);

static void flush(void *arg) {
    struct io_file_ring *ring = arg;
    ring->loop->flush = NULL;
    int n = io_uring_submit(&ring->ring);
    /* The kernel is short of memory, or has completions that we did not take yet. */
    if (n < 0 || io_uring_sq_ready(&ring->ring) > 0)
        io_timer_start(ring->loop, &ring->retry, io_loop_now(ring->loop) + SK_NS_PER_MS, on_retry);
}

static void flush_before_sleep(struct io_file_ring *ring) {
    ring->loop->flush = flush;
    ring->loop->flush_arg = ring;
}

static void on_retry(struct io_timer *timer) {
    flush_before_sleep(SK_CONTAINER_OF(timer, struct io_file_ring, retry));
}

static void prepare(struct io_file_ring *ring, struct io_file_op *op) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    SK_ASSERT(sqe != NULL);
    unsigned bytes = (unsigned)SK_MIN(op->bytes, (size_t)1 << 30);
    switch (op->kind) {
    case IO_FILE_READ: io_uring_prep_read(sqe, op->fd, op->data, bytes, op->offset); break;
    case IO_FILE_WRITE: io_uring_prep_write(sqe, op->fd, op->data, bytes, op->offset); break;
    case IO_FILE_SYNC: io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC); break;
    }
    io_uring_sqe_set_data(sqe, op);
    ring->in_flight++;
    flush_before_sleep(ring);
}

void io_file_ring_submit(struct io_file_ring *ring, struct io_file_op *op) {
    if (ring->in_flight < DEPTH)
        prepare(ring, op);
    else
        sk_list_push_back(&ring->waiting, &op->link);
}

static void reap(struct io_file_ring *ring) {
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;
    io_uring_for_each_cqe(&ring->ring, head, cqe) {
        struct io_file_op *op = io_uring_cqe_get_data(cqe);
        op->result = cqe->res;
        op->done = true;
        io_fiber_wake(op->fiber);
        count++;
    }
    io_uring_cq_advance(&ring->ring, count);
    ring->in_flight -= count;
    for (struct sk_list *link; ring->in_flight < DEPTH && (link = sk_list_pop_front(&ring->waiting));)
        prepare(ring, SK_CONTAINER_OF(link, struct io_file_op, link));
}

static void on_completion(struct io_watch *watch, unsigned ready) {
    (void)ready;
    reap(SK_CONTAINER_OF(watch, struct io_file_ring, watch));
}

/* Kinder flags first: completions need not interrupt us. Older kernels do without. */
static int init_ring(struct io_uring *ring) {
    int failed = io_uring_queue_init(DEPTH, ring, IORING_SETUP_COOP_TASKRUN);
    return failed == -EINVAL ? io_uring_queue_init(DEPTH, ring, 0) : failed;
}

static sk_err watch_completions(struct io_file_ring *ring) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) return sk_err_from_errno(errno);
    ring->watch = (struct io_watch){.fd = fd, .on_ready = on_completion};
    int failed = io_uring_register_eventfd(&ring->ring, fd);
    sk_err err = failed ? sk_err_from_errno(-failed) : io_watch_start(ring->loop, &ring->watch);
    if (err) close(fd);
    return err;
}

sk_err io_file_ring_create(struct io_loop *loop, struct io_file_ring **out_ring) {
    struct io_file_ring *ring = calloc(1, sizeof *ring);
    if (!ring) return SK_ERR_NO_MEMORY;
    ring->loop = loop;
    sk_list_init(&ring->waiting);
    int failed = init_ring(&ring->ring);
    sk_err err = failed ? sk_err_from_errno(-failed) : SK_OK;
    if (!err && (err = watch_completions(ring))) io_uring_queue_exit(&ring->ring);
    if (err) {
        free(ring);
        return err;
    }
    *out_ring = ring;
    return SK_OK;
}

void io_file_ring_destroy(struct io_file_ring *ring) {
    SK_ASSERT(ring->in_flight == 0);
    io_timer_stop(&ring->retry);
    io_watch_stop(&ring->watch);
    io_uring_queue_exit(&ring->ring);
    close(ring->watch.fd);
    free(ring);
}

bool io_file_ring_wait(struct io_file_ring *ring) {
    struct __kernel_timespec moment = {.tv_nsec = 5 * SK_NS_PER_MS};
    struct io_uring_cqe *cqe;
    if (ring->in_flight == 0) return false;
    io_uring_submit(&ring->ring);
    io_uring_wait_cqe_timeout(&ring->ring, &cqe, &moment);
    reap(ring);
    return true;
}
