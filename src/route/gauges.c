#include "route/gauges.h"

#include <stdio.h>
#include <stdlib.h>

#include "route/alarm.h"
#include "route/sites.h"

enum { NAME_BYTES = 128 };

struct route_gauges {
    bool shown;
    size_t count;
    struct item {
        struct observe_gauge gauge;
        char name[NAME_BYTES];
    } items[];
};

static double read_table_version(void *arg) {
    const struct table *table = answer_snapshot_table(((struct route_process *)arg)->plan->snapshot);
    return table ? (double)table_version(table) : 0;
}

static double read_table_lists(void *arg) {
    const struct table *table = answer_snapshot_table(((struct route_process *)arg)->plan->snapshot);
    return table ? (double)table_list_count(table) : 0;
}

static double read_sites_up(void *arg) { return sites_up(((struct route_process *)arg)->sites); }
static double read_alarms(void *arg) { return route_alarm_count(arg); }
static double read_up(void *arg) { return ((const struct table_site *)arg)->decide.up; }
static double read_load(void *arg) { return ((const struct table_site *)arg)->decide.load; }

struct kind {
    const char *name, *help;
    double (*read)(void *arg);
};
static const struct kind kinds[] = {
#define X(reader, metric, help) {metric, help, read_##reader},
    ROUTE_GAUGE_TABLE(X)};
static const struct kind site_kinds[] = {ROUTE_SITE_GAUGE_TABLE(X)
#undef X
};

static void add(struct route_gauges *gauges, const struct kind *kind, void *arg) {
    struct item *item = &gauges->items[gauges->count++];
    item->gauge =
        (struct observe_gauge){.name = item->name, .help = kind->help, .read = kind->read, .arg = arg};
}

sk_err route_gauges_create(struct route_process *process, const struct sites *sites,
                           struct route_gauges **out_gauges) {
    size_t room = SK_COUNT(kinds) + SK_COUNT(site_kinds) * sites->count;
    struct route_gauges *gauges = calloc(1, sizeof *gauges + room * sizeof gauges->items[0]);
    if (!gauges) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < SK_COUNT(kinds); i++) {
        snprintf(gauges->items[gauges->count].name, NAME_BYTES, "%s", kinds[i].name);
        add(gauges, &kinds[i], process);
    }
    for (size_t kind = 0; kind < SK_COUNT(site_kinds); kind++) {
        for (uint32_t i = 0; i < sites->count; i++) {
            snprintf(gauges->items[gauges->count].name, NAME_BYTES, "%s{site=\"%.*s\"}",
                     site_kinds[kind].name, SK_STR_ARGS(sites->items[i].decide.name));
            add(gauges, &site_kinds[kind], &sites->items[i]);
        }
    }
    *out_gauges = gauges;
    return SK_OK;
}

void route_gauges_show(struct route_gauges *gauges) {
    for (size_t i = 0; i < gauges->count; i++) observe_gauge_register(&gauges->items[i].gauge);
    gauges->shown = true;
}

void route_gauges_free(struct route_gauges *gauges) {
    if (!gauges) return;
    for (size_t i = 0; gauges->shown && i < gauges->count; i++) observe_gauge_remove(&gauges->items[i].gauge);
    free(gauges);
}
