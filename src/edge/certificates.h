/* The certificates in force: read at the start, looked at again from time to time, and put in force when their
 * files have changed and are good. Main thread. */
#ifndef SK_EDGE_CERTIFICATES_H
#define SK_EDGE_CERTIFICATES_H

#include "base/log.h"
#include "edge/process.h"

/* The snapshot of the start; what is wrong with certificates is logged. Errors as of edge_snapshot_create. */
sk_err edge_first_snapshot(struct edge_process *process, struct config *config);
/* From now on changed files of certificates, keys and client authorities are found within half a minute. What
 * cannot be used is told in the log, and the old ones stay. */
void edge_certificates_watch(struct edge_process *process);
/* Looks now. */
void edge_certificates_look(struct edge_process *process);
/* Each line of REPORT to the log, after WHAT. */
void edge_log_lines(const struct sk_buf *report, enum sk_log_level level, const char *what);

#endif
