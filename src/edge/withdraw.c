#include "edge/withdraw.h"

#include <stdlib.h>

#include "base/log.h"
#include "edge/health.h"

enum { LOOK_MS = 1000 };

struct edge_withdrawal {
    struct edge_process *process;
    struct io_timer timer;
    bool told; /* the workers let go */
};

static void tell_workers(struct edge_withdrawal *withdrawal, const char *why) {
    struct edge_process *process = withdrawal->process;
    if (withdrawal->told == (why != NULL)) return;
    if (edge_process_tell_all(process, why ? EDGE_TELL_LET_GO : EDGE_TELL_KEEP) != SK_OK)
        return; /* again at the next look */
    withdrawal->told = why != NULL;
    if (why)
        sk_log(SK_LOG_WARN, "edge", "takes no clients: %s", why);
    else
        sk_log(SK_LOG_INFO, "edge", "takes clients again");
}

static void on_look(struct io_timer *timer) {
    struct edge_withdrawal *withdrawal = SK_CONTAINER_OF(timer, struct edge_withdrawal, timer);
    struct io_loop *loop = withdrawal->process->loop;
    if (withdrawal->process->stage != EDGE_RUNNING) return;
    tell_workers(withdrawal, edge_withdrawn_why());
    io_timer_start(loop, timer, sk_time_now() + LOOK_MS * SK_NS_PER_MS, on_look);
}

sk_err edge_withdrawal_start(struct edge_process *process, struct edge_withdrawal **out_withdrawal) {
    struct edge_withdrawal *withdrawal = calloc(1, sizeof *withdrawal);
    if (!withdrawal) return SK_ERR_NO_MEMORY;
    withdrawal->process = process;
    on_look(&withdrawal->timer);
    *out_withdrawal = withdrawal;
    return SK_OK;
}

void edge_withdrawal_free(struct edge_withdrawal *withdrawal) {
    if (!withdrawal) return;
    io_timer_stop(&withdrawal->timer);
    free(withdrawal);
}
