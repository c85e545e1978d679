#include "route/watch.h"

#include <stdlib.h>

#include "base/log.h"
#include "route/alarm.h"
#include "route/gauges.h"
#include "route/keep.h"
#include "route/prober.h"

/* What falls together becomes one table. */
enum { SETTLE_MS = 50, LOOK_MS = 1000, LEARN_MS = 5000 /* between tables for what was learned only */ };
#define CLOCK_STEP_NS (30 * SK_NS_PER_S)

static void check_alarm(struct route_process *process) {
    route_alarm_set(process, ROUTE_ALARM_SITES, process->sites->count && sites_up(process->sites) == 0);
}

/* A step of the wall clock: its distance from the other one changes at once. Nothing but signatures and cookies is
 * measured by it. */
static void check_events(struct route_process *process) {
    sk_time_ns now = sk_time_now();
    int64_t offset = sk_wall_now_ns() - now, moved = offset - process->clock_offset_ns;
    bool stepped = process->clock_offset_ns && (moved > CLOCK_STEP_NS || moved < -CLOCK_STEP_NS);
    process->clock_offset_ns = offset;
    if (stepped) {
        sk_log(SK_LOG_WARN, "route", "the clock has moved by %lld s", (long long)(moved / SK_NS_PER_S));
        process->clock_calm = now + ROUTE_ALARM_EVENT_NS;
        route_process_sign(process);
    }
    route_alarm_set(process, ROUTE_ALARM_CLOCK, now < process->clock_calm);
    route_alarm_set(process, ROUTE_ALARM_TABLE, now < process->table_calm);
}

/* One bad result is no verdict yet: it takes some until an edge counts as down. */
static bool is_known(const struct sites_edge *edge) { return edge->checked && edge->own.run == 0; }

/* After a start with the table of the last run: when it is known of all edges what they are, clients may move. */
static void check_settled(struct route_process *process) {
    const struct sites *sites = process->sites;
    bool known = process->plan->config->config->health.check == CONFIG_ROUTE_CHECK_NONE;
    uint32_t checked = 0;
    while (checked < sites->edge_count && is_known(&sites->edges[checked])) checked++;
    if (!process->settle_until) return;
    if (!known && checked < sites->edge_count && sk_time_now() < process->settle_until) return;
    process->settle_until = 0;
    watch_changed(process);
}

static void on_settle(struct io_timer *timer) {
    struct route_process *process = SK_CONTAINER_OF(timer, struct route_process, settle_timer);
    check_alarm(process);
    route_process_replan(process);
}

void watch_changed(struct route_process *process) {
    if (io_timer_armed(&process->settle_timer)) return;
    io_timer_start(process->loop, &process->settle_timer,
                   io_loop_now(process->loop) + SETTLE_MS * SK_NS_PER_MS, on_settle);
}

static void take_report(struct route_process *process, const struct probe_result *result) {
    struct sites *sites = process->sites;
    struct measure_report report;
    if (result->target >= sites->report_count) return;
    const struct sites_report *from = &sites->reports[result->target];
    sk_err err = measure_parse(result->report, &report);
    if (err) {
        SK_LOG_LIMITED(SK_LOG_WARN, "route", "an edge's report is not taken: %s", sk_err_text(err));
        return;
    }
    sites_loaded(sites, result->target, report.load, report.hit_ratio, &process->plan->config->weights,
                 sk_time_now());
    observe_count(process->metrics, OBSERVE_ROUTE_REPORTS);
    if (!process->plan->config->config->reports.round_trips) report.count = 0;
    if (measure_take(process->measure, &from->addr, sites->items[from->site].decide.name, &report,
                     sk_time_now()))
        measure_report_free(&report);
    process->learned = true;
}

static void on_result(void *arg, const struct probe_result *result) {
    struct route_process *process = arg;
    const struct config_route_health *health = &process->plan->config->config->health;
    if (result->is_report) {
        take_report(process, result);
        return;
    }
    struct health_rules rules = {health->down_after, health->up_after};
    observe_count(process->metrics,
                  result->result == HEALTH_GOOD ? OBSERVE_ROUTE_CHECKS_GOOD : OBSERVE_ROUTE_CHECKS_BAD);
    if (sites_checked(process->sites, result->target, &rules, result->result, result->why, sk_time_now()))
        watch_changed(process);
}

static void on_look(struct io_timer *timer) {
    watch_look(SK_CONTAINER_OF(timer, struct route_process, look_timer));
}

void watch_look(struct route_process *process) {
    if (sites_look(process->sites, sk_time_now())) watch_changed(process);
    check_alarm(process);
    check_events(process);
    check_settled(process);
    keep_save(process, false);
    if (challenge_expire(&process->challenges, sk_time_now()) && route_process_challenges(process))
        sk_log(SK_LOG_ERROR, "route", "an expired challenge is still answered");
    const struct table *table = answer_snapshot_table(process->plan->snapshot);
    bool due = process->learned || (table && table_waiting(table));
    if (due && sk_time_now() - process->table_at >= LEARN_MS * SK_NS_PER_MS) watch_changed(process);
    io_timer_start(process->loop, &process->look_timer, sk_time_now() + LOOK_MS * SK_NS_PER_MS, on_look);
}

sk_err watch_start(struct route_process *process) {
    sk_err err = measure_create(&process->measure);
    return err ? err : prober_start(process->loop, on_result, process, &process->prober);
}

static sk_err check_all(struct route_process *process, const struct sites *sites,
                        const struct config_route *config) {
    struct io_addr *addrs = calloc(SK_MAX(sites->edge_count + sites->report_count, 1), sizeof *addrs);
    if (!addrs) return SK_ERR_NO_MEMORY;
    struct prober_work work = {.health = &config->health,
                               .edges = addrs,
                               .edge_count = sites->edge_count,
                               .reports = &config->reports,
                               .report_addrs = addrs + sites->edge_count,
                               .report_count = sites->report_count,
                               .report_bytes = MEASURE_REPORT_BYTES};
    for (uint32_t i = 0; i < sites->edge_count; i++) addrs[i] = sites->edges[i].addr;
    for (uint32_t i = 0; i < sites->report_count; i++) addrs[sites->edge_count + i] = sites->reports[i].addr;
    sk_err err = prober_use(process->prober, &work);
    free(addrs);
    if (err == SK_ERR_INVALID)
        sk_log(SK_LOG_ERROR, "route", "health.ca_file %.*s holds no certificates",
               SK_STR_ARGS(config->health.ca_file));
    return err;
}

sk_err watch_use(struct route_process *process, struct sites *sites, const struct config_route *config) {
    struct route_gauges *gauges;
    sk_err err = route_gauges_create(process, sites, &gauges);
    if (err) return err;
    err = check_all(process, sites, config);
    if (err) {
        route_gauges_free(gauges);
        return err;
    }
    route_gauges_free(process->gauges);
    sites_free(process->sites);
    process->sites = sites;
    process->gauges = gauges;
    route_gauges_show(gauges);
    return SK_OK;
}

void watch_stop(struct route_process *process) { prober_stop(process->prober); }

void watch_free(struct route_process *process) {
    prober_free(process->prober);
    measure_free(process->measure);
    route_gauges_free(process->gauges);
    sites_free(process->sites);
}
