#include "base/units.h"

#include <stdio.h>

struct unit {
    sk_str name;
    uint64_t factor;
};

#define KIB UINT64_C(1024)
#define KB UINT64_C(1000)

static const struct unit size_units[] = {
    {SK_STR_INIT(""), 1},
    {SK_STR_INIT("B"), 1},
    {SK_STR_INIT("K"), KIB},
    {SK_STR_INIT("KiB"), KIB},
    {SK_STR_INIT("KB"), KB},
    {SK_STR_INIT("M"), KIB *KIB},
    {SK_STR_INIT("MiB"), KIB *KIB},
    {SK_STR_INIT("MB"), KB *KB},
    {SK_STR_INIT("G"), KIB *KIB *KIB},
    {SK_STR_INIT("GiB"), KIB *KIB *KIB},
    {SK_STR_INIT("GB"), KB *KB *KB},
    {SK_STR_INIT("T"), KIB *KIB *KIB *KIB},
    {SK_STR_INIT("TiB"), KIB *KIB *KIB *KIB},
    {SK_STR_INIT("TB"), KB *KB *KB *KB},
};

static const struct unit duration_units[] = {
    {SK_STR_INIT("ms"), 1},          {SK_STR_INIT("s"), 1000},         {SK_STR_INIT("m"), 60 * 1000},
    {SK_STR_INIT("h"), 3600 * 1000}, {SK_STR_INIT("d"), 86400 * 1000}, {SK_STR_INIT("w"), 604800 * 1000},
};

/* The number before a unit: WHOLE + FRACTION / SCALE. */
struct number {
    uint64_t whole, fraction, scale;
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static size_t digit_count(sk_str s) {
    size_t n = 0;
    while (n < s.len && is_digit(s.data[n])) n++;
    return n;
}

/* "12", "1.5": at most nine digits behind the point. Takes it off *text. */
static sk_err take_number(sk_str *text, struct number *out) {
    size_t whole_digits = digit_count(*text);
    struct number number = {.scale = 1};
    sk_err err = sk_str_to_u64(sk_str_slice(*text, 0, whole_digits), &number.whole);
    if (err) return err;
    *text = sk_str_slice(*text, whole_digits, text->len);
    if (text->len && text->data[0] == '.') {
        sk_str rest = sk_str_slice(*text, 1, text->len);
        size_t digits = digit_count(rest);
        if (digits == 0 || digits > 9) return SK_ERR_MALFORMED;
        err = sk_str_to_u64(sk_str_slice(rest, 0, digits), &number.fraction);
        if (err) return err;
        for (size_t i = 0; i < digits; i++) number.scale *= 10;
        *text = sk_str_slice(rest, digits, rest.len);
    }
    *out = number;
    return SK_OK;
}

/* NUMBER times FACTOR, rounded down; what is over 2^63 - 1 is too large. */
static sk_err scale_number(struct number number, uint64_t factor, uint64_t *out) {
    uint64_t value;
    uint64_t part = (uint64_t)((sk_u128)number.fraction * factor / number.scale);
    if (__builtin_mul_overflow(number.whole, factor, &value)) return SK_ERR_TOO_LARGE;
    if (__builtin_add_overflow(value, part, &value) || value > INT64_MAX) return SK_ERR_TOO_LARGE;
    *out = value;
    return SK_OK;
}

static const struct unit *find_unit(const struct unit *units, size_t count, sk_str name) {
    for (size_t i = 0; i < count; i++)
        if (sk_str_ieq(units[i].name, name)) return &units[i];
    return NULL;
}

sk_err sk_size_parse(sk_str text, uint64_t *out_bytes) {
    struct number number;
    sk_err err = take_number(&text, &number);
    if (err) return err;
    /* One space, as sk_size_format writes it. */
    if (text.len > 1 && text.data[0] == ' ') text = sk_str_slice(text, 1, text.len);
    const struct unit *unit = find_unit(size_units, SK_COUNT(size_units), text);
    if (!unit) return SK_ERR_MALFORMED;
    return scale_number(number, unit->factor, out_bytes);
}

static size_t letter_count(sk_str s) {
    size_t n = 0;
    while (n < s.len && !is_digit(s.data[n])) n++;
    return n;
}

/* One "N[unit]" off *text. Only a number that is all of the text may lack its unit. */
static sk_err take_duration(sk_str *text, bool alone, uint64_t *out_ms) {
    struct number number;
    sk_err err = take_number(text, &number);
    if (err) return err;
    size_t letters = letter_count(*text);
    sk_str name = sk_str_slice(*text, 0, letters);
    if (letters == 0 && alone) name = SK_STR("s");
    const struct unit *unit = find_unit(duration_units, SK_COUNT(duration_units), name);
    if (!unit) return SK_ERR_MALFORMED;
    *text = sk_str_slice(*text, letters, text->len);
    return scale_number(number, unit->factor, out_ms);
}

sk_err sk_duration_parse(sk_str text, int64_t *out_ms) {
    uint64_t sum = 0, part = 0;
    bool alone = true;
    do {
        sk_err err = take_duration(&text, alone, &part);
        if (err) return err;
        /* Both at most 2^63 - 1: the sum cannot wrap. */
        if ((sum += part) > INT64_MAX) return SK_ERR_TOO_LARGE;
        alone = false;
    } while (text.len);
    *out_ms = (int64_t)sum;
    return SK_OK;
}

void sk_size_format(uint64_t bytes, char out[24]) {
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    uint64_t tenths = 0;
    /* In whole tenths, rounded; 1023.95 KiB and more reads as 1 MiB. */
    while (unit == 0 ? bytes >= 1024 : tenths >= 10240) {
        unit++;
        tenths = (uint64_t)(((sk_u128)bytes * 10 + (UINT64_C(1) << (10 * unit - 1))) >> (10 * unit));
    }
    if (unit == 0)
        snprintf(out, 24, "%llu B", (unsigned long long)bytes);
    else if (tenths % 10 == 0)
        snprintf(out, 24, "%llu %s", (unsigned long long)(tenths / 10), names[unit]);
    else
        snprintf(out, 24, "%llu.%llu %s", (unsigned long long)(tenths / 10),
                 (unsigned long long)(tenths % 10), names[unit]);
}

void sk_duration_format(int64_t ms, char out[24]) {
    static const struct {
        const char *name;
        uint64_t factor;
    } parts[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    uint64_t rest = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
    size_t len = 0;
    if (rest == 0) {
        snprintf(out, 24, "0s");
        return;
    }
    if (ms < 0) out[len++] = '-';
    for (size_t i = 0; i < SK_COUNT(parts); i++) {
        uint64_t count = rest / parts[i].factor;
        rest %= parts[i].factor;
        if (count == 0) continue;
        char piece[24];
        int n = snprintf(piece, sizeof piece, "%llu%s", (unsigned long long)count, parts[i].name);
        /* Only beyond 31 million years do milliseconds not fit; nobody misses them there. */
        if (len + (size_t)n > 23) break;
        memcpy(out + len, piece, (size_t)n);
        len += (size_t)n;
    }
    out[len] = '\0';
}
