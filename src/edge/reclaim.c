#include "edge/reclaim.h"

#include <stdlib.h>
#include <time.h>

#include "cache/sweep.h"

#define LOOK_NS (100 * SK_NS_PER_MS) /* between looks whether there was a purge */
#define LOOK_TURN_NS SK_NS_PER_US    /* of the first turn: it sees whether there is anything */
#define LATE_NS (2 * SK_NS_PER_MS)   /* a timer fires within one */
#define ASK_NS                                                                                               \
    (100 * SK_NS_PER_US) /* between looks whether somebody waits: who purges next should not for a turn */

struct edge_reclaim {
    struct edge_process *process;
    struct cache_thread *cache;
    struct cache_sweep sweep;
    struct cache_sweep_pace pace; /* of the turn to come */
    sk_time_ns due;
    struct io_timer timer;
};

static void count(struct edge_reclaim *reclaim, const struct cache_sweep *before) {
    struct observe_thread *metrics = reclaim->process->metrics;
    observe_add(metrics, OBSERVE_RECLAIMED_OBJECTS, reclaim->sweep.objects - before->objects);
    observe_add(metrics, OBSERVE_RECLAIMED_BYTES, reclaim->sweep.bytes - before->bytes);
    observe_add(metrics, OBSERVE_SWEEPS, reclaim->sweep.rounds - before->rounds);
}

static sk_time_ns cpu_time(void) {
    struct timespec spent;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent)) return 0;
    return spent.tv_sec * SK_NS_PER_S + spent.tv_nsec;
}

/* False when there is nothing left to do. */
static bool take_turn(struct edge_reclaim *reclaim, sk_time_ns start) {
    const struct io_loop *loop = reclaim->process->loop;
    sk_time_ns now = start, asked = start;
    bool more = true;
    while (more && now - start < reclaim->pace.turn_ns) {
        more = cache_sweep_step(reclaim->cache, &reclaim->sweep);
        now = sk_time_now();
        if (now - asked < ASK_NS) continue;
        if (io_loop_is_awaited(loop)) break;
        asked = now;
    }
    return more;
}

static void on_timer(struct io_timer *timer);

static void wait_for_turn(struct edge_reclaim *reclaim) {
    reclaim->due = sk_time_now() + reclaim->pace.rest_ns;
    io_timer_start(reclaim->process->loop, &reclaim->timer, reclaim->due, on_timer);
}

static void on_timer(struct io_timer *timer) {
    struct edge_reclaim *reclaim = SK_CONTAINER_OF(timer, struct edge_reclaim, timer);
    struct cache_sweep before = reclaim->sweep;
    sk_time_ns start = sk_time_now(), cpu = cpu_time();
    bool more = take_turn(reclaim, start);
    sk_time_ns took = sk_time_now() - start, waited = took - (cpu_time() - cpu);
    bool busy = start - reclaim->due > LATE_NS || waited > took / 8;
    reclaim->pace = more ? cache_sweep_next(&before, &reclaim->sweep, reclaim->pace, busy)
                         : (struct cache_sweep_pace){LOOK_NS, LOOK_TURN_NS};
    count(reclaim, &before);
    wait_for_turn(reclaim);
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
    reclaim->pace = (struct cache_sweep_pace){LOOK_NS, LOOK_TURN_NS};
    wait_for_turn(reclaim);
    *out_reclaim = reclaim;
    return SK_OK;
}

void edge_reclaim_stop(struct edge_reclaim *reclaim) {
    if (!reclaim) return;
    io_timer_stop(&reclaim->timer);
    cache_thread_leave(reclaim->cache);
    free(reclaim);
}
