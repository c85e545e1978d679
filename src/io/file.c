#include "io/file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "io/fiber_private.h"
#include "io/file_ring.h"
#include "io/loop_private.h"

/* A loop's way to its files. */
struct files {
    struct io_part part;
    struct io_file_ring *ring; /* NULL: the pool does it all */
};

/* --- the engine of a loop ------------------------------------------------------------------------------ */

static void wait_for_some(struct io_loop *loop, struct io_part *part) {
    struct files *files = SK_CONTAINER_OF(part, struct files, part);
    (void)loop;
    if (!files->ring || !io_file_ring_wait(files->ring)) usleep(500);
}

static void destroy(struct io_loop *loop, struct io_part *part) {
    struct files *files = SK_CONTAINER_OF(part, struct files, part);
    (void)loop;
    if (files->ring) io_file_ring_destroy(files->ring);
    io_work_pool_close();
    free(files);
}

/* SKERRY_FILE_ENGINE=threads forbids io_uring, for tests and for platforms where it misbehaves. */
static bool ring_wanted(void) {
    const char *engine = getenv("SKERRY_FILE_ENGINE");
    return !engine || strcmp(engine, "threads") != 0;
}

static sk_err create(struct io_loop *loop, struct files **out_files) {
    struct files *files = calloc(1, sizeof *files);
    if (!files) return SK_ERR_NO_MEMORY;
    sk_err err = ring_wanted() ? io_file_ring_create(loop, &files->ring) : SK_OK;
    if (err) sk_log(SK_LOG_INFO, "io", "no io_uring here (%s): files are read by threads", sk_err_text(err));
    io_work_pool_open();
    files->part = (struct io_part){.wait = wait_for_some, .destroy = destroy};
    loop->parts[IO_PART_FILES] = &files->part;
    *out_files = files;
    return SK_OK;
}

static sk_err files_of(struct io_loop *loop, struct files **out_files) {
    struct io_part *part = loop->parts[IO_PART_FILES];
    if (!part) return create(loop, out_files);
    *out_files = SK_CONTAINER_OF(part, struct files, part);
    return SK_OK;
}

const char *io_file_engine(struct io_loop *loop) {
    struct files *files;
    return files_of(loop, &files) == SK_OK && files->ring ? "io_uring" : "threads";
}

/* --- work of the pool ---------------------------------------------------------------------------------- */

/* One operation, whole in a thread of the pool. */
static void perform(struct io_work *work) {
    struct io_file_op *op = SK_CONTAINER_OF(work, struct io_file_op, work);
    do {
        switch (op->kind) {
        case IO_FILE_READ: op->result = pread(op->fd, op->data, op->bytes, (off_t)op->offset); break;
        case IO_FILE_WRITE: op->result = pwrite(op->fd, op->data, op->bytes, (off_t)op->offset); break;
        case IO_FILE_SYNC: op->result = fdatasync(op->fd); break;
        }
    } while (op->result < 0 && errno == EINTR);
    if (op->result < 0) op->result = -errno;
}

static void on_performed(struct io_task *task) {
    struct io_file_op *op = SK_CONTAINER_OF(task, struct io_file_op, work.done);
    op->done = true;
    io_fiber_wake(op->fiber);
}

/* --- operations ---------------------------------------------------------------------------------------- */

/* Runs OP and parks until it is done, also when the fiber is cancelled meanwhile: its memory is in use. */
static sk_err run(struct io_loop *loop, struct io_file_op *op) {
    struct files *files;
    sk_err err = files_of(loop, &files);
    if (err) return err;
    op->fiber = io_fiber_self();
    SK_ASSERT(op->fiber != NULL);
    op->done = false;
    op->work = (struct io_work){.run = perform, .done.run = on_performed, .loop = loop};
    if (files->ring)
        io_file_ring_submit(files->ring, op);
    else if ((err = io_work_pool_submit(&op->work)))
        return err;
    loop->pins++;
    while (!op->done) io_fiber_park_through();
    loop->pins--;
    return op->result < 0 ? sk_err_from_errno((int)-op->result) : SK_OK;
}

/* What the kernel says when nothing was wrong but the moment. */
static bool worth_repeating(const struct io_file_op *op) {
    return op->result == -EINTR || op->result == -EAGAIN;
}

sk_err io_file_read(struct io_loop *loop, int fd, void *data, size_t bytes, uint64_t offset, size_t *out_n) {
    size_t total = 0;
    while (total < bytes) {
        struct io_file_op op = {.kind = IO_FILE_READ,
                                .fd = fd,
                                .data = (char *)data + total,
                                .bytes = bytes - total,
                                .offset = offset + total};
        sk_err err = run(loop, &op);
        if (err && !worth_repeating(&op)) return err;
        if (err) continue;
        if (op.result == 0) break;
        total += (size_t)op.result;
    }
    *out_n = total;
    return SK_OK;
}

sk_err io_file_write(struct io_loop *loop, int fd, const void *data, size_t bytes, uint64_t offset) {
    size_t total = 0;
    while (total < bytes) {
        struct io_file_op op = {.kind = IO_FILE_WRITE,
                                .fd = fd,
                                .data = (char *)data + total,
                                .bytes = bytes - total,
                                .offset = offset + total};
        sk_err err = run(loop, &op);
        if (err && !worth_repeating(&op)) return err;
        if (err) continue;
        if (op.result == 0) return SK_ERR_IO;
        total += (size_t)op.result;
    }
    return SK_OK;
}

sk_err io_file_sync(struct io_loop *loop, int fd) {
    struct io_file_op op = {.kind = IO_FILE_SYNC, .fd = fd};
    sk_err err;
    do err = run(loop, &op);
    while (err && worth_repeating(&op));
    return err;
}

struct blocking {
    struct io_work work;
    sk_err (*call)(void *arg);
    void *arg;
    sk_err result;
    struct io_fiber *fiber;
    bool done;
};

static void call(struct io_work *work) {
    struct blocking *blocking = SK_CONTAINER_OF(work, struct blocking, work);
    blocking->result = blocking->call(blocking->arg);
}

static void on_called(struct io_task *task) {
    struct blocking *blocking = SK_CONTAINER_OF(task, struct blocking, work.done);
    blocking->done = true;
    io_fiber_wake(blocking->fiber);
}

sk_err io_blocking(struct io_loop *loop, sk_err (*work)(void *arg), void *arg) {
    struct files *files;
    struct blocking blocking = {.work = {.run = call, .done.run = on_called, .loop = loop},
                                .call = work,
                                .arg = arg,
                                .fiber = io_fiber_self()};
    SK_ASSERT(blocking.fiber != NULL);
    sk_err err = files_of(loop, &files);
    if (!err) err = io_work_pool_submit(&blocking.work);
    if (err) return err;
    loop->pins++;
    while (!blocking.done) io_fiber_park_through();
    loop->pins--;
    return blocking.result;
}
