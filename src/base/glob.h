/* Patterns over a text in two parts (a host and a path) that is read as one: '*' is any bytes, '?' one byte, all
 * else itself. Pure. */
#ifndef SK_BASE_GLOB_H
#define SK_BASE_GLOB_H

#include "base/str.h"

/* Time is bounded by the text's length times the pattern's. */
bool sk_glob_match(sk_str pattern, sk_str first, sk_str second);
/* The part before the first wildcard. */
sk_str sk_glob_literal(sk_str pattern);
size_t sk_glob_stars(sk_str pattern);

#endif
