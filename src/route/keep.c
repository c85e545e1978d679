#include "route/keep.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "route/alarm.h"

enum { PATH_BYTES = 4096 };

static bool path_of(const struct config_route *config, const char *name, char out[PATH_BYTES]) {
    int bytes = snprintf(out, PATH_BYTES, "%.*s/%s", SK_STR_ARGS(config->state), name);
    return config->state.len > 0 && bytes < PATH_BYTES;
}

bool keep_is_there(const struct config_route *config) {
    char path[PATH_BYTES];
    return path_of(config, "table", path) && access(path, F_OK) == 0;
}

static void put_aside(struct route_process *process, const struct config_route *config, const char *path) {
    char aside[PATH_BYTES];
    process->table_calm = sk_time_now() + ROUTE_ALARM_EVENT_NS;
    route_alarm_set(process, ROUTE_ALARM_TABLE, true);
    if (path_of(config, "table.damaged", aside)) (void)!rename(path, aside);
}

void keep_load(struct route_process *process, const struct route_config *from) {
    const struct config_route *config = from->config;
    char path[PATH_BYTES];
    if (!path_of(config, "table", path) || config->site_count == 0) return;
    uint64_t digest = table_digest_of(from->sites, config->site_count);
    sk_err err = table_load(path, 0, digest, config->site_count, &process->kept);
    if (err == SK_ERR_CORRUPT)
        put_aside(process, config, path);
    else if (err == SK_ERR_INVALID)
        sk_log(SK_LOG_INFO, "route", "the kept routing table is of other sites");
    else if (err && err != SK_ERR_NOT_FOUND)
        sk_log(SK_LOG_ERROR, "route", "the kept routing table cannot be read: %s", sk_err_text(err));
    if (err) return;
    process->version = table_version(process->kept);
    process->settle_until = sk_time_now() + KEEP_SETTLE_NS;
    sk_log(SK_LOG_INFO, "route", "begins with the kept routing table %llu",
           (unsigned long long)process->version);
}

void keep_save(struct route_process *process, bool now) {
    const struct config_route *config = process->plan->config->config;
    const struct table *table = answer_snapshot_table(process->plan->snapshot);
    char path[PATH_BYTES];
    if (process->handed_over) return; /* another process writes */
    if (!table || table_version(table) == process->kept_version || !path_of(config, "table", path)) return;
    if (!now && sk_time_now() < process->keep_at) return;
    process->keep_at = sk_time_now() + KEEP_EVERY_NS;
    sk_err err = table_save(table, path);
    if (!err) process->kept_version = table_version(table);
    route_alarm_set(process, ROUTE_ALARM_KEEP, err != SK_OK);
}
