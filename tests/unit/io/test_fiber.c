#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "io/fiber.h"
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

static void run_for(int64_t ms) {
    struct io_timer timer = {0};
    io_timer_start(loop, &timer, sk_time_now() + ms * MS, stop_on_timer);
    io_loop_run(loop);
}

static struct io_fiber *spawn(io_fiber_main *main_function, void *arg) {
    struct io_fiber *fiber;
    assert_ok(io_fiber_spawn(loop, "test", main_function, arg, &fiber));
    return fiber;
}

/* --- one fiber ---------------------------------------------------------------------------------------- */

struct story {
    int steps;
    sk_err err;
    sk_time_ns deadline;
    struct io_fiber *self;
};

static void park_once(void *arg) {
    struct story *story = arg;
    story->steps = 1;
    story->self = io_fiber_self();
    story->err = io_fiber_park(story->deadline);
    story->steps = 2;
}

static void a_fiber_runs_at_once_until_its_first_park(void **state) {
    struct story story = {.deadline = SK_TIME_NEVER};
    (void)state;
    struct io_fiber *fiber = spawn(park_once, &story);
    assert_int_equal(story.steps, 1);
    assert_ptr_equal(story.self, fiber);
    assert_null(io_fiber_self());
    assert_int_equal(io_fiber_count(loop), 1);
    run_for(5);
    assert_int_equal(story.steps, 1);
    io_fiber_wake(fiber);
    io_fiber_wake(fiber);
    run_for(5);
    assert_int_equal(story.steps, 2);
    assert_int_equal(story.err, SK_OK);
    assert_int_equal(io_fiber_count(loop), 0);
}

static void a_park_times_out(void **state) {
    struct story story = {.deadline = sk_time_now() + 5 * MS};
    (void)state;
    spawn(park_once, &story);
    run_for(20);
    assert_int_equal(story.steps, 2);
    assert_int_equal(story.err, SK_ERR_TIMEOUT);
    struct story past = {.deadline = 1};
    spawn(park_once, &past);
    assert_int_equal(past.err, SK_ERR_TIMEOUT);
}

static void wake_self_then_park(void *arg) {
    struct story *story = arg;
    io_fiber_wake(io_fiber_self());
    io_fiber_wake(io_fiber_self());
    story->err = io_fiber_park(SK_TIME_NEVER);
    story->steps = 1;
    /* Two wakes are one token. */
    story->err = io_fiber_park(io_loop_now(loop) + 5 * MS);
    story->steps = 2;
}

static void a_wake_before_the_park_is_kept_as_one_token(void **state) {
    struct story story = {0};
    (void)state;
    spawn(wake_self_then_park, &story);
    assert_int_equal(story.steps, 1);
    assert_int_equal(story.err, SK_OK);
    run_for(20);
    assert_int_equal(story.steps, 2);
    assert_int_equal(story.err, SK_ERR_TIMEOUT);
}

static void park_thrice(void *arg) {
    struct story *story = arg;
    for (int i = 0; i < 3; i++) {
        story->err = io_fiber_park(SK_TIME_NEVER);
        if (story->err == SK_ERR_CANCELLED) story->steps++;
    }
}

static void cancellation_is_sticky(void **state) {
    struct story story = {0};
    (void)state;
    struct io_fiber *fiber = spawn(park_thrice, &story);
    assert_false(io_fiber_cancelled(fiber));
    io_fiber_cancel(fiber);
    assert_true(io_fiber_cancelled(fiber));
    run_for(5);
    assert_int_equal(story.steps, 3);
    assert_int_equal(io_fiber_count(loop), 0);
}

static void wake_timeout_and_cancel_may_meet_in_one_iteration(void **state) {
    struct story story = {.deadline = sk_time_now() + 2 * MS};
    (void)state;
    struct io_fiber *fiber = spawn(park_once, &story);
    usleep(5000);
    io_fiber_wake(fiber);
    io_fiber_cancel(fiber);
    run_for(5);
    assert_int_equal(story.steps, 2);
    assert_int_equal(story.err, SK_ERR_CANCELLED);
}

static void sleeper(void *arg) {
    struct story *story = arg;
    story->err = io_fiber_sleep_until(story->deadline);
    story->steps = 2;
    assert_true(sk_time_now() >= story->deadline);
}

static void sleep_is_not_cut_short_by_wakes_but_by_cancellation(void **state) {
    struct story story = {.deadline = sk_time_now() + 30 * MS};
    (void)state;
    struct io_fiber *fiber = spawn(sleeper, &story);
    io_fiber_wake(fiber);
    run_for(5);
    assert_int_equal(story.steps, 0);
    run_for(60);
    assert_int_equal(story.steps, 2);
    assert_int_equal(story.err, SK_OK);
    struct story cut = {.deadline = SK_TIME_NEVER};
    fiber = spawn(park_once, &cut);
    io_fiber_cancel(fiber);
    run_for(5);
    assert_int_equal(cut.err, SK_ERR_CANCELLED);
}

/* --- several ------------------------------------------------------------------------------------------ */

static int yields;
static bool done_yielding;
static void yielder(void *arg) {
    (void)arg;
    while (!done_yielding) yields++, io_fiber_yield();
}
static void end_yielding(struct io_timer *timer) { done_yielding = true, (void)timer; }

static void yielding_lets_timers_and_other_fibers_run(void **state) {
    struct io_timer timer = {0};
    struct story story = {.deadline = sk_time_now() + 2 * MS};
    (void)state;
    yields = 0;
    done_yielding = false;
    io_timer_start(loop, &timer, sk_time_now() + 10 * MS, end_yielding);
    struct io_fiber *fiber = spawn(yielder, NULL);
    io_fiber_wake(fiber); /* must not make it run twice at once */
    spawn(park_once, &story);
    run_for(30);
    assert_true(yields > 10);
    assert_int_equal(story.steps, 2);
    assert_int_equal(io_fiber_count(loop), 0);
}

static void nested(void *arg) {
    struct story *story = arg;
    struct story inner = {.deadline = SK_TIME_NEVER};
    struct io_fiber *me = io_fiber_self(), *child;
    assert_ok(io_fiber_spawn(loop, "inner", park_once, &inner, &child));
    assert_ptr_equal(io_fiber_self(), me);
    assert_int_equal(inner.steps, 1);
    io_fiber_wake(child);
    while (inner.steps < 2) io_fiber_yield();
    story->steps = 3;
}

static void a_fiber_may_spawn_a_fiber(void **state) {
    struct story story = {0};
    (void)state;
    spawn(nested, &story);
    run_for(5);
    assert_int_equal(story.steps, 3);
}

/* TSan itself ends at 8,128. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MANY 5000
#endif
#endif
#ifndef MANY
#define MANY 10000
#endif

static struct io_fiber *many[MANY];
static int ended;

static void count_down(void *arg) {
    unsigned char filling[3000];
    memset(filling, (int)(intptr_t)arg, sizeof filling);
    while (io_fiber_park(io_loop_now(loop) + 200 * MS) == SK_OK)
        if (sk_random_below(4) == 0) break;
    for (size_t i = 0; i < sizeof filling; i++) assert_int_equal(filling[i], (intptr_t)arg & 0xff);
    many[(intptr_t)arg] = NULL;
    ended++;
}

static void ten_thousand_fibers_live_at_once(void **state) {
    (void)state;
    ended = 0;
    for (intptr_t i = 0; i < MANY; i++) many[i] = spawn(count_down, (void *)i);
    assert_int_equal(io_fiber_count(loop), MANY);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < MANY; i++)
            if (many[i]) (i % 7 ? io_fiber_wake : io_fiber_cancel)(many[i]);
        run_for(1);
    }
    for (int i = 0; i < 100 && ended < MANY; i++) run_for(100);
    assert_int_equal(ended, MANY);
    assert_int_equal(io_fiber_count(loop), 0);
}

static size_t resident_bytes(void) {
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    SK_ASSERT(f != NULL);
    assert_int_equal(fscanf(f, "%*u %lu", &pages), 1);
    fclose(f);
    return pages * 4096;
}

static void surplus_stacks_are_given_back(void **state) {
    (void)state;
    ended = 0;
    for (intptr_t i = 0; i < 5000; i++) many[i] = spawn(count_down, (void *)i);
    size_t peak = resident_bytes();
    for (int i = 0; i < 5000; i++) io_fiber_cancel(many[i]);
    for (int i = 0; i < 100 && resident_bytes() + 4000 * 4096 >= peak; i++) run_for(300);
    assert_int_equal(ended, 5000);
    assert_true(resident_bytes() + 4000 * 4096 < peak);
}

/* --- other threads ------------------------------------------------------------------------------------ */

#define THREADS 4
#define CALLS 2000

/* A fiber that has another thread do something and waits for the answer, as file I/O does. */
struct call {
    struct io_task task;
    struct io_fiber *fiber;
    bool done;
    int value;
    struct call *next;
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct call *first;
    bool closed;
} inbox = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, false};

static void on_answer(struct io_task *task) {
    struct call *call = SK_CONTAINER_OF(task, struct call, task);
    call->done = true;
    io_fiber_wake(call->fiber);
}

static void *answer(void *arg) {
    (void)arg;
    pthread_mutex_lock(&inbox.mutex);
    while (!inbox.closed) {
        struct call *call = inbox.first;
        if (!call) {
            pthread_cond_wait(&inbox.cond, &inbox.mutex);
            continue;
        }
        inbox.first = call->next;
        pthread_mutex_unlock(&inbox.mutex);
        call->value *= 2;
        io_loop_post(loop, &call->task);
        pthread_mutex_lock(&inbox.mutex);
    }
    pthread_mutex_unlock(&inbox.mutex);
    return NULL;
}

static int callers_left;
static void caller(void *arg) {
    int base = (int)(intptr_t)arg;
    for (int i = 0; i < CALLS / 10; i++) {
        struct call call = {.task.run = on_answer, .fiber = io_fiber_self(), .value = base + i};
        pthread_mutex_lock(&inbox.mutex);
        call.next = inbox.first;
        inbox.first = &call;
        pthread_cond_signal(&inbox.cond);
        pthread_mutex_unlock(&inbox.mutex);
        while (!call.done) assert_int_equal(io_fiber_park(SK_TIME_NEVER), SK_OK);
        assert_int_equal(call.value, 2 * (base + i));
    }
    if (--callers_left == 0) io_loop_stop(loop);
}

static void fibers_wait_for_answers_of_other_threads(void **state) {
    pthread_t threads[THREADS];
    (void)state;
    callers_left = 50;
    inbox.closed = false;
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, answer, NULL);
    for (intptr_t i = 0; i < 50; i++) spawn(caller, (void *)(i * 1000));
    io_loop_run(loop);
    pthread_mutex_lock(&inbox.mutex);
    inbox.closed = true;
    pthread_cond_broadcast(&inbox.cond);
    pthread_mutex_unlock(&inbox.mutex);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(callers_left, 0);
}

/* --- ends --------------------------------------------------------------------------------------------- */

static int cleaned_up;
static void holds_memory(void *arg) {
    void *memory = malloc(100);
    (void)arg;
    while (io_fiber_park(SK_TIME_NEVER) == SK_OK) continue;
    free(memory);
    cleaned_up++;
}

static void destroying_the_loop_lets_parked_fibers_clean_up(void **state) {
    (void)state;
    cleaned_up = 0;
    for (int i = 0; i < 10; i++) spawn(holds_memory, NULL);
    run_for(1);
    io_loop_destroy(loop);
    assert_int_equal(cleaned_up, 10);
    assert_ok(io_loop_create("test", &loop));
}

/* Deep enough to leave a stack, but not the neighbours' too. ASan keeps most of each frame elsewhere. */
#define NEIGHBOURS 40
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define DEPTH 16384
#endif
#endif
#ifndef DEPTH
#define DEPTH 512
#endif

static volatile int depth_limit = DEPTH;
__attribute__((noinline)) static int recurse(int depth, volatile char *above) {
    volatile char frame[512];
    frame[depth % 512] = above[0];
    int below = depth < depth_limit ? recurse(depth + 1, frame) : 0;
    return below + frame[depth % 512];
}

static void overflow(void *arg) {
    volatile char first[1] = {1};
    if (io_fiber_park(SK_TIME_NEVER) == SK_OK) *(int *)arg = recurse(0, first);
    io_loop_stop(loop);
}

/* Without a guard page the child would trample on its neighbours' stacks, which lie below, and end well. */
static void overflow_among_neighbours(void) {
    struct rlimit no_core = {0, 0};
    int result;
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGSEGV, SIG_DFL);
    close(STDERR_FILENO);
    for (int i = 0; i < NEIGHBOURS; i++) spawn(holds_memory, NULL);
    struct io_fiber *deep = spawn(overflow, &result);
    for (int i = 0; i < NEIGHBOURS; i++) spawn(holds_memory, NULL);
    io_fiber_wake(deep);
    io_loop_run(loop);
    _exit(0);
}

static void a_stack_overflow_hits_the_guard_page(void **state) {
    int status;
    (void)state;
    pid_t child = fork();
    if (child == 0) overflow_among_neighbours();
    assert_int_equal(waitpid(child, &status, 0), child);
    /* Of the signal, or of a sanitizer's report about it. */
    assert_true((WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) ||
                (WIFEXITED(status) && WEXITSTATUS(status) != 0));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_fiber_runs_at_once_until_its_first_park),
        TEST(a_park_times_out),
        TEST(a_wake_before_the_park_is_kept_as_one_token),
        TEST(cancellation_is_sticky),
        TEST(wake_timeout_and_cancel_may_meet_in_one_iteration),
        TEST(sleep_is_not_cut_short_by_wakes_but_by_cancellation),
        TEST(yielding_lets_timers_and_other_fibers_run),
        TEST(a_fiber_may_spawn_a_fiber),
        TEST(surplus_stacks_are_given_back),
        TEST(ten_thousand_fibers_live_at_once),
        TEST(fibers_wait_for_answers_of_other_threads),
        TEST(destroying_the_loop_lets_parked_fibers_clean_up),
        TEST(a_stack_overflow_hits_the_guard_page),
    };
    return SK_RUN_TESTS(tests);
}
