/* The event loop: one a thread, edge-triggered epoll, a timer wheel, tasks posted by other threads.
 *
 * Everything that belongs to a loop (watches, timers, fibers, streams) is touched on its thread only; the
 * one door for other threads is io_loop_post. The loop hides what the platform does (epoll for sockets,
 * io_uring for files): nobody above it includes <sys/epoll.h>. */
#ifndef SK_IO_LOOP_H
#define SK_IO_LOOP_H

#include "base/err.h"
#include "base/list.h"
#include "base/time.h"

struct io_loop;

/* Makes a loop for the calling thread to run later. NAME is copied ("worker-3") and names the thread. */
sk_err io_loop_create(const char *name, struct io_loop **out_loop);
/* Only after io_loop_run has returned (or never ran); frees the fibers' stacks. */
void io_loop_destroy(struct io_loop *loop);
/* Runs on the calling thread until io_loop_stop. Makes the loop current for the thread. */
void io_loop_run(struct io_loop *loop);
/* Any thread. run returns after the present iteration. */
void io_loop_stop(struct io_loop *loop);
/* The loop that the calling thread runs; NULL outside of one. */
struct io_loop *io_loop_current(void);
/* Monotonic time read once an iteration; own thread. */
sk_time_ns io_loop_now(const struct io_loop *loop);
/* Wall clock read once an iteration (at most 1 ms old while busy); own thread. */
sk_unix_s io_loop_wall_s(const struct io_loop *loop);
int64_t io_loop_wall_ns(const struct io_loop *loop);
const char *io_loop_name(const struct io_loop *loop);
/* Whether a descriptor or a posted task waits for the loop to come round, for what runs long because nobody does; costs a
 * system call. Own thread. */
bool io_loop_is_awaited(const struct io_loop *loop);

/* --- watches: readiness of a file descriptor ------------------------------------------------------- */

enum io_ready { IO_READABLE = 1, IO_WRITABLE = 2, IO_HANGUP = 4 /* peer closed or error */ };

struct io_watch {
    /* set by the owner before io_watch_start */
    int fd;
    void (*on_ready)(struct io_watch *watch, unsigned ready); /* may stop and free its own watch */
    bool read_only; /* never told IO_WRITABLE: datagram sockets, which become writable with each one sent */
    /* the loop's; NULL while not started */
    struct io_loop *loop;
};

/* Registers both directions, edge-triggered: after each call of on_ready the owner must go on until the
 * socket says EAGAIN, or remember that it did not. The watch must stay at its address. */
sk_err io_watch_start(struct io_loop *loop, struct io_watch *watch);
/* After it no event of this watch is delivered, also none of the present batch. Does not close the fd;
 * call it before closing. Safe on a watch that was never started. */
void io_watch_stop(struct io_watch *watch);

/* --- timers: hierarchical wheel, 1 ms ticks, O(1) ------------------------------------------------- */

struct io_timer {
    struct sk_list link;
    sk_time_ns deadline;
    void (*on_timer)(struct io_timer *timer);
};

/* (Re)arms: fires once, at or up to 2 ms after DEADLINE. A zeroed timer is valid and unarmed. */
void io_timer_start(struct io_loop *loop, struct io_timer *timer, sk_time_ns deadline,
                    void (*on_timer)(struct io_timer *timer));
void io_timer_stop(struct io_timer *timer);
bool io_timer_armed(const struct io_timer *timer);

/* --- tasks ------------------------------------------------------------------------------------------ */

/* Intrusive; owned by the loop from post until `run` is called, then the callee's (it may free it). */
struct io_task {
    struct io_task *next;
    void (*run)(struct io_task *task);
};

/* Any thread. Many posts before the loop wakes cost one wake-up (eventfd written only by the first post
 * that finds the loop asleep). Order is kept for one poster. A loop that is destroyed runs what is left. */
void io_loop_post(struct io_loop *loop, struct io_task *task);
/* Own thread: runs at the end of the present iteration, before the loop sleeps. */
void io_loop_defer(struct io_loop *loop, struct io_task *task);
/* Own thread: runs at the end of the next iteration, after another look at the sockets; for who has had its
 * turn and has more to do. */
void io_loop_defer_to_next(struct io_loop *loop, struct io_task *task);

/* Called on the loop's thread before each look at the sockets, whether it will sleep or not, and after it
 * (RCU quiescence, batching). NULL clears. One of each a loop. */
void io_loop_set_idle_hooks(struct io_loop *loop, void (*before_sleep)(void *arg),
                            void (*after_wake)(void *arg), void *arg);

/* --- signals (one loop of the process only) ------------------------------------------------------- */

/* Delivers SIGNO (blocked in every thread by io_signals_block before threads start) to the callback on
 * this loop's thread. */
void io_signals_block(void);
sk_err io_loop_on_signal(struct io_loop *loop, int signo, void (*on_signal)(int signo, void *arg), void *arg);

#endif
