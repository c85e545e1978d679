/* What the fuzzers share. Bytes are always offered in a block of exactly their size, so that one read too
 * far is seen. */
#ifndef SK_TESTS_FUZZ_H
#define SK_TESTS_FUZZ_H

#include <stdlib.h>

#include "base/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define MUST(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition)) sk_assert_failed(#condition, __FILE__, __LINE__);                                  \
    } while (0)

/* A copy in a block of its own; to be freed. */
static inline char *exact_copy(const void *data, size_t bytes) {
    char *copy = malloc(bytes ? bytes : 1);
    MUST(copy);
    if (bytes > 0) memcpy(copy, data, bytes);
    return copy;
}

/* A place in [0, bytes] that depends on the data alone. */
static inline size_t cut_of(const uint8_t *data, size_t bytes) {
    uint64_t sum = UINT64_C(1469598103934665603);
    for (size_t i = 0; i < bytes; i++) sum = (sum ^ data[i]) * UINT64_C(1099511628211);
    return (size_t)((sum >> 17) % (bytes + 1));
}

#endif
