#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop.h"
#include "unit.h"

#define MS SK_NS_PER_MS

static struct io_loop *loop;

static int setup(void **state) {
    (void)state;
    assert_ok(io_loop_create("test", &loop));
    return 0;
}

static int teardown(void **state) {
    (void)state;
    io_loop_destroy(loop);
    return 0;
}

static void stop_on_timer(struct io_timer *timer) { io_loop_stop(loop), (void)timer; }

/* Runs the loop for MS milliseconds. */
static void run_for(int64_t ms) {
    struct io_timer timer = {0};
    io_timer_start(loop, &timer, sk_time_now() + ms * MS, stop_on_timer);
    io_loop_run(loop);
}

/* --- time --------------------------------------------------------------------------------------------- */

static sk_time_ns fired_at;
static void note_time(struct io_timer *timer) {
    fired_at = sk_time_now();
    (void)timer;
    io_loop_stop(loop);
}

static void a_timer_fires_at_or_a_little_after_its_deadline(void **state) {
    int late = 0;
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct io_timer timer = {0};
        sk_time_ns deadline = sk_time_now() + i * MS / 2;
        io_timer_start(loop, &timer, deadline, note_time);
        io_loop_run(loop);
        assert_true(fired_at >= deadline);
        late += fired_at > deadline + 2 * MS + MS / 2;
    }
    /* The machine may be busy, but not always. */
    assert_true(late < 20);
}

static void an_idle_loop_sleeps(void **state) {
    struct io_timer far = {0};
    struct rusage before, after;
    (void)state;
    io_timer_start(loop, &far, sk_time_now() + 3600 * SK_NS_PER_S, stop_on_timer);
    getrusage(RUSAGE_SELF, &before);
    run_for(300);
    getrusage(RUSAGE_SELF, &after);
    /* Once asleep for the 300 ms, and once a cascade; a loop that ticked would switch 300 times. */
    assert_true(after.ru_nvcsw - before.ru_nvcsw < 20);
    io_timer_stop(&far);
}

static void check_clocks(struct io_timer *timer) {
    (void)timer;
    assert_true(llabs(sk_wall_now_ns() - io_loop_wall_ns(loop)) < 5000 * MS);
    assert_true(llabs(sk_time_now() - io_loop_now(loop)) < 5000 * MS);
    assert_true(llabs(sk_wall_now_s() - io_loop_wall_s(loop)) <= 5);
    assert_ptr_equal(io_loop_current(), loop);
    io_loop_stop(loop);
}

static void the_loop_tells_the_time_and_itself(void **state) {
    struct io_timer timer = {0};
    (void)state;
    assert_null(io_loop_current());
    io_timer_start(loop, &timer, sk_time_now() + 20 * MS, check_clocks);
    io_loop_run(loop);
    assert_null(io_loop_current());
    assert_string_equal(io_loop_name(loop), "test");
}

/* --- watches ------------------------------------------------------------------------------------------ */

struct end {
    struct io_watch watch;
    int events;
    unsigned ready;
};

static void note_ready(struct io_watch *watch, unsigned ready) {
    struct end *end = SK_CONTAINER_OF(watch, struct end, watch);
    end->events++;
    end->ready |= ready;
}

static void open_pair(struct end *end, int *out_other) {
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    *end = (struct end){.watch = {.fd = pair[0], .on_ready = note_ready}};
    *out_other = pair[1];
}

static void readiness_is_told_once_an_edge(void **state) {
    struct end end;
    int other;
    (void)state;
    open_pair(&end, &other);
    assert_ok(io_watch_start(loop, &end.watch));
    run_for(5);
    assert_int_equal(end.events, 1);
    assert_int_equal(end.ready, IO_WRITABLE);
    assert_int_equal(write(other, "x", 1), 1);
    run_for(5);
    assert_int_equal(end.events, 2);
    assert_int_equal(end.ready, IO_WRITABLE | IO_READABLE);
    run_for(5);
    assert_int_equal(end.events, 2);
    close(other);
    run_for(5);
    assert_int_equal(end.events, 3);
    assert_int_equal(end.ready, IO_WRITABLE | IO_READABLE | IO_HANGUP);
    io_watch_stop(&end.watch);
    io_watch_stop(&end.watch);
    close(end.watch.fd);
}

static void a_watch_can_be_used_again(void **state) {
    struct end end;
    int other;
    (void)state;
    open_pair(&end, &other);
    for (int i = 1; i <= 3; i++) {
        assert_ok(io_watch_start(loop, &end.watch));
        run_for(2);
        assert_int_equal(end.events, i);
        io_watch_stop(&end.watch);
        assert_int_equal(write(other, "x", 1), 1);
        run_for(2);
        assert_int_equal(end.events, i);
    }
    close(end.watch.fd);
    close(other);
}

static int waited_on_fd; /* where who waits writes; -1: posts a task */
static bool awaited_before, awaited_after;
static void run_nothing(struct io_task *task) { (void)task; }
static struct io_task task_of_others = {.run = run_nothing};

static void run_long(struct io_timer *timer) {
    (void)timer;
    awaited_before = io_loop_is_awaited(loop);
    if (waited_on_fd < 0)
        io_loop_post(loop, &task_of_others);
    else
        assert_int_equal(write(waited_on_fd, "x", 1), 1);
    awaited_after = io_loop_is_awaited(loop);
}

static void who_runs_long_sees_that_others_wait(void **state) {
    struct end end;
    int other;
    (void)state;
    open_pair(&end, &other);
    assert_ok(io_watch_start(loop, &end.watch));
    for (int turn = 0; turn < 4; turn++) {
        struct io_timer timer = {0};
        waited_on_fd = turn % 2 ? -1 : other;
        run_for(5);
        io_timer_start(loop, &timer, sk_time_now() + MS, run_long);
        run_for(5);
        assert_false(awaited_before);
        assert_true(awaited_after);
    }
    io_watch_stop(&end.watch);
    close(end.watch.fd);
    close(other);
}

/* Two watches, ready in one batch; whichever is told first stops and frees the other. */
static struct end *both[2];
static int told;

static void kill_the_other(struct io_watch *watch, unsigned ready) {
    struct end *end = SK_CONTAINER_OF(watch, struct end, watch);
    int i = end == both[0] ? 1 : 0;
    (void)ready;
    told++;
    io_watch_stop(&both[i]->watch);
    close(both[i]->watch.fd);
    free(both[i]);
    io_watch_stop(&end->watch);
    close(end->watch.fd);
    free(end);
}

static void a_stop_within_a_batch_suppresses_what_is_stale(void **state) {
    int other[2];
    (void)state;
    told = 0;
    for (int i = 0; i < 2; i++) {
        both[i] = calloc(1, sizeof *both[i]);
        open_pair(both[i], &other[i]);
        both[i]->watch.on_ready = kill_the_other;
        assert_ok(io_watch_start(loop, &both[i]->watch));
    }
    run_for(5);
    assert_int_equal(told, 1);
    close(other[0]), close(other[1]);
}

/* The memory of a stopped watch is started again in the same batch: only the new socket's events count. */
static struct end shared;
static int replacement_fd;

static void replace_the_shared(struct io_watch *watch, unsigned ready) {
    (void)ready;
    io_watch_stop(watch);
    io_watch_stop(&shared.watch);
    close(shared.watch.fd);
    shared.watch.fd = replacement_fd;
    assert_ok(io_watch_start(loop, &shared.watch));
}

static void a_watch_restarted_within_a_batch_gets_no_stale_event(void **state) {
    struct end first, unused;
    int other[3];
    (void)state;
    open_pair(&first, &other[0]);
    open_pair(&shared, &other[1]);
    open_pair(&unused, &other[2]);
    replacement_fd = unused.watch.fd;
    first.watch.on_ready = replace_the_shared;
    assert_ok(io_watch_start(loop, &first.watch));
    assert_ok(io_watch_start(loop, &shared.watch));
    assert_int_equal(write(other[1], "x", 1), 1);
    run_for(5);
    assert_int_equal(shared.events, 1);
    assert_int_equal(shared.ready, IO_WRITABLE);
    io_watch_stop(&shared.watch);
    close(first.watch.fd), close(replacement_fd);
    for (int i = 0; i < 3; i++) close(other[i]);
}

/* --- tasks -------------------------------------------------------------------------------------------- */

struct numbered {
    struct io_task task;
    int number;
};

static int order[16], order_len;

static void note_order(struct io_task *task) {
    order[order_len++] = SK_CONTAINER_OF(task, struct numbered, task)->number;
}

static void deferred_tasks_run_in_order_and_may_defer(void **state) {
    struct numbered tasks[4];
    (void)state;
    order_len = 0;
    for (int i = 0; i < 4; i++) {
        tasks[i] = (struct numbered){.task.run = note_order, .number = i};
        io_loop_defer(loop, &tasks[i].task);
    }
    run_for(1);
    assert_int_equal(order_len, 4);
    for (int i = 0; i < 4; i++) assert_int_equal(order[i], i);
}

static int spins;
static void defer_again(struct io_task *task) {
    spins++;
    io_loop_defer(loop, task);
}

static void a_task_that_defers_itself_does_not_starve_timers(void **state) {
    struct numbered task = {.task.run = defer_again};
    (void)state;
    spins = 0;
    io_loop_defer(loop, &task.task);
    run_for(5);
    assert_true(spins > 5);
    /* The loop still holds it, and gives it its turn when destroyed: let it end there. */
    task.task.run = note_order;
    order_len = 0;
    io_loop_destroy(loop);
    assert_int_equal(order_len, 1);
    assert_ok(io_loop_create("test", &loop));
}

#define POSTERS 4
#define POSTS 20000

struct posted {
    struct io_task task;
    int poster, number;
};

static int last_number[POSTERS], received;

static void on_posted(struct io_task *task) {
    struct posted *posted = SK_CONTAINER_OF(task, struct posted, task);
    assert_int_equal(posted->number, last_number[posted->poster] + 1);
    last_number[posted->poster] = posted->number;
    if (++received == POSTERS * POSTS) io_loop_stop(loop);
    free(posted);
}

static void *post_many(void *arg) {
    int poster = (int)(intptr_t)arg;
    for (int i = 1; i <= POSTS; i++) {
        struct posted *posted = malloc(sizeof *posted);
        *posted = (struct posted){.task.run = on_posted, .poster = poster, .number = i};
        io_loop_post(loop, &posted->task);
        if (i % 64 == 0) usleep(50);
    }
    return NULL;
}

static void posts_of_many_threads_all_arrive_in_each_ones_order(void **state) {
    pthread_t threads[POSTERS];
    (void)state;
    received = 0;
    memset(last_number, 0, sizeof last_number);
    for (int i = 0; i < POSTERS; i++) pthread_create(&threads[i], NULL, post_many, (void *)(intptr_t)i);
    io_loop_run(loop);
    for (int i = 0; i < POSTERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(received, POSTERS * POSTS);
}

static void *ping(void *arg) {
    struct numbered *task = arg;
    usleep(20000);
    io_loop_post(loop, &task->task);
    return NULL;
}

static void note_and_stop(struct io_task *task) { note_order(task), io_loop_stop(loop); }

static void a_post_wakes_a_sleeping_loop(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct numbered task = {.task.run = note_and_stop, .number = i};
        pthread_t thread;
        order_len = 0;
        pthread_create(&thread, NULL, ping, &task);
        io_loop_run(loop);
        pthread_join(thread, NULL);
        assert_int_equal(order_len, 1);
    }
}

static void *stop_soon(void *arg) {
    (void)arg;
    usleep(20000);
    io_loop_stop(loop);
    return NULL;
}

static void stop_works_from_another_thread_and_before_run(void **state) {
    pthread_t thread;
    (void)state;
    pthread_create(&thread, NULL, stop_soon, NULL);
    io_loop_run(loop);
    pthread_join(thread, NULL);
    io_loop_stop(loop);
    io_loop_run(loop);
}

static void free_task(struct io_task *task) {
    order_len++, free(SK_CONTAINER_OF(task, struct numbered, task));
}

static void what_was_posted_to_a_loop_that_is_destroyed_is_run(void **state) {
    struct numbered *posted = calloc(1, sizeof *posted), *deferred = calloc(1, sizeof *deferred);
    (void)state;
    order_len = 0;
    posted->task.run = deferred->task.run = free_task;
    io_loop_post(loop, &posted->task);
    io_loop_defer(loop, &deferred->task);
    io_loop_destroy(loop);
    assert_int_equal(order_len, 2);
    assert_ok(io_loop_create("test", &loop));
}

/* --- hooks and signals -------------------------------------------------------------------------------- */

static int sleeps, wakes;
static void before_sleep(void *arg) {
    sleeps++, assert_ptr_equal(arg, &sleeps), assert_int_equal(sleeps, wakes + 1);
}
static void after_wake(void *arg) {
    wakes++, assert_ptr_equal(arg, &sleeps), assert_int_equal(sleeps, wakes);
}

static void hooks_surround_every_sleep(void **state) {
    (void)state;
    sleeps = wakes = 0;
    io_loop_set_idle_hooks(loop, before_sleep, after_wake, &sleeps);
    run_for(5);
    assert_true(sleeps > 0 && sleeps == wakes);
    io_loop_set_idle_hooks(loop, NULL, NULL, NULL);
    int before = sleeps;
    run_for(2);
    assert_int_equal(sleeps, before);
}

static struct numbered posted_late;
static void post_late(void *arg) {
    (void)arg;
    if (order_len == 0 && posted_late.number++ == 1) io_loop_post(loop, &posted_late.task);
}

static void a_post_just_before_the_sleep_is_not_slept_over(void **state) {
    struct io_timer timer = {0};
    (void)state;
    order_len = 0;
    posted_late = (struct numbered){.task.run = note_and_stop};
    io_loop_set_idle_hooks(loop, post_late, NULL, NULL);
    sk_time_ns start = sk_time_now();
    io_timer_start(loop, &timer, start + 20000 * MS, stop_on_timer);
    io_loop_run(loop);
    assert_int_equal(order_len, 1);
    assert_true(sk_time_now() - start < 10000 * MS);
    io_timer_stop(&timer);
}

static int signals_seen[65];
static void on_signal(int signo, void *arg) {
    signals_seen[signo]++;
    assert_ptr_equal(arg, signals_seen);
    if (signals_seen[SIGHUP] && signals_seen[SIGTERM]) io_loop_stop(loop);
}

static void signals_arrive_as_events(void **state) {
    (void)state;
    io_signals_block();
    assert_ok(io_loop_on_signal(loop, SIGHUP, on_signal, signals_seen));
    assert_ok(io_loop_on_signal(loop, SIGTERM, on_signal, signals_seen));
    assert_err(io_loop_on_signal(loop, 0, on_signal, NULL), SK_ERR_INVALID);
    kill(getpid(), SIGHUP);
    kill(getpid(), SIGTERM);
    io_loop_run(loop);
    assert_int_equal(signals_seen[SIGHUP], 1);
    assert_int_equal(signals_seen[SIGTERM], 1);
    signals_seen[SIGTERM] = 0;
    kill(getpid(), SIGTERM);
    io_loop_run(loop);
    assert_int_equal(signals_seen[SIGTERM], 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_timer_fires_at_or_a_little_after_its_deadline),
        TEST(an_idle_loop_sleeps),
        TEST(the_loop_tells_the_time_and_itself),
        TEST(readiness_is_told_once_an_edge),
        TEST(a_watch_can_be_used_again),
        TEST(who_runs_long_sees_that_others_wait),
        TEST(a_stop_within_a_batch_suppresses_what_is_stale),
        TEST(a_watch_restarted_within_a_batch_gets_no_stale_event),
        TEST(deferred_tasks_run_in_order_and_may_defer),
        TEST(a_task_that_defers_itself_does_not_starve_timers),
        TEST(posts_of_many_threads_all_arrive_in_each_ones_order),
        TEST(a_post_wakes_a_sleeping_loop),
        TEST(stop_works_from_another_thread_and_before_run),
        TEST(what_was_posted_to_a_loop_that_is_destroyed_is_run),
        TEST(hooks_surround_every_sleep),
        TEST(a_post_just_before_the_sleep_is_not_slept_over),
        TEST(signals_arrive_as_events),
    };
    return SK_RUN_TESTS(tests);
}
