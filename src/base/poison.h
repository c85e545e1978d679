/* Marks memory that we keep but nobody may touch, so that ASan reports a use after free inside of our own
 * allocators too. Nothing in other builds. */
#ifndef SK_BASE_POISON_H
#define SK_BASE_POISON_H

#if defined(__SANITIZE_ADDRESS__)
#define SK_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SK_ASAN 1
#endif
#endif

/* Built with a sanitizer that needs mappings of its own, larger than any limit. */
#if defined(SK_ASAN) || defined(__SANITIZE_THREAD__)
#define SK_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SK_SANITIZED 1
#endif
#endif

#ifdef SK_ASAN
#include <sanitizer/asan_interface.h>
#define SK_POISON(start, bytes) __asan_poison_memory_region(start, bytes)
#define SK_UNPOISON(start, bytes) __asan_unpoison_memory_region(start, bytes)
#else
#define SK_POISON(start, bytes) ((void)(start), (void)(bytes))
#define SK_UNPOISON(start, bytes) ((void)(start), (void)(bytes))
#endif

#endif
