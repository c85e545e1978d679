/* The operational log: lines for the operator on stderr (or a file), one a call, never on a hit's way.
 * Any thread; each line is one write(2). Access logs are another thing: see observe/access_log.h. */
#ifndef SK_BASE_LOG_H
#define SK_BASE_LOG_H

#include "base/base.h"
#include "base/err.h"

enum sk_log_level { SK_LOG_ERROR, SK_LOG_WARN, SK_LOG_INFO, SK_LOG_DEBUG };

/* Set once at start (or at a reload; atomic). Default SK_LOG_INFO. */
void sk_log_set_level(enum sk_log_level level);
bool sk_log_enabled(enum sk_log_level level);
/* "2026-01-02T03:04:05.678Z level part: text". PART names the folder or module: "edge", "origin". Text
 * from outside must be passed through "%.*s" and is escaped (control bytes become \xNN). */
void sk_log(enum sk_log_level level, const char *part, const char *format, ...) SK_PRINTF(3, 4);
/* At most one line a second a call site; says how many it left out. For what clients can cause. */
#define SK_LOG_LIMITED(level, part, ...)                                                                     \
    do {                                                                                                     \
        static struct sk_log_limit limit_;                                                                   \
        if (sk_log_limit_pass(&limit_)) sk_log(level, part, __VA_ARGS__);                                    \
    } while (0)
struct sk_log_limit {
    _Atomic int64_t window_s;
    _Atomic uint32_t left_out;
};
bool sk_log_limit_pass(struct sk_log_limit *limit);

#endif
