#include "fleet/deep.h"

struct deep {
    struct io_task task;
    struct io_fiber *waiting;
    sk_err (*work)(void *arg);
    void *arg;
    sk_err err;
    bool done;
};

static void run(struct io_task *task) {
    struct deep *deep = SK_CONTAINER_OF(task, struct deep, task);
    deep->err = deep->work(deep->arg);
    deep->done = true;
    io_fiber_wake(deep->waiting);
}

sk_err fleet_deeply(sk_err (*work)(void *arg), void *arg) {
    struct deep deep = {.task.run = run, .waiting = io_fiber_self(), .work = work, .arg = arg};
    if (!io_loop_current()) io_fiber_yield(); /* begun before the loop runs */
    io_loop_defer(io_loop_current(), &deep.task);
    while (!deep.done) (void)!io_fiber_park(SK_TIME_NEVER); /* also when cancelled: the task has our memory */
    return deep.err;
}
