#include "edge/gauges.h"

#include "cache/tier.h"
#include "edge/bus.h"
#include "edge/fleet.h"

static double read_connections(void *arg) {
    const struct edge_process *process = arg;
    return edge_limits_count(process->limits);
}

static struct cache_usage usage_of(void *arg) {
    const struct edge_process *process = arg;
    struct cache_usage usage;
    cache_usage(process->cache, &usage);
    return usage;
}

static double read_bus_silent(void *arg) {
    const struct edge_process *process = arg;
    return edge_bus_silent(process->bus);
}
static double read_fleet_configuration(void *arg) {
    const struct edge_process *process = arg;
    return edge_fleet_number(process->fleet);
}
static double read_bus_heard(void *arg) {
    const struct edge_process *process = arg;
    return edge_bus_heard_s(process->bus);
}

static double read_objects(void *arg) { return (double)usage_of(arg).objects; }
static double read_fills(void *arg) { return (double)usage_of(arg).fills; }
static double read_used_bytes(void *arg) { return (double)usage_of(arg).used_bytes; }
static double read_budget_bytes(void *arg) { return (double)usage_of(arg).budget_bytes; }
static double read_evicted_objects(void *arg) { return (double)usage_of(arg).evicted_objects; }
static double read_evicted_bytes(void *arg) { return (double)usage_of(arg).evicted_bytes; }
static double read_guest_bytes(void *arg) { return (double)usage_of(arg).guest_bytes; }
static double read_rejected_objects(void *arg) { return (double)usage_of(arg).rejected_objects; }
static double read_variant_bounds(void *arg) { return (double)usage_of(arg).variant_bounds; }

static struct cache_tier_usage tier_of(void *arg) {
    const struct edge_process *process = arg;
    struct cache_tier_usage usage;
    cache_tier_usage(process->cache, &usage);
    return usage;
}

static double read_disk_devices(void *arg) {
    struct cache_tier_usage usage = tier_of(arg);
    return (double)(usage.devices - usage.devices_failed);
}
static double read_disk_failed(void *arg) { return (double)tier_of(arg).devices_failed; }
static double read_disk_bytes(void *arg) { return (double)tier_of(arg).bytes; }
static double read_disk_free_bytes(void *arg) { return (double)tier_of(arg).free_bytes; }
static double read_disk_records(void *arg) { return (double)tier_of(arg).records; }
static double read_disk_index_bytes(void *arg) { return (double)tier_of(arg).index_bytes; }
static double read_disk_puts(void *arg) { return (double)tier_of(arg).puts; }
static double read_disk_put_bytes(void *arg) { return (double)tier_of(arg).put_bytes; }
static double read_disk_refused(void *arg) { return (double)tier_of(arg).refused; }
static double read_disk_flushed(void *arg) { return (double)tier_of(arg).flushed; }
static double read_disk_written_bytes(void *arg) { return (double)tier_of(arg).written_bytes; }
static double read_disk_amplification(void *arg) {
    struct cache_tier_usage usage = tier_of(arg);
    return usage.put_bytes ? (double)usage.written_bytes / (double)usage.put_bytes : 0;
}
static double read_disk_read_bytes(void *arg) { return (double)tier_of(arg).read_bytes; }
static double read_disk_reinserted(void *arg) { return (double)tier_of(arg).reinserted; }
static double read_disk_reclaimed(void *arg) { return (double)tier_of(arg).reclaimed; }
static double read_disk_damaged(void *arg) { return (double)tier_of(arg).damaged; }
static double read_disk_read_errors(void *arg) { return (double)tier_of(arg).read_errors; }
static double read_disk_write_errors(void *arg) { return (double)tier_of(arg).write_errors; }
static double read_disk_purged(void *arg) { return (double)tier_of(arg).purged; }
static double read_disk_unproven(void *arg) { return (double)tier_of(arg).unproven; }

static const struct {
    const char *name, *help;
    double (*read)(void *arg);
} gauges[] = {
#define X(reader, metric, help) {metric, help, read_##reader},
    EDGE_GAUGE_TABLE(X)
#undef X
};

void edge_gauges_register(struct edge_process *process) {
    _Static_assert(SK_COUNT(gauges) == SK_COUNT(((struct edge_process *)0)->gauges), "one slot a gauge");
    for (size_t i = 0; i < SK_COUNT(gauges); i++) {
        process->gauges[i] = (struct observe_gauge){
            .name = gauges[i].name, .help = gauges[i].help, .read = gauges[i].read, .arg = process};
        observe_gauge_register(&process->gauges[i]);
    }
}

void edge_gauges_remove(struct edge_process *process) {
    for (size_t i = 0; i < SK_COUNT(gauges); i++) observe_gauge_remove(&process->gauges[i]);
}
