/* For tests of what runs on fibers: a loop, the test's story as a fiber on it, and a way to wait. */
#ifndef SK_TESTS_IO_FIBERS_H
#define SK_TESTS_IO_FIBERS_H

#include <stdlib.h>

#include "io/fiber.h"
#include "unit.h"

#define MS SK_NS_PER_MS

static struct io_loop *loop;

static inline sk_time_ns in_ms(int64_t ms) { return io_loop_now(loop) + ms * MS; }

static inline void rest(int64_t ms) { assert_ok(io_fiber_sleep_until(in_ms(ms))); }

struct story {
    void (*tell)(void);
};

static void story_main(void *arg) {
    ((struct story *)arg)->tell();
    io_loop_stop(loop);
}

/* cmocka leaves a failed test by a jump to the stack of whoever called it, which from a fiber's stack leads nowhere
 * good: the program hangs. So from now on what fails says where, and ends the program. */
static inline void fail_at_once(void) { assert_int_equal(setenv("CMOCKA_TEST_ABORT", "1", 1), 0); }
static inline void fail_by_jump(void) { assert_int_equal(unsetenv("CMOCKA_TEST_ABORT"), 0); }

/* Runs TELL on a fiber of a fresh loop until it returns, then destroys the loop. */
static void run_story(void (*tell)(void)) {
    struct story story = {tell};
    fail_at_once();
    assert_ok(io_loop_create("test", &loop));
    assert_ok(io_fiber_spawn(loop, "story", story_main, &story, NULL));
    io_loop_run(loop);
    io_loop_destroy(loop);
    loop = NULL;
    fail_by_jump();
}

#endif
