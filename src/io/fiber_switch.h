/* The switch between stacks: Boost.Context's C ABI, and what the sanitizers and valgrind want to hear of
 * it. Private to fiber.c. */
#ifndef SK_IO_FIBER_SWITCH_H
#define SK_IO_FIBER_SWITCH_H

#include <stddef.h>

#include "base/poison.h"

/* A suspended stack, and what its next runner is told. */
typedef void *io_context;
struct io_transfer {
    io_context from; /* who jumped here, suspended at that point */
    void *data;
};

/* Of libboost_context; exported with C linkage, though its headers are C++. */
struct io_transfer jump_fcontext(io_context to, void *data);
io_context make_fcontext(void *stack_top, size_t bytes, void (*entry)(struct io_transfer));

#if defined(__SANITIZE_THREAD__)
#define SK_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SK_TSAN 1
#endif
#endif

#ifdef SK_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef SK_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

/* Frames are larger under a sanitizer. */
#if defined(SK_ASAN) || defined(SK_TSAN)
#define IO_STACK_FACTOR 4
#else
#define IO_STACK_FACTOR 1
#endif

struct io_stack_bounds {
    const void *bottom;
    size_t bytes;
};

/* Just before a jump to the stack TO. FAKE_STACK keeps ASan's state of the stack that is left; NULL when
 * that one ends here. */
static inline void io_switch_leave(void **fake_stack, struct io_stack_bounds to, void *to_tsan) {
    (void)fake_stack, (void)to, (void)to_tsan;
#ifdef SK_ASAN
    __sanitizer_start_switch_fiber(fake_stack, to.bottom, to.bytes);
#endif
#ifdef SK_TSAN
    __tsan_switch_to_fiber(to_tsan, 0);
#endif
}

/* Just after a jump arrived. *OUT_FROM (may be NULL) is filled under ASan only. */
static inline void io_switch_arrive(void *fake_stack, struct io_stack_bounds *out_from) {
    (void)fake_stack, (void)out_from;
#ifdef SK_ASAN
    struct io_stack_bounds from;
    __sanitizer_finish_switch_fiber(fake_stack, &from.bottom, &from.bytes);
    if (out_from) *out_from = from;
#endif
}

static inline void *io_tsan_current(void) {
#ifdef SK_TSAN
    return __tsan_get_current_fiber();
#else
    return NULL;
#endif
}

static inline void *io_tsan_create(void) {
#ifdef SK_TSAN
    return __tsan_create_fiber(0);
#else
    return NULL;
#endif
}

static inline void io_tsan_destroy(void *fiber) {
    (void)fiber;
#ifdef SK_TSAN
    __tsan_destroy_fiber(fiber);
#endif
}

static inline unsigned io_valgrind_register(void *bottom, void *top) {
    (void)bottom, (void)top;
#ifdef VALGRIND_STACK_REGISTER
    return VALGRIND_STACK_REGISTER(bottom, top);
#else
    return 0;
#endif
}

static inline void io_valgrind_deregister(unsigned id) {
    (void)id;
#ifdef VALGRIND_STACK_DEREGISTER
    VALGRIND_STACK_DEREGISTER(id);
#endif
}

#endif
