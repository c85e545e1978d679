/* A cache and one thread of it, anew for each test. A test file defines ONE_CACHE_BYTES before. */
#ifndef SK_TESTS_ONE_CACHE_H
#define SK_TESTS_ONE_CACHE_H

#include "cache_test.h"

static struct cache *cache;
static struct cache_thread *thread;

static int setup(void **state) {
    struct cache_options options = {.memory_bytes = ONE_CACHE_BYTES};
    assert_ok(cache_create(&options, &cache));
    assert_ok(cache_thread_join(cache, NULL, &thread));
    (void)state;
    return 0;
}

static int teardown(void **state) {
    cache_thread_leave(thread);
    cache_destroy(cache);
    (void)state;
    return 0;
}

#endif
