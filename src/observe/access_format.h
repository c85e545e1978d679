/* One access log entry as a line of text. Pure, given room; bytes from outside are escaped, so that a line
 * is always one line and always valid UTF-8. */
#ifndef SK_OBSERVE_ACCESS_FORMAT_H
#define SK_OBSERVE_ACCESS_FORMAT_H

#include "base/buf.h"
#include "observe/access_log.h"

/* The last second's date texts: lines come by the thousand a second. Zero it before first use. */
struct access_format_clock {
    bool valid;
    int64_t second;
    char json[24], common[48];
};

/* One JSON object (RFC 8259) and "\n"; keys of ACCESS_LOG_FIELD_TABLE, those marked so left out when empty,
 * zero or false. Valid UTF-8 stays as it is, but for controls (C0, DEL, C1); a byte that is not part of
 * valid UTF-8 becomes \u00XX. SK_ERR_NO_MEMORY, SK_ERR_TOO_LARGE: OUT is unchanged. */
sk_err access_format_json(struct access_format_clock *clock, const struct access_log_entry *entry,
                          struct sk_buf *out);
/* NCSA Common Log Format: client - - [date] "method target protocol" status bytes. Quotes, backslashes and
 * all but printable ASCII are escaped inside the quotes, as \", \\ and \xHH. Errors as above. */
sk_err access_format_common(struct access_format_clock *clock, const struct access_log_entry *entry,
                            struct sk_buf *out);

#endif
