#include "edge/settle.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

#define PATIENCE_S 1

struct settling;

struct settle_mark {
    struct io_task task;
    struct settling *settling;
};

/* Goes with the last of those who look at it: the main thread and each worker that has a mark. */
struct settling {
    atomic_uint users;
    sem_t passed;
    struct settle_mark marks[];
};

static void leave(struct settling *settling) {
    if (atomic_fetch_sub(&settling->users, 1) > 1) return;
    sem_destroy(&settling->passed);
    free(settling);
}

/* A worker's thread: messages are taken in the order in which they were sent. */
static void on_mark(struct io_task *task) {
    struct settling *settling = SK_CONTAINER_OF(task, struct settle_mark, task)->settling;
    sem_post(&settling->passed);
    leave(settling);
}

static unsigned send_marks(struct edge_process *process, struct settling *settling) {
    unsigned sent = 0;
    for (unsigned i = 0; i < process->worker_count; i++) {
        struct settle_mark *mark = &settling->marks[i];
        struct edge_worker *worker;
        *mark = (struct settle_mark){.task.run = on_mark, .settling = settling};
        atomic_fetch_add(&settling->users, 1);
        if (edge_process_post(process, i, &mark->task, &worker) == SK_OK)
            sent++;
        else
            atomic_fetch_sub(&settling->users, 1); /* this worker has ended; ours is still there */
    }
    return sent;
}

static bool await_one(struct settling *settling, const struct timespec *until) {
    int result;
    do result = sem_clockwait(&settling->passed, CLOCK_MONOTONIC, until);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

bool edge_settle(struct edge_process *process) {
    struct settling *settling =
        calloc(1, sizeof *settling + process->worker_count * sizeof settling->marks[0]);
    struct timespec until;
    bool all = true;
    if (!settling) return false;
    atomic_init(&settling->users, 1);
    sem_init(&settling->passed, 0, 0);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PATIENCE_S;
    for (unsigned left = send_marks(process, settling); all && left; left--)
        all = await_one(settling, &until);
    leave(settling);
    return all;
}
