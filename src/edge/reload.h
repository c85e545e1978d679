/* Another configuration put in force while requests run: read, checked, and only then swapped. Main thread. */
#ifndef SK_EDGE_RELOAD_H
#define SK_EDGE_RELOAD_H

#include "edge/process.h"

/* Reads the file again. On failure nothing has changed, and REPORT says what is wrong (a line a problem);
 * on success what takes effect only at the next start. SK_ERR_UNSUPPORTED (started without a file),
 * SK_ERR_INVALID, SK_ERR_EXISTS and others of io_listen, SK_ERR_NO_MEMORY. */
sk_err edge_reload(struct edge_process *process, struct sk_buf *report);
/* The same with the report in the log (SIGHUP). */
void edge_reload_logged(struct edge_process *process);

#endif
