/* An edge that takes no clients though it runs (edge/health.h says why) lets those go that it has: each is told with its
 * next answer, and who is idle now. Looked at each second. Main thread. */
#ifndef SK_EDGE_WITHDRAW_H
#define SK_EDGE_WITHDRAW_H

#include "edge/process.h"

struct edge_withdrawal;

/* SK_ERR_NO_MEMORY. */
sk_err edge_withdrawal_start(struct edge_process *process, struct edge_withdrawal **out_withdrawal);
/* After the loop has ended. NULL is allowed. */
void edge_withdrawal_free(struct edge_withdrawal *withdrawal);

#endif
