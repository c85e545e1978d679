#include "edge/load.h"

#include <linux/tcp.h>
#include <math.h>
#include <sys/resource.h>

#include "config/value.h"
#include "edge/descriptors.h"
#include "edge/process.h"
#include "observe/rtt.h"

enum { LOOK_MS = 1000 };
#define SMOOTHING 0.15 /* weight of the newest second: reports are some seconds apart */
#define HIT_MEMORY                                                                                           \
    0.97 /* what a second ago counts for the hit ratio, of what now counts: few requests tell little */

static double cpu_seconds(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double smooth(double old, double newest) {
    return isnan(old) ? newest : old + SMOOTHING * (newest - old);
}

/* The scarcest of what an edge has: cores, places for connections, what the operator says that it can. */
static double load_of(const struct edge_process *process, double cpu_share, double requests_per_second) {
    const struct config *config = process->snapshot->config;
    double connections = (double)edge_limits_count(process->limits) / edge_connection_limit(config);
    double load = fmax(cpu_share, connections);
    return config->capacity ? fmax(load, requests_per_second / config->capacity) : load;
}

static void look(struct edge_process *process) {
    struct edge_load *state = &process->load, last = *state;
    state->at = sk_time_now();
    state->cpu_s = cpu_seconds();
    /* Routers ask as often as there are routers, however many clients there are. */
    state->requests = (double)observe_total(OBSERVE_REQUESTS) - (double)observe_total(OBSERVE_HEALTH_CHECKS);
    state->hits = (double)observe_total(OBSERVE_HITS);
    state->misses = (double)observe_total(OBSERVE_MISSES);
    double seconds = (double)(state->at - last.at) / (double)SK_NS_PER_S;
    if (last.at == 0 || seconds <= 0) return;
    double cores = SK_MIN(process->worker_count, config_machine_cores());
    state->load = smooth(last.load, load_of(process, (state->cpu_s - last.cpu_s) / seconds / cores,
                                            (state->requests - last.requests) / seconds));
    double hits = state->hits - last.hits, asked = hits + state->misses - last.misses;
    state->recent_hits = HIT_MEMORY * last.recent_hits + hits;
    state->recent_asked = HIT_MEMORY * last.recent_asked + asked;
    if (asked > 0) state->hit_ratio = state->recent_hits / state->recent_asked;
}

static void on_look(struct io_timer *timer) {
    struct edge_process *process = SK_CONTAINER_OF(timer, struct edge_process, load.timer);
    look(process);
    io_timer_start(process->loop, timer, io_loop_now(process->loop) + LOOK_MS * SK_NS_PER_MS, on_look);
}

void edge_load_start(struct edge_process *process) {
    process->load = (struct edge_load){.hit_ratio = NAN};
    look(process);
    io_timer_start(process->loop, &process->load.timer, sk_time_now() + LOOK_MS * SK_NS_PER_MS, on_look);
}

sk_err edge_load_write(const struct edge_process *process, struct sk_buf *out) {
    sk_err err = sk_buf_printf(out, "load %.4f\n", process->load.load);
    if (!err && !isnan(process->load.hit_ratio))
        err = sk_buf_printf(out, "hit_ratio %.4f\n", process->load.hit_ratio);
    return err ? err : observe_rtt_write(sk_time_now(), out);
}

void edge_load_note(struct edge_worker *worker, int fd, const struct io_addr *client) {
    struct tcp_info info;
    socklen_t bytes = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) != 0) return;
    /* A kernel that does not know the least one says nothing, and one without a sample says all ones. */
    bool known = bytes >= offsetof(struct tcp_info, tcpi_min_rtt) + sizeof info.tcpi_min_rtt &&
                 info.tcpi_min_rtt != UINT32_MAX;
    if (known) edge_load_note_rtt(worker, client, info.tcpi_min_rtt);
}

void edge_load_note_rtt(struct edge_worker *worker, const struct io_addr *client, uint32_t rtt_us) {
    uint8_t ip[16];
    if (rtt_us == 0 || !io_addr_ip16(client, ip)) return;
    if (!worker->rtt && observe_rtt_join(&worker->rtt)) return;
    observe_rtt_add(worker->rtt, ip, rtt_us, io_loop_now(worker->loop));
}
