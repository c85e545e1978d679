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

sk_err sk_str_hex_to_u64(sk_str s, uint64_t *out_value) {
    uint64_t value = 0;
    if (s.len == 0) return SK_ERR_MALFORMED;
    for (size_t i = 0; i < s.len; i++) {
        int digit = sk_hex_digit(s.data[i]);
        if (digit < 0) return SK_ERR_MALFORMED;
        value = value << 4 | (uint64_t)digit;
    }
    if (s.len > 16) return SK_ERR_TOO_LARGE;
    *out_value = value;
    return SK_OK;
}

void sk_hex_write(const uint8_t *bytes, size_t count, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

/* Looked at before it is written: half a key never lies anywhere. */
sk_err sk_str_hex_to_bytes(sk_str s, uint8_t *out, size_t count) {
    if (s.len / 2 != count || s.len % 2) return SK_ERR_MALFORMED;
    for (size_t i = 0; i < s.len; i++)
        if (sk_hex_digit(s.data[i]) < 0) return SK_ERR_MALFORMED;
    for (size_t i = 0; i < count; i++)
        out[i] = (uint8_t)(sk_hex_digit(s.data[2 * i]) << 4 | sk_hex_digit(s.data[2 * i + 1]));
    return SK_OK;
}

static size_t decimal_digits(uint64_t value) {
    static const uint64_t powers[20] = {0,
                                        10,
                                        100,
                                        1000,
                                        10000,
                                        100000,
                                        1000000,
                                        10000000,
                                        100000000,
                                        1000000000,
                                        10000000000,
                                        100000000000,
                                        1000000000000,
                                        10000000000000,
                                        100000000000000,
                                        1000000000000000,
                                        10000000000000000,
                                        100000000000000000,
                                        1000000000000000000,
                                        10000000000000000000U};
    /* log10(2) is a little more than 1233/4096, close enough for 64 bits to be at most one short */
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1), digits = bits * 1233 >> 12;
    return digits + (value >= powers[digits]);
}

size_t sk_u64_to_text(uint64_t value, char out[20]) {
    /* Two digits a division, at their places from the start: every response's head has a few numbers. */
    static const char pairs[] = "0001020304050607080910111213141516171819202122232425262728293031323334"
                                "3536373839404142434445464748495051525354555657585960616263646566676869"
                                "707172737475767778798081828384858687888990919293949596979899";
    size_t len = decimal_digits(value), at = len;
    for (; value >= 100; value /= 100) {
        at -= 2;
        memcpy(out + at, pairs + value % 100 * 2, 2);
    }
    if (at == 2)
        memcpy(out, pairs + value * 2, 2);
    else
        out[0] = (char)('0' + value);
    return len;
}

/* Sets bit 5 of each of eight bytes that is a capital letter: adding takes a byte's high bit over the letters' ends,
 * and bytes that are not ASCII stay out of it. */
static uint64_t lower_word(uint64_t word) {
    const uint64_t each = 0x0101010101010101, high = each * 0x80;
    uint64_t ascii = word & ~high;
    uint64_t from_a = ascii + each * (0x80 - 'A'), past_z = ascii + each * (0x80 - 'Z' - 1);
    return word | ((from_a & ~past_z & ~word & high) >> 2);
}

static void lower_eight(char *dst, const char *src) {
    uint64_t word;
    memcpy(&word, src, 8);
    word = lower_word(word);
    memcpy(dst, &word, 8);
}

void sk_ascii_lower(char *dst, const char *src, size_t len) {
    if (len < 8) {
        for (size_t i = 0; i < len; i++) dst[i] = sk_ascii_lower_byte(src[i]);
        return;
    }
    for (size_t at = 0; at + 8 < len; at += 8) lower_eight(dst + at, src + at);
    lower_eight(dst + len - 8, src + len - 8); /* what was done already stays as it is */
}
