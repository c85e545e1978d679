/* "Did you mean": of the words that one could have written, the one nearest to what was written. Pure; never
 * on a request's way. */
#ifndef SK_BASE_NEAREST_H
#define SK_BASE_NEAREST_H

#include "base/str.h"

struct sk_nearest {
    sk_str word;
    size_t distance; /* of the best so far; one more than what is still near at first */
    bool found;
};

/* Borrows WORD. Near means: at most a third of the letters wrong, and at least one may be. */
struct sk_nearest sk_nearest_to(sk_str word);
/* True when CANDIDATE is near and nearer than all before it. */
bool sk_nearest_offer(struct sk_nearest *nearest, sk_str candidate);
/* True when CANDIDATE is as near as the nearest offered: for telling all of them. */
bool sk_nearest_is(const struct sk_nearest *nearest, sk_str candidate);

#endif
