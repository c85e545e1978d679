/* Text as (pointer, length): never NUL-terminated by assumption, never owning. All functions are pure
 * and may be called from any thread. ASCII only: bytes over 0x7f are opaque and compare as themselves. */
#ifndef SK_BASE_STR_H
#define SK_BASE_STR_H

#include <string.h>

#include "base/base.h"
#include "base/err.h"

typedef struct sk_str {
    const char *data;
    size_t len;
} sk_str;

/* For use with printf's "%.*s". */
#define SK_STR_ARGS(s) (int)(s).len, (s).data
/* From a string literal only; also usable in static initialisers. */
#define SK_STR_INIT(literal) {(literal), sizeof(literal) - 1}
#define SK_STR(literal) ((sk_str)SK_STR_INIT(literal))

static inline sk_str sk_str_make(const char *data, size_t len) { return (sk_str){data, len}; }
/* Borrows TEXT, which may be NULL (then empty). */
static inline sk_str sk_str_from_c(const char *text) { return (sk_str){text, text ? strlen(text) : 0}; }
static inline bool sk_str_eq(sk_str a, sk_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
static inline bool sk_str_empty(sk_str s) { return s.len == 0; }

/* ASCII case-insensitive equality, prefix and suffix tests. */
bool sk_str_ieq(sk_str a, sk_str b);
bool sk_str_starts_with(sk_str s, sk_str prefix);
bool sk_str_istarts_with(sk_str s, sk_str prefix);
bool sk_str_ends_with(sk_str s, sk_str suffix);
/* <0, 0, >0 as memcmp, shorter first. */
int sk_str_compare(sk_str a, sk_str b);
/* Index of the first BYTE, or s.len. */
size_t sk_str_find_byte(sk_str s, char byte);
/* Index of the first occurrence of NEEDLE, or s.len when absent. */
size_t sk_str_find(sk_str s, sk_str needle);
/* s[from, to), clamped to the string. */
static inline sk_str sk_str_slice(sk_str s, size_t from, size_t to) {
    if (to > s.len) to = s.len;
    if (from > to) from = to;
    return (sk_str){from ? s.data + from : s.data, to - from};
}
/* Without leading and trailing SP and HTAB (OWS of RFC 9110 section 5.6.3). */
static inline sk_str sk_str_trim(sk_str s) {
    while (s.len && (s.data[0] == ' ' || s.data[0] == '\t')) s.data++, s.len--;
    while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t')) s.len--;
    return s;
}
/* Cuts the next piece up to SEPARATOR off *rest; false when *rest was exhausted before the call
 * (rest->data NULL). "a,,b" gives "a", "", "b". */
bool sk_str_cut(sk_str *rest, char separator, sk_str *out_piece);
/* Decimal digits only, whole string. SK_ERR_MALFORMED for anything else, SK_ERR_TOO_LARGE on overflow. */
sk_err sk_str_to_u64(sk_str s, uint64_t *out_value);
/* As above, base 16, no prefix, at most 16 digits. */
sk_err sk_str_hex_to_u64(sk_str s, uint64_t *out_value);
/* Writes VALUE in decimal without NUL to OUT (room for 20 bytes); returns the length. */
size_t sk_u64_to_text(uint64_t value, char out[20]);
/* Writes COUNT bytes as 2 * COUNT lower-case hexadecimal digits without NUL. */
void sk_hex_write(const uint8_t *bytes, size_t count, char *out);
/* Back: exactly 2 * COUNT digits of either case, whole string. SK_ERR_MALFORMED. */
sk_err sk_str_hex_to_bytes(sk_str s, uint8_t *out, size_t count);
/* Lower-cases LEN bytes from SRC to DST (may be equal). */
void sk_ascii_lower(char *dst, const char *src, size_t len);
static inline char sk_ascii_lower_byte(char c) { return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c); }
/* The value of a hexadecimal digit of either case, or -1. */
static inline int sk_hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = sk_ascii_lower_byte(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
