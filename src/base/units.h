/* Sizes and durations as people write them: "256MiB", "1.5GiB", "10MB", "90s", "1h30m", "250ms". Used by
 * the command line and the configuration. Pure. */
#ifndef SK_BASE_UNITS_H
#define SK_BASE_UNITS_H

#include "base/str.h"

/* Bytes from "N[unit]", units B, kB/KB, KiB, MB, MiB, GB, GiB, TB, TiB (K, M, G, T alone mean KiB, ...).
 * SK_ERR_MALFORMED, SK_ERR_TOO_LARGE over 2^63 - 1. */
sk_err sk_size_parse(sk_str text, uint64_t *out_bytes);
/* Milliseconds from a sum of "N[unit]", units ms, s, m, h, d, w; a bare number means seconds. */
sk_err sk_duration_parse(sk_str text, int64_t *out_ms);
/* "256 MiB", "1.4 GiB"; "1h30m", "250ms": at most 23 characters and NUL. */
void sk_size_format(uint64_t bytes, char out[24]);
void sk_duration_format(int64_t ms, char out[24]);

#endif
