#include "io/loop.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "io/loop_private.h"

/* So often deferred tasks may defer others before the sockets get their turn again. */
#define DEFER_ROUNDS 8
/* So many rounds of tasks a loop that is destroyed runs before it gives up on them. */
#define DRAIN_ROUNDS 10000
#define WALL_MAX_AGE_NS SK_NS_PER_MS

static _Thread_local struct io_loop *current;

/* --- tasks ------------------------------------------------------------------------------------------ */

static void queue_init(struct io_task_queue *queue) {
    queue->first = NULL;
    queue->last = &queue->first;
}

static void queue_push(struct io_task_queue *queue, struct io_task *task) {
    task->next = NULL;
    *queue->last = task;
    queue->last = &task->next;
}

/* Runs a chain of tasks; each may free itself. */
static void run_chain(struct io_task *task) {
    while (task) {
        struct io_task *next = task->next;
        task->run(task);
        task = next;
    }
}

static struct io_task *queue_take(struct io_task_queue *queue) {
    struct io_task *first = queue->first;
    queue_init(queue);
    return first;
}

static struct io_task *reversed(struct io_task *task) {
    struct io_task *done = NULL;
    while (task) {
        struct io_task *next = task->next;
        task->next = done;
        done = task;
        task = next;
    }
    return done;
}

void io_loop_defer(struct io_loop *loop, struct io_task *task) { queue_push(&loop->deferred, task); }

void io_loop_defer_to_next(struct io_loop *loop, struct io_task *task) { queue_push(&loop->next, task); }

static void run_tasks(struct io_loop *loop) {
    struct io_task *postponed = queue_take(&loop->next);
    for (int round = 0; loop->deferred.first && round < DEFER_ROUNDS; round++)
        run_chain(queue_take(&loop->deferred));
    run_chain(postponed);
}

static void wake_if_sleeping(struct io_loop *loop) {
    /* See struct io_loop for the order. The exchange lets one of many posters pay for the wake-up. */
    if (!atomic_load(&loop->sleeping) || !atomic_exchange(&loop->sleeping, false)) return;
    uint64_t one = 1;
    ssize_t n;
    do n = write(loop->wake_fd, &one, sizeof one);
    while (n < 0 && errno == EINTR);
}

void io_loop_post(struct io_loop *loop, struct io_task *task) {
    struct io_task *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do task->next = head;
    while (!atomic_compare_exchange_weak(&loop->posted, &head, task));
    wake_if_sleeping(loop);
}

static void run_posted(struct io_loop *loop) {
    /* relaxed: only a hint; the exchange orders what the tasks carry. */
    if (!atomic_load_explicit(&loop->posted, memory_order_relaxed)) return;
    run_chain(reversed(atomic_exchange(&loop->posted, NULL)));
}

/* --- watches ---------------------------------------------------------------------------------------- */

sk_err io_watch_start(struct io_loop *loop, struct io_watch *watch) {
    SK_ASSERT(watch->loop == NULL && watch->on_ready != NULL);
    uint32_t writable = watch->read_only ? 0 : EPOLLOUT;
    struct epoll_event event = {.events = EPOLLIN | writable | EPOLLRDHUP | EPOLLET, .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0) return sk_err_from_errno(errno);
    watch->loop = loop;
    return SK_OK;
}

/* A batch is at most IO_LOOP_EVENTS long, so looking through its rest when a watch stops is cheaper than
 * a generation checked at every event. */
static void forget_events(struct io_loop *loop, const struct io_watch *watch) {
    for (int i = loop->event_at + 1; i < loop->event_count; i++)
        if (loop->events[i].data.ptr == watch) loop->events[i].data.ptr = NULL;
}

void io_watch_stop(struct io_watch *watch) {
    struct io_loop *loop = watch->loop;
    if (!loop) return;
    watch->loop = NULL;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    forget_events(loop, watch);
}

static unsigned ready_of(uint32_t events) {
    unsigned ready = 0;
    if (events & EPOLLIN) ready |= IO_READABLE;
    if (events & EPOLLOUT) ready |= IO_WRITABLE;
    if (events & EPOLLRDHUP) ready |= IO_READABLE | IO_HANGUP;
    if (events & (EPOLLHUP | EPOLLERR)) ready |= IO_READABLE | IO_WRITABLE | IO_HANGUP;
    return ready;
}

static void deliver_events(struct io_loop *loop) {
    for (loop->event_at = 0; loop->event_at < loop->event_count; loop->event_at++) {
        struct epoll_event *event = &loop->events[loop->event_at];
        struct io_watch *watch = event->data.ptr;
        if (watch) watch->on_ready(watch, ready_of(event->events));
    }
    loop->event_at = loop->event_count = 0;
}

/* The wake-up itself is all that the eventfd has to say. */
static void on_wake(struct io_watch *watch, unsigned ready) { (void)watch, (void)ready; }

/* --- timers ----------------------------------------------------------------------------------------- */

void io_timer_start(struct io_loop *loop, struct io_timer *timer, sk_time_ns deadline,
                    void (*on_timer)(struct io_timer *timer)) {
    timer->on_timer = on_timer;
    io_wheel_start(&loop->wheel, timer, deadline);
}

void io_timer_stop(struct io_timer *timer) {
    if (sk_list_linked(&timer->link)) sk_list_remove(&timer->link);
}

bool io_timer_armed(const struct io_timer *timer) { return sk_list_linked(&timer->link); }

/* --- running ---------------------------------------------------------------------------------------- */

static void read_clocks(struct io_loop *loop) {
    loop->now = sk_time_now();
    if (loop->now - loop->wall_read_at >= WALL_MAX_AGE_NS) {
        loop->wall_read_at = loop->now;
        loop->wall_read_ns = sk_wall_now_ns();
    }
    loop->wall_ns = loop->wall_read_ns + (loop->now - loop->wall_read_at);
}

/* Milliseconds until the next timer, rounded up; -1 for never. */
static int timer_timeout_ms(struct io_loop *loop) {
    sk_time_ns next = io_wheel_next(&loop->wheel);
    if (next == SK_TIME_NEVER) return -1;
    if (next <= loop->now) return 0;
    int64_t ms = (next - loop->now + SK_NS_PER_MS - 1) / SK_NS_PER_MS;
    return (int)SK_MIN(ms, (int64_t)INT_MAX);
}

/* How long the loop may sleep, having told other threads that from now on it must be woken. */
static int sleep_timeout_ms(struct io_loop *loop) {
    int timeout_ms = loop->deferred.first || loop->next.first ? 0 : timer_timeout_ms(loop);
    if (timeout_ms == 0) return 0;
    /* See struct io_loop for the order. */
    atomic_store(&loop->sleeping, true);
    if (atomic_load(&loop->posted) || atomic_load(&loop->stopping)) timeout_ms = 0;
    return timeout_ms;
}

static void wait_for_events(struct io_loop *loop) {
    if (loop->before_sleep) loop->before_sleep(loop->hook_arg);
    if (loop->flush) loop->flush(loop->flush_arg);
    int n = epoll_wait(loop->epoll_fd, loop->events, IO_LOOP_EVENTS, sleep_timeout_ms(loop));
    /* relaxed: a poster who still sees `true` only writes the eventfd in vain. */
    atomic_store_explicit(&loop->sleeping, false, memory_order_relaxed);
    SK_ASSERT(n >= 0 || errno == EINTR);
    loop->event_count = n < 0 ? 0 : n;
    read_clocks(loop);
    if (loop->after_wake) loop->after_wake(loop->hook_arg);
}

/* Events before timers: data that came in time wins over its timeout. */
static void iterate(struct io_loop *loop) {
    wait_for_events(loop);
    deliver_events(loop);
    run_posted(loop);
    io_wheel_expire(&loop->wheel, loop->now);
    run_tasks(loop);
}

void io_loop_run(struct io_loop *loop) {
    SK_CHECK_MAGIC(loop, IO_LOOP_MAGIC);
    SK_ASSERT(current == NULL);
    /* The main thread's name is the process's name; that one stays. */
    if (gettid() != getpid()) pthread_setname_np(pthread_self(), loop->name);
    current = loop;
    read_clocks(loop);
    while (!atomic_load_explicit(&loop->stopping, memory_order_relaxed)) iterate(loop);
    atomic_store(&loop->stopping, false);
    current = NULL;
}

void io_loop_stop(struct io_loop *loop) {
    atomic_store(&loop->stopping, true);
    wake_if_sleeping(loop);
}

struct io_loop *io_loop_current(void) { return current; }

sk_time_ns io_loop_now(const struct io_loop *loop) { return loop->now; }

int64_t io_loop_wall_ns(const struct io_loop *loop) { return loop->wall_ns; }

sk_unix_s io_loop_wall_s(const struct io_loop *loop) { return loop->wall_ns / SK_NS_PER_S; }

const char *io_loop_name(const struct io_loop *loop) { return loop->name; }

bool io_loop_is_awaited(const struct io_loop *loop) {
    struct pollfd ready = {.fd = loop->epoll_fd, .events = POLLIN};
    /* relaxed: a task that is posted this moment is seen the next time. */
    return atomic_load_explicit(&loop->posted, memory_order_relaxed) || poll(&ready, 1, 0) > 0;
}

void io_loop_set_idle_hooks(struct io_loop *loop, void (*before_sleep)(void *arg),
                            void (*after_wake)(void *arg), void *arg) {
    loop->before_sleep = before_sleep;
    loop->after_wake = after_wake;
    loop->hook_arg = arg;
}

/* --- creation and destruction ------------------------------------------------------------------------ */

static sk_err open_descriptors(struct io_loop *loop) {
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) return sk_err_from_errno(errno);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0) return sk_err_from_errno(errno);
    loop->wake_watch = (struct io_watch){.fd = loop->wake_fd, .on_ready = on_wake};
    return io_watch_start(loop, &loop->wake_watch);
}

static void close_descriptors(struct io_loop *loop) {
    if (loop->wake_fd >= 0) close(loop->wake_fd);
    if (loop->epoll_fd >= 0) close(loop->epoll_fd);
}

sk_err io_loop_create(const char *name, struct io_loop **out_loop) {
    struct io_loop *loop = aligned_alloc(alignof(struct io_loop), sizeof *loop);
    if (!loop) return SK_ERR_NO_MEMORY;
    memset(loop, 0, sizeof *loop);
    loop->magic = IO_LOOP_MAGIC;
    loop->epoll_fd = loop->wake_fd = -1;
    strncpy(loop->name, name, 15); /* what the kernel takes as a thread's name */
    queue_init(&loop->deferred);
    queue_init(&loop->next);
    sk_err err = open_descriptors(loop);
    if (err) {
        close_descriptors(loop);
        free(loop);
        return err;
    }
    /* sendfile(2) has no MSG_NOSIGNAL. */
    signal(SIGPIPE, SIG_IGN);
    read_clocks(loop);
    io_wheel_init(&loop->wheel, loop->now);
    *out_loop = loop;
    return SK_OK;
}

static bool has_tasks(struct io_loop *loop) {
    return loop->deferred.first || loop->next.first || atomic_load(&loop->posted);
}

/* What was given to the loop is run, not dropped, for its owners free it there; fibers are cancelled and
 * get the time to clean up; and memory that the kernel or a pool thread works on must outlive that work. */
static void drain(struct io_loop *loop) {
    for (int i = 0; i < IO_PART_COUNT; i++)
        if (loop->parts[i] && loop->parts[i]->cancel) loop->parts[i]->cancel(loop, loop->parts[i]);
    for (int round = 0; (has_tasks(loop) || loop->pins) && round < DRAIN_ROUNDS; round++) {
        run_posted(loop);
        run_tasks(loop);
        struct io_part *files = loop->parts[IO_PART_FILES];
        if (loop->pins && !has_tasks(loop) && files) files->wait(loop, files);
    }
}

void io_loop_destroy(struct io_loop *loop) {
    SK_CHECK_MAGIC(loop, IO_LOOP_MAGIC);
    struct io_loop *outer = current;
    SK_ASSERT(outer != loop);
    current = loop;
    drain(loop);
    for (int i = 0; i < IO_PART_COUNT; i++)
        if (loop->parts[i]) loop->parts[i]->destroy(loop, loop->parts[i]);
    current = outer;
    close_descriptors(loop);
    loop->magic = 0;
    free(loop);
}
