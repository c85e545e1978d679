/* Randomness: bytes fit for keys and ids from the kernel, and a fast per-thread generator (xoshiro256++,
 * Blackman and Vigna 2019) for jitter and sampling, never for secrets. Any thread. */
#ifndef SK_BASE_RANDOM_H
#define SK_BASE_RANDOM_H

#include "base/base.h"

/* From getrandom(2); never fails once the kernel is seeded. */
void sk_random_secret(void *out, size_t bytes);
/* Fast, seeded by the kernel at the thread's first use. */
uint64_t sk_random_u64(void);
/* Uniform in [0, bound), bound > 0. */
uint64_t sk_random_below(uint64_t bound);

#endif
