/* Work that needs more stack than a fiber has (parsers of other people, cryptography), done on the loop's own while
 * the fiber is parked. */
#ifndef SK_FLEET_DEEP_H
#define SK_FLEET_DEEP_H

#include "io/fiber.h"

/* From a fiber: calls WORK, which must not park, and returns what it does. Goes on to its end
 * also when the fiber is cancelled meanwhile. */
sk_err fleet_deeply(sk_err (*work)(void *arg), void *arg);

#endif
