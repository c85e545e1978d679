#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"

#define TEXT_BYTES 2048
#define LINE_BYTES (TEXT_BYTES + 256)

static const char *const level_names[] = {"error", "warn", "info", "debug"};

/* Any thread; relaxed everywhere, for the value orders nothing else. */
static _Atomic int level_in_force = SK_LOG_INFO;

/* How many lines the call site that sk_log_limit_pass just let through had left out; the next sk_log of
 * this thread tells and forgets it. */
static _Thread_local uint32_t left_out_before;

void sk_log_set_level(enum sk_log_level level) {
    atomic_store_explicit(&level_in_force, (int)level, memory_order_relaxed);
}

bool sk_log_enabled(enum sk_log_level level) {
    return (int)level <= atomic_load_explicit(&level_in_force, memory_order_relaxed);
}

struct line {
    char data[LINE_BYTES];
    size_t len;
};

static size_t line_room(const struct line *line) { return sizeof line->data - line->len; }

static void add_head(struct line *line, enum sk_log_level level, const char *part) {
    int64_t now = sk_wall_now_ns();
    time_t seconds = now / SK_NS_PER_S;
    struct tm utc;
    gmtime_r(&seconds, &utc);
    line->len = strftime(line->data, sizeof line->data, "%Y-%m-%dT%H:%M:%S", &utc);
    line->len += (size_t)snprintf(line->data + line->len, line_room(line),
                                  ".%03dZ %s %.32s: ", (int)(now % SK_NS_PER_S / SK_NS_PER_MS),
                                  level_names[level], part);
}

/* Control bytes become \xNN, so that no text from outside can forge a line or drive a terminal. */
static void add_escaped(struct line *line, const char *text, size_t len) {
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < len && line_room(line) > 4 + 1; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != 0x7f) {
            line->data[line->len++] = (char)c;
            continue;
        }
        char escape[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
        for (size_t k = 0; k < sizeof escape; k++) line->data[line->len++] = escape[k];
    }
}

static void write_line(struct line *line) {
    line->data[line->len++] = '\n';
    ssize_t n;
    do n = write(STDERR_FILENO, line->data, line->len);
    while (n < 0 && errno == EINTR);
}

void sk_log(enum sk_log_level level, const char *part, const char *format, ...) {
    uint32_t left_out = left_out_before;
    left_out_before = 0;
    if (!sk_log_enabled(level)) return;
    int saved_errno = errno;
    char text[TEXT_BYTES];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text - 64, format, args);
    va_end(args);
    size_t text_len = len < 0 ? 0 : (size_t)len < sizeof text - 64 ? (size_t)len : sizeof text - 65;
    if (left_out)
        text_len += (size_t)snprintf(text + text_len, sizeof text - text_len, " (%u more like it left out)",
                                     left_out);
    struct line line;
    add_head(&line, level, part);
    add_escaped(&line, text, text_len);
    write_line(&line);
    errno = saved_errno;
}

bool sk_log_limit_pass(struct sk_log_limit *limit) {
    /* +1, so that no second equals the zeroed window of a site that never logged. */
    int64_t now_s = sk_time_now() / SK_NS_PER_S + 1;
    int64_t window = atomic_load_explicit(&limit->window_s, memory_order_relaxed);
    /* relaxed: only one thread may win a second's window; no other data hangs on it. */
    if (window == now_s ||
        !atomic_compare_exchange_strong_explicit(&limit->window_s, &window, now_s, memory_order_relaxed,
                                                 memory_order_relaxed)) {
        atomic_fetch_add_explicit(&limit->left_out, 1, memory_order_relaxed);
        return false;
    }
    left_out_before = atomic_exchange_explicit(&limit->left_out, 0, memory_order_relaxed);
    return true;
}
