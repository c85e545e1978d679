/* The record of what was asked of control, as a chain: each line holds the SHA-256 of the one before, so that a line
 * that was changed, taken out or put in shows. What it cannot show alone, a cut-off end, shows by the newest hash that
 * each control keeps on its own disk. Pure. A line is JSON:
 *
 *     {"number":7,"at":1767225600,"who":"token ops","what":"apply","about":"configuration 3","prev":"HEX"} */
#ifndef SK_CONTROL_AUDIT_H
#define SK_CONTROL_AUDIT_H

#include "base/buf.h"
#include "base/time.h"
#include "fleet/token.h"

#define CONTROL_AUDIT_LINE_MAX 4096

struct control_audit_mark {
    uint64_t number; /* of the newest line; 0: there is none */
    char hash[FLEET_HEX_BYTES];
};
struct control_audit_entry {
    sk_unix_s at;
    sk_str who, what, about; /* any bytes; cut where they are too long */
};

/* The line that comes after MARK (which moves on). SK_ERR_NO_MEMORY. */
sk_err control_audit_write(const struct control_audit_entry *entry, struct control_audit_mark *mark,
                           struct sk_buf *out_line);
/* Whether LINE comes right after MARK, which moves on. SK_ERR_CORRUPT: it does not. */
sk_err control_audit_follow(sk_str line, struct control_audit_mark *mark);

#endif
