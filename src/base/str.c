#include "base/str.h"

bool sk_str_ieq(sk_str a, sk_str b) {
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++)
        if (sk_ascii_lower_byte(a.data[i]) != sk_ascii_lower_byte(b.data[i])) return false;
    return true;
}

bool sk_str_starts_with(sk_str s, sk_str prefix) {
    return s.len >= prefix.len && sk_str_eq((sk_str){s.data, prefix.len}, prefix);
}

bool sk_str_istarts_with(sk_str s, sk_str prefix) {
    return s.len >= prefix.len && sk_str_ieq((sk_str){s.data, prefix.len}, prefix);
}

bool sk_str_ends_with(sk_str s, sk_str suffix) {
    return s.len >= suffix.len && sk_str_eq(sk_str_slice(s, s.len - suffix.len, s.len), suffix);
}

int sk_str_compare(sk_str a, sk_str b) {
    size_t common = SK_MIN(a.len, b.len);
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order != 0) return order;
    return (a.len > b.len) - (a.len < b.len);
}

size_t sk_str_find_byte(sk_str s, char byte) {
    const char *hit = s.len ? memchr(s.data, byte, s.len) : NULL;
    return hit ? (size_t)(hit - s.data) : s.len;
}

size_t sk_str_find(sk_str s, sk_str needle) {
    if (needle.len == 0) return 0;
    const char *hit = s.len ? memmem(s.data, s.len, needle.data, needle.len) : NULL;
    return hit ? (size_t)(hit - s.data) : s.len;
}

sk_str sk_str_slice(sk_str s, size_t from, size_t to) {
    to = SK_MIN(to, s.len);
    from = SK_MIN(from, to);
    return (sk_str){from ? s.data + from : s.data, to - from};
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

sk_str sk_str_trim(sk_str s) {
    while (s.len && is_blank(s.data[0])) s.data++, s.len--;
    while (s.len && is_blank(s.data[s.len - 1])) s.len--;
    return s;
}

bool sk_str_cut(sk_str *rest, char separator, sk_str *out_piece) {
    if (!rest->data) return false;
    size_t at = sk_str_find_byte(*rest, separator);
    *out_piece = (sk_str){rest->data, at};
    *rest = at < rest->len ? (sk_str){rest->data + at + 1, rest->len - at - 1} : (sk_str){NULL, 0};
    return true;
}

sk_err sk_str_to_u64(sk_str s, uint64_t *out_value) {
    uint64_t value = 0;
    bool overflow = false;
    if (s.len == 0) return SK_ERR_MALFORMED;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9') return SK_ERR_MALFORMED;
        overflow |= __builtin_mul_overflow(value, 10, &value);
        overflow |= __builtin_add_overflow(value, (uint64_t)(s.data[i] - '0'), &value);
    }
    if (overflow) return SK_ERR_TOO_LARGE;
    *out_value = value;
    return SK_OK;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = sk_ascii_lower_byte(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

sk_err sk_str_hex_to_u64(sk_str s, uint64_t *out_value) {
    uint64_t value = 0;
    if (s.len == 0) return SK_ERR_MALFORMED;
    for (size_t i = 0; i < s.len; i++) {
        int digit = hex_digit(s.data[i]);
        if (digit < 0) return SK_ERR_MALFORMED;
        value = value << 4 | (uint64_t)digit;
    }
    if (s.len > 16) return SK_ERR_TOO_LARGE;
    *out_value = value;
    return SK_OK;
}

size_t sk_u64_to_text(uint64_t value, char out[20]) {
    char reversed[20];
    size_t len = 0;
    do {
        reversed[len++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    for (size_t i = 0; i < len; i++) out[i] = reversed[len - 1 - i];
    return len;
}

void sk_ascii_lower(char *dst, const char *src, size_t len) {
    for (size_t i = 0; i < len; i++) dst[i] = sk_ascii_lower_byte(src[i]);
}
