#include "edge/reclaim.h"

#include <stdlib.h>

#include "cache/sweep.h"

#define LOOK_MS 100 /* between looks whether there was a purge */
#define REST_MS 2   /* between turns of a sweep: at most a fifth of one core goes into it */
#define TURN_NS (500 * SK_NS_PER_US)

struct edge_reclaim {
    struct edge_process *process;
    struct cache_thread *cache;
    struct cache_sweep sweep;
    struct io_timer timer;
};

static void on_timer(struct io_timer *timer) {
    struct edge_reclaim *reclaim = SK_CONTAINER_OF(timer, struct edge_reclaim, timer);
    struct observe_thread *metrics = reclaim->process->metrics;
    struct cache_sweep before = reclaim->sweep;
    sk_time_ns start = sk_time_now(), now = start;
    bool more = true;
    while (more && now - start < TURN_NS) {
        more = cache_sweep_step(reclaim->cache, &reclaim->sweep);
        now = sk_time_now();
    }
    observe_add(metrics, OBSERVE_RECLAIMED_OBJECTS, reclaim->sweep.objects - before.objects);
    observe_add(metrics, OBSERVE_RECLAIMED_BYTES, reclaim->sweep.bytes - before.bytes);
    observe_add(metrics, OBSERVE_SWEEPS, reclaim->sweep.rounds - before.rounds);
    io_timer_start(reclaim->process->loop, timer, now + (more ? REST_MS : LOOK_MS) * SK_NS_PER_MS, on_timer);
}

sk_err edge_reclaim_start(struct edge_process *process, struct edge_reclaim **out_reclaim) {
    struct edge_reclaim *reclaim = calloc(1, sizeof *reclaim);
    if (!reclaim) return SK_ERR_NO_MEMORY;
    reclaim->process = process;
    sk_err err = cache_thread_join(process->cache, process->loop, &reclaim->cache);
    if (err) {
        free(reclaim);
        return err;
    }
    io_timer_start(process->loop, &reclaim->timer, sk_time_now() + LOOK_MS * SK_NS_PER_MS, on_timer);
    *out_reclaim = reclaim;
    return SK_OK;
}

void edge_reclaim_stop(struct edge_reclaim *reclaim) {
    if (!reclaim) return;
    io_timer_stop(&reclaim->timer);
    cache_thread_leave(reclaim->cache);
    free(reclaim);
}
