/* What the files of src/io know of a loop beyond its public face. Nothing outside of src/io includes it. */
#ifndef SK_IO_LOOP_PRIVATE_H
#define SK_IO_LOOP_PRIVATE_H

#include <stdalign.h>
#include <sys/epoll.h>

#include "io/loop.h"
#include "io/wheel.h"

#define IO_LOOP_MAGIC 0x4c4f4f50u /* "LOOP" */
#define IO_LOOP_EVENTS 256
#define IO_CACHE_LINE 64

/* Per-loop state of another file of src/io, made at its first use and destroyed with the loop, in this
 * order: what may still have work under way comes first. */
enum io_part_kind {
    IO_PART_FILES,
    IO_PART_PROCESSES,
    IO_PART_LINGER,
    IO_PART_SIGNALS,
    IO_PART_FIBERS,
    IO_PART_COUNT
};
struct io_part {
    /* The loop is to be destroyed: asks what still runs to end. May be NULL. */
    void (*cancel)(struct io_loop *loop, struct io_part *part);
    /* Blocks for a moment, until some pinned operations are complete. May be NULL. */
    void (*wait)(struct io_loop *loop, struct io_part *part);
    /* Frees the part and all that it holds. */
    void (*destroy)(struct io_loop *loop, struct io_part *part);
};

/* Tasks in the order of their arrival. */
struct io_task_queue {
    struct io_task *first, **last;
};

struct io_loop {
    uint32_t magic;

    /* set once at creation */
    int epoll_fd;
    int wake_fd; /* eventfd; edge-triggered, so never read */
    char name[32];

    /* owner thread only */
    sk_time_ns now;
    int64_t wall_ns;
    sk_time_ns wall_read_at; /* when (monotonic) wall_ns was last read from the clock */
    int64_t wall_read_ns;
    struct io_task_queue deferred; /* for the end of this iteration */
    struct io_task_queue next;     /* for the end of the next one */
    int event_at, event_count;     /* the event under delivery, and how many this batch has */
    size_t pins;                   /* operations under way that post a completion for sure */
    void (*before_sleep)(void *arg);
    void (*after_wake)(void *arg);
    void *hook_arg;
    void (*flush)(void *arg); /* submits queued file operations before the sleep; NULL when there are none */
    void *flush_arg;
    struct io_part *parts[IO_PART_COUNT];
    struct io_watch wake_watch;
    struct io_wheel wheel;
    struct epoll_event events[IO_LOOP_EVENTS];

    /* any thread, atomic. The order of these three is sequentially consistent: a poster first pushes (or
     * stops), then looks at `sleeping`; the loop first sets `sleeping`, then looks at the other two. So at
     * least one of them sees the other, and no wake-up is lost. */
    alignas(IO_CACHE_LINE) _Atomic(struct io_task *) posted; /* newest first */
    _Atomic bool sleeping;
    _Atomic bool stopping;
};

#endif
