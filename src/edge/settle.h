/* Waiting for the workers to have done what they were told. Main thread. */
#ifndef SK_EDGE_SETTLE_H
#define SK_EDGE_SETTLE_H

#include "edge/process.h"

/* Until every worker has taken all messages that it was sent before; a second at most, for a worker that is held up.
 * False: that long was not enough, or there was no memory. */
bool edge_settle(struct edge_process *process);

#endif
