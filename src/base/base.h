/* The few macros that every file may use: assertions, attributes, container_of.
 *
 * SK_ASSERT is for programming mistakes only and stays on in release builds; bad input is never an
 * assertion. Any thread; no state. */
#ifndef SK_BASE_BASE_H
#define SK_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SK_LIKELY(x) __builtin_expect(!!(x), 1)
#define SK_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define SK_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SK_MIN(a, b) ((a) < (b) ? (a) : (b))
#define SK_MAX(a, b) ((a) > (b) ? (a) : (b))
#define SK_PRINTF(format_arg, first_arg) __attribute__((format(printf, format_arg, first_arg)))

/* For products of two 64-bit numbers. */
__extension__ typedef unsigned __int128 sk_u128;

/* The struct of TYPE in which POINTER is the field MEMBER. */
#define SK_CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

/* Ends the process with the place and the text of the failed expression on stderr. */
__attribute__((noreturn)) void sk_assert_failed(const char *expression, const char *file, int line);

#define SK_ASSERT(expression)                                                                                \
    do {                                                                                                     \
        if (SK_UNLIKELY(!(expression))) sk_assert_failed(#expression, __FILE__, __LINE__);                   \
    } while (0)

/* A heap struct that crosses a folder's border starts with `uint32_t magic`, checked at that border. */
#define SK_CHECK_MAGIC(pointer, value) SK_ASSERT((pointer) != NULL && (pointer)->magic == (value))

#endif
