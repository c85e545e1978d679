#include "http/date.h"

#define SECONDS_A_DAY INT64_C(86400)

static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char day_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const sk_str long_day_names[7] = {
    SK_STR_INIT("Sunday"),   SK_STR_INIT("Monday"), SK_STR_INIT("Tuesday"), SK_STR_INIT("Wednesday"),
    SK_STR_INIT("Thursday"), SK_STR_INIT("Friday"), SK_STR_INIT("Saturday")};

struct civil {
    int64_t year;
    unsigned month, day, hour, minute, second; /* month and day from 1; a leap second is 60 */
};

/* ---- the calendar ------------------------------------------------------------------------------------ */

/* Both directions count days from 1 March of the year 0, so that the leap day is the last of its year; an
 * era is 400 years of 146,097 days (proleptic Gregorian calendar). */
#define DAYS_AN_ERA INT64_C(146097)
#define DAYS_TO_1970 INT64_C(719468)

static int64_t days_of(int64_t year, unsigned month, unsigned day) {
    if (month <= 2) year--;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_AN_ERA + day_of_era - DAYS_TO_1970;
}

static struct civil civil_of(int64_t days) {
    days += DAYS_TO_1970;
    int64_t era = (days >= 0 ? days : days - (DAYS_AN_ERA - 1)) / DAYS_AN_ERA;
    int64_t day_of_era = days - era * DAYS_AN_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (DAYS_AN_ERA - 1)) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    struct civil civil = {.day = (unsigned)(day_of_year - (153 * shifted_month + 2) / 5 + 1),
                          .month = (unsigned)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9)};
    civil.year = year_of_era + era * 400 + (civil.month <= 2 ? 1 : 0);
    return civil;
}

static unsigned days_in_month(int64_t year, unsigned month) {
    static const unsigned char days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool possible(const struct civil *c) {
    return c->day >= 1 && c->day <= days_in_month(c->year, c->month) && c->hour < 24 && c->minute < 60 &&
           c->second <= 60;
}

static sk_unix_s unix_of(const struct civil *c) {
    return days_of(c->year, c->month, c->day) * SECONDS_A_DAY + c->hour * 3600 + c->minute * 60 + c->second;
}

/* ---- reading ----------------------------------------------------------------------------------------- */

/* Takes TEXT off the front of *rest, in any case: RFC 9111 4.2 asks caches to match so, though the formats
 * are case-sensitive. */
static bool take(sk_str *rest, sk_str text) {
    if (!sk_str_istarts_with(*rest, text)) return false;
    *rest = sk_str_make(rest->data + text.len, rest->len - text.len);
    return true;
}

/* Exactly DIGITS decimal digits. */
static bool take_number(sk_str *rest, size_t digits, unsigned *out_value) {
    uint64_t value;
    if (rest->len < digits || sk_str_to_u64(sk_str_make(rest->data, digits), &value)) return false;
    *rest = sk_str_make(rest->data + digits, rest->len - digits);
    *out_value = (unsigned)value;
    return true;
}

static bool take_month(sk_str *rest, unsigned *out_month) {
    for (unsigned i = 0; i < 12; i++) {
        if (!take(rest, sk_str_make(month_names[i], 3))) continue;
        *out_month = i + 1;
        return true;
    }
    return false;
}

static bool take_time(sk_str *rest, struct civil *c) {
    return take_number(rest, 2, &c->hour) && take(rest, SK_STR(":")) && take_number(rest, 2, &c->minute) &&
           take(rest, SK_STR(":")) && take_number(rest, 2, &c->second);
}

static bool take_short_day(sk_str *rest) {
    for (size_t i = 0; i < 7; i++) {
        if (take(rest, sk_str_make(day_names[i], 3))) return true;
    }
    return false;
}

static bool take_long_day(sk_str *rest) {
    for (size_t i = 0; i < 7; i++) {
        if (take(rest, long_day_names[i])) return true;
    }
    return false;
}

static bool is_end(sk_str rest) { return rest.len == 0; }

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool read_imf(sk_str rest, struct civil *c) {
    unsigned year;
    bool ok = take_short_day(&rest) && take(&rest, SK_STR(", ")) && take_number(&rest, 2, &c->day) &&
              take(&rest, SK_STR(" ")) && take_month(&rest, &c->month) && take(&rest, SK_STR(" ")) &&
              take_number(&rest, 4, &year) && take(&rest, SK_STR(" ")) && take_time(&rest, c) &&
              take(&rest, SK_STR(" GMT")) && is_end(rest);
    if (ok) c->year = year;
    return ok;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT". The century is the last one in which the date is not more than 50 years
 * in the future (RFC 9110 5.6.7). */
static bool read_rfc850(sk_str rest, sk_unix_s now, struct civil *c) {
    static const int64_t fifty_years = 50 * DAYS_AN_ERA * SECONDS_A_DAY / 400;
    unsigned year;
    bool ok = take_long_day(&rest) && take(&rest, SK_STR(", ")) && take_number(&rest, 2, &c->day) &&
              take(&rest, SK_STR("-")) && take_month(&rest, &c->month) && take(&rest, SK_STR("-")) &&
              take_number(&rest, 2, &year) && take(&rest, SK_STR(" ")) && take_time(&rest, c) &&
              take(&rest, SK_STR(" GMT")) && is_end(rest);
    if (!ok) return false;
    int64_t this_year = civil_of(now / SECONDS_A_DAY).year;
    c->year = this_year - this_year % 100 + 100 + year;
    while (unix_of(c) > now + fifty_years) c->year -= 100;
    return true;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool read_asctime(sk_str rest, struct civil *c) {
    unsigned year;
    bool ok = take_short_day(&rest) && take(&rest, SK_STR(" ")) && take_month(&rest, &c->month) &&
              take(&rest, SK_STR(" "));
    if (!ok) return false;
    ok = take(&rest, SK_STR(" ")) ? take_number(&rest, 1, &c->day) : take_number(&rest, 2, &c->day);
    ok = ok && take(&rest, SK_STR(" ")) && take_time(&rest, c) && take(&rest, SK_STR(" ")) &&
         take_number(&rest, 4, &year) && is_end(rest);
    if (ok) c->year = year;
    return ok;
}

sk_err http_date_parse(sk_str text, sk_unix_s now, sk_unix_s *out_time) {
    struct civil c = {0};
    if (text.len < 24 || text.len > 33) return SK_ERR_MALFORMED;
    if (!read_imf(text, &c) && !read_rfc850(text, now, &c) && !read_asctime(text, &c))
        return SK_ERR_MALFORMED;
    if (!possible(&c)) return SK_ERR_MALFORMED;
    *out_time = unix_of(&c);
    return SK_OK;
}

/* ---- writing ----------------------------------------------------------------------------------------- */

static void put2(char *out, unsigned value) {
    out[0] = (char)('0' + value / 10 % 10);
    out[1] = (char)('0' + value % 10);
}

void http_date_format(sk_unix_s time, char out[HTTP_DATE_BYTES]) {
    static const sk_unix_s first = INT64_C(-62167219200), last = INT64_C(253402300799); /* years 0 to 9999 */
    time = SK_MIN(SK_MAX(time, first), last);
    int64_t days = (time >= 0 ? time : time - (SECONDS_A_DAY - 1)) / SECONDS_A_DAY;
    unsigned second = (unsigned)(time - days * SECONDS_A_DAY);
    struct civil c = civil_of(days);
    memcpy(out, "Day, 00 Mon 0000 00:00:00 GMT", HTTP_DATE_BYTES);
    memcpy(out, day_names[((days + 4) % 7 + 7) % 7], 3); /* 1970 began on a Thursday */
    put2(out + 5, c.day);
    memcpy(out + 8, month_names[c.month - 1], 3);
    put2(out + 12, (unsigned)c.year / 100);
    put2(out + 14, (unsigned)c.year % 100);
    put2(out + 17, second / 3600);
    put2(out + 20, second / 60 % 60);
    put2(out + 23, second % 60);
}
