#include "edge/withdraw.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "cache/tier.h"
#include "edge/bus.h"
#include "edge/health.h"
#include "edge/sickness.h"

enum { LOOK_MS = 1000, STUCK_MS = 1500 };

/* A worker is asked for a sign of life. */
struct ping {
    struct io_task task;
    _Atomic bool waiting; /* released by the worker when it is done with the task, which is then ours again */
    sk_time_ns posted;
};

struct edge_withdrawal {
    struct edge_process *process;
    struct io_timer timer;
    bool told; /* the workers let go */
    struct edge_sickness sickness;
    struct ping *pings; /* one a worker */
};

/* ---- how it feels --------------------------------------------------------------------------------------------------- */

static void on_ping(struct io_task *task) {
    struct ping *ping = SK_CONTAINER_OF(task, struct ping, task);
    atomic_store_explicit(&ping->waiting, false, memory_order_release);
}

/* True when one of the workers has not come round its loop for long. */
static bool worker_is_stuck(struct edge_withdrawal *withdrawal, sk_time_ns now) {
    bool stuck = false;
    for (unsigned i = 0; i < withdrawal->process->worker_count; i++) {
        struct ping *ping = &withdrawal->pings[i];
        struct edge_worker *worker;
        if (atomic_load_explicit(&ping->waiting, memory_order_acquire)) {
            stuck |= now - ping->posted > STUCK_MS * SK_NS_PER_MS;
            continue;
        }
        ping->posted = now;
        ping->task.run = on_ping;
        atomic_store_explicit(&ping->waiting, true, memory_order_relaxed);
        if (edge_process_post(withdrawal->process, i, &ping->task, &worker) != SK_OK)
            atomic_store_explicit(&ping->waiting, false, memory_order_relaxed);
    }
    return stuck;
}

static bool disk_has_failed(struct edge_withdrawal *withdrawal) {
    struct cache_tier_usage usage = {0};
    cache_tier_usage(withdrawal->process->cache, &usage);
    return usage.devices_failed > 0;
}

static void look_at_oneself(struct edge_withdrawal *withdrawal, sk_time_ns now) {
    struct edge_sickness *sickness = &withdrawal->sickness;
    struct edge_sickness_look look = {0};
    if (worker_is_stuck(withdrawal, now))
        look.bad = "one of its threads stands still";
    else if (disk_has_failed(withdrawal))
        look.bad = "a device of its disk is out of service";
    if (look.bad || sickness->withdrawn)
        edge_bus_others(withdrawal->process->bus, &look.others, &look.others_running);
    bool was = sickness->withdrawn, is = edge_sickness_after(sickness, &look, now);
    edge_withdraw(EDGE_WITHDRAWN_BY_ITSELF, is);
    if (is && !was) sk_log(SK_LOG_ERROR, "edge", "this edge is sick and withdraws: %s", sickness->why);
    if (was && !is)
        sk_log(SK_LOG_WARN, "edge",
               look.bad ? "this edge is sick (%s) but too few others are left"
                        : "this edge is well again (%s)",
               sickness->why);
}

/* ---- what follows --------------------------------------------------------------------------------------------------- */

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
    sk_time_ns now = sk_time_now();
    if (withdrawal->process->stage != EDGE_RUNNING) return;
    /* Without a fleet nobody is known who could stand in: the threads need not be woken to ask how they are. */
    if (withdrawal->process->bus) look_at_oneself(withdrawal, now);
    tell_workers(withdrawal, edge_withdrawn_why());
    io_timer_start(loop, timer, now + LOOK_MS * SK_NS_PER_MS, on_look);
}

sk_err edge_withdrawal_start(struct edge_process *process, struct edge_withdrawal **out_withdrawal) {
    struct edge_withdrawal *withdrawal = calloc(1, sizeof *withdrawal);
    if (!withdrawal) return SK_ERR_NO_MEMORY;
    withdrawal->pings = calloc(process->worker_count, sizeof *withdrawal->pings);
    if (!withdrawal->pings) {
        free(withdrawal);
        return SK_ERR_NO_MEMORY;
    }
    withdrawal->process = process;
    on_look(&withdrawal->timer);
    *out_withdrawal = withdrawal;
    return SK_OK;
}

void edge_withdrawal_free(struct edge_withdrawal *withdrawal) {
    if (!withdrawal) return;
    io_timer_stop(&withdrawal->timer);
    free(withdrawal->pings);
    free(withdrawal);
}
