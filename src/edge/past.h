/* What an edge must not forget when it ends: until when it has applied purges. The purges themselves are gone with its
 * memory, so after a restart it could take from another node, which has not heard of one, what it had purged before. One
 * moment is enough: what another node has held since before it is validated before it is used (grid/peer_field.h).
 *
 * It is kept in a file of 64 bytes, written ahead by a second, so that purges, however many, cost one write a second.
 * A process that dies loses nothing that way. When the machine has started anew, or the file is damaged, everything up to
 * our start counts as purged; where there is no file, nothing was ever purged here. Two processes have it while one takes
 * over from the other: each sees what the other writes at its next look. */
#ifndef SK_EDGE_PAST_H
#define SK_EDGE_PAST_H

#include "base/err.h"
#include "base/time.h"

struct edge_past;

/* FOLDER (ends with NUL) is made when it is not there; NULL: nothing is remembered, and everything up to now counts as
 * purged, as it does when the file cannot be used (logged). SK_ERR_NO_MEMORY. */
sk_err edge_past_open(const char *folder, struct edge_past **out_past);
/* NULL is allowed. */
void edge_past_close(struct edge_past *past);

/* A purge is applied: call it before anybody is told so. Any thread. */
void edge_past_purged(struct edge_past *past, sk_time_ns now);
/* Another process may have purged. Main thread, now and then. */
void edge_past_look(struct edge_past *past);
/* What was held since before this may have been purged by us, and we do not know. Any thread. */
sk_time_ns edge_past_unknown_until(const struct edge_past *past);

#endif
