/* What every unit test includes: cmocka with the headers that it wants before itself. A test file holds
 * tables of cases and `int main(void)` with SK_RUN_TESTS. */
#ifndef SK_TESTS_UNIT_H
#define SK_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/str.h"

/* Under a sanitizer, where a smaller number of the same shows the same. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SK_SLOW_BUILD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SK_SLOW_BUILD 1
#endif
#endif

/* Fails the test, showing both texts, unless the two are equal. */
#define assert_str(actual, expected)                                                                         \
    do {                                                                                                     \
        sk_str actual_ = (actual), expected_ = (expected);                                                   \
        if (!sk_str_eq(actual_, expected_))                                                                  \
            fail_msg("\"%.*s\" is not \"%.*s\"", SK_STR_ARGS(actual_), SK_STR_ARGS(expected_));              \
    } while (0)

/* Fails the test, naming the error, unless the call succeeds. */
#define assert_ok(call)                                                                                      \
    do {                                                                                                     \
        sk_err err_ = (call);                                                                                \
        if (err_) fail_msg("%s: %s", #call, sk_err_text(err_));                                              \
    } while (0)

/* Fails the test, naming both, unless the call gives this error. */
#define assert_err(call, expected)                                                                           \
    do {                                                                                                     \
        sk_err err_ = (call), expected_ = (expected);                                                        \
        if (err_ != expected_) fail_msg("%s: %s, not %s", #call, sk_err_name(err_), sk_err_name(expected_)); \
    } while (0)

/* An assertion that fails on a fiber's stack or on another thread has no way back to cmocka's: it ends the program, with
 * its text, where it would wait for ever otherwise. CMOCKA_TEST_ABORT=0 in the environment: it goes on with the next
 * case where it can. Lines come out as they are written, so that the end tells which cases had passed. */
__attribute__((constructor)) static void before_main(void) {
    setenv("CMOCKA_TEST_ABORT", "1", 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
}

#define SK_RUN_TESTS(tests) cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL)

#endif
